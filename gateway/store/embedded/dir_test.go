package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

func TestSecondOpenerIsToldWhoHoldsTheDirectory(t *testing.T) {
	began := time.Now().Add(-time.Second)
	for name, o := range map[string]Options{
		"disk":   {Dir: t.TempDir()},
		"memory": {Dir: "data", FS: vfs.NewMem()},
	} {
		t.Run(name, func(t *testing.T) {
			first := mustOpen(t, o)
			_, err := Open(o)
			var locked *LockedError
			if !errors.Is(err, ErrLocked) || !errors.As(err, &locked) {
				t.Fatalf("got %v", err)
			}
			if locked.PID != os.Getpid() || locked.Since.Before(began.Truncate(time.Second)) {
				t.Errorf("held by %d since %v", locked.PID, locked.Since)
			}
			if err := first.Ready(context.Background()); err != nil {
				t.Errorf("the first one suffered: %v", err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := mustOpen(t, o).Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// [STORE-2]: what is acknowledged in a directory that was just made, in others that were, survives a loss of power.
func TestANewDirectorySurvivesALossOfPower(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, Options{Dir: "new/stores/data", FS: disk})
	defer s.Close()
	o := (&crashes{t: t, s: s}).actor(0)
	o.Version, o.Durability = 1, store.Disk
	done := make(chan error, 1)
	s.Commit(o, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, Options{Dir: "new/stores/data", FS: disk.CrashClone(vfs.CrashCloneCfg{})})
	defer again.Close()
	if r, err := again.Describe(t.Context(), o.ID); err != nil || r.Version != 1 {
		t.Errorf("version %d, %v", r.Version, err)
	}
}

func TestSecondOpenerIsRefusedUnderAnotherName(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{Dir: dir})
	defer s.Close()
	if _, err := Open(Options{Dir: link}); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestHolderIsOptional(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, Options{Dir: "data", FS: fs})
	defer s.Close()
	for _, text := range []string{"", "nonsense", "pid 7\nstarted yesterday\n"} {
		d := &directory{fs: fs, path: "data"}
		if err := d.write(holderFile, text); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{Dir: "data", FS: fs})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("holder %q: got %v", text, err)
		}
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpen(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(formatMagic+"2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	var newer *FormatError
	if !errors.As(err, &newer) || newer.Format != 2 || !strings.Contains(err.Error(), "start the newer Stagedoor") {
		t.Errorf("got %v", err)
	}
}

func TestForeignDirectoryIsRefusedAndLeftAlone(t *testing.T) {
	for name, text := range map[string]string{"notes.txt": "mine", formatFile: "PNG", "LOCKED": ""} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrForeign) {
			t.Errorf("with %s: got %v", name, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("with %s: there are %v now (%v)", name, entries, err)
		}
	}
}

func TestInterruptedOpenIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{lockFile, holderFile, formatFile + temporary} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFileInTheWayIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: path}); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestReopenKeepsEverythingButLeases(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir()}
	s := mustOpen(t, o)
	c := (&crashes{t: t, s: s}).actor(0)
	c.Version, c.CommitID = 1, [16]byte{7}
	c.State, c.HasState = make([]byte, 5000), true
	c.KV = []store.KVOp{{Key: []byte("k"), Value: []byte("v"), HasValue: true}}
	c.Schedules = []store.ScheduleOp{{ID: "s", At: time.Now().Add(time.Hour), Spec: []byte("spec")}}
	c.Finished = []store.Finished{{Key: []byte("call"), Result: []byte("r")}}
	c.Connections.Added = []string{"c"}
	done := make(chan error, 1)
	s.Commit(c, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Grant(ctx, store.Lease{ID: "r", Kind: store.RunnerLease, Session: "s"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	before, err := s.Describe(ctx, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = mustOpen(t, o)
	defer s.Close()
	if after, err := s.Describe(ctx, c.ID); err != nil || after.Generation != before.Generation ||
		after.Nonce != before.Nonce || after.Version != 1 || after.CommitID != c.CommitID || after.CreatedAt != before.CreatedAt {
		t.Errorf("before %+v, after %+v (%v)", before, after, err)
	}
	if r, err := s.Result(ctx, c.ID, c.Generation, c.Nonce, []byte("call")); err != nil || string(r.Result) != "r" {
		t.Errorf("result %+v (%v)", r, err)
	}
	a, err := s.Acquire(ctx, store.Acquire{ID: c.ID, Preload: []store.Range{{}}, PreloadBytes: 100})
	if err != nil || len(a.State) != 5000 || len(a.Preload) != 1 || len(a.Schedules) != 1 || len(a.Connections) != 1 {
		t.Errorf("acquired %+v (%v)", a, err)
	}
	if _, err := s.Lease(ctx, "r"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the lease of the earlier process: %v", err) // [LEASE-0]
	}
}

func TestLoweredLimitLetsActorsShrink(t *testing.T) {
	o := Options{Dir: "data", FS: vfs.NewMem()}
	s := mustOpen(t, o)
	c := (&crashes{t: t, s: s}).actor(0)
	commit := func(state int) error {
		c.Version++
		c.State, c.HasState = make([]byte, state), state > 0
		done := make(chan error, 1)
		s.Commit(c, func(err error) { done <- err })
		return <-done
	}
	if err := commit(1000); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.Limits = store.DefaultLimits()
	o.Limits.Storage = 500
	s = mustOpen(t, o)
	defer s.Close()
	for _, state := range []int{1000, 900, 0} {
		if err := commit(state); err != nil {
			t.Errorf("%d bytes: %v", state, err)
		}
	}
	if err := commit(901); !errors.Is(err, store.ErrQuota) {
		t.Errorf("growing: %v", err)
	}
}
