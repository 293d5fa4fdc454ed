package bare

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Sizes of what is written: those of the key and the record of the actor that commits counts with.
const (
	keySize    = 36
	recordSize = 120
)

// memTableBytes and cacheBytes are those of the gateway's store.
const (
	memTableBytes = 32 << 20
	cacheBytes    = 64 << 20
)

// group writes records: all that wait go into one batch, which is synced once. While it is, the next ones gather.
type group struct {
	db      *pebble.DB
	log     pebbleLog
	stopped chan struct{}

	mu       sync.Mutex
	arrived  *sync.Cond
	pending  []*record
	stopping bool
}

// record is one write. done gets its outcome.
type record struct {
	key, value []byte
	done       chan error // capacity 1
}

func openGroup(dir string) (*group, error) {
	g := &group{stopped: make(chan struct{})}
	db, err := pebble.Open(dir, &pebble.Options{
		MemTableSize: memTableBytes, CacheSize: cacheBytes, Logger: &g.log,
	})
	if err != nil {
		return nil, fmt.Errorf("open Pebble in %q: %w", dir, err)
	}
	g.db = db
	g.arrived = sync.NewCond(&g.mu)
	go g.run()
	return g, nil
}

// put writes the record and returns when it is on the disk.
func (g *group) put(r *record) error {
	g.mu.Lock()
	g.pending = append(g.pending, r)
	if len(g.pending) == 1 {
		g.arrived.Signal()
	}
	g.mu.Unlock()
	return <-r.done
}

func (g *group) close() error {
	g.mu.Lock()
	g.stopping = true
	g.arrived.Signal()
	g.mu.Unlock()
	<-g.stopped
	return g.db.Close()
}

func (g *group) run() {
	defer close(g.stopped)
	var batch []*record
	for {
		// Those just answered are about to come again: without them half of the groups would be small.
		runtime.Gosched()
		runtime.Gosched()
		g.mu.Lock()
		for len(g.pending) == 0 && !g.stopping {
			g.arrived.Wait()
		}
		batch, g.pending = g.pending, batch[:0]
		g.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := g.write(batch)
		for _, r := range batch {
			r.done <- err
		}
	}
}

func (g *group) write(records []*record) error {
	batch := g.db.NewBatch()
	for _, r := range records {
		if err := batch.Set(r.key, r.value, nil); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	err := errors.Join(batch.Commit(pebble.Sync), batch.Close())
	if failure := g.log.failure.Load(); failure != nil {
		err = errors.Join(err, errors.New(*failure))
	}
	return err
}

// pebbleLog hears of failed writes, which Pebble tells nobody else.
type pebbleLog struct{ failure atomic.Pointer[string] }

// Infof implements pebble.Logger.
func (*pebbleLog) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (*pebbleLog) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (l *pebbleLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.failure.CompareAndSwap(nil, &text)
}
