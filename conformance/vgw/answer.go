package vgw

import (
	"fmt"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// handle does what a gateway does by itself when a frame comes. The caller holds the lock.
func (s *Session) handle(socket *Socket, e *Entry) {
	switch m := e.Frame.Kind.(type) {
	case *runnerv1alpha1.Frame_Ping:
		s.unless(Pongs, func() { s.pong(m.Ping.Nonce) })
	case *runnerv1alpha1.Frame_Fence:
		if a := s.actors[e.Actor()]; a != nil {
			a.handle(e.Frame)
		} else if m.Fence.Actor == 0 {
			s.reached(m.Fence)
		}
	case *runnerv1alpha1.Frame_Goodbye:
		socket.mu.Lock()
		socket.goodbye = m.Goodbye
		socket.mu.Unlock()
	case *runnerv1alpha1.Frame_Drain:
		s.unless(Drains, func() { s.drain(m.Drain) })
	case *runnerv1alpha1.Frame_Ack:
		if err := s.ledger.Ack(m.Ack.Received); err != nil {
			s.lose(err)
		}
	case *runnerv1alpha1.Frame_Resumed:
		if want := s.ledger.Received() + 1; m.Resumed.Next != want {
			s.lose(fmt.Errorf("the runner goes on with frame %d, %d is due", m.Resumed.Next, want))
		}
	case *runnerv1alpha1.Frame_Hosted:
		s.unless(Adopts, func() { s.adopt(m.Hosted) })
	case nil:
		s.unsupported(e)
	default:
		if a := s.actors[e.Actor()]; a != nil {
			a.handle(e.Frame)
		}
	}
}

// unsupported answers a kind that is not known [FRAME-4].
func (s *Session) unsupported(e *Entry) {
	if e.Kind.Link() || e.Kind == 0 {
		return
	}
	m := &commonv1alpha1.Unsupported{Kind: uint32(e.Kind)}
	s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Unsupported{Unsupported: m}})
}

func (s *Session) reached(m *runnerv1alpha1.Fence) {
	s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: m.Nonce, Actor: m.Actor}}})
}

func (s *Session) pong(nonce uint64) {
	m := &runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: s.welcome.LeaseMs}
	s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Pong{Pong: m}})
}

// lose ends a session that cannot go on [LINK-17].
func (s *Session) lose(err error) {
	s.over = true
	if s.socket != nil {
		s.socket.bye("runner.session_lost", err.Error())
		s.socket.Finish(err.Error())
	}
}

// drain stops the actors of a runner that goes away [LINK-10].
func (s *Session) drain(m *runnerv1alpha1.Drain) {
	s.draining = true
	for _, a := range s.actors {
		stop := &runnerv1alpha1.StopActor{Actor: a.ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_DRAIN, GraceMs: min(m.DeadlineMs, 10_000)}
		s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_StopActor{StopActor: stop}})
	}
	s.drained()
}

// drained says Goodbye when nothing is left.
func (s *Session) drained() {
	if !s.draining || len(s.actors) > 0 || s.socket == nil {
		return
	}
	s.draining, s.over = false, true
	s.socket.Goodbyes(&commonv1alpha1.Goodbye{
		Code: "gateway.draining", Message: "The runner's actors have been handed over.", Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER,
	})
	s.socket.Finish("drained")
}

// adopt answers what a runner offers [LINK-19] [LEASE-4].
func (s *Session) adopt(m *runnerv1alpha1.Hosted) {
	for _, h := range m.Actors {
		answer := &runnerv1alpha1.Adopted{Old: h.Actor}
		if a := s.adoptable(h); a == nil {
			answer.Error = Err("actor.fenced")
		} else {
			answer.Actor, answer.Generation, answer.Nonce, answer.Version = a.ref, a.generation, a.nonce, a.version
		}
		s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Adopted{Adopted: answer}})
	}
}
