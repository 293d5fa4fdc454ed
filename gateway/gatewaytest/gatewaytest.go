// Package gatewaytest runs a whole gateway in memory: real handlers, real WebSockets, a real store, no network.
//
// Tests of everything that talks to a gateway use it, inside testing/synctest for virtual time, or outside. Its
// connections are net.Pipe; its store is the embedded one on an in-memory file system, unless another is given.
package gatewaytest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
)

// Gateway is a gateway in memory.
type Gateway struct {
	*gateway.Gateway
	// Store is the gateway's, for tests that look or reach into it.
	Store store.Store

	listener *listener
	server   *http.Server
	served   chan struct{}
	runners  sync.WaitGroup
}

// Start runs a gateway until the test ends. A nil cfg.Store is an embedded store in memory; without tokens the gateway
// is open to everybody.
func Start(t testing.TB, cfg gateway.Config) *Gateway {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = NewStore(t)
	}
	if len(cfg.Tokens.Client)+len(cfg.Tokens.Runner)+len(cfg.Tokens.Admin) == 0 {
		cfg.Insecure = true
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	inner, err := gateway.New(cfg)
	if err != nil {
		t.Fatalf("start a gateway: %v", err)
	}
	g := &Gateway{Gateway: inner, Store: cfg.Store, listener: newListener(), served: make(chan struct{})}
	g.server = &http.Server{Handler: inner.Handler(), ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn)}
	go func() {
		defer close(g.served)
		_ = g.server.Serve(g.listener) // ErrServerClosed
	}()
	t.Cleanup(func() { g.stop(t) })
	return g
}

func (g *Gateway) stop(t testing.TB) {
	if err := g.Close(); err != nil {
		t.Errorf("close the gateway: %v", err)
	}
	_ = g.server.Close()
	<-g.served
	g.runners.Wait()
}

// NewStore is an embedded store in memory, closed when the test ends.
func NewStore(t testing.TB) store.Store {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatalf("open a store in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// Dial is a new connection to the gateway's HTTP port.
func (g *Gateway) Dial(ctx context.Context) (net.Conn, error) { return g.listener.dial(ctx) }

// DialRunner is a new connection to the gateway's listener for runners without WebSocket.
func (g *Gateway) DialRunner(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	g.runners.Go(func() { g.ServeRunner(theirs) })
	return ours, nil
}

// HTTP is a client whose every request goes to the gateway, whatever host it names.
func (g *Gateway) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) },
		DisableKeepAlives: true, // no idle goroutine outlives a test
	}}
}

// listener hands one end of each pipe to the server.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

var errClosed = errors.New("the gateway in memory was closed")

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return memory{} }

type memory struct{}

func (memory) Network() string { return "memory" }
func (memory) String() string  { return "memory" }
