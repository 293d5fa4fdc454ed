package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Bounds of a batch: enough to share a round trip, an fsync and a WAIT widely, little enough that its first request does
// not wait long for its last. A request larger than maxBatchBytes is a batch of its own.
const (
	maxBatch      = 512
	maxBatchBytes = 2 << 20
	// lanesPerMaster are the batches in flight to a master, per kind of acknowledgement.
	lanesPerMaster = 4
	// Beyond these a lane takes nothing: its servers are slower than what comes in.
	maxQueued      = 16 << 10
	maxQueuedBytes = 64 << 20
)

// errOverload: the outcome is not unknown to us, but the interface has no word for "not now".
var errOverload = errors.New("too much is waiting for redis")

// lane is a queue with one batch in flight: what comes meanwhile gathers. All requests of a slot and class take the same
// lane, and a batch has at most one for an actor: a repetition, whose first answer was lost, must find the store as it was
// left, or it would be told STALE of what was applied. The slots of a lane lie together, and with one master mostly.
type lane struct {
	c *client

	mu       sync.Mutex
	arrived  *sync.Cond // pending or stopping changed
	pending  []*request
	bytes    int
	stopping bool
	stopped  chan struct{}
}

// startLanes makes three rows of lanes: what waits for replicas or the disk must not hold up what does not.
func (c *client) startLanes() {
	perRow := lanesPerMaster * len(c.surveyor.topology.Load().masters)
	for range laneRows * perRow {
		l := &lane{c: c, stopped: make(chan struct{})}
		l.arrived = sync.NewCond(&l.mu)
		c.lanes = append(c.lanes, l)
		go l.run()
	}
}

const laneRows = 3

func (c *client) laneOf(r *request) *lane {
	row := 0
	switch r.d {
	case store.Disk:
		row = 1
	case store.Replicated:
		row = 2
	default:
	}
	perRow := len(c.lanes) / laneRows
	return c.lanes[row*perRow+int(r.slot)*perRow/slotCount]
}

// send queues the request; done is called by the lane's goroutine.
func (c *client) send(d store.Durability, fn string, keys, args []string, done func(rueidis.RedisMessage, error)) {
	r := newRequest(d, fn, keys, args)
	r.done = done
	if err := c.laneOf(r).enqueue(r); err != nil {
		// Not on this goroutine: the caller may hold what done needs.
		go done(rueidis.RedisMessage{}, err)
	}
}

func (l *lane) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return store.ErrClosed
	}
	if len(l.pending) >= maxQueued || len(l.pending) > 0 && l.bytes+r.size > maxQueuedBytes {
		return fmt.Errorf("%w: %w", ErrUnavailable, errOverload)
	}
	l.pending = append(l.pending, r)
	l.bytes += r.size
	if len(l.pending) == 1 {
		l.arrived.Signal()
	}
	return nil
}

// stop lets the lane finish what is queued and waits for it.
func (l *lane) stop() {
	l.mu.Lock()
	l.stopping = true
	l.arrived.Signal()
	l.mu.Unlock()
	<-l.stopped
}

func (l *lane) run() {
	defer close(l.stopped)
	for {
		rest := l.gather()
		if len(rest) == 0 {
			return
		}
		for len(rest) > 0 {
			var batch []*request
			batch, rest = nextBatch(rest)
			ctx, cancel := context.WithTimeout(context.Background(), lanePatience)
			l.c.deliver(ctx, batch)
			cancel()
		}
	}
}

// gather waits for requests and takes all there are; none means that the store is closing.
func (l *lane) gather() []*request {
	// The callers just answered are about to bring their next requests: let them run first.
	runtime.Gosched()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) == 0 && !l.stopping {
		l.arrived.Wait()
	}
	taken := l.pending
	l.pending, l.bytes = make([]*request, 0, min(len(taken), maxBatch)), 0
	return taken
}

// nextBatch takes what goes together off the queue, at least one request, and leaves the rest in its order.
func nextBatch(queue []*request) (batch, rest []*request) {
	size, actors := 0, make(map[string]struct{}, min(len(queue), maxBatch))
	for i, r := range queue {
		if len(batch) == maxBatch || i > 0 && size+r.size > maxBatchBytes {
			return batch, append(rest, queue[i:]...)
		}
		if _, taken := actors[r.actor()]; taken {
			rest = append(rest, r)
			continue
		}
		actors[r.actor()] = struct{}{}
		batch = append(batch, r)
		size += r.size
	}
	return batch, rest
}
