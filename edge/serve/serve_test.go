package serve_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/serve/servetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is one that tells what is done to it. Its handler answers /wait when release is closed, and anything else at once.
type gateway struct {
	release  chan struct{}
	waiting  chan struct{} // a request arrived at /wait
	runners  chan net.Conn
	draining chan struct{}
	closed   chan struct{}
	stubborn bool          // Drain waits for its context
	unserved chan struct{} // a connection brought no request
}

func newGateway() *gateway {
	return &gateway{
		release: make(chan struct{}), waiting: make(chan struct{}, 1), runners: make(chan net.Conn, 1),
		draining: make(chan struct{}), closed: make(chan struct{}), unserved: make(chan struct{}, 100),
	}
}

func (g *gateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			g.waiting <- struct{}{}
			<-g.release
		}
		_, _ = io.WriteString(w, r.Proto)
	})
}

func (g *gateway) Unserved() { g.unserved <- struct{}{} }

func (g *gateway) ServeRunner(conn net.Conn) {
	g.runners <- conn
	_, _ = io.Copy(io.Discard, conn)
}

func (g *gateway) Drain(ctx context.Context) error {
	close(g.draining)
	if g.stubborn {
		<-ctx.Done()
		return ctx.Err()
	}
	close(g.release)
	return nil
}

func (g *gateway) Close() error {
	close(g.closed)
	return nil
}

// running is a Run under way.
type running struct {
	http, tcp, unix string
	stop            context.CancelFunc
	ended           chan error
}

func run(t *testing.T, g *gateway, timeout time.Duration) running {
	t.Helper()
	unix := "unix://" + filepath.Join(t.TempDir(), "runner.sock")
	var listeners []net.Listener
	for _, address := range []string{"127.0.0.1:0", "tcp://127.0.0.1:0", unix} {
		l, err := serve.Listen(t.Context(), address, 0)
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := running{
		http: listeners[0].Addr().String(), tcp: listeners[1].Addr().String(), unix: listeners[2].Addr().String(),
		stop: cancel, ended: make(chan error, 1),
	}
	options := serve.Options{
		HTTP: listeners[0], Runners: listeners[1:], DrainTimeout: timeout, Logger: slog.New(slog.DiscardHandler),
	}
	go func() { r.ended <- serve.Run(ctx, g, options) }()
	return r
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHTTP1AndHTTP2OnOnePort(t *testing.T) {
	g := newGateway()
	r := run(t, g, time.Minute)
	for _, w := range servetest.Ways(t, trust) {
		if w.Scheme == "https" {
			continue
		}
		if got := get(t, w.Client, "http://"+r.http+"/"); got != w.Version {
			t.Errorf("answered by %s, not %s", got, w.Version)
		}
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

func TestRunnersComeByTCPAndUnixSockets(t *testing.T) {
	g := newGateway()
	r := run(t, g, time.Minute)
	for network, address := range map[string]string{"tcp": r.tcp, "unix": r.unix} {
		conn, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		<-g.runners
		_ = conn.Close()
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownFinishesRequestsAndSockets(t *testing.T) {
	g := newGateway()
	r := run(t, g, time.Minute)
	runner, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	<-g.runners
	answer := make(chan string, 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	go func() { answer <- get(t, &http.Client{Transport: transport}, "http://"+r.http+"/wait") }()
	<-g.waiting
	r.stop()
	if got := <-answer; got != "HTTP/1.1" {
		t.Errorf("answered %q", got)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	if _, err := runner.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the runner's socket ended with %v", err)
	}
	<-g.closed
	for network, address := range map[string]string{"tcp": r.http, "unix": r.unix} {
		if conn, err := net.Dial(network, address); err == nil {
			_ = conn.Close()
			t.Errorf("%s still listens", address)
		}
	}
}

func TestShutdownEndsAtTheTimeout(t *testing.T) {
	g := newGateway()
	g.stubborn = true
	r := run(t, g, 50*time.Millisecond)
	conn, err := net.Dial("tcp", r.http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-g.waiting
	r.stop()
	if err := <-r.ended; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "drain") {
		t.Errorf("ended with %v", err)
	}
	close(g.release)
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("the request was answered after the time-out")
	}
}

func TestAFailedListenerEndsTheProcess(t *testing.T) {
	g := newGateway()
	l, err := serve.Listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	err = serve.Run(t.Context(), g, serve.Options{HTTP: l, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "serve HTTP on 127.0.0.1") {
		t.Errorf("ended with %v", err)
	}
	<-g.closed
}
