package session

import (
	"bytes"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// call sends an action on its way, or answers why it cannot be sent.
func (s *Session) call(m *wire.ClientCall) {
	if m.ID == 0 || m.ID > wire.MaxID {
		s.protocolError(wire.RequestInvalid.Newf("A call's id is between 1 and 2^53 - 1."))
		return
	}
	c := &route.Call{Caller: s, Tag: m.ID, Oneway: m.Oneway}
	if e := s.prepare(c, m); e != nil {
		s.refuse(m, e)
		return
	}
	if e := s.enlist(c); e != nil {
		s.refuse(m, e)
		return
	}
	s.cfg.Router.Call(c)
}

// refuse answers a call that goes nowhere. A one-way call has no result, so its sender hears of it as of a bad frame.
func (s *Session) refuse(m *wire.ClientCall, e *wire.Error) {
	if m.Oneway {
		s.protocolError(e)
		return
	}
	s.send(&wire.ClientCallResult{ID: m.ID, Connection: m.Connection, Error: e})
}

// prepare checks a call and fills it in. What it keeps of m is copied: m aliases the socket's buffer.
func (s *Session) prepare(c *route.Call, m *wire.ClientCall) *wire.Error {
	l := s.cfg.Limits
	switch {
	case len(m.IdempotencyKey) > 0:
		return wire.RequestUnsupported.Newf("Idempotency keys are not supported yet.")
	case len(m.Action) == 0 || len(m.Action) > l.MaxAction:
		return wire.RequestInvalid.Newf("An action name has 1 to %d bytes.", l.MaxAction)
	case len(m.Args) > l.MaxArgs:
		return wire.RequestTooLarge.Newf("The arguments have %d bytes, at most %d are allowed.", len(m.Args), l.MaxArgs)
	case m.Connection != 0 && (m.Target != nil || m.TargetID != ""):
		return wire.RequestInvalid.Newf("A call names a connection or a target, not both.")
	}
	owned := append(append(make([]byte, 0, len(m.Action)+len(m.Args)), m.Action...), m.Args...)
	c.Action, c.Args = owned[:len(m.Action):len(m.Action)], owned[len(m.Action):]
	c.Deadline = s.cfg.Router.Deadline(time.Duration(m.DeadlineMs) * time.Millisecond)
	c.Principal = s.principal
	if len(m.Trace) == traceLen {
		c.Trace, c.TraceState = bytes.Clone(m.Trace), bytes.Clone(m.TraceState)
	}
	if m.Connection != 0 {
		if c.Connection = s.connection(m.Connection); c.Connection == nil {
			return wire.ConnectionNotFound.Newf("The session has no open connection %d.", m.Connection)
		}
		return nil
	}
	return s.aim(&c.Request, m.Target, m.TargetID, m.Mode, m.Input, m.HasInput)
}

// traceLen is the length of a binary W3C trace context.
const traceLen = 25

// aim fills in whom a request is for, and with what it may create it [LIFE-1].
func (s *Session) aim(r *route.Request, target *commonv1alpha1.Address, id string, mode commonv1alpha1.Mode, input []byte, hasInput bool) *wire.Error {
	if len(input) > s.cfg.Limits.MaxInput {
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

// enlist remembers a call until it is answered [CALL-2].
func (s *Session) enlist(c *route.Call) *wire.Error {
	if c.Oneway {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return wire.ConnectionClosed.New().With(wire.RanNo)
	case s.calls[c.Tag] != nil:
		return wire.SessionDuplicateCall.Newf("Call %d is still unanswered.", c.Tag)
	case len(s.calls) >= s.cfg.Limits.MaxCalls:
		return wire.SessionTooManyCalls.Newf("A session has at most %d unanswered calls.", s.cfg.Limits.MaxCalls)
	}
	s.calls[c.Tag] = c
	return nil
}

// Reply implements route.Caller.
func (s *Session) Reply(c *route.Call, r route.Result) {
	if r.Error != nil {
		s.cfg.Stats.CallErrors.Inc()
	}
	if c.Oneway {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c.Tag)
	m := wire.ClientCallResult{ID: c.Tag, Output: r.Output, HasOutput: r.HasOutput, Error: r.Error}
	if c.Connection != nil {
		m.Connection = c.Connection.Tag
	}
	s.sendLocked(&m)
}

func (s *Session) cancel(id uint64) {
	s.mu.Lock()
	c := s.calls[id]
	s.mu.Unlock()
	if c != nil { // else it is answered already
		s.cfg.Router.Cancel(c, runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER)
	}
}
