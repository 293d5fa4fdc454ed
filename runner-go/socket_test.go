package runner_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// These tests use real sockets, in real time, since that is what they are about.

// serveAt runs a counter against the endpoint until the test ends.
func serveAt(t *testing.T, config runner.Config) {
	t.Helper()
	config.Logger = slog.New(slog.NewTextHandler(&logbook{}, nil))
	config.DrainTimeout = 10 * time.Millisecond
	r, err := runner.New(config, defineCounter())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// increments checks that calls get through.
func (p *peer) increments() {
	p.t.Helper()
	expect[*runnerv1alpha1.Hello](p)
	p.send(defaultWelcome())
	ref := p.created("counter")
	p.call(ref, 1, "increment", 2)
	p.commit(2, 2)
	p.next()
	if n := result[int](p, 1); n != 2 {
		p.t.Errorf("result %d", n)
	}
}

func acceptFrom(t *testing.T, l net.Listener) *peer {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = l.Close() })
	return newPeer(t, conn)
}

func TestFramesFollowEachOtherOnTCPAndUnixSockets(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "gw.sock")
			}
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			serveAt(t, runner.Config{Endpoint: network + "://" + l.Addr().String()})
			acceptFrom(t, l).increments()
		})
	}
}

func TestTLSIsVerified(t *testing.T) {
	source := httptest.NewUnstartedServer(nil)
	source.StartTLS()
	certificate, pool := source.TLS.Certificates[0], x509.NewCertPool()
	pool.AddCert(source.Certificate())
	source.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	serveAt(t, runner.Config{Endpoint: "tls://" + l.Addr().String(), TLS: &tls.Config{RootCAs: pool}})
	acceptFrom(t, l).increments()
}

// upgraded makes a WebSocket server's side look like a stream of frames.
type upgraded struct {
	gws.BuiltinEventHandler
	frames net.Conn // what came is written here
}

func (u *upgraded) OnMessage(_ *gws.Conn, m *gws.Message) {
	_, _ = u.frames.Write(m.Bytes())
	_ = m.Close()
}

func (u *upgraded) OnClose(*gws.Conn, error) { _ = u.frames.Close() }

// webSocketPeer is a peer behind a WebSocket, which the test can also use directly.
type webSocketPeer struct {
	*peer
	ws     *gws.Conn
	header http.Header
	path   string
}

// over is a net.Conn that reads what the WebSocket brought and writes messages to it.
type over struct {
	net.Conn
	ws *gws.Conn
}

func (o over) Write(b []byte) (int, error) { return len(b), o.ws.WriteMessage(gws.OpcodeBinary, b) }

func (o over) Close() error {
	_ = o.ws.NetConn().Close()
	return o.Conn.Close()
}

func webSocketGateway(t *testing.T) (url string, peers <-chan *webSocketPeer) {
	t.Helper()
	out := make(chan *webSocketPeer, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ours, theirs := net.Pipe()
		up := gws.NewUpgrader(&upgraded{frames: theirs}, &gws.ServerOption{SubProtocols: []string{wire.SubprotocolRunner}, CheckUtf8Enabled: true})
		ws, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		out <- &webSocketPeer{peer: newPeer(t, over{ours, ws}), ws: ws, header: r.Header, path: r.URL.Path}
		ws.ReadLoop()
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http"), out
}

func TestAWebSocketSpeaksTheSubprotocolWithTheToken(t *testing.T) {
	url, peers := webSocketGateway(t)
	serveAt(t, runner.Config{Endpoint: url, Token: "secret"})
	p := <-peers
	if p.path != "/runner/v1alpha1" || p.header.Get("Authorization") != "Bearer secret" || p.ws.SubProtocol() != wire.SubprotocolRunner {
		t.Errorf("path %s, header %v", p.path, p.header)
	}
	p.increments()
}

func TestAWebSocketMessageHoldsWholeFrames(t *testing.T) {
	for name, message := range map[string]struct {
		opcode gws.Opcode
		bytes  []byte
	}{
		"text":    {gws.OpcodeText, []byte("hello")},
		"cut off": {gws.OpcodeBinary, []byte{0, 0, 0, 9, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			url, peers := webSocketGateway(t)
			serveAt(t, runner.Config{Endpoint: url})
			p := <-peers
			expect[*runnerv1alpha1.Hello](p.peer)
			p.send(defaultWelcome())
			if err := p.ws.WriteMessage(message.opcode, message.bytes); err != nil {
				t.Fatal(err)
			}
			expect[*commonv1alpha1.Goodbye](p.peer)
			expect[*runnerv1alpha1.Hello]((<-peers).peer) // it comes back
		})
	}
}

func TestAnHTTPAnswerInsteadOfAWebSocketIsSaid(t *testing.T) {
	book := &logbook{}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	r, err := runner.New(runner.Config{Endpoint: server.URL, Logger: slog.New(slog.NewTextHandler(book, nil))}, defineCounter())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := r.Serve(ctx); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if !strings.Contains(book.text(), "404") {
		t.Errorf("log %s", book.text())
	}
}
