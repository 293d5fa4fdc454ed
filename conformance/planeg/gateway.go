package planeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
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
	data    string
	address string
	process *launch.Process
}

// StartGateway starts the command and waits until it takes sockets. In the command {port} stands for a free port of the
// loopback address, {data} for an empty directory.
func StartGateway(ctx context.Context, command string, timeout time.Duration) (*Gateway, error) {
	data, err := os.MkdirTemp("", "conform-gateway")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the gateway: %w", err)
	}
	g := &Gateway{command: command, data: data}
	if err := g.start(ctx, timeout); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context, timeout time.Duration) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("look for a free port: %w", err)
	}
	g.address = free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(g.address)
	g.process, err = launch.Start(strings.NewReplacer("{port}", port, "{data}", g.data).Replace(g.command), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it is not ready after %v", timeout))
	defer cancel()
	return g.await(ctx)
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

// ready says why the gateway is not ready: by /readyz, or if there is none by whether it takes clients.
func (g *Gateway) ready(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url("/readyz"), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	_ = answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		conn, err := websocket.Dial(ctx, g.socket(clientPath), clientProtocol, nil)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	return fmt.Errorf("/readyz answers %s", answer.Status)
}

func (g *Gateway) url(path string) string    { return "http://" + g.address + path }
func (g *Gateway) socket(path string) string { return "ws://" + g.address + path }

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
	return g.start(ctx, timeout)
}

// Close ends the program and removes its data.
func (g *Gateway) Close() {
	if g.process != nil {
		g.process.Kill()
	}
	_ = os.RemoveAll(g.data)
}
