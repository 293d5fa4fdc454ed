package client

import (
	"slices"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxEventName bounds the name of an event, in bytes [CONN-9].
const maxEventName = 128

// subscription is an event that has handlers. Guarded by session.mu.
type subscription struct {
	refused bool   // the gateway does not have it; not asked for again while these handlers stay
	id      uint64 // of the last Subscribe
}

// change is a Subscribe or Unsubscribe that was not answered.
type change struct {
	channel *channel
	message wire.Message
	event   string
	on      bool
}

// On registers a handler for an event and returns what removes it. The first handler of an event subscribes to it, the
// removal of the last one unsubscribes; an opening subscribes to all from its first moment on [CONN-5]. A call made on the
// connection after On reaches the actor after the subscription. What the actor sends to this connection alone arrives
// without subscription, but likewise only here. Events without handler are dropped.
//
// An event that the actor type does not declare is event.not_found, told to OnError.
func (c *Connection) On(event string, handler func(Event)) (cancel func()) {
	s, l := c.session, &listener{handle: handler}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.inbox.add(event, l) {
		c.wanted[event] = &subscription{}
		switch {
		case event == "" || len(event) > maxEventName || !utf8.ValidString(event):
			s.refuse(c, event, raise(wire.RequestInvalid, wire.RanNo, "The name of an event is 1 to %d bytes of UTF-8.", maxEventName))
		case c.status == StatusConnected: // else settle makes up for it
			s.subscribe(c, event)
		}
	}
	return sync.OnceFunc(func() { c.off(event, l) })
}

// Once registers a handler for the next event of the name only.
func (c *Connection) Once(event string, handler func(Event)) (cancel func()) {
	var once sync.Once
	ready := make(chan struct{})
	cancel = c.On(event, func(e Event) {
		once.Do(func() {
			<-ready
			cancel()
			handler(e)
		})
	})
	close(ready)
	return cancel
}

func (c *Connection) off(event string, l *listener) {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.inbox.remove(event, l) {
		return
	}
	delete(c.wanted, event)
	if c.status == StatusConnected && c.asked[event] {
		s.unsubscribe(c, event)
	}
}

func (s *session) subscribe(conn *Connection, event string) {
	if err := over("max_subscriptions", len(conn.asked)+1, s.limits.GetMaxSubscriptions()); err != nil {
		s.refuse(conn, event, err)
		return
	}
	conn.asked[event] = true
	conn.wanted[event].id = s.lastID + 1
	s.change(conn, event, true)
}

func (s *session) unsubscribe(conn *Connection, event string) {
	delete(conn.asked, event)
	s.change(conn, event, false)
}

func (s *session) change(conn *Connection, event string, on bool) {
	s.lastID++
	var m proto.Message = &clientv1alpha1.Unsubscribe{Id: s.lastID, Connection: conn.channel.number, Events: []string{event}}
	if on {
		m = &clientv1alpha1.Subscribe{Id: s.lastID, Connection: conn.channel.number, Events: []string{event}}
	}
	s.changes[s.lastID] = change{conn.channel, s.send(conn.channel, m), event, on}
	s.stir()
}

// settle brings a connection that has become usable to what is wanted by now.
func (s *session) settle(conn *Connection) {
	var on, off []string
	for event, sub := range conn.wanted {
		if !sub.refused && !conn.asked[event] {
			on = append(on, event)
		}
	}
	for event := range conn.asked {
		if conn.wanted[event] == nil {
			off = append(off, event)
		}
	}
	slices.Sort(on)
	slices.Sort(off)
	for _, event := range off {
		s.unsubscribe(conn, event)
	}
	for _, event := range on {
		s.subscribe(conn, event)
	}
}

// onChanged: the gateway answered a Subscribe or Unsubscribe. err nil: it took effect.
func (s *session) onChanged(id uint64, err *Error) {
	c, ok := s.changes[id]
	if !ok {
		return
	}
	delete(s.changes, id)
	s.arrived(c.channel, func(f frame) bool { return f.message == c.message })
	conn := c.channel.conn
	if err == nil || conn == nil {
		return
	}
	if !c.on {
		conn.inbox.fault(err)
		return
	}
	if sub := conn.wanted[c.event]; sub != nil && sub.id == id {
		delete(conn.asked, c.event)
		s.refuse(conn, c.event, err)
	}
}

// refuse gives an event up and tells why.
func (s *session) refuse(conn *Connection, event string, err *Error) {
	conn.wanted[event].refused = true
	e := err.with(err.Ran)
	e.Message = "Event " + event + ": " + e.Message
	conn.inbox.fault(e)
}
