// Package link is the gateway's side of the runner protocol: sockets, sessions, frames in and out, liveness, credit.
//
// A Link is a runner's session: it multiplexes the session's actors and outlives its sockets. A Conn is one socket of it:
// the handshake, the reading and the writing. A Link knows refs and frames, not what actors do: their frames go to the
// Actor bound to the ref, runners come and go by the Host. It imports nothing of the gateway above it; gateway/place is the
// Host, gateway/route binds actors, gateway/api brings the sockets.
//
// All methods are safe for concurrent use, except those of a Conn that belong to the goroutine that reads its socket.
// Lock order: an actor's lock, then Link.mu. The link calls Actor and Host without holding its own lock.
// Requirements: LINK-1 to LINK-10, LINK-14 to LINK-19, LEASE-1, LIMIT-5, FRAME-1 to FRAME-6.
package link

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Host decides which runners are taken. Its methods may block for a store operation, not longer.
type Host interface {
	// Admit answers a Hello with a Welcome, whose session is a name that nobody else has, or with an error [LINK-4].
	Admit(*Link, *runnerv1alpha1.Hello) (*runnerv1alpha1.Welcome, *wire.Error)
	// Readmit answers a Hello that resumes the link on another socket: whether its token still does.
	Readmit(*Link, *runnerv1alpha1.Hello) *wire.Error
	// Renew renews the runner's lease in the store and then calls done, once, with how long it lasts from the Ping that
	// asked for it; 0: it could not be renewed [LEASE-1]. It does not block.
	Renew(l *Link, done func(lease time.Duration))
	// Offered takes actors that the runner still has of a lost session; each is answered by an Adopted [LINK-19].
	Offered(l *Link, actors []*runnerv1alpha1.HostedActor, last bool)
	// Joined says that the Welcome is on its way: from now on the link may be given actors.
	Joined(*Link)
	// Leaving says that the runner wants its actors stopped before the deadline [LINK-10].
	Leaving(l *Link, within time.Duration)
	// Ending says that the link takes no more actors; those it has are about to be told.
	Ending(*Link)
	// Gone says that a joined link has ended and each of its actors has been told.
	Gone(*Link)
}

// Actor gets the frames of one ref, in order, on the goroutine that reads the socket.
type Actor interface {
	// Receive handles one message: *wire.CallResult, *wire.Commit, *wire.Emit or a generated one. The first three and
	// what they point to are valid only until it returns. kept: the message is an event that is held back, and whose credit
	// Link.Release is to give back when it has left [LINK-18].
	Receive(msg any) (kept bool)
	// Malformed says that a message to this ref could not be decoded, or is a breach [LINK-9].
	Malformed(error)
	// Lost says that the link has ended: no frame comes any more, and of these frames no byte was written [CALL-7].
	Lost(unwritten []wire.Frame)
}

// Config is what every link of a gateway shares.
type Config struct {
	Host       Host
	Links      *Links
	Limits     wire.Limits
	Stats      *stats.Stats
	Budget     *budget.Budget // may be nil [LIMIT-4]
	Logger     *slog.Logger
	HelloWait  time.Duration // default 10 s [LINK-1]
	PingEvery  time.Duration // default 3 s [LINK-7]
	LostAfter  time.Duration // default 15 s [LINK-7]
	ResumeWait time.Duration // default 5 s [LINK-17]
}

func (c Config) withDefaults() Config {
	c.HelloWait = cmp.Or(c.HelloWait, 10*time.Second)
	c.PingEvery = cmp.Or(c.PingEvery, 3*time.Second)
	c.LostAfter = cmp.Or(c.LostAfter, 15*time.Second)
	c.ResumeWait = cmp.Or(c.ResumeWait, 5*time.Second)
	return c
}

// Link is one runner session.
type Link struct {
	cfg Config

	// Set once, in the handshake, before the Host knows the link.
	hello    *runnerv1alpha1.Hello
	features []string
	resume   bool // of the features
	credit   bool // of the features

	// Set once, before the link can be resumed.
	welcome *runnerv1alpha1.Welcome

	ids  atomic.Uint64
	full atomic.Bool

	// reading is held by the goroutine that handles frames. It owns what follows.
	reading sync.Mutex
	parts   parts
	result  wire.CallResult
	commit  wire.Commit
	emit    wire.Emit
	passed  event // delivered, and to be released at the next opportunity

	mu      sync.Mutex
	state   linkstate.State
	conn    *Conn     // nil: the link has no socket
	peer    string    // of the last one
	general wire.Lane // frames without actor
	actors  map[uint64]*Binding
	window  linkstate.Window // of all actors together
	life    life
	call    wire.Call // being encoded
	// deliberate: one side has said Goodbye.
	deliberate bool
	expires    time.Time   // while there is no socket
	expiry     *time.Timer // at expires
	acks       acks
	pings      pings
	answers    int // to frames of no actor, queued since the queue was empty
	charged    int // to the budget, beside the parts
}

// life says how far the end of a link has come.
type life uint8

const (
	running life = iota
	closing      // nothing new is taken; the socket ends
	over
)

// Binding ties a ref to its actor and its lane.
type Binding struct {
	Ref    uint64
	lane   wire.Lane
	actor  Actor
	window linkstate.Window // guarded by Link.mu
}

func newLink(cfg Config, hello *runnerv1alpha1.Hello, peer string) *Link {
	l := &Link{
		cfg: cfg, hello: hello, peer: peer, features: wire.NegotiateFeatures(wire.RunnerFeatures(), hello.GetFeatures()),
		actors: map[uint64]*Binding{},
	}
	l.parts = parts{limit: cfg.Limits.MaxFrame, stats: cfg.Stats, budget: cfg.Budget, open: map[uint64]*part{}}
	l.resume, l.credit = l.Has(wire.FeatureResume), l.Has(wire.FeatureCredit)
	if l.resume {
		l.state.Resume(cfg.Limits.MaxUnacked)
	}
	l.window = linkstate.NewWindow(uint64(cfg.Limits.LinkWindow))
	l.expiry, l.acks.timer = stopped(l.expire), stopped(l.ackDue)
	return l
}

// stopped is a timer that has not begun to run.
func stopped(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// Hello is what the runner said of itself when the session began. Only after Host.Admit was called.
func (l *Link) Hello() *runnerv1alpha1.Hello { return l.hello }

// Has tells whether the feature was negotiated.
func (l *Link) Has(feature string) bool {
	for _, f := range l.features {
		if f == feature {
			return true
		}
	}
	return false
}

// Peer names the other side in logs.
func (l *Link) Peer() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peer
}

// NextID is a number never used before in this session: for calls, refs of actors, connections and principals.
func (l *Link) NextID() uint64 { return l.ids.Add(1) }

// Bind makes a ref for an actor. Frames to it reach the actor from now on. nil: the link has ended.
func (l *Link) Bind(a Actor) *Binding {
	b := &Binding{Ref: l.NextID(), actor: a, window: linkstate.NewWindow(uint64(l.cfg.Limits.EventWindow))}
	b.lane.Actor = b.Ref
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life != running {
		return nil
	}
	l.actors[b.Ref] = b
	return b
}

// Unbind forgets a ref: later frames to it are ignored, what was sent to it is still written.
func (l *Link) Unbind(b *Binding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.actors, b.Ref)
	l.raise(0, &l.window, b.window.Held())
	b.window = linkstate.Window{}
}

// Send queues a frame of the actor's FIFO. It never blocks; false: the link has ended.
func (l *Link) Send(b *Binding, m wire.Message) bool { return l.push(&b.lane, m) }

// SendCall is Send for a call, without allocation.
func (l *Link) SendCall(b *Binding, m wire.Call) bool {
	l.mu.Lock()
	l.call = m
	c, sent := l.pushLocked(&b.lane, &l.call)
	l.call = wire.Call{}
	l.mu.Unlock()
	c.signal()
	return sent
}

// SendGenerated is Send for a generated message.
func (l *Link) SendGenerated(b *Binding, m proto.Message) bool {
	return l.push(&b.lane, wire.Runner(m))
}

// SendGeneral queues a frame that concerns no actor.
func (l *Link) SendGeneral(m proto.Message) bool { return l.push(&l.general, wire.Runner(m)) }

// Full tells whether the queue to the runner has reached its bound, so that new calls are to be refused.
func (l *Link) Full() bool { return l.full.Load() }

func (l *Link) push(lane *wire.Lane, m wire.Message) bool {
	l.mu.Lock()
	c, pushed := l.pushLocked(lane, m)
	l.mu.Unlock()
	c.signal()
	return pushed
}

// pushLocked returns the socket whose writer is to be woken.
func (l *Link) pushLocked(lane *wire.Lane, m wire.Message) (c *Conn, pushed bool) {
	if l.life != running {
		return nil, false
	}
	l.state.Push(lane, m)
	l.measure()
	return l.conn, true
}

// charge is by how much a link changes what it holds before it tells the budget.
const charge = 4 << 10

// measure keeps full and the budget true to what is held [LIMIT-4].
func (l *Link) measure() {
	if d := l.state.Queued() + l.state.Kept() - l.charged; d >= charge || d <= -charge {
		l.charged += d
		l.cfg.Budget.Add(d)
	}
	if full := l.state.Queued() > l.cfg.Limits.MaxLinkQueue; full != l.full.Load() {
		l.full.Store(full)
		if full {
			l.cfg.Stats.Limit(stats.MaxLinkQueue)
		}
	}
}

// maxWrite is about how much goes to the socket at once.
const maxWrite = 256 << 10

// take gives the socket's writer what is to be written next.
func (l *Link) take(c *Conn, buf []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != c {
		return buf
	}
	l.pushPings()
	buf = l.state.Take(buf, maxWrite, time.Now())
	l.measure()
	if l.state.Queued() == 0 {
		l.answers = 0
	}
	return buf
}

// Close says Goodbye with the code and ends the link once that is written [FRAME-6]; at once while there is no socket. It
// does not wait.
func (l *Link) Close(e *wire.Error, reconnect commonv1alpha1.Reconnect) { l.closeOn(nil, e, reconnect) }

func goodbye(e *wire.Error, reconnect commonv1alpha1.Reconnect) *commonv1alpha1.Goodbye {
	return &commonv1alpha1.Goodbye{Code: e.Name(), Message: e.Message, RetryAfterMs: e.RetryAfterMs, Reconnect: reconnect}
}
