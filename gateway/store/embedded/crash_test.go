package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// crashes runs writers on a file system that can lose power, and loses it at acknowledgements.
type crashes struct {
	t     *testing.T
	fs    *vfs.MemFS
	s     *Store
	lossy bool // parts of what was not synced may be on the disk, too; most commits are of class fast

	mu     sync.Mutex
	random *rand.Rand
	acked  map[string]uint64 // version of each actor, as acknowledged in class disk
	clones []clone
}

// clone is the disk at one acknowledgement, and what had been acknowledged in class disk by then.
type clone struct {
	fs    *vfs.MemFS
	acked map[string]uint64
}

const (
	crashWriters = 4
	crashCommits = 60
	crashEvery   = 5
)

// runCrashes returns what was found missing behind all the crashes.
func runCrashes(t *testing.T, skipSync, lossy bool) error {
	t.Helper()
	c := &crashes{
		t: t, fs: vfs.NewCrashableMem(), lossy: lossy, random: rand.New(rand.NewPCG(1, 2)),
		acked: make(map[string]uint64),
	}
	c.s = mustOpen(t, Options{Dir: "data", FS: c.fs, unsafeSkipSync: skipSync})
	var wg sync.WaitGroup
	for i := range crashWriters {
		o := c.actor(i)
		wg.Go(func() { c.write(o) })
	}
	wg.Wait()
	if err := c.s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(c.clones) != crashWriters*crashCommits/crashEvery {
		t.Fatalf("only %d crashes", len(c.clones))
	}
	var missing error
	for _, clone := range c.clones {
		missing = errors.Join(missing, clone.check(t))
	}
	return missing
}

func (c *crashes) actor(i int) store.Commit {
	c.t.Helper()
	ctx := context.Background()
	addr := address.Address{Namespace: "default", Type: "room", Key: []string{fmt.Sprint(i)}}
	r, _, err := c.s.Create(ctx, store.Create{
		Address: addr, Region: "local", Input: []byte("input"), HasInput: true,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	a, err := c.s.Acquire(ctx, store.Acquire{ID: r.ID, Runner: "r"})
	if err != nil {
		c.t.Fatal(err)
	}
	return store.Commit{ID: r.ID, Generation: a.Record.Generation, Nonce: a.Record.Nonce}
}

// write makes commits of both classes: the next one of class disk vouches for those of class fast before it.
func (c *crashes) write(o store.Commit) {
	for version := range uint64(crashCommits) {
		o.Version = version + 1
		o.CommitID = [16]byte{byte(o.Version)}
		o.State, o.HasState = make([]byte, 100+int(version)*40), true
		o.KV = []store.KVOp{{Key: fmt.Appendf(nil, "%04d", o.Version), Value: []byte("v"), HasValue: true}}
		o.Durability = store.Disk
		if version%3 == 1 || c.lossy && version%20 != 0 {
			o.Durability = store.Fast
		}
		done := make(chan error, 1)
		c.s.Commit(o, func(err error) {
			if err == nil {
				c.acknowledged(&o)
			}
			done <- err
		})
		if err := <-done; err != nil {
			c.t.Error(err)
			return
		}
	}
}

// acknowledged runs within the acknowledgement: on the writer's goroutine, before anything else is written.
func (c *crashes) acknowledged(o *store.Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Durability == store.Disk {
		c.acked[o.ID] = o.Version
	}
	if o.Version%crashEvery != 0 {
		return
	}
	cfg := vfs.CrashCloneCfg{}
	if c.lossy {
		cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: c.random.IntN(101), RNG: c.random}
	}
	acked := make(map[string]uint64)
	for id, version := range c.acked {
		acked[id] = version
	}
	c.clones = append(c.clones, clone{c.fs.CrashClone(cfg), acked})
}

// check opens what the crash left and looks for what was acknowledged.
func (c clone) check(t *testing.T) error {
	ctx := context.Background()
	s, err := Open(Options{Dir: "data", FS: c.fs})
	if err != nil {
		return fmt.Errorf("open after a crash: %w", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for id, version := range c.acked {
		a, err := s.Acquire(ctx, store.Acquire{
			ID: id, Preload: []store.Range{{}}, PreloadBytes: 1 << 20,
		})
		if err != nil {
			return fmt.Errorf("actor %q: %w", id, err)
		}
		if got := a.Record.Version; got < version || got != uint64(len(a.Preload)) || len(a.State) != 60+int(got)*40 {
			return fmt.Errorf("actor %q: version %d with %d keys and %d bytes of state, acknowledged %d",
				id, got, len(a.Preload), len(a.State), version)
		}
	}
	return nil
}

func TestAcknowledgedCommitsSurviveLossOfPower(t *testing.T) {
	if err := runCrashes(t, false, false); err != nil {
		t.Error(err)
	}
}

// Pages that were never synced may reach the disk in any order; the store must open all the same.
func TestAcknowledgedCommitsSurviveTornWrites(t *testing.T) {
	if err := runCrashes(t, false, true); err != nil {
		t.Error(err)
	}
}

// The same check fails without fsync, so it would notice.
func TestCrashCheckNoticesMissingSync(t *testing.T) {
	if err := runCrashes(t, true, false); err == nil {
		t.Error("nothing was missing after crashes of a store that never syncs")
	}
}

// logCounter counts the log files that were begun.
type logCounter struct {
	vfs.FS
	begun atomic.Int32
}

func (l *logCounter) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == walCategory {
		l.begun.Add(1)
	}
	return l.FS.Create(name, category)
}

func (l *logCounter) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.begun.Add(1)
	return l.FS.ReuseForWrite(oldName, newName, category)
}

// A commit of class disk vouches for all before it, also where those of class fast lie in a log file that was full
// before: nothing but its end syncs that one. The power goes at the first such commit after a change of files, before
// their content can have gone elsewhere.
func TestDiskCommitCoversEarlierLogFiles(t *testing.T) {
	memory := vfs.NewCrashableMem()
	logs := &logCounter{FS: memory}
	c := &crashes{t: t, s: mustOpen(t, Options{Dir: "data", FS: logs})}
	defer c.s.Close()
	o := c.actor(0)
	var crashed *vfs.MemFS
	commit := func(size int, d store.Durability) {
		files := logs.begun.Load()
		o.Version++
		o.Durability = d
		o.KV = []store.KVOp{{Key: fmt.Appendf(nil, "%04d", o.Version), Value: make([]byte, size), HasValue: true}}
		done := make(chan error, 1)
		c.s.Commit(o, func(err error) {
			if d == store.Disk && files > 1 {
				crashed = memory.CrashClone(vfs.CrashCloneCfg{})
			}
			done <- err
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for crashed == nil {
		begun := logs.begun.Load()
		commit(1<<20, store.Fast)
		if n := logs.begun.Load(); n != begun && n >= 8 { // Pebble begins with small memtables, which are flushed too soon.
			commit(1, store.Disk)
		}
	}
	s := mustOpen(t, Options{Dir: "data", FS: crashed})
	defer s.Close()
	a, err := s.Acquire(context.Background(), store.Acquire{ID: o.ID, Preload: []store.Range{{}}, PreloadBytes: 1 << 30})
	if err != nil || a.Record.Version != o.Version || uint64(len(a.Preload)) != o.Version {
		t.Errorf("version %d with %d keys, acknowledged %d (%v)", a.Record.Version, len(a.Preload), o.Version, err)
	}
}
