package planeg

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// runner is a scripted runner on one socket. Pings are answered, and with resume what comes is acknowledged, unless the case
// wants it otherwise.
type runner struct {
	*peer
	conn    *websocket.Conn
	hello   *runnerv1alpha1.Hello
	welcome *runnerv1alpha1.Welcome
	ledger  *frame.Ledger // under peer.mu
	parts   frame.Assembler
	silent  atomic.Bool // sends and answers no Ping
	holding atomic.Bool // acknowledges nothing
	resumes atomic.Bool // Welcome gave the feature
	number  uint32
}

var features = []string{"connections", "events", "kv"}

// aHello is of a runner that hosts the case's actor type.
func (p *play) aHello(more ...string) *runnerv1alpha1.Hello {
	return &runnerv1alpha1.Hello{
		ProtocolMin: 1, ProtocolMax: 1, Features: append(append([]string(nil), features...), more...), Pool: p.kind, Instance: p.unique("instance"),
		Sdk: "conform", SdkVersion: "1", Types: []*runnerv1alpha1.ActorType{{Name: p.kind}}, Token: p.runnerToken,
	}
}

// dial opens a runner's socket, without a word.
func (p *play) dial() *runner { return p.dialWith(frame.NewLedger()) }

func (p *play) dialWith(ledger *frame.Ledger) *runner {
	l := p.dialSocket("runner", runnerPath, runnerProtocol)
	r := &runner{peer: p.open("runner", l, &runnerv1alpha1.Frame{}), conn: l.conn, ledger: ledger, number: p.sockets.Add(1)}
	r.heard = r.hear
	r.listen()
	return r
}

// runner is one that was welcomed.
func (p *play) runner(more ...string) *runner {
	return p.welcomed(p.aHello(more...))
}

func (p *play) welcomed(hello *runnerv1alpha1.Hello) *runner {
	r := p.dial()
	r.say(hello)
	return r
}

func (r *runner) say(hello *runnerv1alpha1.Hello) {
	r.hello = hello
	r.send(hello)
	r.welcome = want[*runnerv1alpha1.Welcome](r)
	if every := time.Duration(r.welcome.PingMs) * time.Millisecond; every > 0 {
		r.others.Go(func() { r.keep(every) })
	}
}

// keep pings, as a runner that wants its lease renewed has to [LINK-7] [LEASE-1].
func (r *runner) keep(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for nonce := uint64(1 << 40); ; nonce++ {
		select {
		case <-r.done:
			return
		case <-tick.C:
			if !r.silent.Load() {
				r.write(r.encode(&commonv1alpha1.Ping{Nonce: nonce}))
			}
		}
	}
}

// hear counts, puts parts together, and answers for the link.
func (r *runner) hear(kind frame.Kind, body []byte, m proto.Message) bool {
	r.play.recorder.Add(&trace.Event{Direction: trace.ToRunner, Socket: r.number, Frame: body})
	r.mu.Lock()
	r.ledger.Take(kind)
	received := r.ledger.Received()
	r.mu.Unlock()
	if kind.Counted() && r.resumes.Load() && !r.holding.Load() {
		r.write(r.encode(&runnerv1alpha1.Ack{Received: received}))
	}
	switch m := m.(type) {
	case *runnerv1alpha1.Welcome:
		r.resumes.Store(slices.Contains(m.Features, "resume"))
	case *commonv1alpha1.Ping:
		if !r.silent.Load() {
			r.write(r.encode(&runnerv1alpha1.Pong{Nonce: m.Nonce}))
		}
		return true
	case *runnerv1alpha1.Part:
		whole, err := r.parts.Add(m, maxFrame)
		if err == nil && whole != nil {
			err = r.whole(whole)
		}
		return err == nil
	}
	return false
}

// whole queues a frame that came in parts.
func (r *runner) whole(body []byte) error {
	f := &runnerv1alpha1.Frame{}
	if err := proto.Unmarshal(body, f); err != nil {
		return err
	}
	m := f.ProtoReflect()
	if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind")); field != nil {
		r.change(func() { r.queue = append(r.queue, m.Get(field).Message().Interface()) })
	}
	return nil
}

// send sends frames; those over 64 KiB in parts [LINK-3].
func (r *runner) send(messages ...proto.Message) {
	for _, m := range messages {
		pieces, err := frame.Cut(refOf(m), r.encode(m))
		if err != nil {
			r.play.failf("encode", "%v", err)
		}
		r.bodies(pieces...)
	}
}

// bodies sends frames as they are, counts and keeps them.
func (r *runner) bodies(bodies ...[]byte) {
	for _, b := range bodies {
		kind, err := frame.KindOf(b)
		if err != nil {
			kind = frame.Hello // what cannot be read is not counted by us; its session ends
		}
		r.mu.Lock()
		r.ledger.Keep(kind, b)
		r.mu.Unlock()
		r.play.recorder.Add(&trace.Event{Direction: trace.FromRunner, Socket: r.number, Frame: b})
		r.write(b)
	}
}

func refOf(m proto.Message) uint64 {
	if field := m.ProtoReflect().Descriptor().Fields().ByName("actor"); field != nil {
		return m.ProtoReflect().Get(field).Uint()
	}
	return 0
}

// counts are of the session so far.
func (r *runner) counts() (received, sent uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledger.Received(), r.ledger.Sent()
}

// begin answers the StartActor that comes next, of that key if one is given; a new actor's state is 0.
func (r *runner) begin(key ...string) *runnerv1alpha1.StartActor {
	start := want(r, func(m *runnerv1alpha1.StartActor) bool { return len(key) == 0 || slices.Equal(m.Key, key) })
	r.ready(start)
	return start
}

// ready is the answer to StartActor, behind the first commit of a new actor.
func (r *runner) ready(start *runnerv1alpha1.StartActor) {
	if start.Create {
		r.commit(start.Actor, 1, "\x00", 0)
		r.acked(start.Actor, 1)
	}
	r.send(&runnerv1alpha1.ActorReady{Actor: start.Actor})
}

func (r *runner) commit(ref, version uint64, state string, outputs uint32) {
	r.send(&runnerv1alpha1.Commit{Actor: ref, Version: version, Changes: changes(&runnerv1alpha1.Changes{State: []byte(state)}), Outputs: outputs})
}

// acked takes the good answer to a commit.
func (r *runner) acked(ref, version uint64) {
	m := want(r, func(m *runnerv1alpha1.CommitResult) bool { return m.Actor == ref && m.Version == version })
	if m.Error != nil {
		r.play.failf("commitResult", "the commit %d was refused: %s.%s %s", version, m.Error.Group, m.Error.Code, m.Error.Message)
	}
}

// fence waits until everything that was sent has taken its protocol effect [LINK-8].
func (r *runner) fence() {
	nonce := r.play.next()
	r.send(&runnerv1alpha1.Fence{Nonce: nonce})
	want(r, func(m *runnerv1alpha1.FenceReached) bool { return m.Nonce == nonce })
}

// fenced takes the StopActor that ends an actor which broke the protocol [LINK-9].
func (r *runner) fenced(ref uint64) {
	m := want(r, func(m *runnerv1alpha1.StopActor) bool { return m.Actor == ref })
	if m.Reason != runnerv1alpha1.StopReason_STOP_REASON_FENCED {
		r.play.failf("fenced", "the actor is stopped for %v", m.Reason)
	}
}

// admit answers the ConnectionOpen that comes next.
func (r *runner) admit() *runnerv1alpha1.ConnectionOpen {
	open := want(r, func(m *runnerv1alpha1.ConnectionOpen) bool { return !m.Restored })
	r.send(&runnerv1alpha1.CallResult{Actor: open.Actor, Id: open.Call})
	return open
}

// resume leaves the socket and goes on with the session on another one, saying that so many frames have come.
func (r *runner) resume(received uint64) *runner {
	r.cut()
	return r.again(received)
}

// again is resume without leaving the socket. The runner it returns has Welcome, and if it goes on sent its Resumed.
func (r *runner) again(received uint64) *runner {
	n := r.play.dialWith(r.copyLedger(received))
	hello, _ := proto.Clone(r.hello).(*runnerv1alpha1.Hello)
	hello.Resume = &runnerv1alpha1.Resume{Session: r.welcome.Session, Received: received}
	n.say(hello)
	n.welcome.Limits = r.welcome.Limits
	return n
}

// copyLedger is the session's, as if so many frames had come.
func (r *runner) copyLedger(received uint64) *frame.Ledger {
	const anyKind frame.Kind = 1
	r.mu.Lock()
	defer r.mu.Unlock()
	l := frame.NewLedger()
	for range received {
		l.Take(anyKind)
	}
	next, kept := r.ledger.Unacked()
	for range next - 1 {
		l.Keep(anyKind, nil)
	}
	_ = l.Ack(next - 1) // so many were kept just now
	for _, b := range kept {
		l.Keep(anyKind, b)
	}
	return l
}

// goOn checks that the session goes on as the runner said, and sends again what the gateway lacks.
func (r *runner) goOn(received uint64) {
	if r.welcome.ResumedReceived == nil {
		r.play.failf("resumed", "the gateway does not know the session any more")
	}
	got := r.welcome.GetResumedReceived()
	r.mu.Lock()
	err := r.ledger.Ack(got)
	next, kept := r.ledger.Unacked()
	r.mu.Unlock()
	if err != nil {
		r.play.failf("resumed", "the gateway counts frames that were not sent: %v", err)
	}
	if m := want[*runnerv1alpha1.Resumed](r); m.Next != received+1 {
		r.play.failf("resumed", "the gateway goes on with %d behind %d", m.Next, received)
	}
	r.write(r.encode(&runnerv1alpha1.Resumed{Next: next}))
	r.write(kept...)
}
