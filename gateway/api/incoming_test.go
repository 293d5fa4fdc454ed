package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// clientFrame is a masked frame of n bytes.
func clientFrame(first byte, n int) []byte {
	b := []byte{first, 0x80}
	switch {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(append(b, 1, 2, 3, 4), bytes.Repeat([]byte{0xff}, n)...)
}

// script is a connection whose other end sends pieces.
type script struct {
	net.Conn
	pieces   [][]byte
	deadline time.Time
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) SetReadDeadline(t time.Time) error { s.deadline = t; return nil }

// However the bytes are cut, it is known after each Read whether a message has begun and not ended.
func TestMessagesAreFollowed(t *testing.T) {
	const text, more, last, ping = 0x81, 0x01, 0x80, 0x89
	var all []byte
	ends := map[int]bool{0: true} // offsets at which no message is open
	for _, f := range []struct {
		first byte
		n     int
		end   bool
	}{
		{text, 0, true},
		{text, 1, true},
		{text, 125, true},
		{text, 126, true},
		{text, 65535, true},
		{text, 65536, true},
		{more, 10, false},
		{ping, 0, false},
		{0x00, 300, false},
		{ping, 125, false},
		{last, 70_000, true},
		{ping, 5, true},
		{0x82, 4096, true},
		{more, 0, false},
		{last, 0, true},
	} {
		all = append(all, clientFrame(f.first, f.n)...)
		if f.end {
			ends[len(all)] = true
		}
	}
	for range 200 {
		s := &script{}
		for rest := all; len(rest) > 0; {
			n := min(1+rand.IntN(1<<rand.IntN(17)), len(rest))
			s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
		}
		in := &incoming{Conn: s, wait: time.Minute, budget: budget.New(1 << 30)}
		p, at := make([]byte, 4096), 0
		for {
			n, err := in.Read(p)
			if errors.Is(err, io.EOF) {
				break
			}
			at += n
			if open := !ends[at]; in.open() != open || s.deadline.IsZero() == open {
				t.Fatalf("at %d of %d: open %t, deadline %v", at, len(all), in.open(), s.deadline)
			}
			if in.charged > 70_500 {
				t.Fatalf("%d bytes are counted", in.charged)
			}
		}
		in.ended()
		if in.budget.Used() != 0 {
			t.Fatalf("%d bytes are left", in.budget.Used())
		}
	}
}

// [SESS-5]
func TestAMessageThatIsLateIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		var why *wire.Error
		in := &incoming{Conn: ours, wait: time.Minute, leave: func(e *wire.Error) { why = e }}
		var dribble sync.WaitGroup
		defer dribble.Wait()
		dribble.Go(func() {
			for _, b := range clientFrame(0x81, 100) { // a byte now and then
				if _, err := theirs.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(7 * time.Second)
			}
		})
		began, n := time.Now(), 0
		for {
			if _, err := in.Read(make([]byte, 10)); err != nil {
				break
			}
			n++
		}
		_ = ours.Close()
		if took := time.Since(began); took != time.Minute || n != 9 || why.Name() != "session.ping_timed_out" {
			t.Errorf("%d bytes in %v: %v", n, took, why)
		}
	})
}

// [LIMIT-4]: half a message does not take memory that is not there.
func TestAMessageThatDoesNotFitTheBudgetIsGivenUp(t *testing.T) {
	b := budget.New(300_000)
	var why *wire.Error
	in := &incoming{Conn: &script{pieces: [][]byte{clientFrame(0x81, 1_000_000)}}, budget: b, leave: func(e *wire.Error) { why = e }}
	read := 0
	for {
		n, err := in.Read(make([]byte, 10_000))
		if read += n; err != nil {
			break
		}
	}
	if read < 290_000 || read > 400_000 || why.Name() != "gateway.overloaded" {
		t.Errorf("%d bytes: %v", read, why)
	}
	in.ended()
	if b.Used() != 0 {
		t.Errorf("%d bytes are left", b.Used())
	}
	b.Close()
}

func BenchmarkFollow(b *testing.B) {
	in := &incoming{Conn: &script{}, wait: time.Minute}
	frames := bytes.Repeat(clientFrame(0x82, 90), 40)
	b.SetBytes(int64(len(frames)))
	for b.Loop() {
		in.follow(frames)
	}
}

// An idle socket holds no buffer, and a message comes whole through one, however much of it is asked for at a time.
func TestAnIdleSocketHoldsNoBuffer(t *testing.T) {
	ours, theirs := tcpPair(t)
	early, late := clientFrame(0x82, 300), clientFrame(0x82, 20_000)
	in := newIncoming(ours, early, nil, time.Minute)
	var sent sync.WaitGroup
	defer sent.Wait()
	all := append(bytes.Clone(early), late...)
	for at, size := 0, 0; at < len(all); size = (size + 7) % 6000 {
		if at == len(early) && in.page != nil {
			t.Fatal("a buffer is held when nothing is unread")
		}
		if at == len(early) {
			sent.Go(func() { _, _ = theirs.Write(late) })
		}
		p := make([]byte, 1+size)
		n, err := in.Read(p)
		if err != nil || !bytes.Equal(p[:n], all[at:at+n]) {
			t.Fatalf("%d bytes at %d are other ones: %v", n, at, err)
		}
		at += n
	}
	if in.page != nil || in.open() || in.timed {
		t.Errorf("after the last message: page %v, open %t, deadline %t", in.page != nil, in.open(), in.timed)
	}
	_ = theirs.Close()
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || in.page != nil {
		t.Errorf("at the end: %d bytes, %v, page %v", n, err, in.page != nil)
	}
}

// [SESS-5]: of a socket of the system, too, a message that does not come to its end in time costs the socket; and its
// end is told.
func TestAHalfMessageOnASocketEndsIt(t *testing.T) {
	ours, theirs := tcpPair(t)
	var left *wire.Error
	in := newIncoming(ours, nil, nil, time.Millisecond)
	in.leave = func(e *wire.Error) { left = e }
	half := clientFrame(0x82, 300)[:100]
	if _, err := theirs.Write(half); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); !errors.Is(err, os.ErrDeadlineExceeded) || !bytes.Equal(got, half) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if !errors.Is(left, wire.SessionPingTimedOut) {
		t.Errorf("left with %v", left)
	}
	ours, theirs = tcpPair(t)
	in = newIncoming(ours, nil, nil, time.Minute)
	_ = theirs.Close()
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
