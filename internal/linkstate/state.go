// Package linkstate is one side of a runner link above its sockets: the order of writing, the numbers of frames,
// acknowledgements, what is kept for a socket that may break, and credit.
//
// A State outlives sockets: it is attached to one after another, and what was written and not acknowledged is written
// again, so that above it each actor's frames come in order and exactly once. It does no I/O and has no clock; its owner
// (gateway/link, runner-go) locks it, feeds it what it reads and writes what it gives. Requirements: LINK-2, LINK-3,
// LINK-14 to LINK-18.
//
// When the socket ends: Detach. When there is another: Received goes into Hello or Welcome, Attach takes what the peer
// says it has received. What still comes from a socket that was left is not given to Receive.
package linkstate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

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

// maxStep is the most that is taken of one lane at a time [LINK-3].
const maxStep = wire.MaxStep + wire.HeaderLen

// maxIdle is the largest buffer that a State keeps while nothing is in it.
const maxIdle = 1 << 20

// State is one side of a link. The zero State is attached to its first socket and cannot resume.
type State struct {
	out wire.Outbox // not yet written

	resume     bool
	maxUnacked int
	detached   bool
	awaiting   bool // the peer's Resumed is still to come

	sent    uint64 // counted frames that have a number
	written uint64 // of these, on this socket or received from an earlier one
	acked   uint64
	kept    []byte // frames acked+1 to sent, from base on
	base    int
	again   int // offset in kept of frame written+1

	received   uint64 // counted frames received
	told       uint64 // of these, acknowledged on this socket or at its beginning
	fresh      int    // bytes of the frames received since
	firstFresh time.Time
}

// Resume makes the State keep what is not acknowledged, at most maxUnacked bytes, or one step if that is more [LINK-15].
// Before the first counted frame.
func (s *State) Resume(maxUnacked int) { s.resume, s.maxUnacked = true, max(maxUnacked, maxStep) }

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

// Acked is how many counted frames the peer has acknowledged: no honest peer says later that it has fewer.
func (s *State) Acked() uint64 { return s.acked }

// Attached tells whether there is a socket.
func (s *State) Attached() bool { return !s.detached }

// Take appends to dst what is to be written next, about limit bytes; nothing: wait for a Push, for an Ack that has come,
// or until AckAt. What it gives counts as written.
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
		s.told, s.fresh = s.received, 0
		dst = wire.AppendMessage(dst, wire.Runner(&runnerv1alpha1.Ack{Received: s.received}))
	}
	return dst
}

// takeKept gives what a new socket has to get again.
func (s *State) takeKept(dst []byte, end int) []byte {
	from := s.again
	for s.again < len(s.kept) && len(dst)+s.again-from < end {
		s.again += frameLen(s.kept[s.again:])
		s.written++
	}
	return append(dst, s.kept[from:s.again]...)
}

// takeNew gives what was never written, as far as it may be kept [LINK-15].
func (s *State) takeNew(dst []byte, end int) []byte {
	room := end - len(dst)
	if s.resume {
		room = min(room, s.maxUnacked-s.Kept()-maxStep+1) // the outbox goes on while it has given less
	}
	if room <= 0 {
		return dst
	}
	from := len(dst)
	dst = s.out.Take(dst, room)
	if s.resume {
		s.keep(dst[from:])
	}
	return dst
}

// keep numbers new frames and holds them for another socket.
func (s *State) keep(frames []byte) {
	for at := 0; at < len(frames); at += frameLen(frames[at:]) {
		s.sent++
	}
	s.written = s.sent
	if s.base > len(s.kept)/2 {
		s.kept = append(s.kept[:0], s.kept[s.base:]...)
		s.base = 0
	}
	s.kept = append(s.kept, frames...)
	s.again = len(s.kept)
}

// forget drops what the peer has received: at least what it acknowledged, at most what was sent.
func (s *State) forget(received uint64) {
	for ; s.acked < received; s.acked++ {
		s.base += frameLen(s.kept[s.base:])
	}
	if s.base < len(s.kept) {
		return
	}
	s.kept, s.base, s.again = s.kept[:0], 0, 0
	if cap(s.kept) > maxIdle {
		s.kept = nil
	}
}

// frameLen is the length of the first frame of b, with its prefix. Only our own frames come here.
func frameLen(b []byte) int { return wire.HeaderLen + int(binary.BigEndian.Uint32(b)) }

// Receive takes note of a frame that has come on the present socket; size is its length. mine: it was for the State alone.
// An error ends the session: ErrLost, or wire.ErrMalformed of a link frame that cannot be decoded.
func (s *State) Receive(f wire.Frame, size int, now time.Time) (mine bool, err error) {
	switch {
	case s.resume && f.Kind == wire.RunnerAck, s.resume && f.Kind == wire.RunnerResumed:
		return true, s.receiveLink(f)
	case f.Kind.IsLink():
		return false, nil
	case s.awaiting:
		return true, fmt.Errorf("%w: a frame of kind %d before Resumed", ErrLost, f.Kind)
	}
	if s.received == s.told {
		s.fresh, s.firstFresh = 0, now
	}
	s.received++
	s.fresh += size
	return false, nil
}

func (s *State) receiveLink(f wire.Frame) error {
	msg, err := wire.DecodeRunner(f)
	if err != nil {
		return err
	}
	switch m := msg.(type) {
	case *runnerv1alpha1.Ack:
		if m.GetReceived() > s.written {
			return fmt.Errorf("%w: the peer acknowledges frame %d of %d", ErrLost, m.GetReceived(), s.written)
		}
		s.forget(max(m.GetReceived(), s.acked))
	case *runnerv1alpha1.Resumed:
		if !s.awaiting || m.GetNext() != s.received+1 {
			return fmt.Errorf("%w: the peer goes on with frame %d, %d have come", ErrLost, m.GetNext(), s.received)
		}
		s.awaiting = false
	}
	return nil
}

// AckAt is when Take will have an acknowledgement to write; zero: there is nothing to acknowledge.
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

// Detach takes the socket away. Until Attach, Take gives nothing; what the socket had queued of link frames is gone.
func (s *State) Detach() {
	s.detached = true
	s.out.TakeLink(nil)
}

// Attach goes on with a new socket, whose peer has received that many counted frames. first goes in front of Resumed,
// uncounted: the gateway's Welcome. ErrLost: it cannot, and nothing has changed.
func (s *State) Attach(peerReceived uint64, first ...wire.Message) error {
	if !s.resume || peerReceived < s.acked || peerReceived > s.sent {
		return fmt.Errorf("%w: the peer has received %d frames, it acknowledged %d of %d", ErrLost, peerReceived, s.acked, s.sent)
	}
	s.forget(peerReceived)
	s.written, s.again = peerReceived, s.base
	s.detached, s.awaiting = false, true
	s.told, s.fresh = s.received, 0
	s.out.TakeLink(nil)
	for _, m := range first {
		s.out.PushLink(m)
	}
	s.out.PushLink(wire.Runner(&runnerv1alpha1.Resumed{Next: peerReceived + 1}))
	return nil
}
