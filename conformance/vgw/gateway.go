// Package vgw is the virtual gateway: the suite's side of the runner protocol. It listens, runners dial it; it owns ids, refs,
// generations, the store and every acknowledgement, so a case can hold an answer back, break a socket, or say what no real
// gateway would.
//
// By itself it is a correct and simple gateway: it answers pings and renews leases, acknowledges commits when their group is
// whole, serves reads, gives credit, acknowledges frames, resumes and adopts, and hands the actors of a draining runner over.
// Hold stops each of these. It judges nothing: what came stands in the Log, what was said on the sockets in the trace.
//
// The engine drives it; everything is safe for concurrent use. Close ends all goroutines.
package vgw

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

const (
	// Path is where a gateway takes runners over WebSocket, Subprotocol what they offer there.
	Path        = "/runner/v1alpha1"
	Subprotocol = "stagedoor.runner.v1alpha1"
)

// Frame is a frame of the runner protocol.
type Frame = runnerv1alpha1.Frame

// Tap takes a frame on its way and returns what comes out in its place: nothing, itself, or several. The frame given must not
// be changed. It is made anew for each session, and belongs to that with all its sockets.
type Tap func(*Frame) []*Frame

// Config is what a Gateway needs; everything may be left out.
type Config struct {
	Trace *trace.Recorder
	// FromRunner makes the Tap between the sockets of a session and the gateway, ToRunner the one back. Link frames and the
	// handshake pass through them, too.
	FromRunner, ToRunner func() Tap
	// Chunk and Fragment shape what is written: see websocket.Conn.Shape.
	Chunk, Fragment int
	// MaxFrames and MaxBytes bound what is taken from a runner between two calls of Reset; beyond it its socket is closed.
	MaxFrames, MaxBytes int
}

// Gateway takes the sockets of one runner.
type Gateway struct {
	cfg    Config
	listen net.Listener
	server *http.Server
	Log    *Log
	Store  *Store

	mu       sync.Mutex
	numbers  int // of sockets
	waiting  chan *Socket
	sockets  map[*Socket]bool
	sessions map[string]*Session
	refs     uint64
	refuse   int // HTTP status for the next handshake
	refused  chan struct{}
	refusal  string // of the last handshake that was none
	quit     chan struct{}
	frames   int
	bytes    int
	closed   bool
	readers  sync.WaitGroup
}

const (
	defaultFrames = 100_000
	defaultBytes  = 1 << 30
	// waiting sockets that nobody takes; a runner that dials more is refused.
	maxWaiting = 1024
)

// Listen begins to listen on a free port of the loopback interface.
func Listen(cfg Config) (*Gateway, error) {
	if cfg.Trace == nil {
		cfg.Trace = trace.NewRecorder(nil)
	}
	if cfg.MaxFrames == 0 {
		cfg.MaxFrames = defaultFrames
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for runners: %w", err)
	}
	g := &Gateway{
		cfg: cfg, listen: listen, Log: newLog(), Store: newStore(), waiting: make(chan *Socket, maxWaiting),
		sockets: map[*Socket]bool{}, sessions: map[string]*Session{}, refs: 1000, refused: make(chan struct{}, maxWaiting),
		quit: make(chan struct{}),
	}
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: 10 * time.Second, ConnState: g.connected}
	g.readers.Go(func() { _ = g.server.Serve(listen) })
	return g, nil
}

// Endpoint is the URL for the runner's STAGEDOOR_ENDPOINT.
func (g *Gateway) Endpoint() string { return "ws://" + g.listen.Addr().String() }

// Close closes all sockets and waits for their goroutines.
func (g *Gateway) Close() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed = true
	close(g.quit)
	open := make([]*Socket, 0, len(g.sockets))
	for s := range g.sockets {
		open = append(open, s)
	}
	g.mu.Unlock()
	_ = g.server.Close()
	for _, s := range open {
		s.Cut("the suite ends")
	}
	g.readers.Wait()
}

// Refuse answers the next WebSocket handshake with that HTTP status instead.
func (g *Gateway) Refuse(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = status
}

// Refused gives a value for each handshake that was refused.
func (g *Gateway) Refused() <-chan struct{} { return g.refused }

// Refusal says, for people, why the last handshake or connection came to nothing; empty: all made a socket, or nobody dialed.
func (g *Gateway) Refusal() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal
}

func (g *Gateway) refusing(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusal = why
}

// connected notes a connection that has not said anything yet, or what is no HTTP.
func (g *Gateway) connected(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		g.refusing("it connected, and made no WebSocket handshake")
	}
}

// Reset begins a new budget for what is taken from the runner.
func (g *Gateway) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frames, g.bytes = 0, 0
}

// ErrFlood ends the socket of a runner that sends without measure.
var ErrFlood = errors.New("the runner floods the suite")

func (g *Gateway) spend(frames, bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frames += frames
	g.bytes += bytes
	if g.frames > g.cfg.MaxFrames || g.bytes > g.cfg.MaxBytes {
		return fmt.Errorf("%w: %d frames, %d bytes", ErrFlood, g.frames, g.bytes)
	}
	return nil
}

// NextRef is a number that was never used before: a ref or the id of a call.
func (g *Gateway) NextRef() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refs++
	return g.refs
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	status := g.refuse
	g.refuse = 0
	g.mu.Unlock()
	if status != 0 {
		select {
		case g.refused <- struct{}{}:
		default:
		}
		http.Error(w, "refused by the suite", status)
		return
	}
	if r.URL.Path != Path {
		g.refusing(fmt.Sprintf("it dialed the path %.100q, runners are taken at %s", r.URL.Path, Path))
		http.Error(w, "runners are taken at "+Path, http.StatusNotFound)
		return
	}
	conn, err := websocket.Accept(w, r, Subprotocol)
	if err != nil {
		g.refusing(fmt.Sprintf("its handshake was refused: %.300s", err))
		return
	}
	g.begin(conn, r.Header.Get("Authorization"))
}

// begin makes a Socket of a connection.
func (g *Gateway) begin(conn *websocket.Conn, authorization string) {
	conn.Shape(g.cfg.Chunk, g.cfg.Fragment)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = conn.Close()
		return
	}
	g.numbers++
	s := newSocket(g, g.numbers, conn, authorization)
	select {
	case g.waiting <- s:
	default:
		_ = conn.Close()
		return
	}
	g.sockets[s], g.refusal = true, ""
	s.trace(&trace.Event{Happening: trace.Opened})
	g.readers.Go(s.read)
	g.readers.Go(s.write)
}

func (g *Gateway) forget(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s)
}

// Accept waits for the next socket of the runner that has not ended before its turn came.
func (g *Gateway) Accept(ctx context.Context) (*Socket, error) {
	for {
		s, err := g.First(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case <-s.Done():
		default:
			return s, nil
		}
	}
}

// First waits for a socket of the runner, whether it has ended already or not: of a runner that has not said Hello yet, that
// is what there is to tell.
func (g *Gateway) First(ctx context.Context) (*Socket, error) {
	select {
	case s := <-g.waiting:
		return s, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the runner's socket: %w", context.Cause(ctx))
	}
}

// Dialed gives the sockets that wait to be accepted, as Accept does.
func (g *Gateway) Dialed() int { return len(g.waiting) }
