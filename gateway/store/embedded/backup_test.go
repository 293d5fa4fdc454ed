package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// [STORE-5]: a backup that is made under load has everything that was acknowledged before it began, in both classes, and is a
// data directory as it stands; so is what is restored from it.
func TestABackupUnderLoad(t *testing.T) {
	const actors = 16
	root := t.TempDir()
	s := mustOpen(t, Options{Dir: filepath.Join(root, "data")})
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	acknowledged := map[string]uint64{}
	var load sync.WaitGroup
	enough := make(chan struct{}, actors)
	for i := range actors {
		o := (&crashes{t: t, s: s}).actor(i)
		load.Go(func() {
			for version := uint64(1); ctx.Err() == nil; version++ {
				o.Version, o.Durability = version, []store.Durability{store.Fast, store.Disk}[i%2]
				o.State, o.HasState = fmt.Append(nil, version), true
				done := make(chan error, 1)
				s.Commit(o, func(err error) { done <- err })
				if err := <-done; err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[o.ID] = version
				mu.Unlock()
				if version == 200 {
					enough <- struct{}{}
				}
			}
		})
	}
	for range actors {
		<-enough
	}
	mu.Lock()
	before := map[string]uint64{}
	for id, version := range acknowledged {
		before[id] = version
	}
	mu.Unlock()
	backup := filepath.Join(root, "backups", "monday")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	cancel()
	load.Wait()
	if err := s.Backup(t.Context(), backup); !errors.Is(err, store.ErrExists) {
		t.Errorf("over another backup: %v", err)
	}
	restored := filepath.Join(root, "restored")
	if n, err := Restore(t.Context(), Options{Dir: restored}, backup); err != nil || n != actors {
		t.Fatalf("restored %d actors, %v", n, err)
	}
	for _, dir := range []string{restored, backup} {
		again := mustOpen(t, Options{Dir: dir})
		for id, version := range before {
			a, err := again.Acquire(t.Context(), store.Acquire{ID: id})
			if err != nil || a.Record.Version < version || string(a.State) != fmt.Sprint(a.Record.Version) {
				t.Errorf("%s: version %d with state %q, acknowledged %d, %v", dir, a.Record.Version, a.State, version, err)
			}
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// [STORE-5]: a backup is on the disk once it is made, also what was acknowledged in class fast and is not synced in the store
// itself.
func TestABackupSurvivesALossOfPower(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, Options{Dir: "stores/data", FS: disk})
	defer s.Close()
	o := (&crashes{t: t, s: s}).actor(0)
	o.Durability, o.HasState = store.Fast, true
	const commits = 100
	for o.Version = 1; o.Version <= commits; o.Version++ {
		o.State = fmt.Append(nil, o.Version)
		done := make(chan error, 1)
		s.Commit(o, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	read := func(disk vfs.FS, dir string) uint64 {
		t.Helper()
		again := mustOpen(t, Options{Dir: dir, FS: disk})
		defer again.Close()
		r, err := again.Describe(t.Context(), o.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // its creation, too, is of class fast
			t.Fatal(err)
		}
		return r.Version
	}
	if v := read(disk.CrashClone(vfs.CrashCloneCfg{}), "stores/data"); v == commits {
		t.Fatal("all was synced before: nothing is shown")
	}
	if err := s.Backup(t.Context(), "backups/new/monday"); err != nil {
		t.Fatal(err)
	}
	if v := read(disk.CrashClone(vfs.CrashCloneCfg{}), "backups/new/monday"); v != commits {
		t.Errorf("version %d of %d", v, commits)
	}
}

// [STORE-5]: what an interruption leaves is no data directory, and does not stand in the way.
func TestAHalfBackupIsNone(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, Options{Dir: filepath.Join(root, "data")})
	defer s.Close()
	(&crashes{t: t, s: s}).actor(0)
	backup := filepath.Join(root, "backup")
	half := filepath.Join(root, siteName("backup"), "data")
	if err := os.Mkdir(filepath.Dir(half), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Checkpoint(half); err != nil { // and then the process was killed
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: half}); !errors.Is(err, ErrForeign) {
		t.Errorf("half a backup opens: %v", err)
	}
	if _, err := Restore(t.Context(), Options{Dir: filepath.Join(root, "restored")}, half); !errors.Is(err, ErrForeign) {
		t.Errorf("half a backup is restored: %v", err)
	}
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(half)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half is left: %v", err)
	}
}

// [STORE-5]: a damaged backup, one that is in use, and a directory that holds something are refused, and leave nothing.
func TestWhatIsNotRestored(t *testing.T) {
	root := t.TempDir()
	data, target := filepath.Join(root, "data"), filepath.Join(root, "target")
	s := mustOpen(t, Options{Dir: data})
	o := (&crashes{t: t, s: s}).actor(0)
	o.Version, o.State, o.HasState = 1, []byte(strings.Repeat("state", 10_000)), true
	done := make(chan error, 1)
	s.Commit(o, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	refused := func(what string, want error) {
		t.Helper()
		_, err := Restore(t.Context(), Options{Dir: target}, data)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("in use", ErrLocked)
	if err := s.db.Flush(); err != nil { // into a table
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(data, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	content, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, content...)
	for i := range 64 {
		damaged[i*len(damaged)/128] ^= 0xff
	}
	if err := os.WriteFile(tables[0], damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("damaged", nil)
	if left, err := os.ReadDir(root); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(tables[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Restore(t.Context(), Options{Dir: target}, data); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	refused("over another", store.ErrExists)
	target = filepath.Join(root, "other")
	data = root
	refused("no data directory", ErrForeign)
	data = t.TempDir()
	refused("an empty directory", store.ErrNothing)
	data = filepath.Join(data, "none")
	refused("no directory", store.ErrNothing)
}
