package route

import (
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Client is the session side of a connection. Its methods run under the actor's lock, in the order in which the client
// is to see them; they queue and return.
type Client interface {
	// Opened says that the actor accepted. Once, before any Event.
	Opened(c *Connection, actorID string)
	// Closed ends the connection, or refuses it. Once, last. A nil error: the client asked for it.
	Closed(c *Connection, e *wire.Error, reconnect commonv1alpha1.Reconnect)
	// Event delivers an event; its bytes are valid until it returns.
	Event(c *Connection, e *fanout.Event)
}

// Connection is a client attached to one actor. It outlives the actor's incarnations [CONN-6].
type Connection struct {
	Request
	ID            string // connection id, fresh for each
	Params        []byte
	Subscriptions []string // at the open
	Transport     string
	Client        Client
	// Tag is the client's own number for the connection.
	Tag uint64

	at   atomic.Pointer[Actor] // set before the open is answered; the entry stays as long as the connection
	left atomic.Bool           // the client has closed it, perhaps before its actor was found

	// Guarded by the actor's lock.
	phase      connPhase
	attempt    int    // opens that were not answered, or not run
	ref        uint64 // in the runner's session
	state      []byte
	hasState   bool
	recorded   bool // its id is in the actor's record: onDisconnect is owed [CONN-7]
	events     map[string]struct{}
	early      []*fanout.Event // came before the accept left the gate [CONN-1]
	earlyBytes int
	held       []*Call // wait for the accept [CALL-8]
}

type connPhase uint8

const (
	connOpening connPhase = iota
	connOpen
	connClosed
)

// The bounds of what an actor sends to a connection while it accepts it.
const (
	maxEarly      = 1024
	maxEarlyBytes = 1 << 20
)

// Open attaches a client. Its Client hears the outcome.
func (r *Router) Open(c *Connection) {
	for _, event := range c.Subscriptions {
		if e := r.checkEvent(c.Address.Type, event); e != nil {
			c.fail(e)
			return
		}
	}
	c.events = map[string]struct{}{}
	for _, event := range c.Subscriptions {
		c.events[event] = struct{}{}
	}
	r.admit(c)
}

// checkEvent refuses an event that the type is known not to have [CONN-9].
func (r *Router) checkEvent(typ, event string) *wire.Error {
	switch {
	case event == "" || len(event) > r.cfg.Limits.MaxEventName:
		r.cfg.Stats.Limit(stats.MaxEventName)
		return wire.RequestInvalid.Newf("An event name has 1 to %d bytes.", r.cfg.Limits.MaxEventName)
	case !utf8.ValidString(event): // it may have come in a URL
		return wire.RequestInvalid.Newf("The event name %q is not UTF-8.", event)
	}
	if t := r.cfg.Placer.Type(typ); t != nil && t.Events != nil && !t.Events[event] {
		return wire.EventNotFound.Newf("The actor type %q has no event %q.", typ, event)
	}
	return nil
}

func (c *Connection) request() *Request { return &c.Request }

func (c *Connection) arrive(a *Actor) { c.at.Store(a) }

// ActorID is the id of the actor that has accepted the connection. Not under the lock of an actor.
func (c *Connection) ActorID() string {
	a := c.at.Load()
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.id
}

// fail refuses the open.
func (c *Connection) fail(e *wire.Error) {
	c.end(e, reconnectAfter(e))
}

// reconnectAfter is whether opening again may help.
func reconnectAfter(e *wire.Error) commonv1alpha1.Reconnect {
	if e.Retryable {
		return commonv1alpha1.Reconnect_RECONNECT_SAME
	}
	return commonv1alpha1.Reconnect_RECONNECT_NEVER
}

// end closes towards the client, once.
func (c *Connection) end(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	if c.phase == connClosed {
		return
	}
	c.phase = connClosed
	c.takeEarly()
	for _, call := range c.takeHeld() {
		call.fail(wire.ConnectionClosed.New().With(wire.RanNo))
	}
	c.Client.Closed(c, e, reconnect)
}

// takeEarly removes and returns the events that wait for the accept.
func (c *Connection) takeEarly() []*fanout.Event {
	early := c.early
	c.early = nil
	c.weighEarly(-c.earlyBytes)
	return early
}

func (c *Connection) weighEarly(bytes int) {
	c.earlyBytes += bytes
	if a := c.at.Load(); a != nil {
		a.router.cfg.Budget.Add(bytes) // [LIMIT-4]
	}
}

func (c *Connection) takeHeld() []*Call {
	held := c.held
	c.held = nil
	return held
}

// release removes a call that waits for the accept; false if it does not.
func (c *Connection) release(call *Call) bool {
	i := slices.Index(c.held, call)
	if i < 0 {
		return false
	}
	c.held = slices.Delete(c.held, i, i+1)
	return true
}

// expireHeld ends the calls that wait for the accept past their deadline and returns the next one.
func (c *Connection) expireHeld(now time.Time) (next time.Time) {
	for _, call := range slices.Clone(c.held) {
		if now.Before(call.Deadline) {
			next = earlier(next, call.Deadline)
			continue
		}
		c.release(call)
		call.fail(wire.ActionTimedOut.New().With(wire.RanNo))
	}
	return next
}

// deliver asks the actor to accept.
func (c *Connection) deliver(a *Actor) {
	inc := a.inc
	if c.left.Load() {
		c.end(nil, commonv1alpha1.Reconnect_RECONNECT_NEVER)
	}
	switch {
	case c.phase == connClosed:
		return
	case !inc.runner.Link.Has(wire.FeatureConnections):
		c.fail(wire.RequestUnsupported.Newf("The runner of the actor type %q takes no connections.", a.address.Type))
		return
	case inc.full():
		c.fail(wire.ActorOverloaded.New())
		return
	}
	for event := range c.events { // an open by id learns its type only now
		if e := a.router.checkEvent(a.address.Type, event); e != nil {
			c.fail(e)
			return
		}
	}
	call := inc.runner.Link.NextID()
	if inc.opens == nil {
		inc.opens = map[uint64]*Connection{}
	}
	inc.opens[call] = c
	a.expireBy(c.Deadline)
	m := inc.attach(c)
	m.Call = call
	m.DeadlineMs = uint32(max(time.Until(c.Deadline), 0).Milliseconds()) + 1
	m.Trace = c.Trace
	inc.send(m)
}

// attach gives the connection its ref and its place in the audience.
func (inc *incarnation) attach(c *Connection) *runnerv1alpha1.ConnectionOpen {
	c.ref = inc.runner.Link.NextID()
	if inc.connections == nil {
		inc.connections = map[uint64]*Connection{}
	}
	inc.connections[c.ref] = c
	m := &runnerv1alpha1.ConnectionOpen{
		Actor: inc.binding.Ref, Connection: c.ref, ConnectionId: c.ID, Params: c.Params, Transport: c.Transport,
	}
	for event := range c.events {
		inc.actor.audience.Subscribe(c, event)
		m.Subscriptions = append(m.Subscriptions, event)
	}
	return m
}

// restore gives an accepted connection to a new generation [CONN-6].
func (inc *incarnation) restore(c *Connection) {
	m := inc.attach(c)
	m.Restored = true
	if c.hasState {
		m.State = present(c.state)
	}
	inc.send(m)
}

// detach undoes attach.
func (inc *incarnation) detach(c *Connection) {
	delete(inc.connections, c.ref)
	inc.actor.leaveAudience(c)
}

func (a *Actor) leaveAudience(c *Connection) {
	for event := range c.events {
		a.audience.Unsubscribe(c, event)
	}
}

// answerOpen is the actor's answer to an open, out of the gate [CONN-1] [CONN-2].
func (inc *incarnation) answerOpen(c *Connection, m *wire.CallResult) {
	a := inc.actor
	switch {
	case m.Error != nil:
		inc.detach(c)
		if c.attempt++; m.NotRun && c.attempt < maxAttempts {
			c.forgetState()
			a.admitLocked(c)
			return
		}
		c.fail(inc.accept(m.Error))
	case c.phase == connClosed: // the client left meanwhile: the actor has accepted, so it must hear of it
		inc.leave(c)
	default:
		c.phase = connOpen
		if a.connections == nil {
			a.connections = map[string]*Connection{}
		}
		a.connections[c.ID] = c
		a.router.cfg.Stats.Connections.Add(1)
		c.Client.Opened(c, a.id)
		for _, e := range c.takeEarly() {
			c.Client.Event(c, e)
		}
		for _, call := range c.takeHeld() {
			a.admitLocked(call)
		}
	}
}

// forgetState drops what an incarnation said of a connection that it did not accept [CONN-8].
func (c *Connection) forgetState() {
	c.state, c.hasState, c.recorded = nil, false, false
	c.takeEarly()
}

// Deliver implements fanout.Member. A connection that is told more than it may before its accept is not opened.
func (c *Connection) Deliver(e *fanout.Event) {
	switch c.phase {
	case connOpen:
		c.Client.Event(c, e)
	case connOpening:
		size := len(e.Name) + len(e.Args)
		if len(c.early) == maxEarly || c.earlyBytes+size > maxEarlyBytes {
			c.fail(wire.ActorOverloaded.Newf("The actor sent too much before it accepted the connection."))
			return
		}
		c.early = append(c.early, e.Clone())
		c.weighEarly(size)
	case connClosed:
	}
}

// Close ends the connection for the client's sake: because it asked (nil error), or its session is over.
func (c *Connection) Close(e *wire.Error) {
	c.left.Store(true)
	a := c.at.Load()
	if a == nil {
		return // its actor is being looked up: deliver finds that the client has left
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was := c.phase
	c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)
	switch {
	case was == connOpen:
		a.parted(c)
	case was == connOpening && !a.withdraw(c) && a.inc != nil:
		for call, open := range a.inc.opens {
			if open == c {
				a.inc.cancel(call, runnerv1alpha1.CancelReason_CANCEL_REASON_DISCONNECTED)
			}
		}
	}
	a.settleLocked(false)
}

// parted removes an accepted connection that the client has left, and sees to it that the actor hears of it [CONN-4].
func (a *Actor) parted(c *Connection) {
	a.dropConnection(c)
	if a.inc != nil {
		a.inc.leave(c)
		return
	}
	if c.recorded {
		a.missing(c.ID, c)
	}
}

// missing notes a connection that left while nobody hosted the actor, or whose host did not live to commit that it has
// told it so: the next start names it [CONN-7].
func (a *Actor) missing(id string, c *Connection) {
	if a.gone == nil {
		a.gone = map[string]*Connection{}
	}
	a.gone[id] = c
}

func (a *Actor) dropConnection(c *Connection) {
	if a.connections[c.ID] == c {
		delete(a.connections, c.ID)
		a.router.cfg.Stats.Connections.Add(-1)
	}
	a.leaveAudience(c)
}

// leave tells the runner that the client has left: onDisconnect runs.
func (inc *incarnation) leave(c *Connection) {
	inc.detach(c)
	if c.recorded {
		inc.owe(c.ID, c)
	}
	inc.send(&runnerv1alpha1.ConnectionClose{
		Actor: inc.binding.Ref, Connection: c.ref, Code: wire.ConnectionClosed.Group + "." + wire.ConnectionClosed.Code,
	})
}

// Subscribe adds events: all of them or none [CONN-9]. Done, called under the actor's lock, answers the client in order
// with its events [CONN-5].
func (c *Connection) Subscribe(r *Router, events []string, done func(*wire.Error)) {
	c.change(done, func(a *Actor) *wire.Error {
		for _, event := range events {
			if e := r.checkEvent(a.address.Type, event); e != nil {
				return e
			}
		}
		if len(c.events)+len(events) > r.cfg.Limits.MaxSubscriptions {
			r.cfg.Stats.Limit(stats.MaxSubscriptions)
			return wire.RequestTooLarge.Newf("A connection has at most %d subscriptions.", r.cfg.Limits.MaxSubscriptions)
		}
		for _, event := range events {
			c.events[event] = struct{}{}
			if a.inc != nil && a.inc.connections[c.ref] == c || c.phase == connOpen {
				a.audience.Subscribe(c, event)
			}
		}
		return nil
	})
}

// Unsubscribe removes events. Once done is called, none of them comes.
func (c *Connection) Unsubscribe(events []string, done func(*wire.Error)) {
	c.change(done, func(a *Actor) *wire.Error {
		for _, event := range events {
			delete(c.events, event)
			a.audience.Unsubscribe(c, event)
		}
		return nil
	})
}

func (c *Connection) change(done func(*wire.Error), f func(*Actor) *wire.Error) {
	a := c.at.Load()
	if a == nil {
		done(wire.ConnectionNotFound.New())
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.phase == connClosed {
		done(wire.ConnectionNotFound.New())
		return
	}
	done(f(a))
}
