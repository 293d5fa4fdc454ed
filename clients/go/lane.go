package client

import (
	"errors"
	"time"

	"github.com/quic-go/webtransport-go"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxLosses is how many lanes of a channel may be lost in a row, without anything achieved between, until the channel is
// given up.
const maxLosses = 4

var errLane = errors.New("the gateway sent a frame on a stream that is not its")

// lane is a channel's stream on a socket where each has its own [SESS-19]. Guarded by session.mu.
type lane struct {
	channel  *channel
	writing  bool // a writer sees to it
	asking   bool // it begins with ConnectionResume
	resuming bool // which the gateway has not answered: nothing else may be written [SESS-20]

	stream *webtransport.Stream // nil: its writer opens it first
}

// dispatch gives every channel that has something to write a lane and a writer.
func (s *session) dispatch() {
	if s.link.len() > 0 || s.ackNow && s.phase == phaseReady {
		s.assign(&s.zero)
	}
	for s.phase != phaseResume && s.ready.len() > 0 {
		ch := s.ready.pop()
		ch.queued = false
		s.assign(ch)
	}
}

func (s *session) assign(ch *channel) {
	if ch.pausing || s.channel(ch.number) != ch || ch.ended && ch.lane == nil {
		return // its time comes, or it is over
	}
	if ch.lane == nil {
		ch.lane = &lane{channel: ch}
	}
	if !ch.lane.writing {
		ch.lane.writing = true
		s.spawn(ch.lane)
	}
}

// isIdle tells whether the channel could be written now, and nobody does. One that cannot, or that is being written, is seen
// to when that is over.
func (s *session) isIdle(ch *channel) bool {
	switch {
	case s.channel(ch.number) != ch || ch.pausing:
		return false
	case ch.lane == nil:
		return !ch.ended
	}
	return !ch.lane.writing && !ch.lane.resuming
}

// takeLane is take for a lane. over: when what was taken before is written, so is all of it.
func (s *session) takeLane(l *lane, b *batch, now time.Time) (some, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := l.channel
	if ch.lane == l && s.phase != phaseDown {
		s.fill(l, b, now)
	}
	if s.taken(b) {
		return true, false
	}
	l.writing = false
	return false, ch.ended
}

func (s *session) fill(l *lane, b *batch, now time.Time) {
	ch, more := l.channel, s.phase != phaseResume
	if ch == &s.zero {
		s.takeAck(b)
		more = s.takeLink(b) && more
	}
	if l.asking {
		l.asking, ch.told, ch.fresh = false, ch.received, 0
		b.buf = wire.AppendMessage(b.buf, wire.Client(&clientv1alpha1.ConnectionResume{Connection: ch.number, Frames: ch.received}))
	}
	if more && !l.resuming {
		s.takeChannel(ch, b, now)
		s.dispatch() // there may be room for others
	}
}

// goOn has a channel go on in the session that does, on its own lane if the socket has such. A gateway that does not know it
// lacks its first frame.
func (s *session) goOn(ch *channel, known bool) {
	if s.spawn != nil && ch != &s.zero && known {
		ch.lane = &lane{channel: ch, asking: true, resuming: true}
	}
	s.enlist(ch)
}

// onLaneResumed: the gateway has so much of the channel, and goes on on the lane [SESS-20].
func (s *session) onLaneResumed(l *lane, m *clientv1alpha1.ConnectionResumed) error {
	ch, n := l.channel, m.GetFrames()
	if !l.resuming || m.GetConnection() != ch.number {
		return errLane
	}
	if n < ch.acked || n > ch.acked+uint64(ch.kept.len()) {
		return errCounts
	}
	s.release(ch, n)
	ch.again, l.resuming = 0, false
	if conn := ch.conn; conn != nil && conn.phase == connectionOpen {
		conn.connected()
		s.settle(conn)
	}
	s.rouse(ch)
	return nil
}

// loseLane takes note that a lane is gone, but not the socket, and what of it was not written to the end. The channel goes
// on on another one, if the session can be resumed. false: that had been noted before.
func (s *session) loseLane(l *lane, cause error, r rest, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := l.channel
	if ch.lane != l || s.phase == phaseDown {
		return false
	}
	ch.lane = nil
	switch {
	case ch.ended:
		s.giveUp(ch, raise(wire.ConnectionClosed, wire.RanMaybe, ""))
		s.forget(ch)
	case s.phase == phaseReady && !s.keeping:
		s.takeBack(s.unsent(r))
		s.abort(ch, raise(wire.SessionLost, wire.RanMaybe, "The connection's stream was lost: %v", cause).because(cause), now)
	case ch.countLoss() > maxLosses:
		s.abort(ch, raise(wire.ConnectionResumeLost, wire.RanMaybe, "").because(cause), now)
	default:
		s.relay(ch)
	}
	s.log().Warn("stream lost", "connection", ch.number, "error", cause)
	s.stir()
	return true
}

// countLoss counts the lanes that the channel has lost in a row.
func (ch *channel) countLoss() int {
	if mark := ch.acked + ch.received; mark != ch.mark {
		ch.losses, ch.mark = 0, mark
	}
	ch.losses++
	return ch.losses
}

// relay has the channel ask for another lane: the first time at once, then after a pause.
func (s *session) relay(ch *channel) {
	ch.again = 0
	if ch.conn != nil {
		ch.conn.disconnected()
	}
	if ch.losses == 1 {
		s.ask(ch)
		return
	}
	ch.pausing = true
	time.AfterFunc(s.options.Backoff.pause(ch.losses-1, s.random()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ch.pausing && s.channels[ch.number] == ch {
			ch.pausing = false
			s.ask(ch)
			s.stir()
		}
	})
}

func (s *session) ask(ch *channel) {
	ch.lane = &lane{channel: ch, asking: true, resuming: true}
	s.enlist(ch)
}

// abort ends a channel that the gateway cannot or will not go on with.
func (s *session) abort(ch *channel, err *Error, now time.Time) {
	conn := ch.conn
	s.giveUp(ch, err)
	s.remove(ch)
	for id, c := range s.changes {
		if c.channel == ch {
			delete(s.changes, id)
		}
	}
	ch.ended, ch.conn = true, nil
	if conn != nil {
		s.reopenLater(conn, err, now)
	}
}

// dropLanes takes note that all lanes are gone with their socket.
func (s *session) dropLanes() {
	s.spawn = nil
	s.clearReady()
	for _, ch := range s.byNumber() {
		ch.lane, ch.pausing, ch.losses = nil, false, 0
	}
}

// carry notes the stream of a lane.
func (s *session) carry(l *lane, stream *webtransport.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.stream = stream
}

// isOver tells whether all that the gateway sends on the lane has come.
func (s *session) isOver(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.channel.ended
}

// shut has the writer of a channel that has ended close its lane.
func (s *session) shut(ch *channel) {
	if l := ch.lane; l != nil && !l.writing {
		l.writing = true
		s.spawn(l)
	}
}

// halt has no more writers started.
func (s *session) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spawn != nil {
		s.spawn = func(*lane) {}
	}
}
