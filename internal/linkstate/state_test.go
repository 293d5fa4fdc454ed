package linkstate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const plenty = 1 << 20

// tester drives one State against a peer that the test plays.
type tester struct {
	testing.TB
	State
	now     time.Time
	general wire.Lane
	pushed  uint64
}

func newTester(t testing.TB) *tester {
	s := &tester{TB: t, now: begin}
	s.Resume(2 * plenty)
	return s
}

// push queues a frame for each size; they are numbered from 1 on.
func (s *tester) push(sizes ...int) {
	for _, n := range sizes {
		s.pushed++
		s.Push(&s.general, &wire.Commit{Version: s.pushed, Changes: make([]byte, n)})
	}
}

func (s *tester) take() []byte { return s.Take(nil, plenty, s.now) }

// wrote checks what is written next: the numbers of commits, and link frames by name.
func (s *tester) wrote(want string) {
	s.Helper()
	got := describe(s, s.take())
	if got != want {
		s.Fatalf("it writes %q, want %q", got, want)
	}
}

func describe(t testing.TB, b []byte) string {
	t.Helper()
	text := ""
	for len(b) > 0 {
		raw, rest, err := wire.NextFrame(b, plenty)
		if err != nil {
			t.Fatal(err)
		}
		b = rest
		f, err := wire.ParseFrame(raw)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := wire.DecodeRunner(f)
		if err != nil {
			t.Fatal(err)
		}
		switch m := msg.(type) {
		case *wire.Commit:
			text += fmt.Sprint(m.Version, " ")
		case *runnerv1alpha1.Ack:
			text += fmt.Sprint("ack:", m.GetReceived(), " ")
		case *runnerv1alpha1.Resumed:
			text += fmt.Sprint("resumed:", m.GetNext(), " ")
		case *commonv1alpha1.Ping:
			text += "ping "
		case *runnerv1alpha1.Welcome:
			text += "welcome "
		}
	}
	if text != "" {
		text = text[:len(text)-1]
	}
	return text
}

func (s *tester) receive(m wire.Message) (mine bool, err error) {
	f := frameOf(m)
	return s.Receive(f, len(f.Body), s.now)
}

func frameOf(m wire.Message) wire.Frame { return wire.Frame{Kind: m.Kind(), Body: m.AppendTo(nil)} }

func ack(n uint64) wire.Message     { return wire.Runner(&runnerv1alpha1.Ack{Received: n}) }
func resumed(n uint64) wire.Message { return wire.Runner(&runnerv1alpha1.Resumed{Next: n}) }

func (s *tester) mine(m wire.Message) {
	s.Helper()
	if mine, err := s.receive(m); !mine || err != nil {
		s.Fatalf("mine %v, error %v", mine, err)
	}
}

// frames receives counted frames of n bytes each.
func (s *tester) frames(count, n int) {
	s.Helper()
	for range count {
		if mine, err := s.Receive(wire.Frame{Kind: wire.RunnerCommit}, n, s.now); mine || err != nil {
			s.Fatalf("a counted frame: mine %v, error %v", mine, err)
		}
	}
}

func (s *tester) lost(err error) {
	s.Helper()
	if !errors.Is(err, ErrLost) {
		s.Fatalf("error %v, want ErrLost", err)
	}
}

func (s *tester) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// [LINK-16]: what the peer lacks is sent again, unchanged and before anything new; what it has is not.
func TestASocketThatBreaksCostsNothing(t *testing.T) {
	s := newTester(t)
	s.push(1, 2, 3, 4)
	s.wrote("1 2 3 4")
	s.mine(ack(1))
	s.frames(2, 10)
	s.Detach()
	s.push(5)
	s.PushLink(wire.Runner(&commonv1alpha1.Ping{})) // there is nobody to ping
	s.wrote("")
	s.ok(s.Attach(2, wire.Runner(&runnerv1alpha1.Welcome{})))
	s.wrote("welcome resumed:3 3 4 5")
	s.mine(resumed(3))
	s.frames(1, 10)
	if s.Received() != 3 {
		t.Errorf("%d frames received, want 3", s.Received())
	}
	s.mine(ack(5))
	if s.Kept() != 0 || s.Queued() != 0 || s.Acked() != 5 {
		t.Errorf("kept %d bytes, queued %d, %d acknowledged", s.Kept(), s.Queued(), s.Acked())
	}
	// A socket that breaks in the middle of the repetition changes nothing.
	s.push(1, 1)
	s.wrote("6 7")
	for range 3 {
		s.ok(s.Attach(5))
		if got := describe(t, s.Take(nil, 1, s.now)) + " " + describe(t, s.Take(nil, 1, s.now)); got != "resumed:6 6" {
			t.Fatalf("it writes %q", got)
		}
	}
	s.wrote("7")
}

// [LINK-14]: by 64 frames, 256 KiB or 50 ms, and earlier in a write that goes anyway.
func TestAcknowledgementsAreSentInTime(t *testing.T) {
	for name, c := range map[string]struct {
		frames, size int
		wait         time.Duration
		along        bool
		want         string
	}{
		"nothing came":              {0, 0, time.Hour, true, "1"},
		"63 frames":                 {63, 100, 0, false, ""},
		"64 frames":                 {64, 100, 0, false, "ack:64"},
		"256 KiB":                   {4, 64 << 10, 0, false, "ack:4"},
		"one frame":                 {1, 1, ackDelay - 1, false, ""},
		"one frame after 50 ms":     {1, 1, ackDelay, false, "ack:1"},
		"a few, along":              {15, 100, 0, true, "1"},
		"some, along with a write":  {16, 100, 0, true, "1 ack:16"},
		"64 KiB along with a write": {1, 64 << 10, 0, true, "1 ack:1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTester(t)
			s.frames(c.frames, c.size)
			at := s.AckAt()
			if at.IsZero() != (c.frames == 0) {
				t.Errorf("AckAt %v", at)
			}
			s.now = s.now.Add(c.wait)
			if due := !at.IsZero() && !at.After(s.now); due != (c.want[:min(3, len(c.want))] == "ack") {
				t.Errorf("AckAt %v, now %v", at, s.now)
			}
			if c.along {
				s.push(1)
			}
			s.wrote(c.want)
			s.wrote("")
		})
	}
}

// [LINK-14]: an acknowledgement that a socket lost is not owed to the next one, whose handshake says it.
func TestTheHandshakeAcknowledges(t *testing.T) {
	s := newTester(t)
	s.frames(70, 1)
	s.Detach()
	if !s.AckAt().IsZero() || s.Attached() {
		t.Error("there is no socket to acknowledge on")
	}
	s.ok(s.Attach(0))
	s.wrote("resumed:1")
	s.mine(resumed(71))
	s.frames(1, 1)
	if want := s.now.Add(ackDelay); !s.AckAt().Equal(want) {
		t.Errorf("AckAt %v, want %v", s.AckAt(), want)
	}
}

// [LINK-15]: at the bound no counted frame is written and none is lost; link frames go on.
func TestWritingWaitsAtTheBound(t *testing.T) {
	for _, bound := range []int{1, maxStep, 2 * maxStep, 3 * maxStep} {
		s := &tester{TB: t, now: begin}
		s.Resume(bound)
		for range 100 {
			s.push(10_000)
		}
		s.push(5 * wire.MaxStep)
		arrived := uint64(0)
		for s.Queued() > 0 {
			b := s.Take(nil, plenty, s.now)
			if len(b) == 0 {
				t.Fatalf("bound %d: stuck with %d bytes queued", bound, s.Queued())
			}
			if s.Kept() > max(bound, maxStep) {
				t.Fatalf("bound %d: %d bytes are kept", bound, s.Kept())
			}
			s.PushLink(wire.Runner(&commonv1alpha1.Ping{}))
			s.wrote("ping")
			for ; len(b) > 0; b = b[frameLen(b):] {
				arrived++
			}
			s.mine(ack(arrived))
		}
		if arrived != 100+6 || s.Kept() != 0 {
			t.Errorf("bound %d: %d frames, %d bytes kept", bound, arrived, s.Kept())
		}
	}
}

// [LINK-14] [LINK-17]
func TestAckThatIsNoNewsMeansNothing(t *testing.T) {
	s := newTester(t)
	s.push(1, 1, 1)
	s.wrote("1 2 3")
	for _, n := range []uint64{2, 1, 0, 2} {
		s.mine(ack(n))
	}
	if s.Acked() != 2 {
		t.Errorf("%d acknowledged, want 2", s.Acked())
	}
}

// [LINK-17]: the session is lost where the two sides do not agree on what was sent.
func TestASessionIsLost(t *testing.T) {
	// Each begins with three frames written, the first one acknowledged, and two received.
	for name, misbehave := range map[string]func(*tester) error{
		"acknowledges what was never sent": func(s *tester) error { _, err := s.receive(ack(4)); return err },
		"acknowledges everything":          func(s *tester) error { _, err := s.receive(ack(1<<64 - 1)); return err },
		"acknowledges what is not written": func(s *tester) error { s.push(1); _, err := s.receive(ack(4)); return err },
		"acknowledges what it said it lacks": func(s *tester) error {
			s.ok(s.Attach(1))
			_, err := s.receive(ack(2))
			return err
		},
		"comes back with more than was sent":        func(s *tester) error { return s.Attach(4) },
		"comes back with less than it acknowledged": func(s *tester) error { return s.Attach(0) },
		"leaves a gap":                     func(s *tester) error { s.ok(s.Attach(3)); _, err := s.receive(resumed(4)); return err },
		"repeats a number":                 func(s *tester) error { s.ok(s.Attach(3)); _, err := s.receive(resumed(2)); return err },
		"says Resumed on the first socket": func(s *tester) error { _, err := s.receive(resumed(3)); return err },
		"says Resumed twice": func(s *tester) error {
			s.ok(s.Attach(3))
			s.mine(resumed(3))
			_, err := s.receive(resumed(3))
			return err
		},
		"says something before Resumed": func(s *tester) error { s.ok(s.Attach(3)); _, err := s.receive(&wire.Commit{}); return err },
		"says something of no known kind before it": func(s *tester) error {
			s.ok(s.Attach(3))
			_, err := s.Receive(wire.Frame{Kind: 99}, 1, s.now)
			return err
		},
		"goes on with a session that cannot be kept": func(s *tester) error { return new(State).Attach(0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTester(t)
			s.push(1, 1, 1)
			s.wrote("1 2 3")
			s.mine(ack(1))
			s.frames(2, 1)
			before := s.Kept()
			s.lost(misbehave(s))
			if s.Kept() > before {
				t.Errorf("%d bytes kept, %d before", s.Kept(), before)
			}
		})
	}
	t.Run("an Ack that cannot be decoded", func(t *testing.T) {
		s := newTester(t)
		if _, err := s.Receive(wire.Frame{Kind: wire.RunnerAck, Body: []byte{0x08}}, 1, s.now); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("error %v", err)
		}
	})
}

// [LINK-2] [LINK-6]: without resume nothing is kept or acknowledged, and Ack and Resumed are frames like others of a
// feature that was not negotiated.
func TestWithoutResumeNothingIsKept(t *testing.T) {
	s := &tester{TB: t, now: begin}
	s.push(1, 1)
	s.PushLink(wire.Runner(&commonv1alpha1.Ping{}))
	s.wrote("ping 1 2")
	s.frames(500, 1000)
	s.now = s.now.Add(time.Hour)
	s.wrote("")
	if s.Kept() != 0 || !s.AckAt().IsZero() {
		t.Error("something is kept or to be acknowledged")
	}
	for _, m := range []wire.Message{ack(100), resumed(9)} {
		if mine, err := s.receive(m); mine || err != nil {
			t.Errorf("mine %v, error %v", mine, err)
		}
	}
}

// [CALL-7]: Drop tells of the frames of which no byte was written, and only of them.
func TestDropTellsWhatWasNeverWritten(t *testing.T) {
	s := newTester(t)
	s.push(1, 1)
	s.wrote("1 2")
	s.push(1, 3*wire.MaxStep, 1)
	s.Take(nil, 1, s.now) // 3 and the first part of 4
	var unwritten []uint64
	s.Drop(&s.general, func(f wire.Frame) {
		var m wire.Commit
		s.ok(m.Unmarshal(f.Body))
		unwritten = append(unwritten, m.Version)
	})
	if fmt.Sprint(unwritten) != "[5]" {
		t.Errorf("unwritten %v, want [5]", unwritten)
	}
	if rest := s.take(); len(rest) < 2*wire.MaxStep {
		t.Errorf("the rest of a frame that was begun has %d bytes", len(rest))
	}
}

// A buffer that a burst has blown up is given back.
func TestNothingLargeIsHeldForNothing(t *testing.T) {
	s := newTester(t)
	for range 20 {
		s.push(60_000)
	}
	s.Take(nil, 2*maxIdle, s.now)
	s.mine(ack(s.pushed))
	if s.kept != nil {
		t.Errorf("a buffer of %d bytes is left", cap(s.kept))
	}
}
