package client

import (
	"errors"
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// What holds where Welcome names none.
const (
	defaultPing   = 15 * time.Second // [SESS-5]
	defaultResume = 30 * time.Second // [SESS-15]
)

var (
	errForgotten = errors.New("the gateway no longer has the session")
	errNoToken   = errors.New("the gateway resumed the session without a token for the next time")
)

// claim asks to go on with the session.
func (s *session) claim() *clientv1alpha1.Resume {
	m := &clientv1alpha1.Resume{Token: s.resumeToken}
	for _, ch := range s.byNumber() {
		m.Received = append(m.Received, &clientv1alpha1.Received{Connection: ch.number, Frames: ch.received})
		ch.told, ch.fresh, ch.listed = ch.received, 0, false
	}
	return m
}

// onWelcome: the session has begun, or goes on.
func (s *session) onWelcome(m *clientv1alpha1.Welcome, now time.Time) error {
	if s.phase == phaseReady {
		s.log().Error("the gateway sent a second Welcome")
		return nil
	}
	given := slices.Contains(m.GetFeatures(), wire.FeatureClientResume) && len(m.GetResumeToken()) > 0
	switch {
	case s.phase != phaseResume:
	case !m.GetResumed():
		s.lose(errForgotten, now)
	case !given:
		return errNoToken
	default:
		if err := s.reconcile(m.GetReceived()); err != nil {
			return err
		}
	}
	s.phase, s.limits, s.lastFault = phaseReady, m.GetLimits(), nil
	s.keep(given, m)
	s.welcomed <- orElse(millis(m.GetPingMs()), defaultPing)
	for _, conn := range slices.Clone(s.attached) {
		switch conn.phase {
		case connectionDetached:
			s.open(conn)
		case connectionOpen:
			if conn.channel.lane == nil { // else that comes first
				conn.connected()
				s.settle(conn)
			}
		default: // it waits for the gateway, or for the end of its pause
		}
	}
	s.log().Debug("session open", "session", m.GetSession(), "gateway", m.GetGateway(), "resumed", m.GetResumed())
	s.stir()
	return nil
}

// keep notes whether, and how, the session can be resumed.
func (s *session) keep(given bool, m *clientv1alpha1.Welcome) {
	s.keeping, s.resumeToken = given, nil
	if !given {
		for _, ch := range s.byNumber() {
			s.dropKept(ch)
		}
		s.news, s.ackNow, s.ackAlong = nil, false, false
		return
	}
	s.resumeToken = m.GetResumeToken()
	s.resumeFor = orElse(millis(m.GetResumeMs()), defaultResume)
	s.list(&s.zero)
	s.ackNow = true // it makes the token before this one void [SESS-16]
}

// reconcile brings what we keep to what the gateway has received. The rest goes again [SESS-15].
func (s *session) reconcile(received []*clientv1alpha1.Received) error {
	theirs := make(map[uint64]uint64, len(received))
	for _, r := range received {
		theirs[r.GetConnection()] = r.GetFrames()
	}
	s.clearReady()
	s.behind = true
	for _, ch := range s.byNumber() {
		n, known := theirs[ch.number]
		switch {
		case !known && ch.ended: // forgotten by the gateway, which can have got everything or not
			s.giveUp(ch, raise(wire.ConnectionClosed, wire.RanMaybe, ""))
		case n < ch.acked || n > ch.acked+uint64(ch.kept.len()):
			return errCounts
		default:
			s.release(ch, n)
		}
		ch.again = 0
		if ch.ended {
			s.strand(ch)
			s.forget(ch)
		} else {
			s.goOn(ch, known)
		}
	}
	return nil
}

// worthResuming tells whether the session holds more than a new one would.
func (s *session) worthResuming() bool {
	return len(s.channels) > 0 || s.zero.kept.len() > 0 || s.zero.control.len() > 0 || len(s.unanswered) > 0
}

// resumable tells whether the session outlives its socket.
func (s *session) resumable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumeToken != nil
}

// pause leaves the session without socket. Its connections and calls wait.
func (s *session) pause() {
	for _, conn := range s.attached {
		conn.disconnected()
	}
}

// lapse ends a session that has been without socket for too long, and returns when it will have been. Zero: never.
func (s *session) lapse(now time.Time) time.Time {
	if s.resumeToken == nil {
		return time.Time{}
	}
	if now.Before(s.resumeUntil) {
		return s.resumeUntil
	}
	s.lose(s.lastFault, now)
	return time.Time{}
}

// lose ends the session. Its calls can have run; its connections open again in the next one.
func (s *session) lose(cause error, now time.Time) {
	err := raise(wire.SessionLost, wire.RanMaybe, "The session was lost before the answer came: %v", cause).because(cause)
	for _, c := range s.inOrder() {
		s.complete(c, err)
	}
	for _, conn := range s.attached {
		if conn.phase == connectionOpening || conn.phase == connectionOpen {
			s.suspend(conn, err, now)
			conn.phase = connectionDetached
		}
	}
	for _, ch := range s.byNumber() {
		s.remove(ch)
	}
	clear(s.changes)
	clear(s.channels)
	s.clearReady()
	s.zero = channel{lane: s.zero.lane}
	s.enlist(&s.zero)
	s.news, s.ackNow, s.ackAlong = nil, false, false
	s.resumeToken, s.keeping = nil, true
}

func orElse(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}
