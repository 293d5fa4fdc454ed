package client

import (
	"fmt"
	"slices"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Event is what an actor sent to a connection. It may be kept and is safe for concurrent reads.
type Event struct {
	// Name is the event's name.
	Name string

	args []byte
}

// Args is the body, one CBOR array [PAY-1]; empty where there are no arguments. It must not be changed.
func (e Event) Args() []byte { return e.args }

// Decode decodes the arguments, by position, into pointers. Arguments without a pointer, and pointers without an argument,
// are left alone. An argument that does not fit is client.invalid_response.
func (e Event) Decode(into ...any) error {
	args, err := payload.SplitArgs(e.args)
	if err != nil {
		return e.unfit(err)
	}
	for i, v := range into[:min(len(into), len(args))] {
		if err := payload.Unmarshal(args[i], v); err != nil {
			return e.unfit(fmt.Errorf("argument %d, a %T: %w", i, v, err))
		}
	}
	return nil
}

func (e Event) unfit(err error) error {
	return raise(wire.ClientInvalidResponse, wire.RanUnspecified, "The event %s cannot be decoded: %v", e.Name, err).because(err)
}

// On registers a handler that takes the event's first argument; see Connection.On. An event without arguments gives the
// zero T. What does not fit T goes to OnError as client.invalid_response, and the handler is not called.
func On[T any](c *Connection, event string, handler func(T)) (cancel func()) {
	return c.On(event, func(e Event) {
		var value T
		if err := e.Decode(&value); err != nil {
			c.inbox.each(err)
			return
		}
		handler(value)
	})
}

// OnStatus registers a function that is told each change of the connection's status.
func (c *Connection) OnStatus(f func(Status)) (cancel func()) {
	return enlist(c.inbox, &c.inbox.onStatus, f)
}

// OnError registers a function that is told what went wrong without ending the connection: a refused subscription, an
// opening that will be tried again, an event that a typed handler could not decode, events that were dropped because the
// handlers are too slow (session.slow_reader).
func (c *Connection) OnError(f func(error)) (cancel func()) {
	return enlist(c.inbox, &c.inbox.onError, f)
}

// OnReset registers a function that is told when the connection is open again, but not as it was: what had cut it off, such
// as session.lost or connection.resume_lost. Events of the time between are missing, and to the actor it is another
// connection, with the same params. It is told after StatusConnected and before any event. A connection that went on after
// its socket was lost is not reset: it missed nothing.
func (c *Connection) OnReset(f func(cause error)) (cancel func()) {
	return enlist(c.inbox, &c.inbox.onReset, f)
}

// OnClose registers a function that is told, once, that the connection is over: with nil after Close, else with what ended
// it, such as the actor's refusal or connection.disconnected [CONN-4]. If it is over already, the function is told soon.
func (c *Connection) OnClose(f func(error)) (cancel func()) {
	b := c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		err := b.overWith
		b.push(notice{tell: func() { f(err) }})
	}
	return register(b, &b.onClose, f)
}

func enlist[T any](b *inbox, list *[]*func(T), f func(T)) (cancel func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return register(b, list, f)
}

// register is enlist under the inbox's lock.
func register[T any](b *inbox, list *[]*func(T), f func(T)) (cancel func()) {
	entry := &f
	*list = append(slices.Clip(*list), entry)
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(other *func(T)) bool { return other == entry })
	})
}
