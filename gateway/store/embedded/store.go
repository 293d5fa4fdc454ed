// Package embedded is the store of a single gateway: Pebble in one directory, one process at a time.
//
// It implements store.Store. One writer goroutine applies every change, group by group, each group one atomic batch that
// reaches the disk once (writer.go); reads run on the caller's goroutine against a snapshot. It does not replicate and
// does not share its directory. Leases live in memory: they say who talks to this process, and die with it [LEASE-0].
//
// cmd and edge open it, gateway/place and gateway/route use it through store.Store. All methods are safe for concurrent
// use. The key layout is in layout.go, the files beside Pebble's own in dir.go.
package embedded

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Options say where the data is and how the store behaves. Only Dir is needed.
type Options struct {
	Dir    string
	FS     vfs.FS           // nil: the disk
	Limits store.Limits     // zero: store.DefaultLimits
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged

	// Existing refuses a directory without a store, with store.ErrNothing, and makes none [STORE-4] [STORE-5].
	Existing bool
	// Importing opens a store whose import was not finished, to begin it anew; else such a one is refused with
	// store.ErrHalfCopied [STORE-4].
	Importing bool

	// inspecting has damage returned as an error; a store in use ends the process [STORE-5].
	inspecting bool
	// unsafeSkipSync leaves out every fsync of the log. The crash test uses it to show that it would notice.
	unsafeSkipSync bool
}

// Store is the embedded store. It is made by Open.
type Store struct {
	limits store.Limits
	now    func() time.Time
	logger *slog.Logger
	dir    *directory
	wal    *walFS
	db     *pebble.DB
	writer *writer
	leases leases

	// failure is set once, by the first write whose outcome is not known; the store serves nothing afterwards.
	failure atomic.Pointer[error]

	// closing is held for reading by every operation that touches db outside of the writer.
	closing sync.RWMutex
	closed  bool
}

var _ store.Store = (*Store)(nil)

// Open opens the store in o.Dir and makes it if the directory is empty or missing. It fails with *LockedError while
// another process (or Store) has it, with *FormatError for data of a newer build, and with ErrForeign for a directory
// that holds something else.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Existing {
		if err := isStore(o.FS, o.Dir); err != nil {
			return nil, fmt.Errorf("open store in %q: %w", o.Dir, err)
		}
	}
	dir, err := openDirectory(o.FS, o.Dir, o.Now())
	if err != nil {
		return nil, err
	}
	if half, err := dir.halfCopied(); err != nil || half && !o.Importing {
		dir.close()
		return nil, fmt.Errorf("open store in %q: %w", o.Dir, cmp.Or(err, store.ErrHalfCopied))
	}
	s := &Store{
		limits: o.Limits,
		now:    o.Now,
		logger: o.Logger,
		dir:    dir,
		wal:    newWALFS(o.FS, o.unsafeSkipSync),
	}
	s.leases.init()
	if s.db, err = pebble.Open(dir.path, s.pebbleOptions(o.inspecting)); err != nil {
		dir.close()
		return nil, fmt.Errorf("open store in %q: %w", o.Dir, err)
	}
	s.writer = startWriter(s)
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Limits == (store.Limits{}) {
		o.Limits = store.DefaultLimits()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Memory: the block cache, and at most two memtables at once. A batch of more than half a memtable bypasses it.
const (
	cacheBytes    = 64 << 20
	memTableBytes = 32 << 20
	bloomBits     = 10
)

func (s *Store) pebbleOptions(inspecting bool) *pebble.Options {
	po := &pebble.Options{
		FS:                          s.wal,
		Lock:                        s.dir.lock,
		CacheSize:                   cacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 2,
		FormatMajorVersion:          walTolerantFormat,
		Logger:                      pebbleLogger{s},
	}
	if inspecting {
		po.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	return po
}

// Supports reports the classes that one disk can give.
func (s *Store) Supports(d store.Durability) bool {
	return d <= store.Disk
}

// Ready answers nil until the store is closed or a write failed.
func (s *Store) Ready(context.Context) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	return s.failed()
}

// Interrupted is never: a store that failed serves nothing until it is opened again.
func (s *Store) Interrupted() time.Time { return time.Time{} }

// Close applies what was queued, waits for reads under way, and closes the files. Later operations fail with ErrClosed.
func (s *Store) Close() error {
	if !s.writer.stop() {
		return store.ErrClosed
	}
	s.closing.Lock()
	s.closed = true
	s.closing.Unlock()
	var err error
	if !s.writer.wedged {
		err = s.db.Close()
	}
	s.dir.close()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// fail records the first failed write. What was acknowledged before stays good; what is on the disk behind it is found
// out by the next Open.
func (s *Store) fail(cause error) {
	err := fmt.Errorf("the store failed and must be reopened: %w", cause)
	if s.failure.CompareAndSwap(nil, &err) {
		s.logger.Error("store failed", "cause", cause)
	}
}

func (s *Store) failed() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// read runs f on a consistent snapshot, on the caller's goroutine.
func (s *Store) read(ctx context.Context, f func(view) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := s.failed(); err != nil {
		return err
	}
	snapshot := s.db.NewSnapshot()
	defer snapshot.Close()
	return f(view{snapshot})
}
