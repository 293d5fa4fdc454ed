package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lxzan/gws"
	"github.com/quic-go/webtransport-go"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is the other side of the tests: a real HTTP server with a real WebSocket, over pipes in memory. What it says is
// up to the test, message by message.
type gateway struct {
	t      testing.TB
	conns  chan net.Conn
	dials  atomic.Int64
	peers  chan *peer
	server *http.Server
	done   sync.WaitGroup

	// For the test to set.
	refuse  atomic.Bool                              // dialing fails
	wrap    func(net.Conn) net.Conn                  // around the client's end
	handler func(http.ResponseWriter, *http.Request) // of everything but /v1/connect
}

var errNoGateway = errors.New("nobody listens")

func newGateway(t testing.TB) *gateway {
	g := &gateway{t: t, conns: make(chan net.Conn), peers: make(chan *peer, 64)}
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve)}
	listener := &pipeListener{conns: g.conns, closed: make(chan struct{})}
	g.listen(listener)
	t.Cleanup(func() {
		_ = g.server.Close()
		g.done.Wait()
	})
	return g
}

// listen serves another listener.
func (g *gateway) listen(l net.Listener) { g.done.Go(func() { _ = g.server.Serve(l) }) }

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/connect" {
		g.handler(w, r)
		return
	}
	p := &peer{t: g.t, got: make(chan any, 1<<16), acks: make(chan *clientv1alpha1.Ack, 1<<16), request: r}
	upgrader := gws.NewUpgrader(p, &gws.ServerOption{
		SubProtocols: []string{wire.SubprotocolClientProto}, CheckUtf8Enabled: true, ReadMaxPayloadSize: 32 << 20,
	})
	conn, err := upgrader.Upgrade(w, r)
	if err != nil {
		g.t.Errorf("upgrade: %v", err)
		return
	}
	p.conn = conn
	g.done.Go(conn.ReadLoop)
	g.peers <- p
}

func (g *gateway) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	g.dials.Add(1)
	if g.refuse.Load() {
		return nil, errNoGateway
	}
	ours, theirs := net.Pipe()
	select {
	case g.conns <- theirs:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if g.wrap != nil {
		return g.wrap(ours), nil
	}
	return ours, nil
}

// client is a client of this gateway, closed when the test ends.
func (g *gateway) client(o Options) *Client {
	g.t.Helper()
	o.Dial = g.dial
	c, err := New("http://gateway", o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

// accept waits for the next socket.
func (g *gateway) accept() *peer { return <-g.peers }

// greet accepts the next socket and welcomes it.
func (g *gateway) greet(limits *clientv1alpha1.Limits) *peer {
	g.t.Helper()
	p := g.accept()
	next1[*clientv1alpha1.Hello](p)
	p.send(&clientv1alpha1.Welcome{Session: "s", Limits: limits, PingMs: 600_000})
	return p
}

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// peer is the gateway's end of one socket, or of a lane.
type peer struct {
	t        testing.TB
	conn     *gws.Conn            // nil: a lane
	stream   *webtransport.Stream // nil: a WebSocket
	request  *http.Request
	got      chan any // messages other than Ack; closed with the socket
	acks     chan *clientv1alpha1.Ack
	messages atomic.Int64
	gate     atomic.Pointer[chan struct{}] // reading stops while it is open; nil: it does not
}

func (p *peer) OnOpen(*gws.Conn)             {}
func (p *peer) OnClose(*gws.Conn, error)     { close(p.got) }
func (p *peer) OnPing(*gws.Conn, []byte)     {}
func (p *peer) OnPong(_ *gws.Conn, b []byte) { p.got <- string(b) }

func (p *peer) OnMessage(_ *gws.Conn, m *gws.Message) {
	if gate := p.gate.Load(); gate != nil {
		<-*gate
	}
	p.messages.Add(1)
	p.take(append([]byte(nil), m.Bytes()...))
}

// take takes whole frames.
func (p *peer) take(data []byte) {
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, 32<<20)
		if err != nil {
			p.t.Errorf("the client sent a bad frame: %v", err)
			return
		}
		frame, err := wire.ParseFrame(raw)
		if err != nil {
			p.t.Errorf("the client sent a bad frame: %v", err)
			return
		}
		message, err := wire.DecodeClient(frame)
		if err != nil {
			p.t.Errorf("the client sent a bad message: %v", err)
			return
		}
		data = rest
		if ack, ok := message.(*clientv1alpha1.Ack); ok {
			p.acks <- ack
			continue
		}
		p.got <- message
	}
}

// stopReading keeps the next messages of the client from being read until what it returns is called.
func (p *peer) stopReading() (resume func()) {
	gate := make(chan struct{})
	p.gate.Store(&gate)
	return func() { close(gate) }
}

// send sends messages, generated ones or those of package wire, in one write.
func (p *peer) send(messages ...any) {
	p.t.Helper()
	var err error
	if p.stream != nil {
		_, err = p.stream.Write(encoded(messages...))
	} else {
		err = p.conn.WriteMessage(gws.OpcodeBinary, encoded(messages...))
	}
	if err != nil {
		p.t.Errorf("send: %v", err)
	}
}

func encoded(messages ...any) (data []byte) {
	for _, m := range messages {
		switch m := m.(type) {
		case wire.Message:
			data = wire.AppendMessage(data, m)
		case proto.Message:
			data = wire.AppendMessage(data, wire.Client(m))
		}
	}
	return data
}

// drop loses the socket without a word.
func (p *peer) drop() { _ = p.conn.NetConn().Close() }

// next1 is the next message from the client, which has to be an M.
func next1[M any](p *peer) M {
	p.t.Helper()
	message, ok := <-p.got
	if !ok {
		p.t.Fatalf("the socket closed; want %T", *new(M))
	}
	m, ok := message.(M)
	if !ok {
		p.t.Fatalf("got %T %v, want %T", message, message, *new(M))
	}
	return m
}

// settle waits until all that is on its way has come: a lane's packets take time.
func (p *peer) settle() {
	if p.stream != nil {
		<-time.After(100 * latency)
	}
	synctest.Wait()
}

// silent checks that the client sends nothing more for now.
func (p *peer) silent() {
	p.t.Helper()
	p.settle()
	select {
	case m, ok := <-p.got:
		p.t.Fatalf("unexpected %T %v (open: %v)", m, m, ok)
	default:
	}
}

// ended waits for the socket's end and returns what came before.
func (p *peer) ended() (rest []any) {
	for m := range p.got {
		rest = append(rest, m)
	}
	return rest
}

// accepts answers the next ConnectionOpen and returns it.
func (p *peer) accepts() *clientv1alpha1.ConnectionOpen {
	p.t.Helper()
	open := next1[*clientv1alpha1.ConnectionOpen](p)
	p.send(&clientv1alpha1.ConnectionOpened{Connection: open.GetConnection(), ActorId: "actor-1", ConnectionId: "conn-1"})
	return open
}

func result(call *wire.ClientCall, v any) *wire.ClientCallResult {
	return &wire.ClientCallResult{ID: call.ID, Connection: call.Connection, Output: must(payload.Marshal(v)), HasOutput: true}
}

func failure(call *wire.ClientCall, err *wire.Error) *wire.ClientCallResult {
	return &wire.ClientCallResult{ID: call.ID, Connection: call.Connection, Error: err}
}

func event(connection uint64, name string, args ...any) *wire.ClientEvent {
	return &wire.ClientEvent{Connection: connection, Event: []byte(name), Args: must(payload.MarshalArgs(args...))}
}

func closedBy(connection uint64, code *wire.Code, r commonv1alpha1.Reconnect) *clientv1alpha1.ConnectionClosed {
	return &clientv1alpha1.ConnectionClosed{Connection: connection, Error: code.New().Proto(), Reconnect: r}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// background runs a call beside the test and gives its outcome.
func background(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

func increment(ctx context.Context, on Caller) <-chan error {
	return background(func() error { return on.Call(ctx, "increment", nil, 1) })
}

// wantError checks name and ran.
func wantError(t testing.TB, err error, name string, ran Ran) {
	t.Helper()
	_ = theError(t, err, name, ran)
}

// theError is wantError for those who look at the rest, too.
func theError(t testing.TB, err error, name string, ran Ran) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Name() != name || e.Ran != ran {
		t.Fatalf("got %v (ran %q), want %s (ran %q)", err, ranOf(err), name, ran)
	}
	return e
}

func ranOf(err error) Ran {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Ran
	}
	return RanUnknown
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
