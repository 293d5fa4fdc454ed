// Package linkstate is one side of a runner link above its sockets: the order of writing, the numbers of frames,
// acknowledgements, what is kept for a socket that may break, and credit.
//
// A State outlives sockets: it is attached to one after another, and what was written and not acknowledged is written
// again, so that above it each actor's frames come in order and exactly once. It does no I/O and has no clock; its owner
// (gateway/link, runner-go) locks it, feeds it what it reads and writes what it gives. Requirements: LINK-2, LINK-3,
// LINK-14 to LINK-18.
package linkstate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// ErrLost: the two sides do not agree on what was sent; the session cannot go on [LINK-17].
var ErrLost = errors.New("the session is lost")

// When an acknowledgement is sent [LINK-14].
const (
	ackFrames = 64
	ackBytes  = 256 << 10
	ackDelay  = 50 * time.Millisecond
	// A write that goes anyway takes one along from here on.
	alongFrames = ackFrames / 4
	alongBytes  = ackBytes / 4
)

// maxIdle is the largest buffer that a State keeps while nothing is in it.
const maxIdle = 64 << 10

// State is one side of a link. The zero State is attached to its first socket and cannot resume.
type State struct {
	out wire.Outbox // not yet written

	resume     bool
	maxUnacked int
	detached   bool

	sent  uint64 // counted frames written
	acked uint64 // of these, acknowledged
	kept  []byte // the others: whole frames, in order, from base on
	base  int
	again int // offset in kept of what this socket has not yet got; len(kept): nothing

	received   uint64 // counted frames received
	told       uint64 // of these, acknowledged on this socket or at its beginning
	fresh      int    // bytes of the frames received since
	firstFresh time.Time
	awaiting   bool // the peer's Resumed is still to come
}

// Resume makes the State keep what is not acknowledged, at most maxUnacked bytes. Before the first counted frame.
func (s *State) Resume(maxUnacked int) { s.resume, s.maxUnacked = true, maxUnacked }

// Push queues a counted frame on its lane.
func (s *State) Push(l *wire.Lane, m wire.Message) { s.out.Push(l, m) }

// PushLink queues a link frame, which overtakes everything and is lost with the socket [LINK-2].
func (s *State) PushLink(m wire.Message) {
	if !s.detached {
		s.out.PushLink(m)
	}
}

// Drop forgets what the lane still holds and calls unwritten for each frame of which no byte was written [CALL-7].
func (s *State) Drop(l *wire.Lane, unwritten func(wire.Frame)) { s.out.Drop(l, unwritten) }

// Queued is how many bytes were never written.
func (s *State) Queued() int { return s.out.Len() }

// Kept is how many bytes were written and not acknowledged.
func (s *State) Kept() int { return len(s.kept) - s.base }

// Received is how many counted frames have come.
func (s *State) Received() uint64 { return s.received }

// Attached tells whether there is a socket.
func (s *State) Attached() bool { return !s.detached }

// Take appends to dst what is to be written next, about limit bytes at most; nothing: wait for a Push, an Ack or AckAt.
// What it gives counts as written.
func (s *State) Take(dst []byte, limit int, now time.Time) []byte {
	if s.detached {
		return dst
	}
	start := len(dst)
	dst = s.out.TakeLink(dst)
	dst = s.takeKept(dst, start+limit)
	if s.again == len(s.kept) {
		dst = s.takeNew(dst, start+limit)
	}
	if s.ackDue(now, len(dst) > start) {
		dst = s.appendAck(dst)
	}
	return dst
}

// takeKept gives what a new socket has to get again.
func (s *State) takeKept(dst []byte, end int) []byte {
	for s.again < len(s.kept) && len(dst) < end {
		next := s.again + wire.HeaderLen + int(binary.BigEndian.Uint32(s.kept[s.again:]))
		dst = append(dst, s.kept[s.again:next]...)
		s.again = next
	}
	return dst
}

// takeNew gives what was never written, as far as it may be kept [LINK-15].
func (s *State) takeNew(dst []byte, end int) []byte {
	room := end - len(dst)
	if s.resume {
		// Take ends with the first step that reaches its limit.
		room = min(room, s.maxUnacked-s.Kept()-(wire.MaxStep+wire.HeaderLen)+1)
		if s.Kept() == 0 && end > len(dst) {
			room = max(room, 1)
		}
	}
	if room <= 0 {
		return dst
	}
	from := len(dst)
	dst = s.out.Take(dst, room)
	s.written(dst[from:])
	return dst
}

// written numbers new frames and keeps them.
func (s *State) written(frames []byte) {
	for at := 0; at < len(frames); at += wire.HeaderLen + int(binary.BigEndian.Uint32(frames[at:])) {
		s.sent++
	}
	if !s.resume {
		s.acked = s.sent
		return
	}
	if s.base > len(s.kept)/2 {
		s.kept = append(s.kept[:0], s.kept[s.base:]...)
		s.base = 0
	}
	s.kept = append(s.kept, frames...)
	s.again = len(s.kept)
}

// forget drops what the peer has.
func (s *State) forget(received uint64) error {
	if received > s.sent {
		return fmt.Errorf("%w: the peer acknowledges frame %d of %d", ErrLost, received, s.sent)
	}
	for ; s.acked < received; s.acked++ {
		s.base += wire.HeaderLen + int(binary.BigEndian.Uint32(s.kept[s.base:]))
	}
	s.again = max(s.again, s.base)
	if s.base == len(s.kept) {
		s.kept, s.base, s.again = s.kept[:0], 0, 0
		if cap(s.kept) > maxIdle {
			s.kept = nil
		}
	}
	return nil
}

// Receive takes note of a frame that has come; size is its length. mine: it was for the State alone. ErrLost ends the
// session.
func (s *State) Receive(f wire.Frame, size int, now time.Time) (mine bool, err error) {
	switch {
	case f.Kind == wire.RunnerAck && s.resume:
		var m runnerv1alpha1.Ack
		if err := proto.Unmarshal(f.Body, &m); err != nil {
			return true, fmt.Errorf("%w: %w", ErrLost, err)
		}
		return true, s.forget(max(m.GetReceived(), s.acked))
	case f.Kind == wire.RunnerResumed && s.resume:
		return true, s.resumed(f.Body)
	case f.Kind.IsLink():
		return false, nil
	case s.awaiting:
		return true, fmt.Errorf("%w: a frame of kind %d before Resumed", ErrLost, f.Kind)
	}
	s.received++
	if s.received == s.told+1 {
		s.fresh, s.firstFresh = 0, now
	}
	s.fresh += size
	return false, nil
}

func (s *State) resumed(body []byte) error {
	var m runnerv1alpha1.Resumed
	if err := proto.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	if !s.awaiting || m.GetNext() != s.received+1 {
		return fmt.Errorf("%w: the peer goes on with frame %d, %d have come", ErrLost, m.GetNext(), s.received)
	}
	s.awaiting = false
	return nil
}

// AckAt is when Take will have an acknowledgement to write; zero: nothing is to be acknowledged.
func (s *State) AckAt() time.Time {
	switch {
	case !s.resume || s.detached || s.received == s.told:
		return time.Time{}
	case s.overdue():
		return s.firstFresh
	}
	return s.firstFresh.Add(ackDelay)
}

func (s *State) overdue() bool { return s.received-s.told >= ackFrames || s.fresh >= ackBytes }

func (s *State) ackDue(now time.Time, along bool) bool {
	if !s.resume || s.received == s.told {
		return false
	}
	return s.overdue() || now.Sub(s.firstFresh) >= ackDelay ||
		along && (s.received-s.told >= alongFrames || s.fresh >= alongBytes)
}

func (s *State) appendAck(dst []byte) []byte {
	s.told, s.fresh = s.received, 0
	return wire.AppendMessage(dst, wire.Runner(&runnerv1alpha1.Ack{Received: s.received}))
}

// Detach takes the socket away. Until Attach, Take gives nothing; what the socket had queued of link frames is gone.
func (s *State) Detach() {
	s.detached = true
	s.out.TakeLink(nil)
}

// Attach goes on with a new socket, whose peer has received that many counted frames. first are link frames that go in
// front of Resumed. ErrLost: it cannot.
func (s *State) Attach(peerReceived uint64, first ...wire.Message) error {
	if !s.resume || peerReceived < s.acked {
		return fmt.Errorf("%w: the peer has %d frames and acknowledged %d", ErrLost, peerReceived, s.acked)
	}
	if err := s.forget(peerReceived); err != nil {
		return err
	}
	s.detached, s.awaiting = false, true
	s.again = s.base
	s.told, s.fresh = s.received, 0
	s.out.TakeLink(nil)
	for _, m := range first {
		s.out.PushLink(m)
	}
	s.out.PushLink(wire.Runner(&runnerv1alpha1.Resumed{Next: peerReceived + 1}))
	return nil
}
