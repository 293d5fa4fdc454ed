package session

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// call is a call under way.
type call struct {
	route.Call
	session *Session
	channel *channel
	came    count  // what its channel had brought with it
	weight  int    // memory that it holds
	own     []byte // that memory, as far as it is used again
	sought  bool   // somebody outside the lock has it; guarded by Session.mu
}

// spares are calls that have ended.
var spares = sync.Pool{New: func() any { return new(call) }}

// maxOwn bounds the memory that a spare call keeps.
const maxOwn = 1 << 10

// spare gives back a call that nobody holds.
func (c *call) spare() {
	own := c.own[:0]
	if cap(own) > maxOwn {
		own = nil
	}
	*c = call{own: own}
	spares.Put(c)
}

// call sends an action on its way, or answers why it cannot be sent.
func (s *Session) call(m *wire.ClientCall, size int, now time.Time) {
	c, e := s.begin(m, size, now)
	if e != nil {
		c.spare()
		s.refuse(m, e)
		return
	}
	s.cfg.Router.Call(&c.Call)
}

// begin checks a call and counts it as under way.
func (s *Session) begin(m *wire.ClientCall, size int, now time.Time) (*call, *wire.Error) {
	c := spares.Get().(*call)
	c.session = s
	c.Caller, c.Tag, c.Oneway = c, m.ID, m.Oneway
	return c, s.enlist(c, m, size, s.prepare(c, m, now))
}

// refuse answers a call that goes nowhere. One that is one-way, or has no id, has no result: its sender hears of it as of
// a bad frame.
func (s *Session) refuse(m *wire.ClientCall, e *wire.Error) {
	if m.Oneway || !validID(m.ID) {
		s.protocolError(e)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, n := s.answerOn(m.Connection)
	s.sendLocked(ch, &wire.ClientCallResult{ID: m.ID, Connection: n, Error: e})
}

func validID(id uint64) bool { return id != 0 && id <= wire.MaxID }

// prepare checks a call and fills it in. What it keeps of m is copied: m aliases the socket's buffer.
func (s *Session) prepare(c *call, m *wire.ClientCall, now time.Time) *wire.Error {
	l := &s.cfg.Limits
	switch {
	case !validID(m.ID):
		return wire.RequestInvalid.Newf("A call's id is between 1 and 2^53 - 1.")
	case len(m.IdempotencyKey) > 0:
		return wire.RequestUnsupported.Newf("Idempotency keys are not supported yet.")
	case len(m.Action) == 0 || len(m.Action) > l.MaxAction:
		return wire.RequestInvalid.Newf("An action name has 1 to %d bytes.", l.MaxAction)
	case len(m.Args) > l.MaxArgs:
		s.cfg.Stats.Limit(stats.MaxArgs)
		return wire.RequestTooLarge.Newf("The arguments have %d bytes, at most %d are allowed.", len(m.Args), l.MaxArgs)
	case m.Connection != 0 && (m.Target != nil || m.TargetID != ""):
		return wire.RequestInvalid.Newf("A call names a connection or a target, not both.")
	}
	c.own = append(append(slices.Grow(c.own, len(m.Action)+len(m.Args)), m.Action...), m.Args...)
	c.Action, c.Args = c.own[:len(m.Action):len(m.Action)], c.own[len(m.Action):]
	c.Deadline = s.cfg.Router.Deadline(now, time.Duration(m.DeadlineMs)*time.Millisecond)
	c.Principal = s.principal
	c.weight = len(c.own) + len(m.Input)
	if len(m.Trace) == traceLen {
		c.Trace, c.TraceState = bytes.Clone(m.Trace), bytes.Clone(m.TraceState)
		c.weight += len(c.Trace) + len(c.TraceState)
	}
	if m.Connection != 0 {
		return nil
	}
	return s.aim(&c.Request, m.Target, m.TargetID, m.Mode, m.Input, m.HasInput)
}

// traceLen is the length of a binary W3C trace context.
const traceLen = 25

// aim fills in whom a request is for, and with what it may create it [LIFE-1].
func (s *Session) aim(r *route.Request, target *commonv1alpha1.Address, id string, mode commonv1alpha1.Mode, input []byte, hasInput bool) *wire.Error {
	if len(input) > s.cfg.Limits.MaxInput {
		s.cfg.Stats.Limit(stats.MaxInput)
		return wire.RequestTooLarge.Newf("The input has %d bytes, at most %d are allowed.", len(input), s.cfg.Limits.MaxInput)
	}
	r.Mode = mode
	switch {
	case (target == nil) == (id == ""):
		return wire.RequestInvalid.Newf("A target is an address or an id, and there must be one.")
	case id != "":
		if _, err := address.ParseID(id); err != nil {
			return wire.RequestInvalidAddress.Newf("%v.", err)
		}
		if mode == commonv1alpha1.Mode_MODE_CREATE {
			return wire.RequestInvalid.Newf("An actor cannot be created by id.")
		}
		r.ID, r.Mode = id, commonv1alpha1.Mode_MODE_GET
		return nil
	}
	r.Address = address.Address{Namespace: target.GetNamespace(), Type: target.GetType(), Key: target.GetKey()}
	if r.Address.Namespace == "" {
		r.Address.Namespace = s.namespace
	}
	if r.Address.Namespace == "" {
		r.Address.Namespace = address.DefaultNamespace
	}
	if err := r.Address.Validate(); err != nil {
		return wire.RequestInvalidAddress.Newf("%v.", err)
	}
	r.Input, r.HasInput = bytes.Clone(input), hasInput
	return nil
}

// enlist counts the frame of a call and remembers the call until it is answered [CALL-2]; e is what was found wrong with it
// before.
func (s *Session) enlist(c *call, m *wire.ClientCall, size int, e *wire.Error) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumable {
		s.arrived(m.Connection, size)
	}
	if e != nil {
		return e
	}
	c.channel = &s.own
	if m.Connection != 0 {
		ch := s.channels[m.Connection]
		if ch == nil || ch.ended {
			return wire.ConnectionNotFound.Newf("The session has no open connection %d.", m.Connection)
		}
		c.channel, c.Connection = ch, ch.conn
	}
	c.came = c.channel.received
	switch {
	case s.over:
		return wire.ConnectionClosed.New().With(wire.RanNo)
	case s.calls[c.Tag] != nil:
		return wire.SessionDuplicateCall.Newf("Call %d is still unanswered.", c.Tag)
	case s.pending >= s.cfg.Limits.MaxCalls:
		s.cfg.Stats.Limit(stats.MaxCalls)
		return wire.SessionTooManyCalls.Newf("A session has at most %d unanswered calls.", s.cfg.Limits.MaxCalls)
	}
	if e := s.sessions.Overloaded(); e != nil {
		return e
	}
	if e := s.quota.Call(); e != nil {
		return e
	}
	s.pending++
	s.hold(c.weight)
	if !c.Oneway {
		s.calls[c.Tag] = c
	}
	return nil
}

// Reply implements route.Caller.
func (c *call) Reply(_ *route.Call, r route.Result) {
	s := c.session
	if r.Error != nil {
		s.cfg.Stats.CallErrors.Inc()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	s.hold(-c.weight)
	s.quota.Done()
	if s.over {
		if s.pending == 0 {
			s.quota.Drop()
		}
		return
	}
	if s.calls[c.Tag] != c {
		return // one-way, or its channel was lost
	}
	delete(s.calls, c.Tag)
	ch := c.channel
	if ch.ended && s.apart {
		ch = &s.own // it crossed the close [SESS-12]
	} else if ch.told.frames < c.came.frames {
		ch.told = c.came // as the answer says [SESS-14]
	}
	s.result = wire.ClientCallResult{ID: c.Tag, Connection: ch.number, Output: r.Output, HasOutput: r.HasOutput, Error: r.Error}
	s.sendLocked(ch, &s.result)
	s.result = wire.ClientCallResult{}
	if r.Last && !c.sought {
		c.spare()
	}
}

func (s *Session) cancel(id uint64) {
	s.mu.Lock()
	c := s.calls[id]
	if c != nil {
		c.sought = true
	}
	s.mu.Unlock()
	if c != nil { // else it is answered already
		s.cfg.Router.Cancel(&c.Call, runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER)
	}
}

// cancelAll says of calls that nobody waits for them any more.
func (s *Session) cancelAll(calls []*call) {
	for _, c := range calls {
		s.cfg.Router.Cancel(&c.Call, runnerv1alpha1.CancelReason_CANCEL_REASON_DISCONNECTED)
	}
}
