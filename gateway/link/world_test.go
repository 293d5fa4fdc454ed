package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// world is a gateway that has only links, its host and its actors, all of them the test's. Time is virtual.
type world struct {
	*testing.T
	cfg     Config
	sockets sync.WaitGroup

	mu       sync.Mutex
	journal  []string
	links    []*Link
	refusal  *wire.Error           // of Admit
	readmit  *wire.Error           // of Readmit
	renewals []func(time.Duration) // that wait for the store
}

// inWorld runs a test; change may be nil.
func inWorld(t *testing.T, change func(*Config), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t}
		w.cfg = Config{
			Host: w, Links: new(Links), Limits: wire.DefaultLimits(), Stats: new(stats.Stats),
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		}
		if change != nil {
			change(&w.cfg)
		}
		t.Cleanup(w.end)
		test(w)
	})
}

func (w *world) end() {
	w.cfg.Links.Close(wire.GatewayDraining.New(), anywhere)
	w.cfg.Links.Wait()
	w.sockets.Wait()
	if n := w.cfg.Stats.Links.Value(); n != 0 {
		w.Errorf("%d links are left", n)
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal = append(w.journal, fmt.Sprintf(format, args...))
}

// did checks what host and actors were told since the last time.
func (w *world) did(want string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.journal, ", "); got != want {
		w.Fatalf("they were told %q, want %q", got, want)
	}
	w.journal = nil
}

// Admit implements Host.
func (w *world) Admit(l *Link, _ *runnerv1alpha1.Hello) (*runnerv1alpha1.Welcome, *wire.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return nil, w.refusal
	}
	w.links = append(w.links, l)
	return &runnerv1alpha1.Welcome{Session: []byte(fmt.Sprint("session ", len(w.links))), Runner: "r"}, nil
}

// Readmit implements Host.
func (w *world) Readmit(*Link, *runnerv1alpha1.Hello) *wire.Error { return w.readmit }

// Renew implements Host.
func (w *world) Renew(_ *Link, done func(time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewals = append(w.renewals, done)
}

// Offered implements Host.
func (w *world) Offered(_ *Link, actors []*runnerv1alpha1.HostedActor, last bool) {
	w.note("offered %d %v", len(actors), last)
}

// Joined implements Host.
func (w *world) Joined(*Link) { w.note("joined") }

// Leaving implements Host.
func (w *world) Leaving(_ *Link, within time.Duration) { w.note("leaving within %v", within) }

// Ending implements Host.
func (w *world) Ending(*Link) { w.note("ending") }

// Gone implements Host.
func (w *world) Gone(*Link) { w.note("gone") }

// actor notes what it is told; messages are noted by number.
type actor struct {
	*world
	name    string
	link    *Link
	binding *Binding
	keeps   bool        // the credit of events
	inside  func()      // called by Receive
	costs   chan uint64 // of the events kept
}

func (w *world) bind(l *Link, name string) *actor {
	w.Helper()
	a := &actor{world: w, name: name, link: l, costs: make(chan uint64, 1000)}
	if a.binding = l.Bind(a); a.binding == nil {
		w.Fatal("the link takes no actor")
	}
	return a
}

// Receive implements Actor.
func (a *actor) Receive(msg any) bool {
	if a.inside != nil {
		a.inside()
	}
	switch m := msg.(type) {
	case *wire.Commit:
		a.note("%s %d", a.name, m.Version)
	case *wire.Emit:
		a.note("%s event", a.name)
		if a.keeps {
			a.costs <- m.Cost()
		}
		return a.keeps
	default:
		a.note("%s %T", a.name, m)
	}
	return false
}

// Malformed implements Actor.
func (a *actor) Malformed(error) { a.note("%s is fenced", a.name) }

// Lost implements Actor.
func (a *actor) Lost(unwritten []wire.Frame) { a.note("%s lost, %d unwritten", a.name, len(unwritten)) }

// send sends the actor's runner frames of some bytes, numbered from first on.
func (a *actor) send(first uint64, sizes ...int) {
	a.Helper()
	for i, n := range sizes {
		if !a.link.Send(a.binding, &wire.Commit{Actor: a.binding.Ref, Version: first + uint64(i), Changes: make([]byte, n)}) {
			a.Fatal("the link takes no frame")
		}
	}
}

// commit is a frame of the runner to the actor.
func (a *actor) commit(version uint64) wire.Message {
	return &wire.Commit{Actor: a.binding.Ref, Version: version}
}

// event costs exactly so much.
func (a *actor) event(cost int) wire.Message {
	return &wire.Emit{Actor: a.binding.Ref, Args: make([]byte, cost-64)}
}

// peer is a runner whose every frame the test writes.
type peer struct {
	*world
	conn net.Conn
	done chan struct{} // closed: it reads no more

	mu sync.Mutex
	in []any
}

// dial opens a socket without a word.
func (w *world) dial() *peer {
	w.Helper()
	ours, theirs := net.Pipe()
	w.sockets.Go(func() { ServeStream(w.cfg, theirs, func(*Conn) func() { return func() {} }) })
	p := &peer{world: w, conn: ours, done: make(chan struct{})}
	go p.read()
	w.Cleanup(func() { _ = ours.Close(); <-p.done })
	return p
}

// deaf opens a socket that reads nothing but the Welcome.
func (w *world) deaf(hello *runnerv1alpha1.Hello) *peer {
	w.Helper()
	ours, theirs := net.Pipe()
	w.sockets.Go(func() { ServeStream(w.cfg, theirs, func(*Conn) func() { return func() {} }) })
	p := &peer{world: w, conn: ours, done: make(chan struct{})}
	close(p.done)
	w.Cleanup(func() { _ = ours.Close() })
	p.send(wire.Runner(hello))
	if _, err := p.next(); err != nil {
		w.Fatal(err)
	}
	return p
}

func (p *peer) read() {
	defer close(p.done)
	for {
		m, err := p.next()
		if err != nil {
			return
		}
		if _, ping := m.(*commonv1alpha1.Ping); ping {
			continue
		}
		p.mu.Lock()
		p.in = append(p.in, m)
		p.mu.Unlock()
	}
}

func (p *peer) next() (any, error) {
	header := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(p.conn, header); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(header))
	if _, err := io.ReadFull(p.conn, body); err != nil {
		return nil, err
	}
	f, err := wire.ParseFrame(body)
	if err != nil {
		return nil, err
	}
	return wire.DecodeRunner(f)
}

func features(add ...string) *runnerv1alpha1.Hello {
	return &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: append(add, wire.FeatureEvents)}
}

// join begins a session with these features.
func (w *world) join(features ...string) (*peer, *Link) {
	w.Helper()
	p := w.dial()
	p.cold(&runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Features: append(features, wire.FeatureEvents)})
	if m := expect[*runnerv1alpha1.Welcome](p); m.ResumedReceived != nil {
		w.Fatal("a new session was resumed")
	}
	w.did("joined")
	return p, w.last()
}

func (w *world) last() *Link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[len(w.links)-1]
}

// back is a socket that goes on with the last session.
func (w *world) back(received uint64) *peer {
	w.Helper()
	p := w.dial()
	p.resume(w.last(), received)
	synctest.Wait()
	return p
}

func (p *peer) resume(l *Link, received uint64) {
	p.Helper()
	hello := features(wire.FeatureResume)
	hello.Resume = &runnerv1alpha1.Resume{Session: l.welcome.GetSession(), Received: received}
	p.cold(hello)
}

func (p *peer) send(messages ...wire.Message) {
	p.Helper()
	var b []byte
	for _, m := range messages {
		b = wire.AppendMessage(b, m)
	}
	p.bytes(b)
}

func (p *peer) bytes(b []byte) {
	p.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.Fatalf("the runner writes: %v", err)
	}
}

func (p *peer) cold(m proto.Message) { p.Helper(); p.send(wire.Runner(m)) }

// cut ends the socket without a word.
func (p *peer) cut() {
	_ = p.conn.Close()
	<-p.done
	synctest.Wait()
}

// got checks what has come since the last time.
func (p *peer) got(want string) {
	p.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var words []string
	for _, m := range p.in {
		words = append(words, word(m))
	}
	p.in = nil
	if got := strings.Join(words, ", "); got != want {
		p.Fatalf("the runner got %q, want %q", got, want)
	}
}

func word(msg any) string {
	switch m := msg.(type) {
	case *wire.Commit:
		return fmt.Sprint(m.Version)
	case *wire.Part:
		return fmt.Sprintf("part %v", m.Last)
	case *runnerv1alpha1.Welcome:
		if m.ResumedReceived == nil {
			return "welcome"
		}
		return fmt.Sprint("welcome back, ", m.GetResumedReceived())
	case *runnerv1alpha1.Resumed:
		return fmt.Sprint("resumed ", m.GetNext())
	case *runnerv1alpha1.Ack:
		return fmt.Sprint("ack ", m.GetReceived())
	case *runnerv1alpha1.Credit:
		return fmt.Sprintf("credit %d %d", m.GetActor(), m.GetOffset())
	case *runnerv1alpha1.Pong:
		return fmt.Sprintf("pong %d %d", m.GetNonce(), m.GetLeaseMs())
	case *commonv1alpha1.Goodbye:
		return fmt.Sprintf("goodbye %s %s", m.GetCode(), strings.ToLower(strings.TrimPrefix(m.GetReconnect().String(), "RECONNECT_")))
	case *runnerv1alpha1.Reject:
		return fmt.Sprintf("reject %s %v", m.GetCode(), m.GetRetryable())
	case *runnerv1alpha1.FenceReached:
		return fmt.Sprint("fence ", m.GetNonce())
	case *commonv1alpha1.Unsupported:
		return fmt.Sprint("unsupported ", m.GetKind())
	}
	return fmt.Sprintf("%T", msg)
}

// expect takes the next message, which must be an M.
func expect[M any](p *peer) M {
	p.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var none M
	if len(p.in) == 0 {
		p.Fatalf("nothing came, want %T", none)
	}
	m, ok := p.in[0].(M)
	if !ok {
		p.Fatalf("got %s, want %T", word(p.in[0]), none)
	}
	p.in = slices.Delete(p.in, 0, 1)
	return m
}

// ended checks that the gateway has closed the socket.
func (p *peer) ended() {
	p.Helper()
	synctest.Wait()
	select {
	case <-p.done:
	default:
		p.Fatal("the socket is still open")
	}
}

func (p *peer) open() {
	p.Helper()
	synctest.Wait()
	select {
	case <-p.done:
		p.Fatal("the socket was closed")
	default:
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d); synctest.Wait() }
