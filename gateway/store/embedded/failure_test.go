package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// brokenFS fails the syncs of log files when told to.
type brokenFS struct {
	vfs.FS
	broken atomic.Bool
}

var errBroken = errors.New("the disk is broken")

func (b *brokenFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := b.FS.Create(name, category)
	if err != nil || category != walCategory {
		return f, err
	}
	return brokenFile{f, b}, nil
}

type brokenFile struct {
	vfs.File
	fs *brokenFS
}

func (f brokenFile) SyncData() error {
	if f.fs.broken.Load() {
		return errBroken
	}
	return f.File.SyncData()
}

func TestFailedWriteStopsAcknowledging(t *testing.T) {
	ctx := context.Background()
	var log lockedBuffer
	fs := &brokenFS{FS: vfs.NewMem()}
	s := mustOpen(t, Options{Dir: "data", FS: fs, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := (&crashes{t: t, s: s}).actor(0)
	commit := func() error {
		c.Version++
		done := make(chan error, 1)
		s.Commit(c, func(err error) { done <- err })
		return <-done
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	fs.broken.Store(true)
	unknown(t, commit())
	fs.broken.Store(false)
	// The disk works again, but what Pebble thinks is on it may not be there.
	unknown(t, commit())
	unknown(t, s.Ready(ctx))
	_, err := s.Describe(ctx, c.ID)
	unknown(t, err)
	_, err = s.Live(ctx, store.RunnerLease)
	unknown(t, err)
	if err := s.Close(); err == nil {
		t.Error("close reported nothing")
	}
	if !strings.Contains(log.String(), "store failed") {
		t.Errorf("log: %s", log.String())
	}

	s = mustOpen(t, Options{Dir: "data", FS: fs.FS})
	defer s.Close()
	if r, err := s.Describe(ctx, c.ID); err != nil || r.Version < 1 {
		t.Errorf("reopened: version %d (%v)", r.Version, err)
	}
}

// unknown checks that an error is none of the definite ones.
func unknown(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("acknowledged after a failed write")
	}
	for _, definite := range []error{
		store.ErrNotFound, store.ErrFenced, store.ErrConflict, store.ErrStale, store.ErrGap, store.ErrQuota,
		store.ErrTooLarge, store.ErrInvalid, store.ErrHeld, store.ErrClosed,
	} {
		if errors.Is(err, definite) {
			t.Errorf("definite error %v after a failed write", err)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestPebbleLogsAtDebugLevel(t *testing.T) {
	var log lockedBuffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	s := mustOpen(t, Options{Dir: "data", FS: vfs.NewMem(), Logger: slog.New(slog.NewTextHandler(&log, options))})
	pebbleLogger{s}.Infof("compacted %d", 3)
	pebbleLogger{s}.Errorf("background %s", "error")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, `"compacted 3"`) || !strings.Contains(got, "background error") {
		t.Errorf("log: %s", got)
	}
}
