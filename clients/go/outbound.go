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

// say queues a message of the session itself.
func (s *session) say(m proto.Message) {
	if s.phase != phaseDown {
		s.control.push(wire.Client(m))
	}
}

// reply queues an answer to something the gateway sent. false: it asks more than it reads.
func (s *session) reply(m proto.Message) bool {
	s.replies++
	s.say(m)
	return s.replies <= maxReplies
}

// take moves what may be written now to b, which is empty. Calls in it count as written. false: there is nothing.
func (s *session) take(b *batch, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseDown {
		return false
	}
	for s.control.len() > 0 && s.fits(b, wire.FrameSize(s.control.peek())) {
		m := s.control.pop()
		b.buf = wire.AppendMessage(b.buf, m)
		b.last = b.last || m.Kind() == wire.ClientGoodbye
	}
	if s.control.len() == 0 && !b.last {
		s.replies = 0
		s.takeCalls(b, now)
	}
	if s.phase == phaseHello {
		s.early += len(b.buf)
	}
	return len(b.buf) > 0
}

// fits tells whether a frame of the size may follow what b holds. The first frame of a session, Hello, always may.
func (s *session) fits(b *batch, size int) bool {
	after := len(b.buf) + wire.HeaderLen + size
	if s.phase == phaseHello {
		return s.early+after <= maxEarly || s.early+len(b.buf) == 0
	}
	return after <= s.batchLimit() || len(b.buf) == 0
}

// batchLimit keeps a message of several frames within what the gateway takes as one message.
func (s *session) batchLimit() int {
	if n := int(s.limits.GetMaxMessage()); n > 0 {
		return min(n, maxBatch)
	}
	return maxBatch
}

func (s *session) takeCalls(b *batch, now time.Time) {
	for s.anyQueued() && s.hasRoom() {
		c := s.queue.peek()
		if err := s.overLimit(c); err != nil {
			s.queue.pop()
			s.complete(c, err)
			continue
		}
		m := s.encode(c, now)
		size := wire.FrameSize(m)
		if err := s.overMessage(size); err != nil {
			s.queue.pop()
			s.complete(c, err)
			continue
		}
		if !s.fits(b, size) {
			return
		}
		s.queue.pop()
		s.lastID++
		c.id, m.ID = s.lastID, s.lastID
		b.calls = append(b.calls, sent{c.id, len(b.buf)})
		b.oneways = b.oneways || c.oneway
		b.buf = wire.AppendMessage(b.buf, m)
		s.waiting -= c.weight()
		c.state, s.unanswered[c.id] = callWritten, c
	}
}

// hasRoom keeps us below the number of unanswered calls that the gateway takes; the others wait here.
func (s *session) hasRoom() bool {
	n := int(s.limits.GetMaxCalls())
	return n == 0 || len(s.unanswered) < n
}

// encode fills the one message that serves all calls. Its id, not yet known, is as long as it can be.
func (s *session) encode(c *call, now time.Time) *wire.ClientCall {
	s.scratch = wire.ClientCall{
		ID: wire.MaxID, Action: c.action, Args: c.args, DeadlineMs: remaining(c.deadline, now), Oneway: c.oneway,
	}
	if c.conn != nil {
		s.scratch.Connection = c.conn.number
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
	return over("max_message", wire.HeaderLen+size, s.limits.GetMaxMessage())
}

func (s *session) overOpen(m *clientv1alpha1.ConnectionOpen) *Error {
	if err := over("max_params", len(m.GetParams()), s.limits.GetMaxParams()); err != nil {
		return err
	}
	if err := over("max_input", len(m.GetInput()), s.limits.GetMaxInput()); err != nil {
		return err
	}
	return s.overMessage(wire.FrameSize(wire.Client(m)))
}

// over checks a size, or count, against a limit from Welcome; 0: not known.
func over(limit string, n int, most uint32) *Error {
	if most == 0 || n <= int(most) {
		return nil
	}
	return raise(wire.RequestTooLarge, wire.RanNo, "The request exceeds a limit of the gateway: %s is %d, this has %d.", limit, most, n)
}
