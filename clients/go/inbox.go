package client

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxInboxBytes bounds the events that wait for the handlers of a connection, besides Options.EventQueue.
const maxInboxBytes = 16 << 20

// listener is one registered handler.
type listener struct {
	handle func(Event)
	gone   atomic.Bool
}

// notice is what an inbox holds: an event, or something else to tell.
type notice struct {
	event Event
	tell  func() // not nil: no event
}

// inbox tells a connection's handlers, in order, on one goroutine that lives while there is something to tell. Nothing
// here blocks, apart from that goroutine, which holds no lock while a handler runs. Safe for concurrent use.
type inbox struct {
	limit int // events

	mu sync.Mutex
	// Guarded by mu. The lists are replaced, not changed.
	handlers map[string][]*listener
	onStatus []*func(Status)
	onError  []*func(error)
	onReset  []*func(error)
	onClose  []*func(error)
	queue    fifo[notice]
	events   int // in queue
	bytes    int // of the events in queue
	dropped  int // events, not told yet
	running  bool
	muted    bool // no more events
	over     bool // OnClose was told
	overWith error
}

// add tells whether the listener is the first of the event.
func (b *inbox) add(event string, l *listener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.handlers[event]
	b.handlers[event] = append(slices.Clip(list), l)
	return len(list) == 0
}

// remove tells whether the listener was the last of the event.
func (b *inbox) remove(event string, l *listener) bool {
	l.gone.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.handlers[event]
	rest := slices.DeleteFunc(slices.Clone(list), func(other *listener) bool { return other == l })
	if len(rest) == 0 {
		delete(b.handlers, event)
		return len(list) > 0
	}
	b.handlers[event] = rest
	return false
}

// event queues an event that has handlers; it keeps nothing of its arguments.
func (b *inbox) event(name, args []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.muted || len(b.handlers[string(name)]) == 0 {
		return
	}
	for b.events > 0 && (b.events >= b.limit || b.bytes+len(args) > maxInboxBytes) {
		b.dropOldest()
	}
	b.events++
	b.bytes += len(args)
	b.push(notice{event: Event{Name: string(name), args: append([]byte(nil), args...)}})
}

func (b *inbox) dropOldest() {
	items := b.queue.items[b.queue.head:]
	i := slices.IndexFunc(items, func(n notice) bool { return n.tell == nil })
	b.events--
	b.bytes -= len(items[i].event.args)
	b.dropped++
	// Usually i is 0: what else is told is rare. Moving it up keeps the order.
	copy(items[1:i+1], items[:i])
	b.queue.pop()
}

func (b *inbox) push(n notice) {
	b.queue.push(n)
	if !b.running {
		b.running = true
		go b.work()
	}
}

func (b *inbox) work() {
	for {
		n, ok := b.next()
		if !ok {
			return
		}
		if n.tell != nil {
			n.tell()
			continue
		}
		for _, l := range b.listeners(n.event.Name) {
			if !l.gone.Load() {
				l.handle(n.event)
			}
		}
	}
}

func (b *inbox) next() (notice, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped > 0 {
		err := raise(wire.SessionSlowReader, wire.RanUnspecified, "The handlers of the connection are too slow: its oldest %d waiting events were dropped.", b.dropped)
		b.dropped = 0
		return notice{tell: func() { b.each(err) }}, true
	}
	for b.queue.len() > 0 {
		n := b.queue.pop()
		if n.tell == nil {
			b.events--
			b.bytes -= len(n.event.args)
			if b.muted {
				continue
			}
		}
		return n, true
	}
	b.running = false
	return notice{}, false
}

func (b *inbox) listeners(event string) []*listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.handlers[event]
}

// mute drops the events that wait, and all that come.
func (b *inbox) mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = true
}

func (b *inbox) fault(err error) { post(b, &b.onError, err) }

func (b *inbox) reset(err error) { post(b, &b.onReset, err) }

func (b *inbox) each(err error) { tell(b, &b.onError, err) }

func (b *inbox) closed(err *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.push(notice{tell: func() {
		b.mu.Lock()
		b.over, b.overWith = true, plain(err)
		functions := b.onClose
		b.mu.Unlock()
		tellAll(functions, plain(err))
	}})
}

// post has all functions of one of the inbox's lists called, after what is to be told before.
func post[T any](b *inbox, list *[]*func(T), value T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.push(notice{tell: func() { tell(b, list, value) }})
}

// tell calls all functions of one of the inbox's lists.
func tell[T any](b *inbox, list *[]*func(T), value T) {
	b.mu.Lock()
	functions := *list
	b.mu.Unlock()
	tellAll(functions, value)
}

func tellAll[T any](functions []*func(T), value T) {
	for _, f := range functions {
		(*f)(value)
	}
}

// plain avoids an error that holds a nil pointer.
func plain(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}
