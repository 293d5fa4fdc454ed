package runner_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// memConn is one direction-pair of an in-memory connection with buffers, so that a benchmark measures the runner and not
// hand-overs between goroutines.
type memConn struct {
	net.Conn // unused methods
	in, out  *memBuffer
}

type memBuffer struct {
	mu     sync.Mutex
	cond   *sync.Cond
	b      []byte
	closed bool
}

func memPipe() (a, b *memConn) {
	x, y := &memBuffer{}, &memBuffer{}
	x.cond, y.cond = sync.NewCond(&x.mu), sync.NewCond(&y.mu)
	return &memConn{in: x, out: y}, &memConn{in: y, out: x}
}

func (c *memConn) Read(b []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	for len(c.in.b) == 0 {
		if c.in.closed {
			return 0, io.EOF
		}
		c.in.cond.Wait()
	}
	n := copy(b, c.in.b)
	c.in.b = c.in.b[:copy(c.in.b, c.in.b[n:])]
	return n, nil
}

func (c *memConn) Write(b []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.closed {
		return 0, io.ErrClosedPipe
	}
	c.out.b = append(c.out.b, b...)
	c.out.cond.Signal()
	return len(b), nil
}

func (c *memConn) Close() error {
	for _, b := range []*memBuffer{c.in, c.out} {
		b.mu.Lock()
		b.closed = true
		b.mu.Unlock()
		b.cond.Broadcast()
	}
	return nil
}

// benchPeer is a gateway that does as little as possible: it answers commits and counts results, acknowledges frames and
// gives credit.
type benchPeer struct {
	conn    *memConn
	results func(n int) // as many calls were answered
	ready   chan struct{}
	linked  chan struct{}
	stop    func()

	received atomic.Uint64 // counted frames
}

func newBenchPeer(b testing.TB, results func(int), types ...runner.Definition) *benchPeer {
	ours, theirs := memPipe()
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://x:1", Logger: slog.New(slog.DiscardHandler), DrainTimeout: time.Millisecond,
		Dial: func(ctx context.Context) (net.Conn, error) { return theirs, ctx.Err() },
	}, types...)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served, read := make(chan struct{}), make(chan struct{})
	p := &benchPeer{conn: ours, results: results, ready: make(chan struct{}, 1<<20), linked: make(chan struct{})}
	go func() { defer close(served); _ = r.Serve(ctx) }()
	go func() { defer close(read); p.read() }()
	p.stop = func() {
		cancel()
		<-served
		_ = ours.Close()
		<-read
	}
	return p
}

func (p *benchPeer) read() {
	buf, have := make([]byte, 1<<20), 0
	acked, spent, told := uint64(0), map[uint64]uint64{}, map[uint64]uint64{}
	raise := func(acks []byte, actor, cost uint64, window int) []byte {
		if spent[actor] += cost; spent[actor]-told[actor] < uint64(window)/4 {
			return acks
		}
		told[actor] = spent[actor]
		return wire.AppendMessage(acks, wire.Runner(&runnerv1alpha1.Credit{Actor: actor, Offset: told[actor] + uint64(window)}))
	}
	for {
		n, err := p.conn.Read(buf[have:])
		if err != nil {
			return
		}
		rest := buf[:have+n]
		var acks []byte
		answered, hello := 0, false
		for {
			var raw []byte
			raw, rest, err = wire.NextFrame(rest, 16<<20)
			if err != nil {
				break
			}
			f, _ := wire.ParseFrame(raw)
			if f.Kind != wire.RunnerHello && !f.Kind.IsLink() {
				p.received.Add(1)
			}
			switch f.Kind {
			case wire.RunnerHello:
				w := defaultWelcome()
				w.Features = wire.RunnerFeatures()
				acks, hello = wire.AppendMessage(acks, wire.Runner(w)), true
			case wire.RunnerEmit:
				var e wire.Emit
				_ = e.Unmarshal(f.Body)
				acks = raise(raise(acks, e.Actor, e.Cost(), wire.DefaultLimits().EventWindow), 0, e.Cost(), wire.DefaultLimits().LinkWindow)
			case wire.RunnerActorReady:
				p.ready <- struct{}{}
			case wire.RunnerCallResult:
				answered++
			case wire.RunnerCommit:
				var c wire.Commit
				_ = c.Unmarshal(f.Body)
				acks = wire.AppendMessage(acks, &wire.CommitResult{Actor: c.Actor, Version: c.Version})
			}
		}
		have = copy(buf, rest)
		if received := p.received.Load(); received-acked >= 32 {
			acked = received
			acks = wire.AppendMessage(acks, wire.Runner(&runnerv1alpha1.Ack{Received: acked}))
		}
		if len(acks) > 0 {
			_, _ = p.conn.Write(acks)
		}
		if hello {
			close(p.linked)
		}
		if answered > 0 {
			p.results(answered)
		}
	}
}

func (p *benchPeer) start(n int) {
	<-p.linked
	for i := range n {
		b := wire.AppendMessage(nil, wire.Runner(&runnerv1alpha1.StartActor{
			Actor: uint64(i + 1), Id: fmt.Sprintf("eu-%026d", i), Namespace: "default", Type: "counter", Key: []string{fmt.Sprintf("user-%d", i)},
			Generation: 1, Nonce: make([]byte, 16), Create: true, Region: "eu",
		}))
		_, _ = p.conn.Write(b)
	}
	for range n {
		<-p.ready
	}
}

// benchmarkCalls keeps inFlight calls at each of the actors under way.
func benchmarkCalls(b *testing.B, actors, inFlight int, action string, args []byte) {
	tokens := make(chan int, actors*inFlight+1)
	p := newBenchPeer(b, func(n int) { tokens <- n }, defineCounter())
	defer p.stop()
	p.start(actors)
	b.ReportAllocs()
	b.ResetTimer()
	sent, done, free := 0, 0, actors*inFlight
	var buf []byte
	for done < b.N {
		buf = buf[:0]
		for ; free > 0 && sent < b.N; free-- {
			sent++
			buf = wire.AppendMessage(buf, &wire.Call{Actor: uint64(sent%actors + 1), ID: uint64(sent), Action: []byte(action), Args: args, DeadlineMs: 60000})
		}
		_, _ = p.conn.Write(buf)
		n := <-tokens
		done, free = done+n, free+n
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkCalls(b *testing.B) {
	for _, bench := range []struct {
		name             string
		actors, inFlight int
		action           string
		args             []byte
	}{
		{"read/64x16", 64, 16, "get", argsOf()},
		{"read/1x1", 1, 1, "get", argsOf()},
		{"commit/64x4", 64, 4, "increment", argsOf(1)},
		{"commit/1x16", 1, 16, "increment", argsOf(1)},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkCalls(b, bench.actors, bench.inFlight, bench.action, bench.args) })
	}
}

// BenchmarkIdleActors measures the memory of an awake actor that does nothing.
func BenchmarkIdleActors(b *testing.B) {
	answered := make(chan int, 1)
	p := newBenchPeer(b, func(n int) { answered <- n }, defineCounter())
	defer p.stop()
	p.start(1000) // what the runner needs anyway
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := max(b.N, 100_000)
	for i := range n {
		b := wire.AppendMessage(nil, wire.Runner(&runnerv1alpha1.StartActor{
			Actor: uint64(10_000 + i), Id: fmt.Sprintf("eu-%026d", i), Namespace: "default", Type: "counter", Key: []string{fmt.Sprintf("user-%d", i)},
			Generation: 1, Nonce: make([]byte, 16), Create: true, Region: "eu",
		}))
		_, _ = p.conn.Write(b)
	}
	for range n {
		<-p.ready
	}
	// A call comes behind all that answers what was before; nothing is unacknowledged then.
	_, _ = p.conn.Write(wire.AppendMessage(nil, &wire.Call{Actor: 1, ID: 1, Action: []byte("get"), Args: argsOf()}))
	<-answered
	_, _ = p.conn.Write(wire.AppendMessage(nil, wire.Runner(&runnerv1alpha1.Ack{Received: p.received.Load()})))
	pass(100 * time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/actor")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/float64(n), "stackB/actor")
}
