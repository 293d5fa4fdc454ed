package runner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// sim is a gateway with a store and clients, over a network that cuts sockets at any byte, and, where it may, loses sessions.
// It checks what it is told against what it knows: counts, versions, credit; and what left it in the end.
type sim struct {
	t      *testing.T
	rng    *rand.Rand
	losing bool // sessions may be lost

	mu       sync.Mutex
	conn     net.Conn // nil: none
	welcomed bool     // on conn
	toWrite  int      // bytes until the cut
	session  string
	received uint64
	sent     [][]byte // counted frames of the session
	offered  bool     // the last Hosted of the session has come, or none will
	refs     map[uint64]*simActor
	last     uint64 // ref or id given
	link     simCredit
	actors   []*simActor
	calm     bool // no more cuts
	cuts     int
	losses   int
	fences   int
}

// simActor is an actor's record, and its incarnation.
type simActor struct {
	id         string
	generation uint64
	version    uint64
	commit     []byte // the last one's changes
	n          int    // of its state

	ref     uint64 // 0: nobody hosts it
	ready   bool
	group   *wire.Commit // whose outputs are still to come
	storing *wire.Commit // complete, given to the store
	outputs []any        // of group or storing
	behind  []any        // outputs behind storing
	credit  simCredit
	calls   map[uint64]bool

	events   []int // that left the gateway
	answered int
	unknown  int
	ran      int // as its code counts
}

const simWindow = 1200

type simCredit struct{ spent, released, offset uint64 }

func (c *simCredit) take(cost uint64) bool {
	c.spent += cost
	return c.spent <= c.offset
}

// release tells whether the offset is to be told: at half of the window at the latest.
func (c *simCredit) release(cost uint64, eager bool) bool {
	c.released += cost
	if next := c.released + simWindow; eager || next >= c.offset+simWindow/2 {
		c.offset = next
		return true
	}
	return false
}

// serve takes one socket after another until the runner dials no more.
func (g *sim) serve(dials <-chan net.Conn) {
	for conn := range dials {
		g.mu.Lock()
		g.conn, g.toWrite, g.welcomed = conn, g.budget(), false
		toRead := g.budget()
		g.mu.Unlock()
		g.read(io.LimitReader(conn, int64(toRead)))
		_ = conn.Close()
		g.mu.Lock()
		g.conn = nil
		g.cuts++
		g.mu.Unlock()
	}
}

func (g *sim) budget() int {
	if g.calm {
		return 1 << 40
	}
	return 200 + g.rng.IntN(3000)
}

func (g *sim) read(r io.Reader) {
	header := make([]byte, wire.HeaderLen)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			return
		}
		body := make([]byte, int(header[0])<<24|int(header[1])<<16|int(header[2])<<8|int(header[3]))
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		f, err := wire.ParseFrame(body)
		if err != nil {
			g.t.Errorf("malformed frame: %v", err)
			return
		}
		g.mu.Lock()
		if f.Kind != wire.RunnerHello && !f.Kind.IsLink() {
			g.received++
		}
		m, err := wire.DecodeRunner(f)
		if err != nil {
			g.t.Errorf("decode kind %d: %v", f.Kind, err)
		}
		g.take(m)
		if g.rng.IntN(20) == 0 {
			g.write(&runnerv1alpha1.Ack{Received: g.received})
		}
		g.mu.Unlock()
	}
}

func (g *sim) take(m any) {
	switch m := m.(type) {
	case *runnerv1alpha1.Hello:
		g.hello(m)
	case *commonv1alpha1.Ping:
		g.write(&runnerv1alpha1.Pong{Nonce: m.Nonce, LeaseMs: 15000})
	case *runnerv1alpha1.Hosted:
		for _, offer := range m.Actors {
			g.adopt(offer)
		}
		g.offered = m.Last
	case *runnerv1alpha1.Ack:
		if m.Received > uint64(len(g.sent)) {
			g.t.Errorf("%d frames are acknowledged, %d were sent", m.Received, len(g.sent))
		}
	case *runnerv1alpha1.Resumed, *commonv1alpha1.Goodbye, *runnerv1alpha1.Drain, *runnerv1alpha1.ActorIntent:
	case *runnerv1alpha1.ActorReady:
		g.refs[m.Actor].ready = true
	case *wire.Commit:
		g.onCommit(g.refs[m.Actor], m)
	case *wire.Emit:
		g.onEmit(g.refs[m.Actor], m)
	case *wire.CallResult:
		g.onOutput(g.refs[m.Actor], m)
	default:
		g.t.Errorf("unexpected %s", show(m))
	}
}

func (g *sim) hello(m *runnerv1alpha1.Hello) {
	w := defaultWelcome()
	leased(w)
	w.Limits.EventWindow, w.Limits.LinkWindow = simWindow, simWindow
	if m.Resume != nil && string(m.Resume.Session) == g.session && !(g.losing && !g.calm && g.rng.IntN(2) == 0) {
		w.Session, w.ResumedReceived = []byte(g.session), proto.Uint64(g.received)
		g.welcomed = true
		g.write(w, &runnerv1alpha1.Resumed{Next: m.Resume.Received + 1})
		for _, frame := range g.sent[m.Resume.Received:] {
			g.writeBytes(frame)
		}
		g.write(&runnerv1alpha1.Credit{Offset: g.link.offset})
		for _, a := range g.actors {
			if a.ref != 0 {
				g.write(&runnerv1alpha1.Credit{Actor: a.ref, Offset: a.credit.offset})
			}
		}
		return
	}
	if g.session == "" {
		g.toWrite += 1000 // the first Welcome arrives
	} else {
		g.lose()
	}
	g.session, g.received, g.sent, g.refs = fmt.Sprint("s", g.losses), 0, nil, map[uint64]*simActor{}
	g.link = simCredit{offset: simWindow}
	g.offered = !m.Hosting
	w.Session = []byte(g.session)
	g.welcomed = true
	g.write(w)
}

// lose ends the session: groups that are complete are stored, and their outputs leave; others never were.
func (g *sim) lose() {
	g.losses++
	if !g.losing {
		g.t.Errorf("the session was lost")
	}
	for _, a := range g.actors {
		if a.storing != nil {
			g.stored(a, a.storing)
		}
		a.ref, a.group, a.outputs, a.ready = 0, nil, nil, false
		a.unknown += len(a.calls)
		clear(a.calls)
	}
}

// adopt compares what the runner has with the record.
func (g *sim) adopt(offer *runnerv1alpha1.HostedActor) {
	i := slices.IndexFunc(g.actors, func(a *simActor) bool { return a.id == offer.Id })
	a := g.actors[i]
	sum := sha256.Sum256(a.commit)
	same := offer.Version == a.version || offer.Version+1 == a.version && bytes.Equal(offer.Pending, sum[:16])
	if offer.Generation != a.generation || a.ref != 0 { // an Adopted was lost with its session
		g.fences++
		g.send(&runnerv1alpha1.Adopted{Old: offer.Actor, Error: wire.ActorFenced.New().Proto()})
		return
	}
	if !same {
		g.t.Errorf("actor %s is offered at %d, the record is at %d", a.id, offer.Version, a.version)
	}
	a.generation++
	g.host(a, true)
	g.send(&runnerv1alpha1.Adopted{Old: offer.Actor, Actor: a.ref, Generation: a.generation, Version: a.version})
}

func (g *sim) host(a *simActor, ready bool) {
	g.last++
	a.ref, a.ready, a.credit = g.last, ready, simCredit{offset: simWindow}
	g.refs[a.ref] = a
}

func (g *sim) onCommit(a *simActor, m *wire.Commit) {
	if a.group != nil || a.storing != nil {
		g.t.Errorf("actor %s has two commits open", a.id)
	}
	m.Changes = bytes.Clone(m.Changes)
	a.group = m
	g.complete(a)
}

func (g *sim) onEmit(a *simActor, m *wire.Emit) {
	if !a.credit.take(m.Cost()) || !g.link.take(m.Cost()) {
		g.t.Errorf("actor %s sent more than its credit: %v, link %v", a.id, a.credit, g.link)
	}
	m.Args = bytes.Clone(m.Args)
	g.onOutput(a, m)
}

func (g *sim) onOutput(a *simActor, m any) {
	switch {
	case a.group != nil:
		a.outputs = append(a.outputs, m)
		g.complete(a)
	case a.storing != nil:
		a.behind = append(a.behind, m)
	default:
		g.leave(a, m)
	}
}

// complete gives a complete group to the store, which takes its time.
func (g *sim) complete(a *simActor) {
	if len(a.outputs) < int(a.group.Outputs) {
		return
	}
	c := a.group
	a.group, a.storing = nil, c
	time.AfterFunc(time.Duration(g.rng.IntN(4))*time.Millisecond, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if a.storing == c {
			g.stored(a, c)
		}
	})
}

func (g *sim) stored(a *simActor, c *wire.Commit) {
	outputs := append(a.outputs, a.behind...)
	switch {
	case c.Version == a.version+1:
		changes, err := wire.DecodeChanges(c.Changes)
		if err != nil {
			g.t.Errorf("changes: %v", err)
		}
		a.version, a.commit = c.Version, c.Changes
		a.n = decoded[WorldState](g.t, changes.State).N
	case c.Version == a.version && bytes.Equal(c.Changes, a.commit):
		for _, m := range a.outputs { // they have left before
			g.release(a, m)
		}
		outputs = a.behind
	default:
		g.t.Errorf("actor %s is at %d and commits %d", a.id, a.version, c.Version)
	}
	a.storing, a.outputs, a.behind = nil, nil, nil
	g.send(&wire.CommitResult{Actor: a.ref, Version: c.Version})
	for _, m := range outputs {
		g.leave(a, m)
	}
}

// leave lets an output out to the clients.
func (g *sim) leave(a *simActor, m any) {
	switch m := m.(type) {
	case *wire.Emit:
		a.events = append(a.events, decoded[[]int](g.t, m.Args)[0])
		g.release(a, m)
	case *wire.CallResult:
		if !a.calls[m.ID] || m.Error != nil {
			g.t.Errorf("call %d of %s is answered, not asked: %v", m.ID, a.id, m.Error)
		}
		delete(a.calls, m.ID)
		a.answered++
		if n := decoded[int](g.t, m.Output); n > a.n {
			g.t.Errorf("actor %s answers %d and is stored at %d", a.id, n, a.n)
		}
	}
}

// release gives back the credit of an event that the gateway holds no longer.
func (g *sim) release(a *simActor, m any) {
	e, event := m.(*wire.Emit)
	if event && a.credit.release(e.Cost(), g.rng.IntN(3) == 0) {
		g.write(&runnerv1alpha1.Credit{Actor: a.ref, Offset: a.credit.offset})
	}
	if event && g.link.release(e.Cost(), g.rng.IntN(3) == 0) {
		g.write(&runnerv1alpha1.Credit{Offset: g.link.offset})
	}
}

// call has a client call the actor, which is started if need be. false: not now.
func (g *sim) call(a *simActor) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session == "" || !g.offered {
		return false
	}
	if a.ref == 0 {
		a.generation++
		g.host(a, false)
		m := &runnerv1alpha1.StartActor{Actor: a.ref, Id: a.id, Type: "world", Generation: a.generation, Version: a.version, Create: a.version == 0}
		if !m.Create {
			m.State = encoded(WorldState{N: a.n})
		}
		g.send(m)
	}
	g.last++
	a.calls[g.last] = true
	g.send(&wire.Call{Actor: a.ref, ID: g.last, Action: []byte("do"), Args: argsOf("inc:" + a.id)})
	return true
}

// send writes counted frames, or has them wait for the next socket.
func (g *sim) send(m any) {
	frame := wire.AppendMessage(nil, asMessage(m))
	g.sent = append(g.sent, frame)
	g.writeBytes(frame)
}

func (g *sim) write(messages ...any) {
	for _, m := range messages {
		g.writeBytes(wire.AppendMessage(nil, asMessage(m)))
	}
}

// writeBytes writes as much as the network takes.
func (g *sim) writeBytes(b []byte) {
	if g.conn == nil || !g.welcomed {
		return
	}
	n := min(len(b), g.toWrite)
	_, err := g.conn.Write(b[:n])
	if g.toWrite -= n; g.toWrite == 0 || err != nil {
		_ = g.conn.Close()
		g.conn = nil
	}
}

// simulate has clients call three actors while the network breaks, and returns when all is quiet.
func simulate(t *testing.T, seed uint64, losing bool) *sim {
	g := &sim{t: t, rng: rand.New(rand.NewPCG(seed, 1)), losing: losing}
	s := script{}
	for i := range 3 {
		a := &simActor{id: fmt.Sprint("actor", i), calls: map[uint64]bool{}}
		g.actors = append(g.actors, a)
		s["inc:"+a.id] = func(w *World, ctx context.Context) (any, error) {
			a.ran++
			w.State().N++
			w.Broadcast("n", w.State().N)
			if a.ran%5 == 0 {
				w.Flush()
				<-time.After(time.Millisecond)
			}
			return w.State().N, nil
		}
	}
	dials := make(chan net.Conn)
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://gateway:1", Logger: quiet, DrainTimeout: time.Millisecond,
		Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := memPipe()
			dials <- theirs
			return ours, nil
		},
	}, defineWorld(&diary{}, s, "nodisconnect", runner.WithStayAwake()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx); close(dials) }()
	gone := make(chan bool)
	go func() { g.serve(dials); close(gone) }()
	for range 150 {
		for !g.call(g.actors[g.pick(3)]) {
			pass(10 * time.Millisecond)
		}
		if g.pick(3) == 0 {
			pass(time.Duration(g.pick(60)) * time.Millisecond)
		}
	}
	g.mu.Lock()
	g.calm = true
	g.toWrite = 0
	if g.conn != nil {
		_ = g.conn.Close()
	}
	g.mu.Unlock()
	pass(10 * time.Second)
	synctest.Wait()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	<-gone
	return g
}

func (g *sim) pick(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rng.IntN(n)
}
