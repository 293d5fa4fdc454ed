package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the gateway's side of one socket, played by a test word by word.
type peer struct {
	t       *testing.T
	conn    net.Conn
	frames  chan wire.Frame
	mute    atomic.Bool   // pings are not answered
	hold    chan struct{} // full: nothing is read
	parts   map[uint64]*wire.Assembler
	nparts  int
	nextRef uint64

	// A session and what it counts, over its sockets.
	session  string
	received atomic.Uint64 // counted frames of the runner
	stopAt   atomic.Uint64 // so many, then nothing is read any more; 0: for ever
	acked    atomic.Uint64 // as the runner last said
	sent     [][]byte      // counted frames to the runner
	awaiting atomic.Bool   // the runner's next frame is Resumed
	resumed  chan uint64   // the runner's Resumed.next
	leaseMs  atomic.Uint32 // what a Pong renews
	pings    chan uint64   // while mute: their nonces
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	p := unreadPeer(t, conn)
	go p.read()
	return p
}

// unreadPeer does not read yet.
func unreadPeer(t *testing.T, conn net.Conn) *peer {
	return &peer{
		t: t, conn: conn, session: "s", frames: make(chan wire.Frame, 1<<16), parts: map[uint64]*wire.Assembler{}, nextRef: 100,
		hold: make(chan struct{}, 1), resumed: make(chan uint64, 1), pings: make(chan uint64, 1<<10),
	}
}

func (p *peer) read() {
	defer close(p.frames)
	header := make([]byte, wire.HeaderLen)
	for {
		if _, err := io.ReadFull(p.conn, header); err != nil {
			return
		}
		p.hold <- struct{}{}
		<-p.hold
		body := make([]byte, int(header[0])<<24|int(header[1])<<16|int(header[2])<<8|int(header[3]))
		if _, err := io.ReadFull(p.conn, body); err != nil {
			return
		}
		f, err := wire.ParseFrame(body)
		if err != nil {
			p.t.Errorf("the runner sent a malformed frame: %v", err)
			return
		}
		if p.awaiting.Swap(false) && f.Kind != wire.RunnerResumed {
			p.t.Errorf("kind %d came before Resumed", f.Kind)
		}
		if !f.Kind.IsLink() && f.Kind != wire.RunnerHello {
			p.received.Add(1)
		}
		p.sort(f)
		if at := p.stopAt.Load(); at != 0 && p.received.Load() == at {
			return
		}
	}
}

// sort answers pings, puts parts together, notes what the link says for itself and queues the rest.
func (p *peer) sort(f wire.Frame) {
	switch f.Kind {
	case wire.RunnerPing:
		m, _ := wire.DecodeRunner(f)
		nonce := m.(*commonv1alpha1.Ping).Nonce
		if p.mute.Load() {
			p.pings <- nonce
			return
		}
		b := wire.AppendMessage(nil, wire.Runner(&runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: p.leaseMs.Load()}))
		_, _ = p.conn.Write(b) // fails only at the end of a test
		return
	case wire.RunnerAck:
		m, _ := wire.DecodeRunner(f)
		p.acked.Store(m.(*runnerv1alpha1.Ack).Received)
		return
	case wire.RunnerResumed:
		m, _ := wire.DecodeRunner(f)
		p.resumed <- m.(*runnerv1alpha1.Resumed).Next
		return
	case wire.RunnerPart:
		var part wire.Part
		if err := part.Unmarshal(f.Body); err != nil {
			p.t.Errorf("part: %v", err)
		}
		p.nparts++
		a := p.parts[part.Actor]
		if a == nil {
			a = new(wire.Assembler)
			p.parts[part.Actor] = a
		}
		whole, err := a.Add(&part, 64<<20)
		if err != nil {
			p.t.Errorf("parts: %v", err)
		}
		if whole == nil {
			return
		}
		f, _ = wire.ParseFrame(whole)
	}
	p.frames <- f
}

func asMessage(m any) wire.Message {
	if w, ok := m.(wire.Message); ok {
		return w
	}
	return wire.Runner(m.(proto.Message))
}

// send writes messages in one write.
func (p *peer) send(messages ...any) {
	p.t.Helper()
	var b []byte
	for _, m := range messages {
		from := len(b)
		w := asMessage(m)
		b = wire.AppendMessage(b, w)
		if k := w.Kind(); !k.IsLink() && k != wire.RunnerWelcome && k != wire.RunnerReject {
			p.sent = append(p.sent, b[from:])
		}
	}
	p.write(b)
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("write to the runner: %v", err)
	}
}

// next is the runner's next frame, pings aside.
func (p *peer) next() any {
	p.t.Helper()
	select {
	case f, open := <-p.frames:
		if !open {
			return nil
		}
		m, err := wire.DecodeRunner(f)
		if err != nil {
			p.t.Fatalf("decode kind %d: %v", f.Kind, err)
		}
		return m
	case <-time.After(time.Hour):
		p.t.Fatal("the runner sends nothing")
		return nil
	}
}

// expect is next, of the type M.
func expect[M any](p *peer) M {
	p.t.Helper()
	m := p.next()
	if got, ok := m.(M); ok {
		return got
	}
	p.t.Fatalf("got %s, want a %v", show(m), reflect.TypeFor[M]())
	panic("unreachable")
}

func show(m any) string { return fmt.Sprintf("%T{%+v}", m, m) }

// silent checks that the runner has nothing more to say now.
func (p *peer) silent() {
	p.t.Helper()
	synctest.Wait()
	select {
	case f, open := <-p.frames:
		if open {
			m, _ := wire.DecodeRunner(f)
			p.t.Fatalf("unexpected %s", show(m))
		}
		p.t.Fatal("the runner closed the socket")
	default:
	}
}

func defaultWelcome() *runnerv1alpha1.Welcome {
	return &runnerv1alpha1.Welcome{
		Protocol: 1, Features: []string{wire.FeatureConnections, wire.FeatureEvents, wire.FeatureKV}, Session: []byte("s"), Runner: "r1", PingMs: 3000, LostMs: 15000,
		Limits: wire.DefaultLimits().Runner(), BackoffMinMs: 100, BackoffMaxMs: 2000, Gateway: "g1",
		TimeoutsMs: map[string]uint32{"sleep_after": 30000, "stop": 15000},
	}
}

// stage is a runner under test and the place where its sockets come out.
type stage struct {
	t      *testing.T
	runner *runner.Runner
	dials  chan net.Conn
	refuse atomic.Bool // Dial fails
	cancel context.CancelFunc
	served chan error
	logs   *logbook
}

// logbook keeps the log for tests that look at it.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprint(l.lines)
}

func newStage(t *testing.T, types ...runner.Definition) *stage {
	t.Helper()
	s := &stage{t: t, dials: make(chan net.Conn, 16), served: make(chan error, 1), logs: &logbook{}}
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://gateway:1", Token: "secret", Pool: "pool", Instance: "one", Version: 7, DrainTimeout: 20 * time.Second,
		Logger: slog.New(slog.NewTextHandler(s.logs, nil)),
		Dial: func(context.Context) (net.Conn, error) {
			if s.refuse.Load() {
				return nil, errBoom
			}
			ours, theirs := net.Pipe()
			s.dials <- theirs
			return ours, nil
		},
	}, types...)
	if err != nil {
		t.Fatal(err)
	}
	s.runner = r
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.served <- r.Serve(ctx) }()
	t.Cleanup(s.close)
	return s
}

// close ends the runner the hard way: the socket goes, then Serve.
func (s *stage) close() {
	s.cancel()
	for {
		select {
		case conn := <-s.dials:
			_ = conn.Close()
		case err := <-s.served:
			if err != nil {
				s.t.Errorf("Serve: %v", err)
			}
			return
		case <-time.After(time.Minute):
			s.t.Error("Serve does not end")
			return
		}
	}
}

// accept takes the next socket and its Hello.
func (s *stage) accept() (*peer, *runnerv1alpha1.Hello) {
	s.t.Helper()
	p := unreadPeer(s.t, <-s.dials)
	return p, s.begin(p)
}

// begin reads what the runner sends to the peer, and takes its Hello.
func (s *stage) begin(p *peer) *runnerv1alpha1.Hello {
	s.t.Helper()
	go p.read()
	s.t.Cleanup(func() { _ = p.conn.Close() })
	return expect[*runnerv1alpha1.Hello](p)
}

// welcome takes the next socket through the handshake.
func (s *stage) welcome(adjust ...func(*runnerv1alpha1.Welcome)) *peer {
	s.t.Helper()
	p, _ := s.accept()
	w := defaultWelcome()
	for _, f := range adjust {
		f(w)
	}
	p.send(w)
	return p
}

// run is a test in a bubble of virtual time.
func run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass lets time pass, which is virtual in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func encoded(v any) []byte {
	b, err := payload.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func argsOf(args ...any) []byte {
	b, err := payload.MarshalArgs(args...)
	if err != nil {
		panic(err)
	}
	return b
}

func decoded[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := payload.Unmarshal(b, &v); err != nil {
		t.Fatalf("decode %x: %v", b, err)
	}
	return v
}

func changesOf(t *testing.T, c *wire.Commit) *runnerv1alpha1.Changes {
	t.Helper()
	m, err := wire.DecodeChanges(c.Changes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start starts a new actor and takes it to ActorReady, its first commit unanswered. It returns the ref.
func (p *peer) start(actorType string, adjust ...func(*runnerv1alpha1.StartActor)) uint64 {
	p.t.Helper()
	p.nextRef++
	m := &runnerv1alpha1.StartActor{
		Actor: p.nextRef, Id: fmt.Sprintf("eu-%d", p.nextRef), Namespace: "default", Type: actorType, Key: []string{"k"},
		Generation: 1000 + p.nextRef, Nonce: []byte("0123456789abcdef"), Create: true, DeadlineMs: 10000, Region: "eu",
	}
	for _, f := range adjust {
		f(m)
	}
	p.send(m)
	return m.Actor
}

// created starts a new actor, acknowledges its first commit and waits for ActorReady.
func (p *peer) created(actorType string, adjust ...func(*runnerv1alpha1.StartActor)) uint64 {
	p.t.Helper()
	ref := p.start(actorType, adjust...)
	c := expect[*wire.Commit](p)
	if c.Version != 1 || c.Actor != ref {
		p.t.Fatalf("first commit is %s", show(c))
	}
	for range c.Outputs {
		p.next()
	}
	if ready := expect[*runnerv1alpha1.ActorReady](p); ready.Actor != ref {
		p.t.Fatalf("ActorReady for %d", ready.Actor)
	}
	p.send(&wire.CommitResult{Actor: ref, Version: 1})
	return ref
}

// woken starts an old world with a state.
func (p *peer) woken(version uint64, state any, adjust ...func(*runnerv1alpha1.StartActor)) uint64 {
	p.t.Helper()
	return p.start("world", append([]func(*runnerv1alpha1.StartActor){func(m *runnerv1alpha1.StartActor) {
		m.Create, m.Version, m.State = false, version, encoded(state)
	}}, adjust...)...)
}

func (p *peer) call(ref, id uint64, action string, args ...any) {
	p.t.Helper()
	p.send(&wire.Call{Actor: ref, ID: id, Action: []byte(action), Args: argsOf(args...)})
}

// result is the next frame, the CallResult of id without error.
func result[T any](p *peer, id uint64) T {
	p.t.Helper()
	m := expect[*wire.CallResult](p)
	if m.ID != id || m.Error != nil || m.NotRun {
		p.t.Fatalf("got %s, want the output of call %d", show(m), id)
	}
	return decoded[T](p.t, m.Output)
}

// fails is failed for tests that look no closer.
func (p *peer) fails(id uint64, code string, ran wire.Ran) {
	p.t.Helper()
	_ = failed(p, id, code, ran)
}

// failed is the error of the next frame, the CallResult of id with that code.
func failed(p *peer, id uint64, code string, ran wire.Ran) *wire.Error {
	p.t.Helper()
	m := expect[*wire.CallResult](p)
	if m.ID != id || m.Error == nil || m.Error.Name() != code || m.Error.Ran != ran {
		p.t.Fatalf("got %s (error %v), want call %d to fail with %s, ran %v", show(m), m.Error, id, code, ran)
	}
	return m.Error
}

// commit is the next frame, a Commit of the version with that many outputs.
func (p *peer) commit(version uint64, outputs uint32) *runnerv1alpha1.Changes {
	p.t.Helper()
	c := expect[*wire.Commit](p)
	if c.Version != version || c.Outputs != outputs {
		p.t.Fatalf("got commit %d with %d outputs, want %d with %d", c.Version, c.Outputs, version, outputs)
	}
	return changesOf(p.t, c)
}

func (p *peer) ack(ref, version uint64) {
	p.t.Helper()
	p.send(&wire.CommitResult{Actor: ref, Version: version})
}

func (p *peer) stop(ref uint64, reason runnerv1alpha1.StopReason) {
	p.t.Helper()
	p.send(&runnerv1alpha1.StopActor{Actor: ref, Reason: reason, GraceMs: 15000})
}

func (p *peer) stopped(ref uint64, outcome runnerv1alpha1.StopOutcome) *runnerv1alpha1.ActorStopped {
	p.t.Helper()
	m := expect[*runnerv1alpha1.ActorStopped](p)
	if m.Actor != ref || m.Outcome != outcome {
		p.t.Fatalf("got %s, want actor %d stopped with %v", show(m), ref, outcome)
	}
	return m
}

// open opens connection n, named c<n>, with a visitor's name as params.
func (p *peer) open(ref, call, n uint64, name string) {
	p.t.Helper()
	p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: call, Connection: n, ConnectionId: fmt.Sprintf("c%d", n), Params: encoded(visit{name})})
}

var errBoom = errors.New("the database password is hunter2")
