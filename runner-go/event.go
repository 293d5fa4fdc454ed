package runner

import (
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// flushAge is how old the oldest held output may be when another joins it, before the turn flushes [FLUSH-2].
const flushAge = 5 * time.Millisecond

// Event is a declared event with one argument of type T. DeclareEvent makes it.
type Event[T any] struct{ name string }

// declared is what a type says of one of its events.
type declared struct{ unreliable bool }

// EventOption adjusts an event at DeclareEvent.
type EventOption func(*declared)

// Unreliable makes the event unreliable however it is sent. See Actor.BroadcastUnreliable.
func Unreliable() EventOption { return func(d *declared) { d.unreliable = true } }

// DeclareEvent declares an event of the type and returns its typed form. Once a type declares any, emitting or
// subscribing to another is event.not_found [CONN-9].
func DeclareEvent[T, A any](t *Type[A], name string, opts ...EventOption) Event[T] {
	t.def.declareEvent(name, opts...)
	return Event[T]{name: name}
}

// Name is the event's name.
func (e Event[T]) Name() string { return e.name }

// Broadcast sends the event to the actor's connections that are subscribed to it. See Actor.Broadcast.
func (e Event[T]) Broadcast(actor interface{ Broadcast(string, ...any) }, value T) {
	actor.Broadcast(e.name, value)
}

// BroadcastUnreliable sends the event where dropping it does no harm. See Actor.BroadcastUnreliable.
func (e Event[T]) BroadcastUnreliable(actor interface{ BroadcastUnreliable(string, ...any) }, value T) {
	actor.BroadcastUnreliable(e.name, value)
}

// Send sends the event to one connection. See Conn.Send.
func (e Event[T]) Send(conn interface{ Send(string, ...any) }, value T) { conn.Send(e.name, value) }

// SendUnreliable sends the event to one connection, where dropping it does no harm. See Conn.SendUnreliable.
func (e Event[T]) SendUnreliable(conn interface{ SendUnreliable(string, ...any) }, value T) {
	conn.SendUnreliable(e.name, value)
}

func (d *definition) declareEvent(name string, opts ...EventOption) {
	if name == "" || len(name) > maxName || clip(name, maxName) != name {
		panic(fmt.Sprintf("runner: event %q of %s: a name is 1 to %d bytes of UTF-8", name, d.name, maxName)) //nolint:forbidigo // a definition is wrong when the program begins, or never
	}
	if d.events == nil {
		d.events = map[string]declared{}
	}
	said, again := d.events[name]
	for _, opt := range opts {
		opt(&said)
	}
	d.events[name] = said
	if !again {
		d.ordered = append(d.ordered, name)
	}
}

// Broadcast sends an event to the actor's connections that are subscribed to it, once each [CONN-3]. The arguments are
// encoded at once. Nobody gets it before the turn's state is durable.
//
// An event that cannot be sent (an argument without CBOR form, over the size limit, not declared) fails the turn with
// event.too_large, event.not_found or internal.error, if its function does not fail by itself.
func (a *Actor[S, C]) Broadcast(event string, args ...any) {
	a.in.mustTurn("Broadcast").emit(&wire.Emit{Event: []byte(event)}, args, nil)
}

// BroadcastUnreliable is Broadcast of what is soon replaced, such as a position: it is dropped rather than queued for a client
// that reads slowly or is away, and over WebTransport it may be lost, doubled, or overtaken [CONN-11]. The name and the encoded
// arguments have at most 1,000 bytes together; more is event.too_large. Nobody gets it before the turn's state is durable.
func (a *Actor[S, C]) BroadcastUnreliable(event string, args ...any) {
	a.in.mustTurn("BroadcastUnreliable").emit(&wire.Emit{Event: []byte(event), Unreliable: true}, args, nil)
}

// BroadcastExcept is Broadcast to all but the given connections.
func (a *Actor[S, C]) BroadcastExcept(event string, except []*Conn[C], args ...any) {
	a.in.mustTurn("BroadcastExcept").emit(&wire.Emit{Event: []byte(event)}, args, func(m *wire.Emit) bool {
		for _, conn := range except {
			if conn != nil && conn.ref != 0 && conn.index >= 0 {
				m.Except = append(m.Except, conn.ref)
			}
		}
		return true
	})
}

// emit encodes an event and holds it for the flush. address, if not nil, fills in the refs of connections, under the lock;
// false: nobody would get it.
func (t *turn) emit(m *wire.Emit, args []any, address func(*wire.Emit) bool) {
	in := t.in
	if err := in.checkEvent(m, args); err != nil {
		t.fail(err)
		return
	}
	in.mu.Lock()
	m.Actor = in.ref
	if address != nil && !address(m) {
		in.mu.Unlock()
		return
	}
	in.hold(m)
	due := t.kind != turnOpen && in.mustFlush()
	in.mu.Unlock()
	if due {
		t.flush()
		in.pace(t)
	}
}

// checkEvent fills in the arguments and what is declared, and finds what keeps the event from being sent.
func (in *instance) checkEvent(m *wire.Emit, args []any) error {
	name := string(m.Event)
	if name == "" || len(name) > maxName || clip(name, maxName) != name {
		return fmt.Errorf("event %q: a name is 1 to %d bytes of UTF-8", name, maxName)
	}
	said, there := in.def.events[name]
	if in.def.events != nil && !there {
		return sdkError(wire.EventNotFound.Newf("The actor type %s declares its events, and %q is not one of them.", in.def.name, name))
	}
	if !wire.Negotiated(wire.RunnerEmit, in.sess().features) {
		return fmt.Errorf("event %q: the gateway does not offer events", name)
	}
	b, err := payload.MarshalArgs(args...)
	if err != nil {
		return fmt.Errorf("encode event %q: %w", name, err)
	}
	if limit := in.sess().limits.MaxEvent; len(b) > limit {
		return sdkError(wire.EventTooLarge.Newf("The event %q has %d bytes, at most %d are allowed.", name, len(b), limit))
	}
	m.Args, m.Unreliable = b, m.Unreliable || said.unreliable
	if size := len(name) + len(b); m.Unreliable && size > wire.MaxUnreliableEvent {
		return sdkError(wire.EventTooLarge.Newf("The unreliable event %q has %d bytes with its name, at most %d are allowed.",
			name, size, wire.MaxUnreliableEvent))
	}
	return nil
}
