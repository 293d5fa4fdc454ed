package planeg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// ErrNoGateway is wrapped by errors that say that the program under test did not come up.
var ErrNoGateway = errors.New("the gateway did not start")

// Where a gateway takes runners and clients.
const (
	runnerPath     = "/runner/v1alpha1"
	runnerProtocol = "stagedoor.runner.v1alpha1"
	clientPath     = "/v1/connect"
	clientProtocol = "stagedoor.v1.proto"
	jsonProtocol   = "stagedoor.v1.json"
)

// Gateway is one run of the program under test, with a data directory that outlives it.
type Gateway struct {
	command string
	folder  string // of its data and its certificate
	ways    ways
	address string
	secure  bool         // over TCP it takes TLS alone
	tls     bool         // it takes TLS
	http3   bool         // it serves UDP, too [HTTP-9]
	client  *http.Client // speaks HTTP as the run wants it
	process *launch.Process
}

// startGateway starts the command and waits until it takes sockets. In the command {port} stands for a free port of the
// loopback address, {data} for an empty directory, {cert} and {key} for files with a certificate that the suite makes.
func startGateway(ctx context.Context, command string, w ways, timeout time.Duration) (*Gateway, error) {
	folder, err := os.MkdirTemp("", "conform-gateway")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the gateway: %w", err)
	}
	g := &Gateway{command: command, folder: folder, ways: w}
	if err := errors.Join(os.Mkdir(g.data(), 0o700), g.certified()); err != nil {
		g.Close()
		return nil, fmt.Errorf("make a directory for the gateway: %w", err)
	}
	if err := g.start(ctx, timeout); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) data() string { return filepath.Join(g.folder, "data") }

// certified puts the names of the certificate's files into a command that asks for them.
func (g *Gateway) certified() error {
	if !strings.Contains(g.command, "{cert}") {
		return nil
	}
	cert, key, err := certificate(g.folder)
	g.command = strings.NewReplacer("{cert}", cert, "{key}", key).Replace(g.command)
	return err
}

func (g *Gateway) start(ctx context.Context, timeout time.Duration) error {
	var err error
	if g.address, err = freeAddress(); err != nil {
		return fmt.Errorf("look for a free port: %w", err)
	}
	_, port, _ := net.SplitHostPort(g.address)
	g.process, err = launch.Start(strings.NewReplacer("{port}", port, "{data}", g.data()).Replace(g.command), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it is not ready after %v", timeout))
	defer cancel()
	if err := g.await(ctx); err != nil {
		return err
	}
	return g.speak(ctx)
}

// freeAddress is one whose port nobody has, neither of TCP nor of UDP.
func freeAddress() (string, error) {
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		_ = tcp.Close()
		if err == nil {
			_ = udp.Close()
			return tcp.Addr().String(), nil
		}
	}
}

// await asks again and again until the gateway is ready, ends or is too late.
func (g *Gateway) await(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		why := g.ready(ctx)
		if why == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-g.process.Done():
			code, _ := g.process.Exit(ctx)
			return fmt.Errorf("%w: it %s%s", ErrNoGateway, launch.Ending(code), g.last())
		case <-ctx.Done():
			return fmt.Errorf("%w: %w (%w)%s", ErrNoGateway, context.Cause(ctx), why, g.last())
		}
	}
}

// ready says why the gateway is not ready: by /readyz, or if there is none by whether it takes clients. It finds out whether
// plain text is taken.
func (g *Gateway) ready(ctx context.Context) error {
	client := asker(ways{})
	defer client.CloseIdleConnections()
	g.secure = false
	answer, err := get(ctx, client, "http://"+g.address+"/readyz")
	if err != nil || answer.StatusCode == http.StatusBadRequest { // what TLS says to plain text
		g.secure = true
		if over, refused := get(ctx, client, "https://"+g.address+"/readyz"); refused == nil {
			answer, err = over, nil
		}
	}
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusOK:
		return nil
	case answer.StatusCode == http.StatusNotFound:
		conn, err := websocket.Dial(ctx, g.socket(clientPath), clientProtocol, nil)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	return fmt.Errorf("/readyz answers %s", answer.Status)
}

// speak arranges how the gateway is asked over HTTP, and finds out whether it serves UDP: an answer over TLS says so [HTTP-9].
func (g *Gateway) speak(ctx context.Context) error {
	client := asker(ways{})
	defer client.CloseIdleConnections()
	answer, err := get(ctx, client, "https://"+g.address+"/readyz")
	g.tls = err == nil
	g.http3 = g.tls && strings.Contains(answer.Header.Get("Alt-Svc"), "h3=")
	if !g.http3 && (g.ways.transport == WebTransport || g.ways.http == HTTP3) {
		return fmt.Errorf("%w: it has no HTTP/3, for no answer over TLS names it in Alt-Svc [HTTP-9]%s", ErrNoGateway, g.last())
	}
	g.client = asker(g.ways)
	return nil
}

// url is for HTTP as the run wants it: HTTP/3 and, where there is TLS, HTTP/2 are spoken over that.
func (g *Gateway) url(path string) string {
	if g.secure || g.ways.http == HTTP3 || g.ways.http == HTTP2 && g.tls {
		return "https://" + g.address + path
	}
	return "http://" + g.address + path
}

func (g *Gateway) socket(path string) string {
	if g.secure {
		return "wss://" + g.address + path
	}
	return "ws://" + g.address + path
}

func (g *Gateway) session(path string) string { return "https://" + g.address + path }

// Alive says whether the program has not ended.
func (g *Gateway) Alive() bool { return g.process != nil && g.process.Alive() }

// last is the last line that it wrote, behind what an error says.
func (g *Gateway) last() string {
	lines, _ := plain.Last(g.process.Output(), 1)
	if len(lines) == 0 {
		return ""
	}
	return "; its last line: " + lines[0]
}

// Output is the end of what it wrote.
func (g *Gateway) Output() string {
	if g.process == nil {
		return ""
	}
	output := strings.TrimSpace(g.process.Output())
	if len(output) > 8000 {
		output = "…" + strings.ToValidUTF8(output[len(output)-8000:], "")
	}
	return output
}

// Restart kills the program as a power cut would, and starts it again with the same data.
func (g *Gateway) Restart(ctx context.Context, timeout time.Duration) error {
	g.process.Kill()
	hangUp(g.client)
	return g.start(ctx, timeout)
}

// Close ends the program and removes its data.
func (g *Gateway) Close() {
	if g.process != nil {
		g.process.Kill()
	}
	if g.client != nil {
		hangUp(g.client)
	}
	_ = os.RemoveAll(g.folder)
}
