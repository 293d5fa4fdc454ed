package route

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Caller gets the answers of its calls.
type Caller interface {
	// Reply is called exactly once for each call, under the actor's lock. The result's bytes are valid until it returns.
	Reply(*Call, Result)
}

// Result ends a call: an error, or an output if there is one.
type Result struct {
	Output    []byte // CBOR
	HasOutput bool
	Error     *wire.Error
	// Last says that nothing of this package holds the call any more, so that its memory may be used again.
	Last bool
}

// Call is one action to run. Its bytes belong to it.
type Call struct {
	Request
	Action []byte
	Args   []byte
	Oneway bool
	// Connection is the calling connection, or nil. It then decides which actor is called.
	Connection *Connection
	Caller     Caller
	// Tag is the caller's own number for the call.
	Tag uint64

	// Guarded by the actor's lock.
	id       uint64 // in the runner's session, while it is there
	attempt  uint32
	unsent   bool // the link has ended, and no byte of the call was written
	canceled bool // nobody waits for it, as the runner was told
	answered bool // the caller has its answer; the runner's may still be to come

	at atomic.Pointer[Actor] // where the call went; nil while its actor is being looked up
}

// maxAttempts bounds how often a call is given to runners that did not run it.
const maxAttempts = 4

// Call sends a call on its way. It does not block.
func (r *Router) Call(c *Call) {
	r.cfg.Stats.Calls.Inc()
	if c.Connection == nil {
		r.admit(c)
		return
	}
	a := c.Connection.at.Load()
	if a == nil {
		c.fail(wire.ConnectionNotFound.New())
		return
	}
	c.arrive(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch c.Connection.phase {
	case connClosed:
		c.fail(wire.ConnectionClosed.New().With(wire.RanNo))
	case connOpening:
		a.holdCall(c)
	case connOpen:
		a.admitLocked(c) // an entry with a connection is never removed
	}
}

// holdCall keeps a call until its connection is accepted: the runner may rely on that [CALL-8].
func (a *Actor) holdCall(c *Call) {
	if len(c.Connection.held) >= a.router.cfg.Limits.MaxCallsPerActor {
		a.router.cfg.Stats.Limit(stats.MaxCallsPerActor)
		c.fail(wire.ActorOverloaded.New())
		return
	}
	c.Connection.held = append(c.Connection.held, c)
	a.expireBy(c.Deadline)
}

// Cancel says that nobody waits for the call any more [CALL-5]. The answer still comes.
func (r *Router) Cancel(c *Call, reason runnerv1alpha1.CancelReason) {
	a := c.at.Load()
	if a == nil {
		return // it comes back by its deadline
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case c.answered:
	case a.withdraw(c), c.Connection != nil && c.Connection.release(c):
		c.reply(Result{Error: wire.ActionCanceled.New().With(wire.RanNo)})
	case a.inc != nil && a.inc.calls.get(c.id) == c:
		c.canceled = true
		if c.unsent {
			a.inc.calls.take(c.id)
			c.fail(wire.ActionCanceled.New().With(wire.RanNo))
			return
		}
		a.inc.cancel(c.id, reason)
	}
}

func (c *Call) request() *Request { return &c.Request }

func (c *Call) arrive(a *Actor) { c.at.Store(a) }

func (c *Call) fail(e *wire.Error) { c.reply(Result{Error: e}) }

// reply answers the caller, once.
func (c *Call) reply(r Result) {
	if c.answered {
		return
	}
	c.answered = true
	c.Caller.Reply(c, r)
}

// deliver sends the call to the runner.
func (c *Call) deliver(a *Actor) {
	inc := a.inc
	switch {
	case inc.full():
		c.fail(wire.ActorOverloaded.New())
		return
	case inc.runner.Link.Full():
		c.fail(wire.RunnerOverloaded.New())
		return
	}
	left := time.Until(c.Deadline)
	if left <= 0 {
		c.fail(wire.ActionTimedOut.New().With(wire.RanNo))
		return
	}
	c.id = inc.runner.Link.NextID()
	m := wire.Call{
		Actor: inc.binding.Ref, ID: c.id, Action: c.Action, Args: c.Args, DeadlineMs: uint32(left.Milliseconds()) + 1,
		Attempt: c.attempt, Trace: c.Trace, TraceState: c.TraceState, Oneway: c.Oneway,
	}
	if c.Connection != nil {
		m.Connection = c.Connection.ref
	}
	inc.calls.add(c)
	a.expireBy(c.Deadline)
	// A link that has ended tells so by Lost, which gives what was not sent to the next runner.
	c.unsent = !inc.runner.Link.SendCall(inc.binding, m)
}

// full tells whether the actor has all the calls and opens that it may have at once [CALL-6].
func (inc *incarnation) full() bool {
	if len(inc.calls)+len(inc.opens) < int(inc.maxCalls) {
		return false
	}
	inc.actor.router.cfg.Stats.Limit(stats.MaxCallsPerActor)
	return true
}

// result is the runner's answer to a call [CALL-1].
func (inc *incarnation) result(m *wire.CallResult) {
	if open := inc.opens[m.ID]; open != nil {
		delete(inc.opens, m.ID)
		inc.answerOpen(open, m)
		return
	}
	c := inc.calls.take(m.ID)
	if c == nil {
		inc.violation("an answer to nothing")
		return
	}
	switch {
	case c.answered: // timed out before; nobody waits [CALL-4]
	case m.NotRun:
		inc.again(c, m.Error)
	case m.Error != nil:
		c.fail(inc.accept(m.Error))
	case len(m.Output) > inc.actor.router.cfg.Limits.MaxOutput:
		inc.actor.router.cfg.Stats.Limit(stats.MaxOutput)
		c.fail(wire.ActionResultTooLarge.Newf("The result has %d bytes, at most %d are allowed.",
			len(m.Output), inc.actor.router.cfg.Limits.MaxOutput))
	default:
		c.reply(Result{Output: m.Output, HasOutput: m.HasOutput, Last: true})
	}
}

// again gives a call that did not run to the actor's next life, or to this one [CALL-7].
func (inc *incarnation) again(c *Call, e *wire.Error) {
	if e == nil {
		e = wire.ActorStopping.New()
	}
	if c.mayRunAgain(inc.accept(e)) {
		inc.actor.admitLocked(c)
	}
}

// mayRunAgain tells whether a call that did not run is for another runner; e is what it ends with after too many.
func (c *Call) mayRunAgain(e *wire.Error) bool {
	switch c.attempt++; {
	case c.canceled:
		c.fail(wire.ActionCanceled.New().With(wire.RanNo)) // [CALL-5]
	case c.attempt >= maxAttempts:
		c.fail(e)
	default:
		return true
	}
	return false
}

// maxMessage bounds the text of an error.
const maxMessage = 4 << 10

// accept is what a runner's error is passed on as [ERR-2]. It is the receiver's to keep.
func (inc *incarnation) accept(e *wire.Error) *wire.Error {
	r := inc.actor.router
	accepted, ok := e.Accept(wire.FromRunner)
	if !ok {
		r.cfg.Stats.ErrorsReplaced.Inc()
		r.cfg.Logger.Warn("a runner sent an error code that it may not send", "actor", inc.id, "code", e.Name(), "message", trimmed(e.Message, maxMessage))
	}
	own := *accepted
	own.Message, own.Metadata = trimmed(own.Message, maxMessage), bytes.Clone(own.Metadata)
	if len(own.Metadata) > r.cfg.Limits.MaxErrorMetadata {
		r.cfg.Stats.Limit(stats.MaxErrorMetadata)
		own.Metadata = nil
	}
	return &own
}

// trimmed is a text without what exceeds its bound.
func trimmed(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// expire ends the calls and opens of the incarnation that are past their deadline and returns when it is to be asked again.
// One that the runner leaves unanswered a stop grace longer ends the incarnation [LIFE-12].
func (inc *incarnation) expire(now time.Time) (next time.Time) {
	hung := false
	late := func(deadline time.Time) {
		if end := deadline.Add(inc.actor.router.cfg.Timeouts.Stop); now.Before(end) {
			next = earlier(next, end)
		} else {
			hung = true
		}
	}
	for _, c := range inc.calls {
		switch {
		case c.answered:
			late(c.Deadline)
		case now.Before(c.Deadline):
			next = earlier(next, c.Deadline)
		case c.unsent:
			c.fail(wire.ActionTimedOut.New().With(wire.RanNo))
		default:
			c.fail(wire.ActionTimedOut.New())
			inc.cancel(c.id, runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE)
			late(c.Deadline)
		}
	}
	for id, c := range inc.opens {
		next = earlier(next, c.expireHeld(now))
		switch {
		case c.phase == connClosed:
			late(c.Deadline)
		case now.Before(c.Deadline):
			next = earlier(next, c.Deadline)
		default:
			c.end(wire.ActionTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
			inc.cancel(id, runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE)
			late(c.Deadline)
		}
	}
	switch {
	case !hung:
		return next
	case inc.ending != nil, inc.atStore(): // the answer may be in the gate
		return earlier(next, now.Add(inc.actor.router.cfg.Timeouts.Stop))
	}
	inc.actor.router.cfg.Stats.Hung.Inc()
	inc.fence(wire.ActorCrashed.Newf("A call or an open was not answered for %v after its deadline.", inc.actor.router.cfg.Timeouts.Stop))
	return time.Time{}
}
