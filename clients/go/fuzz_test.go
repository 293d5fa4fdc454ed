package client

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// busySession has a call, an opening and an open connection under way, in a session that can be resumed, without any I/O.
// The numbers are 1 and 2 for the connections, 3 for a subscription, 4 for the call.
func busySession(t testing.TB) (*session, *call, *Connection) {
	s := newSession(Options{}.withDefaults(), "", "")
	s.start = func() {}
	s.random = func() float64 { return 1 }
	h := &Handle{client: &Client{session: s}, target: byID("x")}
	open := h.Connect(ConnectOptions{Setup: func(c *Connection) { On(c, "n", func(int) {}) }})
	h.Connect(ConnectOptions{})
	s.begin(nil, time.Unix(0, 0))
	now := time.Unix(0, 0)
	if err := s.receive(nil, encoded(grant("t"), &clientv1alpha1.ConnectionOpened{Connection: 1}), now); err != nil {
		t.Fatal(err)
	}
	open.On("m", func(Event) {})
	c, fault := s.prepare(t.Context(), request{target: h.target, action: "f"})
	if fault == nil {
		fault = s.submit(c)
	}
	if fault != nil {
		t.Fatal(fault)
	}
	var b batch
	for s.take(&b, now) {
		b.reset()
	}
	return s, c, open
}

// FuzzReceive: whatever the gateway sends, the client does not panic, ends each call once, and stays usable.
func FuzzReceive(f *testing.F) {
	e := &wire.Error{Group: "user", Code: "x", Metadata: []byte{1}}
	for _, seed := range [][]any{
		{&wire.ClientCallResult{ID: 4, Output: []byte{1}, HasOutput: true}, &wire.ClientCallResult{ID: 4}},
		{&wire.ClientCallResult{ID: 4, Error: e}},
		{event(1, "n", 1), event(1, "m"), event(2, "n"), event(7, "n")},
		{&wire.ClientEvent{Connection: 1, Event: []byte("n"), Args: []byte{0x9f, 0xff}}},
		{&clientv1alpha1.ConnectionOpened{Connection: 2}, &clientv1alpha1.ConnectionOpened{Connection: 2}},
		{closedBy(1, wire.ConnectionClosed, same), closedBy(2, wire.EventNotFound, never), &clientv1alpha1.ConnectionClosed{Connection: 2}},
		{&clientv1alpha1.SubscriptionResult{Id: 3, Error: e.Proto()}, &clientv1alpha1.SubscriptionResult{Id: 3}},
		{&commonv1alpha1.Unsupported{Kind: 1, Number: 4}, &commonv1alpha1.Unsupported{Kind: 20, Number: 2}, &commonv1alpha1.Unsupported{Kind: 30, Number: 3}},
		{&clientv1alpha1.Welcome{}, &clientv1alpha1.ProtocolError{}, &commonv1alpha1.Ping{Nonce: 1}, &clientv1alpha1.Pong{}},
		{&clientv1alpha1.Reject{}},
		{&clientv1alpha1.Reject{Error: wire.GatewayDraining.New().Proto()}},
		{&commonv1alpha1.Goodbye{Code: "no dot", Reconnect: never, RetryAfterMs: 1}},
		{&commonv1alpha1.Goodbye{Reconnect: same}},
		{&clientv1alpha1.Hello{}, &wire.ClientCall{ID: 4}},
	} {
		f.Add(encoded(seed...))
	}
	f.Add(encoded(&clientv1alpha1.Ack{Received: counts(0, 1, 1, 2)}, &clientv1alpha1.Ack{Received: counts(1, 1, 9, 9)}))
	f.Add(encoded(&clientv1alpha1.Ack{Received: counts(2, 2)}))
	f.Add([]byte{0, 0, 0, 3, 0xd2, 5, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, c, conn := busySession(t)
		if err := s.receive(nil, data, time.Unix(10, 0)); err != nil {
			anotherSocket(s, err)
			if err := s.receive(nil, encoded(grant("u")), time.Unix(11, 0)); err != nil {
				t.Fatalf("the next session is not usable: %v", err)
			}
		}
		wantOver(t, s, c, conn)
	})
}

// FuzzResume: whatever the gateway answers to the wish to go on with a session, the same.
func FuzzResume(f *testing.F) {
	for _, seed := range [][]any{
		{resumed("u", 0, 0, 1, 1), &wire.ClientCallResult{ID: 4}},
		{resumed("u", 0, 1, 1, 2, 2, 1), &clientv1alpha1.Ack{Received: counts(0, 1, 1, 2)}, event(1, "n", 1)},
		{resumed("u", 0, 1, 1, 1, 2, 0), closedBy(1, wire.ConnectionResumeLost, same), closedBy(2, wire.ConnectionClosed, never)},
		{resumed("u", 0, 9, 1, 9)},
		{resumed("", 0, 0, 1, 1)},
		{grant("u"), &clientv1alpha1.ConnectionOpened{Connection: 5}, &clientv1alpha1.Ack{Received: counts(5, 1)}},
		{&clientv1alpha1.Welcome{}, &clientv1alpha1.Welcome{Resumed: true}},
		{event(1, "n", 1)},
		{&clientv1alpha1.Reject{Error: wire.GatewayDraining.New().Proto()}},
		{&commonv1alpha1.Goodbye{Reconnect: same}},
	} {
		f.Add(encoded(seed...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, c, conn := busySession(t)
		anotherSocket(s, errGoodbye)
		err := s.receive(nil, data, time.Unix(11, 0))
		for b := (batch{}); s.take(&b, time.Unix(11, 0)); b.reset() {
			s.wrote(&b)
		}
		if err == nil {
			err = errGoodbye
		}
		anotherSocket(s, err)
		if err := s.receive(nil, encoded(grant("v")), time.Unix(12, 0)); err != nil {
			t.Fatalf("the next session is not usable: %v", err)
		}
		wantOver(t, s, c, conn)
	})
}

// anotherSocket ends the socket and begins on the next one, as the supervisor does.
func anotherSocket(s *session, err error) {
	if !errors.Is(err, errGoodbye) && !errors.Is(err, errRejected) {
		s.leave()
	}
	s.end(err, nil, time.Unix(10, 0))
	s.begin(nil, time.Unix(11, 0))
}

// wantOver closes the session and checks that nothing is left of it.
func wantOver(t *testing.T, s *session, c *call, conn *Connection) {
	t.Helper()
	s.close()
	select {
	case <-c.done:
	default:
		t.Fatal("the call has no end")
	}
	if conn.Status() != StatusClosed || s.waiting != 0 || s.kept != 0 || len(s.unanswered) != 0 {
		t.Fatalf("status %v, %d bytes wait, %d are kept, %d calls", conn.Status(), s.waiting, s.kept, len(s.unanswered))
	}
}

// FuzzLane: whatever comes on the stream of a connection, or as a datagram, the same.
func FuzzLane(f *testing.F) {
	e := event(1, "n", 1)
	e.Unreliable = true
	for _, seed := range [][]any{
		{event(1, "n", 1), &wire.ClientCallResult{ID: 4, Connection: 1}},
		{closedBy(1, wire.ConnectionClosed, never), event(1, "n", 1)},
		{&clientv1alpha1.ConnectionResumed{Connection: 1, Frames: 1}, event(1, "n", 1)},
		{&clientv1alpha1.ConnectionResumed{Connection: 1, Frames: 9}},
		{event(2, "n", 1)},
		{&clientv1alpha1.Ack{}},
		{e},
		{&commonv1alpha1.Ping{Nonce: 1}},
	} {
		f.Add(encoded(seed...), true)
		f.Add(encoded(seed...)[wire.HeaderLen:], false)
	}
	f.Fuzz(func(t *testing.T, data []byte, resuming bool) {
		s, c, conn := busySession(t)
		now := time.Unix(10, 0)
		anotherSocket(s, errGoodbye)
		s.end(errGoodbye, nil, now)
		s.begin(func(*lane) {}, now)
		if err := s.receive(nil, encoded(resumed("u", 0, 0, 1, 1, 2, 1)), now); err != nil {
			t.Fatal(err)
		}
		l := conn.channel.lane
		if !resuming {
			if err := s.receive(l, encoded(&clientv1alpha1.ConnectionResumed{Connection: 1, Frames: 1}), now); err != nil {
				t.Fatal(err)
			}
		}
		s.receiveDatagram(data, now)
		if err := s.receive(l, data, now); err == nil {
			s.loseLane(l, errGoodbye, rest{batch: &batch{}}, now)
		}
		wantOver(t, s, c, conn)
	})
}

// FuzzInflow: a stream is cut into the frames that it holds, however it comes, and nothing is added.
func FuzzInflow(f *testing.F) {
	f.Add(encoded(event(1, "n", 1), event(1, "n", make([]byte, 3*idleBuffer))), uint8(7))
	f.Add(encoded(event(1, "n", make([]byte, 3*busyBuffer))), uint8(255))
	f.Add([]byte{0, 0, 0, 0}, uint8(1))
	f.Add([]byte{0xff, 0, 0, 0, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		in := &inflow{from: &inSteps{data, int(step)}, limit: 1 << 17}
		var got []byte
		for {
			frames, err := in.next()
			if err != nil {
				break
			}
			got = append(got, frames...)
		}
		want := 0
		for {
			_, rest, err := wire.NextFrame(data[want:], 1<<17)
			if err != nil {
				break
			}
			want = len(data) - len(rest)
		}
		if !bytes.Equal(got, data[:want]) {
			t.Fatalf("%x, want %x", got, data[:want])
		}
	})
}

// inSteps reads at most so many bytes at once; 0: any number.
type inSteps struct {
	data []byte
	step int
}

func (r *inSteps) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	if r.step > 0 {
		p = p[:min(len(p), r.step)]
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// FuzzEvent: event bodies are decoded on the handlers' goroutine.
func FuzzEvent(f *testing.F) {
	for _, seed := range [][]byte{nil, {0x80}, {0x81, 1}, {0x82, 0x61, 'x', 0xf6}, {0x9f, 1, 0xff}, {0xff}, {1}} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, args []byte) {
		e := Event{Name: "n", args: args}
		var a any
		var b map[string]int
		_ = e.Decode(&a, &b)
		_ = (&Error{Metadata: args}).DecodeMetadata(&a)
	})
}
