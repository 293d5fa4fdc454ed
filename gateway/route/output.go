package route

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
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
		if !inc.runner.Link.Full() || inc.unheard() {
			inc.send(&runnerv1alpha1.FenceReached{Nonce: m.GetNonce(), Actor: m.GetActor()})
		}
	case proto.Message:
		inc.violation("an unexpected " + string(m.ProtoReflect().Descriptor().Name()))
	}
}

// unheard counts a question of a runner that does not read what it is sent. false: it has asked too much meanwhile, and the
// actor is fenced.
func (inc *incarnation) unheard() bool {
	inc.unread++
	if int(inc.unread) <= inc.actor.router.cfg.Limits.MaxReadsPerActor {
		return true
	}
	inc.violation("it asks and does not read the answers")
	return false
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
	l, s := inc.actor.router.cfg.Limits, inc.actor.router.cfg.Stats
	switch {
	case len(m.Args) > l.MaxEvent:
		s.Limit(stats.MaxEvent)
		inc.fence(wire.EventTooLarge.Newf("An event has %d bytes, at most %d are allowed.", len(m.Args), l.MaxEvent))
		return
	case m.Unreliable && len(m.Event)+len(m.Args) > wire.MaxUnreliableEvent: // [CONN-11]
		s.Limit(stats.MaxEvent)
		inc.fence(wire.EventTooLarge.Newf("An unreliable event has %d bytes with its name, at most %d are allowed.",
			len(m.Event)+len(m.Args), wire.MaxUnreliableEvent))
		return
	case len(m.Event) == 0 || len(m.Event) > l.MaxEventName:
		s.Limit(stats.MaxEventName)
		inc.violation(fmt.Sprintf("an event name of %d bytes", len(m.Event)))
		return
	case len(m.To)+len(m.Except) > l.MaxConnectionsPerActor:
		s.Limit(stats.MaxConnectionsPerActor)
		inc.violation(fmt.Sprintf("an event that names %d connections", len(m.To)+len(m.Except)))
		return
	}
	s.Events.Inc()
	s.Deliveries.Add(inc.deliver(m, &fanout.Event{Name: m.Event, Args: m.Args, Unreliable: m.Unreliable}))
}

// deliver gives the event to each connection that it is meant for, once, and returns how many these are.
func (inc *incarnation) deliver(m *wire.Emit, e *fanout.Event) (n int) {
	switch {
	case len(m.To) == 1:
		if c := inc.connections[m.To[0]]; c != nil {
			c.Deliver(e)
			n = 1
		}
	case len(m.To) > 1:
		for ref := range setOf(m.To) {
			if c := inc.connections[ref]; c != nil {
				c.Deliver(e)
				n++
			}
		}
	case m.All:
		except := setOf(m.Except)
		for ref, c := range inc.connections {
			if !except[ref] {
				c.Deliver(e)
				n++
			}
		}
	case len(m.Except) == 0:
		n = inc.actor.audience.Broadcast(e, nil)
	default:
		except := setOf(m.Except)
		n = inc.actor.audience.Broadcast(e, func(to fanout.Member) bool {
			c, ok := to.(*Connection)
			return ok && except[c.ref]
		})
	}
	return n
}

func setOf(refs []uint64) map[uint64]bool {
	if len(refs) == 0 {
		return nil
	}
	set := make(map[uint64]bool, len(refs))
	for _, ref := range refs {
		set[ref] = true
	}
	return set
}

// connectionState keeps a connection's state for the next generation [CONN-6].
func (inc *incarnation) connectionState(m *runnerv1alpha1.ConnectionState) {
	c := inc.connections[m.GetConnection()]
	if c == nil {
		return // the client has left
	}
	if limit := inc.actor.router.cfg.Limits.MaxConnectionState; len(m.GetState()) > limit {
		inc.actor.router.cfg.Stats.Limit(stats.MaxConnectionState)
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
		e.Message = trimmed(m.GetReason(), maxMessage)
	}
	inc.detach(c)
	if c.recorded {
		inc.owe(c.ID, c)
	}
	inc.actor.dropConnection(c)
	c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)
}
