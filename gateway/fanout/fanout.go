// Package fanout gives an actor's events to those who want them.
//
// An Audience is the connections of one actor and what each is subscribed to. It is plain state: its owner,
// gateway/route, locks it, and a Member's Deliver must only queue. Requirements: CONN-3, CONN-5, CONN-10, CONN-11.
package fanout

import "sync/atomic"

// Member is one connection.
type Member interface {
	// Deliver queues the event for the client. It must not block.
	Deliver(*Event)
}

// Audience is who listens to one actor. The zero value has nobody.
type Audience struct {
	listeners map[string]*listeners
}

// listeners is a set with a stable order, so that a broadcast walks a slice.
type listeners struct {
	list  []Member
	index map[Member]int
}

// Subscribe adds the member to an event. Doing it twice is doing it once.
func (a *Audience) Subscribe(m Member, event string) {
	if a.listeners == nil {
		a.listeners = map[string]*listeners{}
	}
	l := a.listeners[event]
	if l == nil {
		l = &listeners{index: map[Member]int{}}
		a.listeners[event] = l
	}
	if _, in := l.index[m]; !in {
		l.index[m] = len(l.list)
		l.list = append(l.list, m)
	}
}

// Unsubscribe removes the member from an event.
func (a *Audience) Unsubscribe(m Member, event string) {
	l := a.listeners[event]
	if l == nil {
		return
	}
	at, in := l.index[m]
	if !in {
		return
	}
	last := len(l.list) - 1
	l.list[at] = l.list[last]
	l.index[l.list[at]] = at
	l.list[last] = nil
	l.list = l.list[:last]
	delete(l.index, m)
	if last == 0 {
		delete(a.listeners, event)
	}
}

// Broadcast delivers to every member subscribed to the event, once each, but for those that skip names.
func (a *Audience) Broadcast(e *Event, skip func(Member) bool) (delivered int) {
	l := a.listeners[string(e.Name)]
	if l == nil {
		return 0
	}
	for _, m := range l.list {
		if skip != nil && skip(m) {
			continue
		}
		m.Deliver(e)
		delivered++
	}
	return delivered
}

// Form is how one kind of client reads events. Values are compared with ==.
type Form interface {
	// AppendEvent appends the frame of an event for the client's connection number.
	AppendEvent(dst []byte, connection uint64, e *Event) []byte
}

// Event is what an actor emitted. Its bytes are valid until the call that brought it returns; the frames it makes live
// as long as they are used.
type Event struct {
	Name []byte
	Args []byte // CBOR array
	// Unreliable: rather dropped than queued for a client [CONN-11].
	Unreliable bool

	frames []frame
}

type frame struct {
	form       Form
	connection uint64
	encoded    *Frame
}

// Frame is an event as many clients read it. Who keeps it says so, so that its memory can be counted once [LIMIT-4].
type Frame struct {
	// Bytes must not be changed.
	Bytes []byte

	holders atomic.Int32
}

// Hold notes that one more keeps the frame. first: nobody did. Safe for concurrent use.
func (f *Frame) Hold() (first bool) { return f.holders.Add(1) == 1 }

// Release undoes a Hold. last: nobody keeps it any more. Safe for concurrent use.
func (f *Frame) Release() (last bool) { return f.holders.Add(-1) == 0 }

// maxFrames bounds the encodings one broadcast remembers. Nearly all clients number their connection 1.
const maxFrames = 16

// Frame is the event as the form writes it for a connection number, encoded once for all receivers that share both
// [CONN-10].
func (e *Event) Frame(form Form, connection uint64) *Frame {
	for i := range e.frames {
		f := &e.frames[i]
		if f.connection == connection && f.form == form {
			return f.encoded
		}
	}
	encoded := &Frame{Bytes: form.AppendEvent(nil, connection, e)}
	if len(e.frames) < maxFrames {
		e.frames = append(e.frames, frame{form, connection, encoded})
	}
	return encoded
}

// Clone is an event that may be kept.
func (e *Event) Clone() *Event {
	return &Event{Name: append([]byte(nil), e.Name...), Args: append([]byte(nil), e.Args...), Unreliable: e.Unreliable}
}
