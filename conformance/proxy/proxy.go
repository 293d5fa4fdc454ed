// Package proxy stands between a runner's socket and the virtual gateway's, and changes how frames travel: several in one
// WebSocket message, each in its own, in fragments, byte by byte, late. It can also change the frames of the handshake, which
// belong to no session and are not counted; what the taps of a virtual gateway change are all others.
//
// Variants and mutants use it. A Proxy is safe for concurrent use; Close ends its goroutines.
package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// Config is what a Proxy does; nothing need be set but Upstream.
type Config struct {
	// Upstream is the ws:// endpoint of the virtual gateway.
	Upstream string
	Travel   Travel
	// Handshake is asked about Hello, Welcome, Reject and the gateway's Goodbye, over all sockets.
	Handshake tap.Tap
	Seed      uint64
}

// Proxy takes the sockets of runners.
type Proxy struct {
	cfg    Config
	listen net.Listener
	server *http.Server

	mu      sync.Mutex
	conns   map[*websocket.Conn]bool
	sockets uint64
	closed  bool
	pumps   sync.WaitGroup

	handshake sync.Mutex // guards cfg.Handshake
}

// Listen begins to listen on a free port of the loopback interface.
func Listen(cfg Config) (*Proxy, error) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in front of the virtual gateway: %w", err)
	}
	p := &Proxy{cfg: cfg, listen: listen, conns: map[*websocket.Conn]bool{}}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 10 * time.Second}
	p.pumps.Go(func() { _ = p.server.Serve(listen) })
	return p, nil
}

// Endpoint is the URL for the runner's STAGEDOOR_ENDPOINT.
func (p *Proxy) Endpoint() string { return "ws://" + p.listen.Addr().String() }

// Close breaks all sockets and waits for their goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	_ = p.server.Close()
	p.pumps.Wait()
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	header := http.Header{}
	if token := r.Header.Get("Authorization"); token != "" {
		header.Set("Authorization", token)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	gateway, err := websocket.Dial(ctx, p.cfg.Upstream+r.URL.Path, vgw.Subprotocol, header)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	runner, err := websocket.Accept(w, r, vgw.Subprotocol)
	if err != nil {
		_ = gateway.Close()
		return
	}
	p.join(runner, gateway)
}

// join makes two ways of two sockets; when one ends, so does the other.
func (p *Proxy) join(runner, gateway *websocket.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_, _ = runner.Close(), gateway.Close()
		return
	}
	p.conns[runner], p.conns[gateway] = true, true
	p.sockets++
	random := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(p.cfg.Seed+p.sockets, n)) }
	ways := []*way{
		{from: runner, to: gateway, travel: p.cfg.Travel, kinds: fromRunner, change: p.fromRunner, random: random(0)},
		{from: gateway, to: runner, travel: p.cfg.Travel, kinds: toRunner, change: p.toRunner, random: random(1)},
	}
	for _, w := range ways {
		w.to.Shape(p.cfg.Travel.Chunk, p.cfg.Travel.Fragment)
		arrived := make(chan arrival, 256)
		p.pumps.Go(func() { w.pump(arrived) })
		p.pumps.Go(func() {
			w.carry(arrived)
			_, _ = w.from.Close(), w.to.Close()
			p.forget(w.from)
		})
	}
}

func (p *Proxy) forget(c *websocket.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) fromRunner(f *tap.Frame) []*tap.Frame {
	p.handshake.Lock()
	defer p.handshake.Unlock()
	if p.cfg.Handshake.FromRunner == nil {
		return []*tap.Frame{f}
	}
	return p.cfg.Handshake.FromRunner(f).Gateway
}

func (p *Proxy) toRunner(f *tap.Frame) []*tap.Frame {
	p.handshake.Lock()
	defer p.handshake.Unlock()
	if p.cfg.Handshake.ToRunner == nil {
		return []*tap.Frame{f}
	}
	return p.cfg.Handshake.ToRunner(f).Runner
}
