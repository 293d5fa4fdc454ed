package client

import (
	"sync/atomic"
	"testing"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The session can be resumed. The other side answers each message with one message that holds all its answers: what is measured is the client, the
// WebSocket on both sides, and the pipe.
func benchmarkClient(b *testing.B) *Handle {
	g := newGateway(b)
	c := g.client(Options{})
	g.done.Go(func() {
		p := g.grants("t")
		var answers []any
		received := uint64(0)
		for m := range p.got {
			if received++; received%ackFrames == 0 {
				answers = append(answers, &clientv1alpha1.Ack{Received: counts(0, received)})
			}
			if call, ok := m.(*wire.ClientCall); ok && !call.Oneway {
				answers = append(answers, &wire.ClientCallResult{ID: call.ID, Output: []byte{0x18, 42}, HasOutput: true})
			}
			if len(p.got) == 0 && len(answers) > 0 {
				p.send(answers...)
				answers = answers[:0]
			}
		}
	})
	h := c.Get("counter", []string{"a"})
	if err := h.Call(b.Context(), "increment", nil, 1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return h
}

func BenchmarkCall(b *testing.B) {
	h := benchmarkClient(b)
	for b.Loop() {
		if n, err := Call[int](b.Context(), h, "increment", 1); err != nil || n != 42 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkSend is one-way calls: what is kept of them goes with an Ack only.
func BenchmarkSend(b *testing.B) {
	h := benchmarkClient(b)
	for b.Loop() {
		if err := h.Send(b.Context(), "increment", 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall256InFlight(b *testing.B) {
	h := benchmarkClient(b)
	b.SetParallelism(128) // on 2 cores
	var failed atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if n, err := Call[int](b.Context(), h, "increment", 1); err != nil || n != 42 {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d calls failed", n)
	}
}

// BenchmarkSession is the client alone: submit, encode, decode the answer, wake the caller.
func BenchmarkSession(b *testing.B) {
	s, _, _ := busySession(b)
	t := byAddress("counter", []string{"a"}, 1, nil)
	var out batch
	answer := &wire.ClientCallResult{Output: []byte{0x18, 42}, HasOutput: true}
	var in []byte
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c, _ := s.prepare(ctx, request{target: t, action: "increment", args: []any{1}})
		_ = s.submit(c)
		out.reset()
		s.take(&out, c.since)
		answer.ID = c.id
		in = wire.AppendMessage(in[:0], answer)
		if err := s.receive(nil, in, c.since); err != nil {
			b.Fatal(err)
		}
		<-c.done
		var n int
		if err := c.decode(&n); err != nil || n != 42 {
			b.Fatal(n, err)
		}
		s.recycle(c)
	}
}

func BenchmarkEvent(b *testing.B) {
	s, _, conn := busySession(b)
	got := make(chan int, 1)
	On(conn, "count", func(n int) { got <- n })
	data := encoded(event(1, "count", 7))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.receive(nil, data, conn.openedAt); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
