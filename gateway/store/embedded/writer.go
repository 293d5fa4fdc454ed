package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Bounds of a group: enough to share an fsync widely, little enough that its first operation does not wait long for its
// last. An operation larger than maxGroupBytes is a group of its own.
const (
	maxGroupOps   = 1024
	maxGroupBytes = 4 << 20
	// maxSpareOps is how much of a burst's queue is kept for the next.
	maxSpareOps = 16 << 10
)

// operation is one change waiting for the writer: a commit, or a function for all others.
type operation struct {
	commit store.Commit
	change func(*tx) error // nil: it is commit
	size   int
	sync   bool // class disk
	done   func(error)
	err    error
}

// writer applies all changes, in the order in which they came, in groups: one batch, written and synced once, then
// answered. While a group is being synced the next one gathers. There is one goroutine, whatever the number of callers.
type writer struct {
	s *Store

	mu       sync.Mutex
	arrived  *sync.Cond // pending or stopping changed
	pending  []operation
	stopping bool
	stopped  chan struct{}

	// Owned by the goroutine.
	spare    []operation
	tx       tx
	unsynced bool // a group of class fast was written behind the last synced one

	// wedged is set before stopped is closed: Pebble panicked within a write and still holds its locks.
	wedged bool
}

func startWriter(s *Store) *writer {
	w := &writer{s: s, stopped: make(chan struct{})}
	w.arrived = sync.NewCond(&w.mu)
	w.tx.limits = s.limits
	go w.run()
	return w
}

// enqueue never blocks; it reports whether the operation was taken.
func (w *writer) enqueue(op operation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping {
		return false
	}
	w.pending = append(w.pending, op)
	if len(w.pending) == 1 {
		w.arrived.Signal()
	}
	return true
}

// stop lets the writer finish what is queued and waits for it. Only the first call reports true.
func (w *writer) stop() bool {
	w.mu.Lock()
	first := !w.stopping
	w.stopping = true
	w.arrived.Signal()
	w.mu.Unlock()
	<-w.stopped
	return first
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		ops := w.gather()
		if len(ops) == 0 {
			return
		}
		for rest := ops; len(rest) > 0; {
			n := groupLen(rest)
			w.runGroup(rest[:n])
			rest = rest[n:]
		}
		clear(ops) // lets go of the callers' slices
		if w.spare = ops[:0]; cap(ops) > maxSpareOps {
			w.spare = nil
		}
	}
}

// gather waits for operations and takes all there are; none means that the store is closing.
func (w *writer) gather() []operation {
	// The callers just answered are about to bring their next operations: let them run first, or every second group
	// would hold a few of them and cost a whole fsync.
	runtime.Gosched()
	runtime.Gosched()
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) == 0 && !w.stopping {
		w.arrived.Wait()
	}
	ops := w.pending
	w.pending = w.spare[:0]
	return ops
}

// groupLen is how many of ops go into the next batch; at least one.
func groupLen(ops []operation) int {
	n, size := 1, ops[0].size
	for n < len(ops) && n < maxGroupOps && size+ops[n].size <= maxGroupBytes {
		size += ops[n].size
		n++
	}
	return n
}

func (w *writer) runGroup(ops []operation) {
	if err := w.s.failed(); err != nil {
		answer(ops, err)
		return
	}
	batch := w.s.db.NewIndexedBatch()
	w.tx.view, w.tx.batch, w.tx.now = view{batch}, batch, w.s.now()
	if err := w.applyAll(ops); err != nil {
		// The batch holds a part of an operation: nothing of it may be written.
		w.s.fail(errors.Join(err, batch.Close()))
		answer(ops, w.s.failed())
		return
	}
	sync := false
	for i := range ops {
		sync = sync || ops[i].sync
	}
	if err := w.write(batch, sync); err != nil {
		w.s.fail(err)
		answer(ops, w.s.failed())
		return
	}
	answer(ops, nil)
}

// applyAll runs the operations on the batch, one after another. An operation's own error stays with it.
func (w *writer) applyAll(ops []operation) error {
	for i := range ops {
		op := &ops[i]
		w.tx.begin()
		if op.change != nil {
			op.err = op.change(&w.tx)
		} else {
			op.err = w.tx.commit(&op.commit)
		}
		if op.err != nil {
			continue
		}
		if err := w.tx.apply(); err != nil {
			return err
		}
	}
	return nil
}

// write commits the batch. With sync it returns when it and every group before it are on the disk; a group without
// changes still waits for that, since its answers (DUPLICATE, an actor that exists) speak of earlier ones.
func (w *writer) write(batch *pebble.Batch, sync bool) (err error) {
	if batch.Empty() {
		if !sync || !w.unsynced {
			return batch.Close()
		}
		if err := batch.LogData(nil, nil); err != nil {
			return err
		}
	}
	defer func() {
		if cause := recover(); cause != nil {
			w.wedged = true
			err = fmt.Errorf("pebble panicked: %v", cause)
		}
	}()
	w.s.wal.skipSync.Store(!sync)
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	// Pebble reports a failed write of the log to its logger only.
	if err := w.s.failed(); err != nil {
		return err
	}
	w.unsynced = !sync
	return batch.Close()
}

// answer tells every operation its own error, or the group's.
func answer(ops []operation, group error) {
	for i := range ops {
		if group != nil {
			ops[i].err = group
		}
		ops[i].done(ops[i].err)
	}
}

// do runs change in the writer and waits for its group. change must not use memory of the caller, who may be gone: when
// ctx ends first the outcome is unknown.
func do[T any](ctx context.Context, s *Store, d store.Durability, size int, change func(*tx) (T, error)) (T, error) {
	var none T
	if d > store.Disk {
		return none, fmt.Errorf("durability class %d: %w", d, store.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	var result T // the writer's until it has answered
	answered := make(chan error, 1)
	taken := s.writer.enqueue(operation{
		change: func(t *tx) (err error) {
			if err = ctx.Err(); err == nil {
				result, err = change(t)
			}
			return err
		},
		size: size,
		sync: syncs(d),
		done: func(err error) { answered <- err },
	})
	if !taken {
		return none, store.ErrClosed
	}
	select {
	case err := <-answered:
		if err != nil {
			return none, err
		}
		return result, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// syncs tells whether a class is acknowledged by the disk. The default of this store is Disk.
func syncs(d store.Durability) bool { return d == store.Disk || d == store.DurabilityDefault }

// nowMicros is the group's time in the store's unit.
func (t *tx) nowMicros() uint64 { return toMicros(t.now) }

// after is now plus a delay, never early.
func (t *tx) after(d time.Duration) uint64 { return ceilMicros(t.now.Add(d)) }
