package session

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// connect opens a connection, or answers why it cannot.
func (s *Session) connect(m *clientv1alpha1.ConnectionOpen, size int) {
	s.connectOver(nil, m, size)
}

// connectOver is connect over a stream of the connection's own; nil: over the socket. It returns the channel; nil: there is
// none.
func (s *Session) connectOver(stream Stream, m *clientv1alpha1.ConnectionOpen, size int) *channel {
	n := m.GetConnection()
	if e := s.checkNumber(n); e != nil {
		s.count(n, size)
		s.refuseNumber(n, e)
		return nil
	}
	ch := &channel{session: s, number: n, stream: stream}
	ch.conn = &route.Connection{
		ID: rand.Text(), Params: bytes.Clone(m.GetParams()), Subscriptions: m.GetSubscriptions(), Client: ch, Tag: n,
	}
	if s.enter(ch, size, s.admit(ch.conn, m)) {
		s.cfg.Router.Open(ch.conn)
	}
	return ch
}

func (s *Session) checkNumber(n uint64) *wire.Error {
	switch {
	case !validID(n):
		return wire.RequestInvalid.Newf("A connection number is between 1 and 2^53 - 1.")
	case !s.numbers.free(n):
		return wire.ConnectionDuplicate.Newf("A connection number is used once; this session has used %d.", n)
	}
	return nil
}

// refuseNumber answers an open that begins no channel. Where channels are counted it is no ConnectionClosed, which would be
// the last frame of a channel that may be in use.
func (s *Session) refuseNumber(n uint64, e *wire.Error) {
	if s.apart {
		s.protocolError(e)
		return
	}
	s.send(nil, &clientv1alpha1.ConnectionClosed{Connection: n, Error: e.Proto(), Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER})
}

// admit checks an open and fills it in.
func (s *Session) admit(c *route.Connection, m *clientv1alpha1.ConnectionOpen) *wire.Error {
	l := &s.cfg.Limits
	switch {
	case len(c.Params) > l.MaxParams:
		s.cfg.Stats.Limit(stats.MaxParams)
		return wire.RequestTooLarge.Newf("The params have %d bytes, at most %d are allowed.", len(c.Params), l.MaxParams)
	case len(c.Subscriptions) > l.MaxSubscriptions:
		s.cfg.Stats.Limit(stats.MaxSubscriptions)
		return wire.RequestTooLarge.Newf("A connection has at most %d subscriptions.", l.MaxSubscriptions)
	}
	c.Deadline = s.cfg.Router.Deadline(time.Now(), 0)
	c.Principal = s.principal
	return s.aim(&c.Request, m.GetTarget(), m.GetTargetId(), m.GetMode(), m.GetInput(), m.Input != nil)
}

// enter begins a connection's channel; false: it has ended at once, because of e or of a limit.
func (s *Session) enter(ch *channel, size int, e *wire.Error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.cfg.Limits
	switch {
	case s.over || s.socket == nil:
		return false
	case len(s.channels) >= maxChannels(l) && !s.purge():
		// It does not acknowledge the end of channels. The open was not taken: it comes again, when the client has had
		// what is queued, so that each time takes it further.
		s.slow(false)
		return false
	case e != nil:
	case s.open >= l.MaxConnections:
		s.cfg.Stats.Limit(stats.MaxConnections)
		e = wire.ConnectionTooMany.Newf("A session has at most %d connections.", l.MaxConnections)
	default:
		e = s.sessions.Overloaded()
	}
	s.numbers.use(ch.number, maxChannels(l))
	ch.conn.Transport = s.socket.out.Transport()
	s.channels[ch.number] = ch
	if s.resumable {
		s.arrived(ch.number, size)
	}
	s.open++
	if e != nil {
		s.endConnection(ch, e, reconnectAfter(e))
		return false
	}
	ch.weight = len(ch.conn.Params) + len(ch.conn.Input)
	s.hold(ch.weight)
	return true
}

func reconnectAfter(e *wire.Error) commonv1alpha1.Reconnect {
	if e.Retryable {
		return commonv1alpha1.Reconnect_RECONNECT_SAME
	}
	return commonv1alpha1.Reconnect_RECONNECT_NEVER
}

// endConnection tells the client the end of a connection.
func (s *Session) endConnection(ch *channel, e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s.open--
	s.closed(ch, e, reconnect)
	ch.ended = true
	if !s.resumable {
		delete(s.channels, ch.number)
	}
}

// disconnect closes a connection at the client's wish. One that is not open any more was answered already.
func (s *Session) disconnect(n uint64) {
	if ch := s.connected(n); ch != nil {
		ch.conn.Close(nil)
	}
}

// connected is the channel of an open connection, or nil.
func (s *Session) connected(n uint64) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.channels[n]; ch != nil && !ch.ended {
		return ch
	}
	return nil
}

// Opened implements route.Client.
func (ch *channel) Opened(c *route.Connection, actorID string) {
	ch.session.mu.Lock()
	defer ch.session.mu.Unlock()
	if !ch.ended {
		ch.session.sendLocked(ch, &clientv1alpha1.ConnectionOpened{Connection: ch.number, ActorId: actorID, ConnectionId: c.ID})
	}
}

// Closed implements route.Client.
func (ch *channel) Closed(_ *route.Connection, e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s := ch.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(-ch.weight)
	ch.weight = 0
	if !ch.ended {
		s.endConnection(ch, e, reconnect)
	}
}

// Event implements route.Client.
func (ch *channel) Event(_ *route.Connection, e *fanout.Event) {
	s := ch.session
	if e.Unreliable {
		ch.unreliable(e)
		return
	}
	frame := e.Frame(s.form, ch.number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ch.ended && !s.over && len(frame.Bytes) > 0 && (s.socket != nil || s.resumable) {
		s.pass(ch, frame.Bytes, frame)
	}
}

func (s *Session) subscribe(m *clientv1alpha1.Subscribe) {
	ch, done := s.subscription(m.GetConnection(), m.GetId())
	if ch != nil {
		ch.conn.Subscribe(s.cfg.Router, m.GetEvents(), done)
	}
}

func (s *Session) unsubscribe(m *clientv1alpha1.Unsubscribe) {
	ch, done := s.subscription(m.GetConnection(), m.GetId())
	if ch != nil {
		ch.conn.Unsubscribe(m.GetEvents(), done)
	}
}

// subscription finds the connection of a change of subscriptions, and how the change is answered.
func (s *Session) subscription(connection, id uint64) (*channel, func(*wire.Error)) {
	if !validID(id) {
		s.protocolError(wire.RequestInvalid.Newf("An id is between 1 and 2^53 - 1."))
		return nil, nil
	}
	answer := func(e *wire.Error) { s.answerSubscription(connection, id, e) }
	ch := s.connected(connection)
	if ch == nil {
		answer(wire.ConnectionNotFound.Newf("The session has no open connection %d.", connection))
	}
	return ch, answer
}

func (s *Session) answerSubscription(connection, id uint64, e *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch, n := s.answerOn(connection)
	s.sendLocked(ch, &clientv1alpha1.SubscriptionResult{Id: id, Connection: n, Error: e.Proto()})
}
