package route

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// effect lets a frame do what it says: it has passed the gate.
func (inc *incarnation) effect(msg any) {
	switch m := msg.(type) {
	case *wire.CallResult:
		inc.result(m)
	case *wire.Emit:
		inc.emit(m)
	case *runnerv1alpha1.ConnectionState:
		inc.connectionState(m)
	case *runnerv1alpha1.ConnectionClose:
		inc.disconnect(m)
	case *runnerv1alpha1.KvRead:
		inc.read(m)
	case *runnerv1alpha1.ActorReady:
		inc.ready()
	case *runnerv1alpha1.ActorStopped:
		inc.stopped(m)
	case *runnerv1alpha1.ActorIntent:
		inc.intent(m.GetIntent())
	case *runnerv1alpha1.Fence:
		inc.send(&runnerv1alpha1.FenceReached{Nonce: m.GetNonce(), Actor: m.GetActor()})
	case proto.Message:
		inc.violation("an unexpected " + string(m.ProtoReflect().Descriptor().Name()))
	}
}

func (inc *incarnation) ready() {
	if inc.actor.phase != starting {
		inc.violation("ActorReady when it was not starting")
		return
	}
	inc.actor.readyLocked()
}

// emit delivers an event [CONN-3].
func (inc *incarnation) emit(m *wire.Emit) {
	a := inc.actor
	if limit := a.router.cfg.Limits.MaxEvent; len(m.Args) > limit {
		inc.fence(wire.EventTooLarge.Newf("An event has %d bytes, at most %d are allowed.", len(m.Args), limit))
		return
	}
	s := a.router.cfg.Stats
	s.Events.Inc()
	e := &fanout.Event{Name: m.Event, Args: m.Args}
	switch {
	case len(m.To) > 0:
		for _, ref := range m.To {
			if c := inc.connections[ref]; c != nil {
				c.Deliver(e)
				s.Deliveries.Inc()
			}
		}
	case m.All:
		for ref, c := range inc.connections {
			if !slices.Contains(m.Except, ref) {
				c.Deliver(e)
				s.Deliveries.Inc()
			}
		}
	case len(m.Except) == 0:
		s.Deliveries.Add(a.audience.Broadcast(e, nil))
	default:
		s.Deliveries.Add(a.audience.Broadcast(e, func(to fanout.Member) bool {
			c, ok := to.(*Connection)
			return ok && slices.Contains(m.Except, c.ref)
		}))
	}
}

// connectionState keeps a connection's state for the next generation [CONN-6].
func (inc *incarnation) connectionState(m *runnerv1alpha1.ConnectionState) {
	c := inc.connections[m.GetConnection()]
	if c == nil {
		return // the client has left
	}
	if limit := inc.actor.router.cfg.Limits.MaxConnectionState; len(m.GetState()) > limit {
		inc.fence(wire.ConnectionStateTooLarge.Newf("A connection's state has %d bytes, at most %d are allowed.", len(m.GetState()), limit))
		return
	}
	c.state, c.hasState = m.GetState(), true
}

// disconnect closes a connection at the actor's wish [CONN-4].
func (inc *incarnation) disconnect(m *runnerv1alpha1.ConnectionClose) {
	c := inc.connections[m.GetConnection()]
	if c == nil || c.phase != connOpen {
		return
	}
	e := wire.ConnectionDisconnected.New()
	if m.GetReason() != "" {
		e.Message = m.GetReason()
	}
	inc.detach(c)
	if c.recorded {
		inc.owe(c.ID, c)
	}
	inc.actor.dropConnection(c)
	c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)
}
