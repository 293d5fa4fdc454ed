package client

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	// maxBatch is about how much goes in one write; only a single longer frame makes it more.
	maxBatch = 64 << 10
	// maxEarly is how much goes out before Welcome has told the limits: less than any gateway refuses.
	maxEarly = 64 << 10
	// maxReplies bounds what the gateway can make us queue while it does not read.
	maxReplies = 1024
)

// batch is what goes to the socket in one write.
type batch struct {
	buf     []byte
	calls   []sent
	oneways bool
	last    bool // ends with a Goodbye: nothing may follow
}

// sent is a call of a batch: its id, and where its frame begins.
type sent struct {
	id     uint64
	offset int
}

func (b *batch) reset() { *b = batch{buf: b.buf[:0], calls: b.calls[:0]} }

// note takes note of a call whose frame begins at the offset.
func (b *batch) note(c *call, offset int) {
	b.calls = append(b.calls, sent{c.id, offset})
	b.oneways = b.oneways || c.oneway
}

// say queues a message that is not counted, for the present socket only.
func (s *session) say(m proto.Message) { s.link.push(wire.Client(m)) }

// send queues a message of the channel.
func (s *session) send(ch *channel, m proto.Message) wire.Message {
	message := wire.Client(m)
	ch.control.push(message)
	s.enlist(ch)
	return message
}

// take moves what may be written now to b, which is empty. Calls in it count as written. false: there is nothing. It is
// for sockets without lanes.
func (s *session) take(b *batch, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseDown {
		return false
	}
	s.takeAck(b)
	if s.takeLink(b) && s.phase != phaseResume {
		s.takeReady(b, now)
	}
	return s.taken(b)
}

// taken tells whether b holds anything, after take.
func (s *session) taken(b *batch) bool {
	if s.phase == phaseHello {
		s.early += len(b.buf)
	}
	return len(b.buf) > 0
}

// hasWork tells whether take has more to do than to acknowledge.
func (s *session) hasWork() bool {
	return s.link.len() > 0 || s.ready.len() > 0 || s.zero.control.len() > 0 || anyIn(&s.queue)
}

// takeLink tells whether more may follow. What it takes is little; Hello, which can be long, comes alone.
func (s *session) takeLink(b *batch) bool {
	for s.link.len() > 0 {
		m := s.link.pop()
		b.buf = wire.AppendMessage(b.buf, m)
		b.last = b.last || m.Kind() == wire.ClientGoodbye
	}
	return !b.last
}

// takeAgain takes what an earlier stream was given and the gateway did not get [SESS-15] [SESS-20]. Like the next two it
// tells whether that was all.
func (s *session) takeAgain(ch *channel, b *batch, now time.Time) bool {
	for ch.again < ch.kept.len() {
		f := ch.kept.at(ch.again)
		if f.isMoot() {
			s.drop(ch.kept.remove(ch.again))
			continue
		}
		offset, m := len(b.buf), f.message
		if f.call != nil {
			m = s.encode(f.call, now)
		}
		if !s.add(b, m) {
			return false
		}
		if f.call != nil {
			b.note(f.call, offset)
		}
		ch.again++
	}
	return true
}

func (s *session) takeControl(ch *channel, b *batch) bool {
	for ch.control.len() > 0 {
		if !s.add(b, ch.control.peek()) {
			return false
		}
		s.keepFrame(ch, frame{message: ch.control.pop()})
	}
	return true
}

// add appends a frame to b; false: it has to wait for the next batch.
func (s *session) add(b *batch, m wire.Message) bool {
	before := len(b.buf)
	b.buf = wire.AppendMessage(b.buf, m)
	if !s.fits(before, len(b.buf)) {
		b.buf = b.buf[:before]
		return false
	}
	return true
}

// fits tells whether a batch may grow so.
func (s *session) fits(before, after int) bool {
	if s.phase == phaseHello {
		return s.early+after <= maxEarly
	}
	return after <= s.batchLimit() || before == 0
}

// batchLimit keeps a message of several frames within what the gateway takes as one message.
func (s *session) batchLimit() int {
	if n := int(s.limits.GetMaxMessage()); n > 0 {
		return min(n, maxBatch)
	}
	return maxBatch
}

func (s *session) takeCalls(ch *channel, b *batch, now time.Time) bool {
	queue := s.callsOf(ch)
	if queue == nil {
		return true
	}
	for anyIn(queue) {
		if !s.hasRoom() {
			s.park(ch)
			return true
		}
		c, before := queue.peek(), len(b.buf)
		if !s.fits(before, before+len(c.args)) {
			return false // without encoding it
		}
		err := s.overLimit(c)
		if err == nil {
			c.channel, c.id = ch, s.lastID+1
			if !s.add(b, s.encode(c, now)) {
				return false
			}
			err = s.overMessage(len(b.buf) - before)
		}
		queue.pop()
		if err != nil {
			b.buf = b.buf[:before]
			s.complete(c, err)
			continue
		}
		s.lastID++
		b.note(c, before)
		s.keepFrame(ch, frame{call: c})
		s.waiting -= c.weight()
		c.state, s.unanswered[c.id] = callWritten, c
	}
	return true
}

// callsOf is the queue of the calls that go on the channel; nil: none may.
func (s *session) callsOf(ch *channel) *fifo[*call] {
	switch conn := ch.conn; {
	case ch == &s.zero:
		return &s.queue
	case conn != nil && conn.channel == ch && conn.phase == connectionOpen:
		return &conn.queue
	}
	return nil
}

// hasRoom keeps us below the number of unanswered calls that the gateway takes, and below what we keep for it; the others
// wait here.
func (s *session) hasRoom() bool {
	n := int(s.limits.GetMaxCalls())
	return (n == 0 || len(s.unanswered) < n) && s.excess() <= s.options.MaxQueued/2
}

// encode fills the one message that serves all calls.
func (s *session) encode(c *call, now time.Time) *wire.ClientCall {
	s.scratch = wire.ClientCall{
		ID: c.id, Connection: c.channel.number,
		Action: c.action, Args: c.args, DeadlineMs: remaining(c.deadline, now), Oneway: c.oneway,
	}
	if c.conn != nil {
		return &s.scratch
	}
	t := c.target
	s.scratch.Target, s.scratch.TargetID, s.scratch.Mode = t.address, t.id, t.mode
	s.scratch.Input, s.scratch.HasInput = t.input, t.hasInput
	return &s.scratch
}

// remaining is deadline_ms; 0: none. Less than a millisecond counts as one.
func remaining(deadline, now time.Time) uint32 {
	if deadline.IsZero() {
		return 0
	}
	ms := deadline.Sub(now).Milliseconds()
	return uint32(min(max(ms, 1), math.MaxUint32))
}

// wrote ends the one-way calls of a batch that went out whole.
func (s *session) wrote(b *batch) {
	if !b.oneways {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range b.calls {
		if c := s.unanswered[entry.id]; c != nil && c.oneway {
			s.complete(c, nil)
		}
	}
}

func (s *session) overLimit(c *call) *Error {
	if err := over("max_args", len(c.args), s.limits.GetMaxArgs()); err != nil || c.conn != nil {
		return err
	}
	return over("max_input", len(c.target.input), s.limits.GetMaxInput())
}

func (s *session) overMessage(size int) *Error {
	return over("max_message", size, s.limits.GetMaxMessage())
}

func (s *session) overOpen(m *clientv1alpha1.ConnectionOpen) *Error {
	if err := over("max_params", len(m.GetParams()), s.limits.GetMaxParams()); err != nil {
		return err
	}
	if err := over("max_input", len(m.GetInput()), s.limits.GetMaxInput()); err != nil {
		return err
	}
	return s.overMessage(wire.HeaderLen + wire.FrameSize(wire.Client(m)))
}

// over checks a size, or count, against a limit from Welcome; 0: not known.
func over(limit string, n int, most uint32) *Error {
	if most == 0 || n <= int(most) {
		return nil
	}
	return raise(wire.RequestTooLarge, wire.RanNo, "The request exceeds a limit of the gateway: %s is %d, this has %d.", limit, most, n)
}
