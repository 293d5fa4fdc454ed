package client

import (
	"testing"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// busySession has a call, a canceled call, an opening and an open connection under way, without any I/O. The numbers are
// 1 and 2 for the connections, 3 for a subscription, 4 for the call.
func busySession(t testing.TB) (*session, *call, *Connection) {
	s := newSession(Options{}.withDefaults(), "", "")
	s.start = func() {}
	s.random = func() float64 { return 1 }
	h := &Handle{client: &Client{session: s}, target: byID("x")}
	open := h.Connect(ConnectOptions{Setup: func(c *Connection) { On(c, "n", func(int) {}) }})
	h.Connect(ConnectOptions{})
	s.begin()
	now := time.Unix(0, 0)
	if err := s.receive(encoded(&clientv1alpha1.Welcome{}, &clientv1alpha1.ConnectionOpened{Connection: 1}), now); err != nil {
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
	f.Add([]byte{0, 0, 0, 3, 0xd2, 5, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, c, conn := busySession(t)
		now := time.Unix(10, 0)
		err := s.receive(data, now)
		if err != nil {
			s.end(err, &batch{}, 0, now)
			s.begin()
			if err := s.receive(encoded(&clientv1alpha1.Welcome{}), now); err != nil {
				t.Fatalf("the next session is not usable: %v", err)
			}
		}
		s.close()
		select {
		case <-c.done:
		default:
			t.Fatal("the call has no end")
		}
		if conn.Status() != StatusClosed || s.waiting != 0 {
			t.Fatalf("status %v, %d bytes wait", conn.Status(), s.waiting)
		}
	})
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
