package runnertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// gateway plays the gateway's part of the runner protocol for one runner. One lock guards everything.
type gateway struct {
	t    testing.TB
	conn net.Conn
	done chan struct{} // closed when serve has returned
	wake chan struct{} // there is something to write

	mu       sync.Mutex
	actors   []*Actor
	runs     map[uint64]*Actor
	lastRef  uint64
	lastCall uint64
	welcomed bool
	closing  bool
	out      wire.Outbox
	lanes    map[uint64]*wire.Lane
	parts    map[uint64]*wire.Assembler
	waits    []wait
}

// wait is somebody who waits for something to be true.
type wait struct {
	true func() bool
	ch   chan struct{}
}

// request is something that needs the actor: a call, an open, or with neither just its start.
type request struct {
	call  *wire.Call
	conn  *Conn // on which the call comes
	opens *Conn
	done  chan answer
}

type answer struct {
	result *wire.CallResult
	err    error
}

func newGateway(t testing.TB, conn net.Conn) *gateway {
	return &gateway{
		t: t, conn: conn, done: make(chan struct{}), wake: make(chan struct{}, 1), runs: map[uint64]*Actor{},
		lanes: map[uint64]*wire.Lane{}, parts: map[uint64]*wire.Assembler{},
	}
}

// serve reads until the socket ends, and sees to the writing.
func (g *gateway) serve() {
	defer close(g.done)
	written := make(chan struct{})
	go g.write(written)
	header := make([]byte, wire.HeaderLen)
	for {
		if _, err := io.ReadFull(g.conn, header); err != nil {
			break
		}
		body := make([]byte, int(header[0])<<24|int(header[1])<<16|int(header[2])<<8|int(header[3]))
		if _, err := io.ReadFull(g.conn, body); err != nil {
			break
		}
		g.mu.Lock()
		if err := g.frame(body); err != nil {
			g.t.Errorf("runnertest: the runner broke the protocol: %v", err)
		}
		g.settle()
		g.mu.Unlock()
	}
	g.close()
	<-written
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.actors {
		if a.run != nil {
			g.lose(a)
		}
	}
	g.settle()
}

func (g *gateway) write(written chan<- struct{}) {
	defer close(written)
	for range g.wake {
		g.mu.Lock()
		b, closing := g.out.Take(nil, 1<<20), g.closing
		g.mu.Unlock()
		if closing {
			return
		}
		if len(b) > 0 {
			if _, err := g.conn.Write(b); err != nil {
				return
			}
			g.nudge()
		}
	}
}

func (g *gateway) close() {
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	_ = g.conn.Close()
	g.nudge()
}

func (g *gateway) nudge() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// send queues a message for an actor; 0: for none.
func (g *gateway) send(ref uint64, m any) {
	lane := g.lanes[ref]
	if lane == nil {
		lane = &wire.Lane{Actor: ref}
		g.lanes[ref] = lane
	}
	w, hot := m.(wire.Message)
	if !hot {
		w = wire.Runner(m.(proto.Message))
	}
	if w.Kind().IsLink() {
		g.out.PushLink(w)
	} else {
		g.out.Push(lane, w)
	}
	g.nudge()
}

// until is closed when the condition holds; it is looked at after each frame.
func (g *gateway) until(condition func() bool) <-chan struct{} {
	ch := make(chan struct{})
	g.waits = append(g.waits, wait{condition, ch})
	g.settle()
	return ch
}

func (g *gateway) settle() {
	g.waits = slices.DeleteFunc(g.waits, func(w wait) bool {
		if !w.true() {
			return false
		}
		close(w.ch)
		return true
	})
}

func (g *gateway) await(ch <-chan struct{}, what string) {
	g.t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		g.t.Fatalf("runnertest: %s did not come within %v", what, patience)
	}
}

// request brings a request to the actor, which is started if need be, and waits for the answer.
func (g *gateway) request(ctx context.Context, a *Actor, r *request) (*wire.CallResult, error) {
	g.t.Helper()
	r.done = make(chan answer, 1)
	g.mu.Lock()
	g.admit(a, r)
	g.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { g.cancel(a, r, ctx.Err()) })
	defer stop()
	select {
	case done := <-r.done:
		return done.result, done.err
	case <-time.After(patience):
		g.t.Fatalf("runnertest: %s did not answer within %v", a, patience)
		return nil, nil
	}
}

func (g *gateway) admit(a *Actor, r *request) {
	switch {
	case g.closing:
		r.done <- answer{err: &Error{Code: "runner.unavailable", Message: "The runner is gone.", Ran: "no"}}
	case r.conn != nil && (r.conn.left || r.conn.closed != nil):
		r.done <- answer{err: &Error{Code: "connection.not_found", Message: "The connection is closed.", Ran: "no"}}
	case a.run != nil && a.run.ready && a.run.stop == 0:
		g.dispatch(a, r)
	default:
		a.waiting = append(a.waiting, r)
		if a.run == nil && g.welcomed {
			g.start(a)
		}
	}
}

// dispatch gives a request to the ready actor.
func (g *gateway) dispatch(a *Actor, r *request) {
	run := a.run
	if r.call == nil && r.opens == nil {
		r.done <- answer{}
		return
	}
	g.lastCall++
	run.open[g.lastCall] = r
	if c := r.opens; c != nil {
		g.bind(run, c)
		if c.id == "" {
			c.id = fmt.Sprintf("conn-%d", c.ref)
		}
		g.send(run.ref, &runnerv1alpha1.ConnectionOpen{
			Actor: run.ref, Call: g.lastCall, Connection: c.ref, ConnectionId: c.id, Params: c.params, Subscriptions: c.subscribed, Transport: "test",
		})
		return
	}
	r.call.Actor, r.call.ID = run.ref, g.lastCall
	if r.conn != nil {
		r.call.Connection = r.conn.ref
	}
	g.send(run.ref, r.call)
}

func (g *gateway) bind(run *incarnation, c *Conn) {
	g.lastRef++
	c.ref = g.lastRef
	run.conns[c.ref] = c
}

// cancel is the end of a caller's context.
func (g *gateway) cancel(a *Actor, r *request, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(a.waiting, r); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		r.done <- answer{err: errorOf(wire.ActionCanceled.New().With(wire.RanNo))}
		return
	}
	if a.run == nil {
		return
	}
	reason := runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER
	if errors.Is(err, context.DeadlineExceeded) {
		reason = runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE
	}
	for id, other := range a.run.open {
		if other == r {
			g.send(a.run.ref, &runnerv1alpha1.CancelCall{Actor: a.run.ref, Id: id, Reason: reason})
		}
	}
}

// frame takes one frame of the runner.
func (g *gateway) frame(b []byte) error {
	f, err := wire.ParseFrame(b)
	if err != nil {
		return err
	}
	if f.Kind == wire.RunnerPart {
		return g.part(f.Body)
	}
	m, err := wire.DecodeRunner(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *runnerv1alpha1.Hello:
		g.welcome()
	case *commonv1alpha1.Ping:
		g.send(0, &runnerv1alpha1.Pong{Nonce: m.Nonce})
	case *runnerv1alpha1.Drain, *runnerv1alpha1.Pong, *commonv1alpha1.Goodbye, *runnerv1alpha1.FenceReached:
	case *commonv1alpha1.Unsupported:
		return fmt.Errorf("it does not take kind %d", m.Kind)
	default:
		return g.report(f, m)
	}
	return nil
}

func (g *gateway) part(body []byte) error {
	var p wire.Part
	if err := p.Unmarshal(body); err != nil {
		return err
	}
	if g.parts[p.Actor] == nil {
		g.parts[p.Actor] = new(wire.Assembler)
	}
	whole, err := g.parts[p.Actor].Add(&p, wire.DefaultLimits().MaxFrame)
	if whole == nil {
		return err
	}
	return g.frame(whole)
}

func (g *gateway) welcome() {
	g.welcomed = true
	g.send(0, &runnerv1alpha1.Welcome{
		Protocol: wire.ProtocolMax, Features: []string{wire.FeatureConnections, wire.FeatureEvents, wire.FeatureKV}, Runner: "test", Gateway: "runnertest", Region: "test",
		PingMs: 3000, LostMs: 15000, Limits: wire.DefaultLimits().Runner(), NowMs: time.Now().UnixMilli(),
	})
	for _, a := range g.actors {
		if len(a.waiting) > 0 {
			g.start(a)
		}
	}
}
