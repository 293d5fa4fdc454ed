// Package load repeats an operation for a while and says how often it succeeded and how long it took.
//
// It knows nothing of what it repeats: edge/bench gives it calls of actors, edge/bench/bare the same work without the
// product. A Window is a plain value; a Meter belongs to one goroutine at a time; Run and Each wait for every goroutine
// that they start.
package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// epoch is what moments are measured from: a duration costs one reading of the clock, a time.Time two.
var epoch = time.Now()

// Now is the present moment, for Window and Meter.
func Now() time.Duration { return time.Since(epoch) }

// longestLead bounds the time between the start of the work and the first operation that counts.
const longestLead = 500 * time.Millisecond

// Window is when operations count: those that end within it (but see Meter.Done). The work begins before it, so that queues are filled and code
// is warm.
type Window struct{ from, to time.Duration }

// Open is a window of this length, whose lead begins now.
func Open(length time.Duration) Window {
	from := Now() + min(length/4, longestLead)
	return Window{from, from + length}
}

// Over tells whether no operation should begin any more.
func (w Window) Over(now time.Duration) bool { return now >= w.to }

// Length is how long operations count.
func (w Window) Length() time.Duration { return w.to - w.from }

// maxFaults is how many operations of one meter may fail before its worker gives up: with nobody on the other side they
// fail faster than they would succeed.
const maxFaults = 100

// Run lets workers do an operation over and over until the window is over. do is called by one goroutine for each worker,
// which it is told. An operation that fails because ctx has ended is not counted.
func Run(ctx context.Context, w Window, workers int, do func(ctx context.Context, worker int) error) Result {
	meters := make([]Meter, workers)
	var running sync.WaitGroup
	for i := range meters {
		m := &meters[i]
		m.Window = w
		running.Go(func() { repeat(ctx, m, func() error { return do(ctx, i) }) })
	}
	running.Wait()
	return Sum(w.Length(), meters)
}

// repeat works at least once: on a busy machine a worker may come late.
func repeat(ctx context.Context, m *Meter, do func() error) {
	for now := Now(); ; {
		err := do()
		if ctx.Err() != nil {
			return
		}
		began := now
		now = Now()
		if err != nil {
			m.Failed(err)
		} else {
			m.Done(now, now-began)
		}
		if m.Window.Over(now) || m.GivesUp() {
			return
		}
	}
}

// Each does n operations with so many workers, and returns the first error, after which no other begins.
func Each(ctx context.Context, n, workers int, do func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(n, workers) {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					stop(err) // the first cause counts
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
