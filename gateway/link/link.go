// Package link is one runner's connection: handshake, frames in and out, liveness.
//
// A Link multiplexes the actors of a runner session over one socket. It knows refs and frames, not what actors do:
// their frames go to the Actor bound to the ref, runners come and go by the Host. It imports nothing of the gateway
// above it; gateway/place is the Host, gateway/route binds actors, gateway/api and the edge bring the sockets.
//
// All methods are safe for concurrent use, except Receive, which belongs to the goroutine that reads the socket.
// Lock order: an actor's lock, then Link.mu. The link calls Actor and Host without holding its own lock.
// Requirements: LINK-1 to LINK-10, FRAME-1 to FRAME-6.
package link

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Socket is the transport of one link.
type Socket interface {
	// WriteFrames writes whole frames, blocking; one goroutine calls it.
	WriteFrames([]byte) error
	// Close ends both directions; a blocked read and write return.
	Close() error
	// Peer names the other side in logs.
	Peer() string
}

// Host decides which runners are taken. Its methods may block for a store operation, not longer.
type Host interface {
	// Admit answers a Hello with a Welcome or with an error [LINK-4].
	Admit(*Link, *runnerv1alpha1.Hello) (*runnerv1alpha1.Welcome, *wire.Error)
	// Readmit answers a Hello that resumes the link on another socket: whether its token still does.
	Readmit(*Link, *runnerv1alpha1.Hello) *wire.Error
	// Renew renews the runner's lease in the store and then calls done with how long it lasts from the Ping that asked for
	// it [LEASE-1]. It does not block; where the lease could not be renewed done is not called.
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
	// what they point to are valid only until it returns.
	Receive(msg any)
	// Malformed says that a message to this ref could not be decoded [LINK-9].
	Malformed(error)
	// Lost says that the link has ended: no frame comes any more, and of these frames no byte was written [CALL-7].
	Lost(unwritten []wire.Frame)
}

// Config is what every link of a gateway shares.
type Config struct {
	Host      Host
	Limits    wire.Limits
	Stats     *stats.Stats
	Logger    *slog.Logger
	HelloWait time.Duration // default 10 s [LINK-1]
	PingEvery time.Duration // default 3 s [LINK-7]
	LostAfter time.Duration // default 15 s [LINK-7]
}

// Link is one runner session on one socket.
type Link struct {
	cfg    Config
	socket Socket

	// Set once, in the handshake, before the Host knows the link.
	hello    *runnerv1alpha1.Hello
	features []string

	// Owned by the reading goroutine.
	admitted bool
	parts    map[uint64]*wire.Assembler
	result   wire.CallResult
	commit   wire.Commit
	emit     wire.Emit

	heard atomic.Int64 // unix nanoseconds of the last bytes received
	ids   atomic.Uint64

	wake    chan struct{} // capacity 1: the writer has something to do
	stopped chan struct{} // closed when the writer has ended
	timer   *time.Timer

	mu      sync.Mutex
	outbox  wire.Outbox
	general wire.Lane // frames without actor
	actors  map[uint64]*Binding
	ended   ended
	joined  bool // the Welcome is queued
	// deliberate: one side has said Goodbye.
	deliberate bool
}

// ended says how far the end of a link has come.
type ended uint8

const (
	running ended = iota
	closing       // nothing new is taken; the farewell and what is queued are written
	over
)

// Binding ties a ref to its actor and its lane.
type Binding struct {
	Ref   uint64
	lane  wire.Lane
	actor Actor
}

// New makes the link of a socket that was just accepted, and starts its writer and its clock. The caller feeds it with
// Receive and calls Ended when the socket ends.
func New(cfg Config, socket Socket) *Link {
	cfg.HelloWait = defaultTo(cfg.HelloWait, 10*time.Second)
	cfg.PingEvery = defaultTo(cfg.PingEvery, 3*time.Second)
	cfg.LostAfter = defaultTo(cfg.LostAfter, 15*time.Second)
	l := &Link{
		cfg: cfg, socket: socket,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
		actors: map[uint64]*Binding{}, parts: map[uint64]*wire.Assembler{},
	}
	l.heard.Store(time.Now().UnixNano())
	l.timer = time.AfterFunc(cfg.HelloWait, l.tick)
	go l.write()
	return l
}

func defaultTo(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Hello is what the runner said of itself. Only after Host.Admit was called.
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
func (l *Link) Peer() string { return l.socket.Peer() }

// NextID is a number never used before in this session: for calls, refs of actors, connections and principals.
func (l *Link) NextID() uint64 { return l.ids.Add(1) }

// Bind makes a ref for an actor. Frames to it reach the actor from now on. nil: the link has ended.
func (l *Link) Bind(a Actor) *Binding {
	b := &Binding{Ref: l.NextID(), actor: a}
	b.lane.Actor = b.Ref
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != running {
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
}

// Send queues a frame of the actor's FIFO. It never blocks; false: the link has ended.
func (l *Link) Send(b *Binding, m wire.Message) bool { return l.push(&b.lane, m) }

// SendGenerated is Send for a generated message.
func (l *Link) SendGenerated(b *Binding, m proto.Message) bool {
	return l.push(&b.lane, wire.Runner(m))
}

// SendGeneral queues a frame that concerns no actor.
func (l *Link) SendGeneral(m proto.Message) bool { return l.push(&l.general, wire.Runner(m)) }

// Full tells whether the queue to the runner has reached its bound, so that new calls are to be refused.
func (l *Link) Full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outbox.Len() > l.cfg.Limits.MaxLinkQueue
}

func (l *Link) push(lane *wire.Lane, m wire.Message) bool {
	l.mu.Lock()
	if l.ended != running {
		l.mu.Unlock()
		return false
	}
	l.outbox.Push(lane, m)
	l.mu.Unlock()
	l.signal()
	return true
}

func (l *Link) pushLink(m proto.Message) {
	l.mu.Lock()
	if l.ended == running {
		l.outbox.PushLink(wire.Runner(m))
	}
	l.mu.Unlock()
	l.signal()
}

func (l *Link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close says Goodbye with the code and ends the link once that is written [FRAME-6]. It does not wait.
func (l *Link) Close(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	l.farewell(&commonv1alpha1.Goodbye{
		Code: e.Name(), Message: e.Message, RetryAfterMs: e.RetryAfterMs, Reconnect: reconnect,
	})
}

// farewell queues the last frame of the link in front of everything and lets the writer close behind it.
func (l *Link) farewell(last proto.Message) {
	l.mu.Lock()
	if l.ended == running {
		l.ended, l.deliberate = closing, true
		l.outbox.PushLink(wire.Runner(last))
		time.AfterFunc(farewellWait, func() { _ = l.socket.Close() }) // a peer that does not read
	}
	l.mu.Unlock()
	l.signal()
}

// Wait returns when the writer has stopped, which it does behind the farewell. For a reader whose Receive has failed.
func (l *Link) Wait() { <-l.stopped }

// farewellWait is how long a peer may take to read the Goodbye.
const farewellWait = 2 * time.Second

// Ended tells the link that its socket is not read any more. It returns when the writer has stopped and every actor and
// the Host have been told. The goroutine that reads the socket calls it, once, last.
func (l *Link) Ended() {
	l.timer.Stop()
	l.mu.Lock()
	if l.ended == running {
		l.ended = over
		_ = l.socket.Close()
	}
	lost := make([]*Binding, 0, len(l.actors))
	for _, b := range l.actors {
		lost = append(lost, b)
	}
	clear(l.actors)
	deliberate := l.deliberate
	l.mu.Unlock()
	l.signal()
	<-l.stopped // behind the farewell, if there is one
	_ = l.socket.Close()
	if l.admitted {
		l.cfg.Host.Ending(l) // before its actors look for another place
	}
	for _, b := range lost {
		b.actor.Lost(l.unwritten(b))
	}
	if l.admitted {
		l.cfg.Stats.Links.Add(-1)
		if !deliberate {
			l.cfg.Stats.LinksLost.Inc()
		}
		l.cfg.Host.Gone(l)
	}
}

func (l *Link) unwritten(b *Binding) []wire.Frame {
	var frames []wire.Frame
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outbox.Drop(&b.lane, func(f wire.Frame) { frames = append(frames, f) })
	return frames
}

// maxWrite is how much goes to the socket at once.
const maxWrite = 256 << 10

// write drains the outbox until the link is over. It alone writes to the socket.
func (l *Link) write() {
	defer close(l.stopped)
	buf := make([]byte, 0, 4<<10)
	for range l.wake {
		for {
			l.mu.Lock()
			state := l.ended
			if state != over {
				buf = l.outbox.Take(buf[:0], maxWrite)
			}
			l.mu.Unlock()
			if state == over {
				return
			}
			if len(buf) > 0 && l.socket.WriteFrames(buf) != nil {
				_ = l.socket.Close() // the reader sees it and calls Ended
				return
			}
			if state == closing && len(buf) == 0 {
				_ = l.socket.Close()
				return
			}
			if len(buf) == 0 {
				break
			}
		}
		if cap(buf) > 2*maxWrite {
			buf = make([]byte, 0, 4<<10)
		}
	}
}

// tick watches the peer: for its Hello first, then for any sign of life, and pings it [LINK-1] [LINK-7].
func (l *Link) tick() {
	quiet := time.Since(time.Unix(0, l.heard.Load()))
	l.mu.Lock()
	joined := l.joined
	l.mu.Unlock()
	switch {
	case !joined:
		l.Close(wire.RunnerHelloTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return
	case quiet >= l.cfg.LostAfter:
		l.Close(wire.RunnerPingTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return
	}
	l.pushLink(&commonv1alpha1.Ping{Nonce: uint64(time.Now().UnixNano()) & wire.MaxID})
	l.timer.Reset(l.cfg.PingEvery)
}
