package runner

import (
	"fmt"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// This file is the reader's side of a session: what comes is taken effect of at once, in order; nothing here waits.

// take takes one frame behind Welcome, of the given length, that was read at that time.
func (s *session) take(f wire.Frame, size int, at time.Time) error {
	if mine, err := s.link.receive(f, size, at); mine || err != nil {
		return err
	}
	if f.Kind == wire.RunnerPart {
		return s.part(f.Body, at)
	}
	if len(s.parts) > 0 && !f.Kind.IsLink() {
		if ref := wire.ActorRef(f.Body); ref != 0 && s.parts[ref] != nil {
			return fmt.Errorf("%w: a frame of actor %d between its parts", wire.ErrMalformed, ref)
		}
	}
	return s.deliver(f, at)
}

// part takes one part of a frame; the last one is delivered as the frame they make [LINK-3].
func (s *session) part(body []byte, at time.Time) error {
	var p wire.Part
	if err := p.Unmarshal(body); err != nil {
		return err
	}
	a := s.parts[p.Actor]
	if a == nil {
		a = new(wire.Assembler)
		s.parts[p.Actor] = a
	}
	whole, err := a.Add(&p, s.limits.MaxFrame)
	if err != nil {
		return err
	}
	if !a.Open() {
		delete(s.parts, p.Actor)
	}
	if whole == nil {
		return nil
	}
	f, err := wire.ParseFrame(whole)
	if err != nil {
		return err
	}
	return s.deliver(f, at)
}

// deliver takes a frame after the handshake. The hot kinds are decoded in place.
func (s *session) deliver(f wire.Frame, at time.Time) error {
	if !wire.Negotiated(f.Kind, s.features) {
		s.unsupported(f.Kind, wire.NumberAt(f.Body, 2)) // where these kinds have their number
		return nil
	}
	switch f.Kind {
	case wire.RunnerCall:
		var m wire.Call
		if err := m.Unmarshal(f.Body); err != nil {
			return err
		}
		s.onCall(&m, at)
		return nil
	case wire.RunnerCommitResult:
		var m wire.CommitResult
		if err := m.Unmarshal(f.Body); err != nil {
			return err
		}
		if in := s.actor(m.Actor); in != nil {
			in.commitResult(&m)
		}
		return nil
	}
	m, err := wire.DecodeRunner(f)
	if err != nil {
		return err
	}
	s.onCold(f.Kind, m, at)
	return nil
}

// onCold takes the generated messages. They own their bytes.
func (s *session) onCold(kind wire.Kind, m any, at time.Time) {
	switch m := m.(type) {
	case *runnerv1alpha1.StartActor:
		s.onStart(m)
	case *runnerv1alpha1.StopActor:
		s.with(m.Actor, func(in *instance) { in.stopActor(m) })
	case *runnerv1alpha1.ConnectionOpen:
		s.onOpen(m, at)
	case *runnerv1alpha1.ConnectionClose:
		s.with(m.Actor, func(in *instance) { in.take(&turn{in: in, kind: turnGone, connRef: m.Connection}) })
	case *runnerv1alpha1.CancelCall:
		s.with(m.Actor, func(in *instance) { in.cancelCall(m.Id, m.Reason) })
	case *runnerv1alpha1.KvResult:
		s.with(m.Actor, func(in *instance) { in.kvResult(m) })
	case *runnerv1alpha1.Fence:
		s.onFence(m)
	case *runnerv1alpha1.Principal:
		s.onPrincipal(m)
	case *commonv1alpha1.Ping:
		s.link.pushPong(wire.Runner(&runnerv1alpha1.Pong{Nonce: m.Nonce}))
	case *runnerv1alpha1.Pong:
		if s.lease.renew(m.Nonce, m.LeaseMs, instantOf(at)) {
			s.revive()
		}
	case *runnerv1alpha1.Credit:
		s.onCredit(m)
	case *runnerv1alpha1.Adopted:
		s.onAdopted(m)
	case *runnerv1alpha1.Drain:
		s.log.Info("the gateway is going away", "code", m.Code, "deadline_ms", m.DeadlineMs)
	case *commonv1alpha1.Unsupported:
		s.log.Warn("the gateway does not take a kind of frame", "kind", m.Kind, "number", m.Number)
	default: // unknown, or one that only runners send
		s.unsupported(kind, 0)
	}
}

func (s *session) with(ref uint64, f func(*instance)) {
	if in := s.actor(ref); in != nil { // else it crossed the actor's end [LIFE-9]
		f(in)
	}
}

func (s *session) onCall(m *wire.Call, at time.Time) {
	in := s.actor(m.Actor)
	if in == nil {
		s.notHere(m.Actor, m.ID)
		return
	}
	t := &turn{in: in, kind: turnCall, id: m.ID, connRef: m.Connection, deadline: within(at, m.DeadlineMs), oneway: m.Oneway}
	t.args = s.arena.copy(m.Args)
	if t.action = in.def.actions[string(m.Action)]; t.action == nil {
		t.what = string(m.Action)
	}
	if m.Principal != 0 {
		t.principal = s.principal(m.Principal)
	}
	in.take(t)
}

func (s *session) onOpen(m *runnerv1alpha1.ConnectionOpen, at time.Time) {
	in := s.actor(m.Actor)
	switch {
	case in != nil && m.Restored:
		in.restore(m)
	case in != nil:
		in.take(&turn{in: in, kind: turnOpen, id: m.Call, what: m, deadline: within(at, m.DeadlineMs), principal: s.principal(m.Principal)})
	case !m.Restored:
		s.notHere(m.Actor, m.Call)
	}
}

// notHere gives back a call for an actor that this runner does not host [LIFE-9].
func (s *session) notHere(ref, id uint64) {
	s.push(&wire.CallResult{Actor: ref, ID: id, Error: wire.ActorStopping.New(), NotRun: true})
}

// take puts a turn into the mailbox, if the actor still takes any. A call that it does not take goes back; a connection
// that leaves is always taken while there are turns.
func (in *instance) take(t *turn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	call := t.kind == turnCall || t.kind == turnOpen
	if in.over || in.closing || in.crashed != nil || call && in.stop != nil {
		if call {
			in.bounce(t)
		}
		return
	}
	in.enqueue(t)
}

func (s *session) onStart(m *runnerv1alpha1.StartActor) {
	def := s.defs[m.Type]
	if def == nil || s.actor(m.Actor) != nil {
		s.push(wire.Runner(&runnerv1alpha1.ActorStopped{
			Actor: m.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED,
			Error: wire.ActorStartFailed.Newf("This runner does not host the actor type %q.", clip(m.Type, maxName)).Proto(),
		}))
		return
	}
	in := newInstance(s, def, m)
	s.add(in)
	in.begin(m)
}

// onCredit raises what an actor, or all of them together, may send of events [LINK-18].
func (s *session) onCredit(m *runnerv1alpha1.Credit) {
	switch {
	case m.Stream != 0: // of a later protocol level
	case m.Actor == 0:
		s.purse.raise(m.Offset)
	default:
		s.with(m.Actor, func(in *instance) { in.onCredit(m.Offset) })
	}
}

// onFence answers a fence without actor at once, since every earlier frame has been taken effect of; one of an actor is a
// turn [LINK-8].
func (s *session) onFence(m *runnerv1alpha1.Fence) {
	if m.Actor == 0 {
		s.push(wire.Runner(&runnerv1alpha1.FenceReached{Nonce: m.Nonce}))
		return
	}
	s.with(m.Actor, func(in *instance) { in.take(&turn{in: in, kind: turnFence, what: m}) })
}

func (s *session) onPrincipal(m *runnerv1alpha1.Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Gone {
		delete(s.principals, m.Principal)
		return
	}
	s.principals[m.Principal] = &Principal{Kind: m.Kind, Subject: m.Subject, claims: m.Claims}
}

func (s *session) principal(ref uint64) *Principal {
	if ref == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principals[ref]
}

func (s *session) unsupported(kind wire.Kind, number uint64) {
	s.push(wire.Runner(&commonv1alpha1.Unsupported{Kind: uint32(kind), Number: number}))
}
