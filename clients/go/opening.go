package client

import (
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// attach takes a new connection in. invalid, if not nil, ends it at once.
func (s *session) attach(conn *Connection, invalid *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		invalid = raise(wire.ClientClosed, wire.RanNo, "")
	}
	switch {
	case conn.phase == connectionClosed: // by Setup
	case invalid != nil:
		s.finish(conn, invalid)
	default:
		s.attached = append(s.attached, conn)
		if s.phase == phaseReady || s.phase == phaseHello && !conn.isLarge() {
			s.open(conn)
		}
		s.stir()
	}
}

// open asks for the connection on the present socket, under a number that was never used.
func (s *session) open(conn *Connection) {
	t := conn.target
	m := &clientv1alpha1.ConnectionOpen{
		Connection: wire.MaxID, Target: t.address, TargetId: t.id, Mode: t.mode, Params: conn.params,
	}
	if t.hasInput {
		m.Input = t.input
	}
	conn.asked = map[string]bool{}
	if !conn.apart {
		m.Subscriptions = s.subscriptions(conn)
	}
	if err := s.overOpen(m); err != nil {
		s.finish(conn, err)
		return
	}
	s.lastID++
	m.Connection, conn.phase = s.lastID, connectionOpening
	conn.channel = &channel{number: s.lastID, conn: conn}
	s.channels[s.lastID] = conn.channel
	s.send(conn.channel, m)
}

func (s *session) opened(m *clientv1alpha1.ConnectionOpened, now time.Time) {
	ch := s.channels[m.GetConnection()]
	if ch == nil || ch.conn == nil || ch.conn.phase != connectionOpening {
		return
	}
	if ch.again > 0 {
		s.release(ch, 1) // ConnectionOpen has arrived
	}
	conn, again := ch.conn, ch.conn.id != ""
	conn.phase, conn.openedAt, conn.fault = connectionOpen, now, nil
	conn.actorID, conn.id = m.GetActorId(), m.GetConnectionId()
	conn.connected()
	if again {
		conn.inbox.reset(conn.cut)
	}
	s.settle(conn)
	if anyIn(&conn.queue) {
		s.rouse(ch)
	}
}

// onClosed: the gateway refused or ended the connection, or confirms that we left it.
func (s *session) onClosed(m *clientv1alpha1.ConnectionClosed, now time.Time) {
	ch := s.channels[m.GetConnection()]
	if ch == nil || ch.ended {
		return
	}
	conn := ch.conn
	ch.ended, ch.conn = true, nil
	s.ackNow = s.keeping // [SESS-14]
	s.shut(ch)
	var err *Error
	if m.GetError() != nil {
		err = receivedError(m.GetError())
	}
	s.strand(ch)
	for id, c := range s.changes {
		if c.channel == ch {
			delete(s.changes, id)
		}
	}
	switch {
	case err == nil:
		s.release(ch, ch.acked+uint64(ch.again)) // it has read our close, the last we sent
	case err.Name() == CodeConnectionResumeLost:
		s.giveUp(ch, err)
	}
	s.forget(ch)
	if conn != nil {
		s.endOrReopen(conn, m.GetReconnect(), err, now)
	}
}

// endOrReopen decides what becomes of a connection that the gateway has refused or ended.
func (s *session) endOrReopen(conn *Connection, r commonv1alpha1.Reconnect, err *Error, now time.Time) {
	if err == nil {
		s.finish(conn, nil)
		return
	}
	if conn.phase == connectionOpening && err.Name() == CodeEventNotFound && len(conn.asked) > 0 {
		conn.apart = true // one of them is not declared; asking for each finds out which
		s.open(conn)
		s.stir()
		return
	}
	if comesBack(r, err) {
		s.reopenLater(conn, err, now)
		return
	}
	s.finish(conn, err)
}

// comesBack decides where the gateway did not say by what the error says.
func comesBack(r commonv1alpha1.Reconnect, err *Error) bool {
	switch r {
	case commonv1alpha1.Reconnect_RECONNECT_SAME, commonv1alpha1.Reconnect_RECONNECT_ANY:
		return true
	case commonv1alpha1.Reconnect_RECONNECT_NEVER:
		return false
	case commonv1alpha1.Reconnect_RECONNECT_UNSPECIFIED:
	}
	return err.Retryable
}

// reopenLater opens the connection again after a pause of its own. Its calls that were written are still answered by the
// gateway [CALL-1]; the others wait.
func (s *session) reopenLater(conn *Connection, err *Error, now time.Time) {
	s.suspend(conn, err, now)
	conn.phase, conn.fault = connectionWaiting, err
	conn.inbox.fault(err)
	conn.attempts++
	pause := err.RetryAfter + s.options.Backoff.pause(conn.attempts, s.random())
	conn.timer = time.AfterFunc(pause, func() { s.reopen(conn) })
}

func (s *session) reopen(conn *Connection) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn.phase != connectionWaiting {
		return
	}
	s.expireIn(conn.queue.items[conn.queue.head:], now, conn.fault)
	conn.phase = connectionDetached
	if s.phase == phaseReady {
		s.open(conn)
	}
	s.stir()
}

// suspend takes note that a connection is open no more, and why.
func (s *session) suspend(conn *Connection, why *Error, now time.Time) {
	conn.channel = nil
	if conn.phase != connectionOpen {
		return
	}
	if now.Sub(conn.openedAt) >= s.options.Backoff.Max {
		conn.attempts = 0
	}
	conn.apart, conn.cut = false, why
	conn.disconnected()
}

// finish ends the connection for good. err nil: it was asked for.
func (s *session) finish(conn *Connection, err *Error) {
	if conn.status != StatusConnected {
		close(conn.ready)
	}
	if conn.channel != nil {
		conn.channel.conn, conn.channel = nil, nil
	}
	conn.phase, conn.err = connectionClosed, err
	if conn.timer != nil {
		conn.timer.Stop()
	}
	s.attached = remove(s.attached, conn)
	for _, c := range conn.queue.take() {
		s.complete(c, conn.closedError())
	}
	conn.setStatus(StatusClosed)
	conn.inbox.closed(err)
}

// subscriptions is what an open asks for, noted as asked.
func (s *session) subscriptions(conn *Connection) []string {
	var names []string
	for name, sub := range conn.wanted {
		if !sub.refused {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if most := int(s.limits.GetMaxSubscriptions()); most > 0 && len(names) > most {
		for _, name := range names[most:] {
			s.refuse(conn, name, over("max_subscriptions", len(names), s.limits.GetMaxSubscriptions()))
		}
		names = names[:most]
	}
	for _, name := range names {
		conn.asked[name] = true
	}
	return names
}
