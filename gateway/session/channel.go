package session

import (
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// channel is one order of frames: 0 is the session's own, n that of connection n [SESS-12]. Without resume it only knows
// its connection.
type channel struct {
	session *Session
	number  uint64
	conn    *route.Connection // nil: channel 0
	stream  Stream            // of its own; nil: it has none, or not at present. Guarded by Session.mu
	weight  int               // memory that the connection holds

	// Guarded by Session.mu.
	ended bool // nothing is sent on it any more
	lost  bool // it has ended for what it could not keep; the client hears of it when it comes back
	left  bool // the client has ended its side of the stream
	// strayed is since when it has had no stream on a socket where channels have their own.
	strayed time.Time

	received count // what has come
	told     count // of it, acknowledged, by an Ack or by an answer
	sent     uint64
	acked    uint64 // of these, acknowledged
	kept     kept   // the last of those not acknowledged
	queued   bool   // in resume.replay
}

// count is a number of counted frames, and of their bytes.
type count struct{ frames, bytes uint64 }

// When an acknowledgement is sent [SESS-14].
const (
	ackFrames = 64
	ackBytes  = 256 << 10
	// alongFrames: a write that goes anyway takes one along from here on.
	alongFrames = ackFrames / 2
)

// maxChannels bounds the channels of a session: those of open connections, and those whose end the client has not
// acknowledged.
func maxChannels(l *wire.Limits) int { return 4*l.MaxConnections + 64 }

// maxListed bounds the channels that a client may list: some of them were opened by frames that did not come.
func maxListed(l *wire.Limits) int { return 4 * maxChannels(l) }

// arrived counts a frame of the client for channel n. One for a channel that is not there is not counted: the client has
// been told all that there was to it.
func (s *Session) arrived(n uint64, size int) {
	ch := &s.own
	if n != 0 {
		if ch = s.channels[n]; ch == nil {
			return
		}
	}
	ch.received.frames++
	ch.received.bytes += uint64(size)
	if ch.received.frames-ch.told.frames >= ackFrames || ch.received.bytes-ch.told.bytes >= ackBytes {
		s.ack(ch)
	}
}

// count is arrived for a frame that needs the lock for nothing else.
func (s *Session) count(n uint64, size int) {
	if s.resumable {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived(n, size)
	}
}

// ack tells the client how much of the channel has come.
func (s *Session) ack(ch *channel) {
	if s.socket == nil || ch.received == ch.told {
		return
	}
	ch.told = ch.received
	s.sendLocked(nil, &clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: ch.number, Frames: ch.received.frames}}})
}

// keep counts a frame and keeps it until it is acknowledged [SESS-14]. false: the socket is not to have it now.
func (s *Session) keep(ch *channel, frame []byte, shared *fanout.Frame) bool {
	if ch.lost {
		return false
	}
	now := s.due(ch)
	before := ch.kept.memory()
	ch.sent++
	if shared != nil && len(frame) >= minShared {
		ch.kept.addShared(shared, s.cfg.Budget)
	} else {
		ch.kept.add(frame)
	}
	if now {
		ch.kept.given()
	} else if s.lane(ch) != nil {
		s.replayLater(ch)
	}
	s.hold(ch.kept.memory() - before)
	if ch.kept.bytes > s.cfg.Limits.MaxChannelKept {
		s.trim(ch)
	}
	return now
}

// trim lets the oldest go of what is kept beyond the bound. While the socket lives that harms nobody, unless this socket has
// not got it yet [SESS-17].
func (s *Session) trim(ch *channel) {
	for ch.kept.bytes > s.cfg.Limits.MaxChannelKept {
		if s.lane(ch) == nil || ch.kept.owed == ch.kept.frames {
			s.lose(ch)
			return
		}
		s.drop(ch)
	}
}

// drop forgets the oldest frame of what is kept.
func (s *Session) drop(ch *channel) {
	before := ch.kept.memory()
	ch.kept.drop(s.cfg.Budget)
	s.hold(ch.kept.memory() - before)
}

// lose ends a channel that cannot keep what the client lacks, and its unanswered calls with it; a session cannot go on
// without its own [SESS-17].
func (s *Session) lose(ch *channel) {
	s.cfg.Stats.Limit(stats.MaxChannelKept)
	given := ch.sent - uint64(ch.kept.owed)
	s.free(ch)
	ch.lost = true
	if ch == &s.own {
		e := wire.SessionSlowReader.New()
		s.sessions.later(func() { s.close(e, commonv1alpha1.Reconnect_RECONNECT_ANY) })
		return
	}
	s.abandon(ch)
	if s.lane(ch) != nil {
		s.endLost(ch, given)
	}
}

// abandon ends the channel's connection and forgets its calls, beside the caller, who may hold their actor's lock.
func (s *Session) abandon(ch *channel) {
	var calls []*call
	for id, c := range s.calls {
		if c.channel == ch {
			delete(s.calls, id)
			calls = append(calls, c)
		}
	}
	if !ch.ended {
		ch.ended = true
		s.open--
	}
	s.sessions.later(func() {
		ch.conn.Close(wire.ConnectionResumeLost.New())
		s.cancelAll(calls)
	})
}

// endLost tells the client, who has the first frames of a lost channel, that nothing more comes of it.
func (s *Session) endLost(ch *channel, has uint64) {
	ch.lost = false
	ch.sent = has
	s.closed(ch, wire.ConnectionResumeLost.New(), commonv1alpha1.Reconnect_RECONNECT_SAME)
}

// closed sends the last frame of a connection's channel.
func (s *Session) closed(ch *channel, e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s.sendLocked(ch, &clientv1alpha1.ConnectionClosed{Connection: ch.number, Error: e.Proto(), Reconnect: reconnect})
	if s.resumable {
		s.ack(ch) // so that the client can forget the channel
	}
	if ch.stream != nil && !ch.queued {
		ch.stream.Close()
	}
}

// acknowledged takes the client's Ack. An error means that it names what was never sent [SESS-14].
func (s *Session) acknowledged(m *clientv1alpha1.Ack) *wire.Error {
	if limit := maxListed(&s.cfg.Limits); len(m.GetReceived()) > limit {
		return wire.RequestTooLarge.Newf("An Ack names at most %d channels.", limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range m.GetReceived() {
		ch := s.channel(r.GetConnection())
		switch {
		case s.over, ch == nil && (r.GetConnection() <= s.numbers.highest || r.GetFrames() == 0): // forgotten, or not come
			continue
		case ch == nil || r.GetFrames() > ch.sent:
			return wire.RequestInvalid.Newf("The Ack is for frame %d of channel %d, which was not sent.", r.GetFrames(), r.GetConnection())
		}
		s.forget(ch, r.GetFrames())
		s.release(ch)
	}
	return nil
}

// release forgets a channel on which nothing comes any more, and whose end the client has.
func (s *Session) release(ch *channel) {
	if ch != &s.own && ch.ended && ch.acked == ch.sent && (ch.stream == nil || ch.left) {
		s.ack(ch)
		s.remove(ch)
	}
}

// channel is the channel of a number, or nil.
func (s *Session) channel(n uint64) *channel {
	if n == 0 {
		return &s.own
	}
	return s.channels[n]
}

// forget drops what the client has.
func (s *Session) forget(ch *channel, received uint64) {
	ch.acked = max(ch.acked, received)
	for ch.kept.frames > 0 && ch.first() <= ch.acked {
		s.drop(ch)
	}
}

// first is the number of the first frame that is kept, or would be.
func (ch *channel) first() uint64 { return ch.sent - uint64(ch.kept.frames) + 1 }

// remove forgets a channel that has ended.
func (s *Session) remove(ch *channel) {
	s.free(ch)
	delete(s.channels, ch.number)
}

// purge forgets the channels of which the client has said in a Hello that it has the end: it was not sure then to have sent
// all of its own again. false: there are none.
func (s *Session) purge() bool {
	before := len(s.channels)
	for _, ch := range s.channels {
		if ch.ended && !ch.lost && ch.acked == ch.sent && ch.stream == nil {
			s.remove(ch)
		}
	}
	return len(s.channels) < before
}

// free gives back what a channel keeps.
func (s *Session) free(ch *channel) {
	before := ch.kept.memory()
	ch.kept.free(s.cfg.Budget)
	s.hold(-before)
}

// freeAll gives back what all channels keep.
func (s *Session) freeAll() {
	s.free(&s.own)
	for _, ch := range s.channels {
		s.free(ch)
	}
}
