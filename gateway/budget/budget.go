// Package budget bounds what the queues and buffers of a gateway hold together [LIMIT-4].
//
// Whoever keeps bytes for somebody else says so with Add; whoever takes new work asks Level first. Holders that can give
// memory back register, and are asked to on a goroutine of the budget's own, so Add may be called under any lock. The
// package knows no session and no link. Every package of the gateway may import it. Safe for concurrent use; a nil Budget
// has no bound.
package budget

import (
	"sync"
	"sync/atomic"
)

// Level is how full a budget is.
type Level uint8

// The levels. Each includes the ones before it.
const (
	Normal Level = iota
	// Refusing: no new sessions and no new calls, from 80 % on.
	Refusing
	// Shedding: what can be given up without harm to a living client is, from 90 % on.
	Shedding
	// Full: clients that do not read are let go.
	Full
)

// Holder holds memory that it can give back.
type Holder interface {
	// Relieve gives back about excess bytes, if it can, in the way that the level allows, and returns how many it did.
	Relieve(level Level, excess int) (freed int)
}

// Budget is the memory budget of one gateway.
type Budget struct {
	refuseAt, shedAt, limit int64

	used atomic.Int64
	// next is the use at which the holders are asked again.
	next    atomic.Int64
	running atomic.Bool

	mu      sync.Mutex
	holders []Holder
	closed  bool
	work    sync.WaitGroup
}

// New makes a budget of limit bytes; nil, which has no bound, for 0. Close ends it.
func New(limit int) *Budget {
	if limit <= 0 {
		return nil
	}
	all := int64(limit)
	b := &Budget{refuseAt: all / 10 * 8, shedAt: all / 10 * 9, limit: all}
	b.next.Store(b.shedAt)
	return b
}

// Register adds a holder. It is asked until Close.
func (b *Budget) Register(h Holder) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holders = append(b.holders, h)
}

// Add says that n more bytes are held; n may be negative. It does not block.
func (b *Budget) Add(n int) {
	if b == nil || n == 0 {
		return
	}
	used, next := b.used.Add(int64(n)), b.next.Load()
	switch {
	case n > 0 && used >= next && b.running.CompareAndSwap(false, true):
		b.start()
	case n < 0 && used < b.shedAt && next > b.shedAt:
		b.next.Store(b.shedAt)
	}
}

// Used is how many bytes are held.
func (b *Budget) Used() int {
	if b == nil {
		return 0
	}
	return int(b.used.Load())
}

// Level is how full the budget is now.
func (b *Budget) Level() Level {
	if b == nil {
		return Normal
	}
	return b.level(b.used.Load())
}

func (b *Budget) level(used int64) Level {
	switch {
	case used < b.refuseAt:
		return Normal
	case used < b.shedAt:
		return Refusing
	case used < b.limit:
		return Shedding
	}
	return Full
}

// start begins to relieve, beside the caller, who may hold the locks that holders need.
func (b *Budget) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.running.Store(false)
		return
	}
	b.work.Go(b.relieve)
}

// relieve asks the holders until they have given back enough, or have nothing to give. Then it asks again when the budget is
// full, or a hundredth of it more is held, not at each Add.
func (b *Budget) relieve() {
	b.mu.Lock()
	holders := b.holders[:len(b.holders):len(b.holders)]
	b.mu.Unlock()
	for {
		used := b.used.Load()
		level := b.level(used)
		if level < Shedding {
			b.next.Store(b.shedAt)
			break
		}
		freed := 0
		for _, h := range holders {
			if excess := b.excess(level); excess > 0 {
				freed += h.Relieve(level, excess)
			}
		}
		if freed == 0 {
			next := used + b.limit/100 + 1
			if used < b.limit {
				next = min(next, b.limit)
			}
			b.next.Store(next)
			break
		}
	}
	b.running.Store(false)
	// What came between the last look and here has found somebody running.
	if b.used.Load() >= b.next.Load() && b.running.CompareAndSwap(false, true) {
		b.start()
	}
}

// excess is how much must go to end the level.
func (b *Budget) excess(level Level) int {
	begins := b.shedAt
	if level == Full {
		begins = b.limit
	}
	return int(b.used.Load() - begins + 1)
}

// Close asks nobody any more, and returns when nobody is being asked.
func (b *Budget) Close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.work.Wait()
}
