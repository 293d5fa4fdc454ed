package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// ErrUnavailable is matched by every error of a call that was given up because the servers did not answer definitely.
// Its outcome is unknown.
var ErrUnavailable = errors.New("the store does not answer")

// request is one call of a function.
type request struct {
	d    store.Durability
	fn   string
	keys []string
	args []string
	slot uint16
	size int
	done func(rueidis.RedisMessage, error) // nil: somebody waits for the request itself

	// The answer. err is settled, or says why there is none yet.
	m   rueidis.RedisMessage
	err error
	// lost: an attempt without answer may have run the function.
	lost bool
}

func newRequest(d store.Durability, fn string, keys, args []string) *request {
	r := &request{d: d, fn: fn, keys: keys, args: args, slot: slotOf(keys[0]), size: len(fn)}
	for _, words := range [][]string{keys, args} {
		for _, word := range words {
			r.size += len(word)
		}
	}
	return r
}

// actor is whom a queued request is about: Commit has the id there.
func (r *request) actor() string { return r.args[1] }

func (r *request) command(b rueidis.Builder) rueidis.Completed {
	return b.Arbitrary("FCALL", r.fn, strconv.Itoa(len(r.keys))).Keys(r.keys...).Args(r.args...).Build()
}

func (r *request) answer() {
	if r.done != nil {
		r.done(r.m, r.err)
	}
}

// doubt marks a refusal that does not tell what became of the attempts before.
func (r *request) doubt() {
	var said *refusal
	if r.lost && errors.As(r.err, &said) {
		said.late = true
	}
}

// giveUp answers that the outcome is unknown, and why.
func (r *request) giveUp() {
	r.err = fmt.Errorf("%w: %w", ErrUnavailable, r.err)
	r.answer()
}

// call runs one function on the caller's goroutine.
func (c *client) call(ctx context.Context, d store.Durability, fn string, keys, args []string) (rueidis.RedisMessage, error) {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return rueidis.RedisMessage{}, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return rueidis.RedisMessage{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := newRequest(d, fn, keys, args)
	c.deliver(ctx, []*request{r})
	return r.m, r.err
}

// deliver sends requests until each has its answer, and tells it. What is not settled when ctx ends, or
// has no prospect of being, stays unknown.
// It uses the slice up.
func (c *client) deliver(ctx context.Context, waiting []*request) {
	for attempt := 0; ; attempt++ {
		surveyed := c.surveyor.surveyed.announced()
		c.attempt(ctx, waiting)
		if waiting = unsettled(waiting); len(waiting) == 0 {
			return
		}
		c.surveyor.kick()
		if !pause(ctx, surveyed, attempt) {
			break
		}
	}
	for _, r := range waiting {
		r.giveUp()
	}
}

// unsettled answers the settled requests and keeps the others.
func unsettled(requests []*request) []*request {
	kept := requests[:0]
	for _, r := range requests {
		switch {
		case settled(r.err):
			r.doubt()
			r.answer()
		case hopeless(r.err):
			r.giveUp()
		default:
			kept = append(kept, r)
		}
	}
	return kept
}

// attempt sends each request once, to the node that serves it.
func (c *client) attempt(ctx context.Context, requests []*request) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	var batches []batch
	for _, r := range requests {
		n, h, err := c.route(r)
		if err != nil {
			r.err = err
			continue
		}
		wait := h.classes[r.d].wait
		i := 0
		for i < len(batches) && (batches[i].node != n || batches[i].wait != wait) {
			i++
		}
		if i == len(batches) {
			batches = append(batches, batch{node: n, health: h, wait: wait})
		}
		batches[i].requests = append(batches[i].requests, r)
	}
	c.sendAll(ctx, batches)
}

// route finds the node of a request and whether it may be given it.
func (c *client) route(r *request) (*node, *health, error) {
	n := c.surveyor.topology.Load().bySlot[r.slot]
	if n == nil {
		return nil, nil, errUnserved
	}
	h := n.health.Load()
	switch {
	case h != nil && h.err != nil:
		return nil, nil, &downError{n.addr, h.err}
	case !n.current(h):
		return nil, nil, errUnchecked
	case h.classes[r.d].err != nil:
		return nil, nil, &downError{n.addr, h.classes[r.d].err}
	}
	return n, h, nil
}

// batch is what goes to one node on one connection, with one acknowledgement behind it [RDS-7].
type batch struct {
	node     *node
	health   *health // by which the node was chosen
	wait     waiting
	requests []*request
}

// errReconnected: another process may have answered than the one that was checked.
var errReconnected = errors.New("the connection was opened anew")

func (c *client) sendAll(ctx context.Context, batches []batch) {
	if len(batches) == 1 { // nearly always: what waits in a lane lies together
		c.sendBatch(ctx, &batches[0])
		return
	}
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() { c.sendBatch(ctx, &batches[i]) })
	}
	wg.Wait()
}

func (c *client) sendBatch(ctx context.Context, b *batch) {
	builder := b.node.client.B()
	commands := make([]rueidis.Completed, 0, len(b.requests)+1)
	for _, r := range b.requests {
		commands = append(commands, r.command(builder))
	}
	if b.wait != waitNothing {
		commands = append(commands, b.wait.command(builder, c.surveyor.e.replicas))
	}
	replies := b.node.client.DoMulti(ctx, commands...)
	var unconfirmed error
	if b.wait != waitNothing {
		unconfirmed = b.wait.reached(replies[len(replies)-1], c.surveyor.e.replicas)
	}
	checked := b.node.current(b.health)
	for i, r := range b.requests {
		r.m, r.err = c.library.answerOf(replies[i])
		switch {
		case settled(r.err) && !checked:
			r.err = errReconnected // [RDS-9]
		case r.err == nil && unconfirmed != nil:
			r.err = unconfirmed
		}
		r.lost = r.lost || mayHaveRun(r.err)
	}
}
