package session

import (
	"bytes"
	"crypto/rand"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// connect opens a connection, or answers why it cannot.
func (s *Session) connect(m *clientv1alpha1.ConnectionOpen) {
	c := &route.Connection{
		ID: rand.Text(), Params: bytes.Clone(m.GetParams()), Subscriptions: m.GetSubscriptions(),
		Transport: s.socket.Transport(), Client: s, Tag: m.GetConnection(),
	}
	if e := s.admit(c, m); e != nil {
		reconnect := commonv1alpha1.Reconnect_RECONNECT_NEVER
		if e.Retryable {
			reconnect = commonv1alpha1.Reconnect_RECONNECT_SAME
		}
		s.send(&clientv1alpha1.ConnectionClosed{Connection: m.GetConnection(), Error: e.Proto(), Reconnect: reconnect})
		return
	}
	s.cfg.Router.Open(c)
}

func (s *Session) admit(c *route.Connection, m *clientv1alpha1.ConnectionOpen) *wire.Error {
	l := s.cfg.Limits
	switch {
	case c.Tag == 0 || c.Tag > wire.MaxID:
		return wire.RequestInvalid.Newf("A connection number is between 1 and 2^53 - 1.")
	case c.Tag <= s.lastConn:
		return wire.ConnectionDuplicate.Newf("Connection numbers grow; this session has used %d.", s.lastConn)
	case len(c.Params) > l.MaxParams:
		return wire.RequestTooLarge.Newf("The params have %d bytes, at most %d are allowed.", len(c.Params), l.MaxParams)
	case len(c.Subscriptions) > l.MaxSubscriptions:
		return wire.RequestTooLarge.Newf("A connection has at most %d subscriptions.", l.MaxSubscriptions)
	}
	s.lastConn = c.Tag
	if e := s.aim(&c.Request, m.GetTarget(), m.GetTargetId(), m.GetMode(), m.GetInput(), m.Input != nil); e != nil {
		return e
	}
	c.Deadline = s.cfg.Router.Deadline(0)
	c.Principal = s.principal
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return wire.ConnectionClosed.New().With(wire.RanNo)
	case len(s.connections) >= l.MaxConnections:
		return wire.ConnectionTooMany.Newf("A session has at most %d connections.", l.MaxConnections)
	}
	s.connections[c.Tag] = c
	return nil
}

func (s *Session) connection(n uint64) *route.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections[n]
}

// disconnect closes a connection at the client's wish. One that is not open any more was answered already.
func (s *Session) disconnect(n uint64) {
	if c := s.connection(n); c != nil {
		c.Close(nil)
	}
}

// Opened implements route.Client.
func (s *Session) Opened(c *route.Connection, actorID string) {
	s.send(&clientv1alpha1.ConnectionOpened{Connection: c.Tag, ActorId: actorID, ConnectionId: c.ID})
}

// Closed implements route.Client.
func (s *Session) Closed(c *route.Connection, e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c.Tag)
	s.sendLocked(&clientv1alpha1.ConnectionClosed{Connection: c.Tag, Error: e.Proto(), Reconnect: reconnect})
}

// Event implements route.Client.
func (s *Session) Event(c *route.Connection, e *fanout.Event) {
	frame := e.Frame(s.form, c.Tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.queueLocked(frame)
	}
}

func (s *Session) subscribe(m *clientv1alpha1.Subscribe) {
	c, done := s.subscription(m.GetConnection(), m.GetId())
	if c != nil {
		c.Subscribe(s.cfg.Router, m.GetEvents(), done)
	}
}

func (s *Session) unsubscribe(m *clientv1alpha1.Unsubscribe) {
	c, done := s.subscription(m.GetConnection(), m.GetId())
	if c != nil {
		c.Unsubscribe(m.GetEvents(), done)
	}
}

// subscription finds the connection of a change of subscriptions, and how the change is answered.
func (s *Session) subscription(connection, id uint64) (*route.Connection, func(*wire.Error)) {
	answer := func(e *wire.Error) {
		s.send(&clientv1alpha1.SubscriptionResult{Id: id, Connection: connection, Error: e.Proto()})
	}
	if id == 0 || id > wire.MaxID {
		s.protocolError(wire.RequestInvalid.Newf("An id is between 1 and 2^53 - 1."))
		return nil, nil
	}
	c := s.connection(connection)
	if c == nil {
		answer(wire.ConnectionNotFound.Newf("The session has no open connection %d.", connection))
	}
	return c, answer
}
