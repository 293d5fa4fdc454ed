package client

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// When the frames of a channel are acknowledged [SESS-14].
const (
	ackFrames = 64
	ackBytes  = 256 << 10
	// A write that goes anyway takes an Ack along from here on.
	alongFrames = ackFrames / 2
	alongBytes  = ackBytes / 2
	// idleKept is the most that a gateway may leave unacknowledged on an idle channel, as s.kept counts.
	idleKept = ackBytes + ackFrames*callOverhead
)

// errCounts: the two sides do not agree on what was sent; the session cannot go on.
var errCounts = errors.New("the gateway counts frames that were not sent")

// channel is a connection's part of the session, or, with number 0, what is about none [SESS-12]. Guarded by session.mu.
type channel struct {
	number uint64
	conn   *Connection // nil: number 0, or the connection has left it
	ended  bool        // the gateway's last frame on it has come

	kept    fifo[frame]        // written and not acknowledged
	acked   uint64             // written before those in kept
	again   int                // of kept: those that the present stream was given; the rest goes again
	control fifo[wire.Message] // written after those and before calls
	queued  bool               // in session.ready
	parked  bool               // in session.parked

	lane    *lane  // nil: it has none now
	pausing bool   // the next lane waits for its time
	losses  int    // of lanes in a row between which nothing was achieved
	mark    uint64 // acked and received at the last loss

	received uint64 // counted frames that came
	told     uint64 // of these, acknowledged
	fresh    int    // bytes of the others
	listed   bool   // in session.news
}

// frame is what is kept of a frame: a call, which is encoded anew with the time that is left to it, or another message.
type frame struct {
	call    *call
	message wire.Message
}

func (f frame) weight() int {
	if f.call != nil {
		return f.call.weight()
	}
	return f.message.Size() + callOverhead
}

// isMoot tells whether nobody needs it any more, provided that the gateway never got it.
func (f frame) isMoot() bool { return f.call != nil && f.call.state == callDone && !f.call.oneway }

// channel finds a channel by its number; nil: there is none any more.
func (s *session) channel(number uint64) *channel {
	if number == 0 {
		return &s.zero
	}
	return s.channels[number]
}

// inbound is the channel that a frame about the connection came on: after its end all comes on channel 0 [SESS-12].
func (s *session) inbound(connection uint64) *channel {
	if ch := s.channel(connection); ch != nil && !ch.ended {
		return ch
	}
	return &s.zero
}

// outbound is where to speak of what was sent on the channel: it itself, unless the gateway has ended it [SESS-12].
func (s *session) outbound(ch *channel) *channel {
	if s.channel(ch.number) == ch && !ch.ended {
		return ch
	}
	return &s.zero
}

// byNumber is all channels.
func (s *session) byNumber() []*channel {
	list := append(make([]*channel, 0, len(s.channels)+1), &s.zero)
	for _, ch := range s.channels {
		list = append(list, ch)
	}
	slices.SortFunc(list, func(a, b *channel) int { return cmp.Compare(a.number, b.number) })
	return list
}

// count takes note of a frame that came, of size bytes, and of when it has to be acknowledged [SESS-14].
func (s *session) count(ch *channel, size int) {
	if !s.keeping {
		return
	}
	ch.received++
	ch.fresh += size
	s.list(ch)
	switch frames := ch.received - ch.told; {
	case frames >= ackFrames || ch.fresh >= ackBytes:
		s.ackNow = true
	case frames >= alongFrames || ch.fresh >= alongBytes:
		s.ackAlong = true
	}
}

// list has the channel named in the next Ack.
func (s *session) list(ch *channel) {
	if !ch.listed {
		ch.listed = true
		s.news = append(s.news, ch)
	}
}

// takeAck acknowledges what has come, if it is time for it.
func (s *session) takeAck(b *batch) {
	if s.left || s.phase != phaseReady || !s.ackNow && !(s.ackAlong && s.hasWork()) {
		return
	}
	m := &clientv1alpha1.Ack{Received: make([]*clientv1alpha1.Received, 0, len(s.news))}
	for _, ch := range s.news {
		ch.told, ch.fresh, ch.listed = ch.received, 0, false
		m.Received = append(m.Received, &clientv1alpha1.Received{Connection: ch.number, Frames: ch.received})
	}
	clear(s.news)
	s.news, s.ackNow, s.ackAlong = s.news[:0], false, false
	b.buf = wire.AppendMessage(b.buf, wire.Client(m))
}

// onAck: the gateway has received so much.
func (s *session) onAck(m *clientv1alpha1.Ack) error {
	for _, r := range m.GetReceived() {
		ch := s.channel(r.GetConnection())
		if ch == nil {
			continue // forgotten
		}
		if r.GetFrames() > ch.acked+uint64(ch.written()) {
			return errCounts
		}
		s.release(ch, r.GetFrames())
		s.forget(ch)
	}
	s.makeRoom()
	return nil
}

// written is how many frames of kept the gateway can have got since it last said what it has.
func (ch *channel) written() int {
	if ch.losses > 0 && (ch.lane == nil || ch.lane.resuming) {
		return ch.kept.len() // on the last one
	}
	return ch.again
}

// keepFrame keeps a frame that is written on the channel.
func (s *session) keepFrame(ch *channel, f frame) {
	if !s.keeping {
		return
	}
	ch.kept.push(f)
	ch.again++
	s.kept += f.weight()
	if f.call != nil {
		f.call.kept = true
		atomic.AddInt32(&f.call.holders, 1)
	}
}

// release drops what the gateway has received: so many frames of the channel.
func (s *session) release(ch *channel, received uint64) {
	for ch.acked < received && ch.kept.len() > 0 {
		f := ch.kept.pop()
		ch.acked++
		ch.again = max(0, ch.again-1)
		if f.call != nil && f.call.oneway {
			s.complete(f.call, nil) // it can count as written
		}
		s.drop(f)
	}
}

// answered: an answer says that the gateway has received the call, and what was sent before it.
func (s *session) answered(c *call) {
	for ch := c.channel; c.kept && ch.again > 0; {
		s.release(ch, ch.acked+1)
	}
}

// arrived is answered for what is looked for among what was written: another message, or a call that nobody waits for.
func (s *session) arrived(ch *channel, is func(frame) bool) {
	for i := range ch.again {
		if is(ch.kept.at(i)) {
			s.release(ch, ch.acked+uint64(i)+1)
			return
		}
	}
}

// drop takes note that a frame is kept no longer. Its call may be another one after it.
func (s *session) drop(f frame) {
	s.kept -= f.weight()
	if f.call != nil {
		f.call.kept = false
		s.recycle(f.call)
	}
}

// retract keeps a call no longer if it is the last of its channel.
func (s *session) retract(c *call) bool {
	kept := &c.channel.kept
	if kept.len() == 0 || kept.at(kept.len()-1).call != c {
		return false
	}
	s.drop(kept.remove(kept.len() - 1))
	c.channel.again--
	return true
}

// dropKept drops what the channel keeps.
func (s *session) dropKept(ch *channel) {
	for _, f := range ch.kept.take() {
		s.drop(f)
	}
	ch.again = 0
}

// strand ends the calls of a channel that has ended which never reached the gateway: nothing may be sent on it any more.
func (s *session) strand(ch *channel) {
	for ch.kept.len() > ch.again {
		f := ch.kept.remove(ch.again)
		if c := f.call; c != nil && c.state == callWritten {
			s.complete(c, c.conn.closedError())
		}
		s.drop(f)
	}
	ch.control = fifo[wire.Message]{}
}

// giveUp ends the calls of a channel that the gateway has lost.
func (s *session) giveUp(ch *channel, err *Error) {
	for _, c := range s.inOrder() {
		if c.channel == ch {
			s.fail(c, err)
		}
	}
	s.dropKept(ch)
}

// forget drops a channel that has ended, once all that was sent on it has arrived [SESS-14].
func (s *session) forget(ch *channel) {
	if ch.ended && ch.kept.len() == 0 {
		s.remove(ch)
	}
}

// remove drops a channel at once.
func (s *session) remove(ch *channel) {
	s.dropKept(ch)
	ch.control = fifo[wire.Message]{}
	delete(s.channels, ch.number)
}

// excess is what is kept beyond what a gateway may leave unacknowledged while nothing more comes. Therefore waiting for it
// to shrink never lasts for ever.
func (s *session) excess() int { return max(0, s.kept-(len(s.channels)+1)*idleKept) }
