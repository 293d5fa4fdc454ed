// Package e2e tests the whole path: real SDKs, a real gateway, a real store, real processes. It has no code of its own.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func TestMain(m *testing.M) {
	if helperProcess() {
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removeBuilt()
		os.Exit(code)
	}))
}

// world is a gateway in memory and who talks to it, under virtual time.
type world struct {
	*testing.T
	*gatewaytest.Gateway
}

// inWorld runs a test in a bubble of virtual time with a gateway in memory.
func inWorld(t *testing.T, cfg gateway.Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Logger = quiet()
		test(&world{t, gatewaytest.Start(t, cfg)})
	})
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// host runs a runner; kill cuts its link without a word, stop drains it. Both may be left to the end of the test.
func (w *world) host(cfg runner.Config, types ...runner.Definition) *hosted {
	w.Helper()
	h := &hosted{done: make(chan error, 1)}
	if cfg.Endpoint == "" {
		cfg.Endpoint = "tcp://gateway:1"
	}
	cfg.Logger = quiet()
	cfg.Dial = func(ctx context.Context) (net.Conn, error) {
		if strings.HasPrefix(cfg.Endpoint, "ws") {
			return h.keep(w.Dial(ctx))
		}
		return h.keep(w.DialRunner(ctx))
	}
	r, err := runner.New(cfg, types...)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.done <- r.Serve(ctx) }()
	w.Cleanup(func() { _ = h.stop() })
	synctest.Wait()
	return h
}

type hosted struct {
	cancel context.CancelFunc
	done   chan error
	ended  bool
	err    error

	mu      sync.Mutex
	conns   []net.Conn
	refused bool
}

var errCut = errors.New("cut off")

func (h *hosted) keep(c net.Conn, err error) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refused {
		if c != nil {
			_ = c.Close()
		}
		return nil, errCut
	}
	if err == nil {
		h.conns = append(h.conns, c)
	}
	return c, err
}

// cut ends the runner's socket; it comes back by itself unless it is refused.
func (h *hosted) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}

// kill ends the runner for good as a crash would: its link breaks and nobody comes back.
func (h *hosted) kill() {
	h.mu.Lock()
	h.refused = true
	h.mu.Unlock()
	h.cut()
	_ = h.stop()
}

func (h *hosted) stop() error {
	if !h.ended {
		h.cancel()
		h.err, h.ended = <-h.done, true
	}
	return h.err
}

// client is an SDK client of the world.
func (w *world) client() *client.Client {
	w.Helper()
	c, err := client.New("http://gateway", client.Options{
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Dial(ctx) },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// response is an HTTP answer with its JSON body.
type response struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// name is the error's group.code.
func (r response) name() string {
	e, _ := r.body["error"].(map[string]any)
	if e == nil {
		return ""
	}
	return e["group"].(string) + "." + e["code"].(string)
}

func (r response) err() map[string]any { e, _ := r.body["error"].(map[string]any); return e }

// do sends an HTTP request, which must be answered; header holds pairs.
func (w *world) do(method, path, body string, header ...string) response {
	w.Helper()
	r, err := w.try(method, path, body, header...)
	if err != nil {
		w.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (w *world) try(method, path, body string, header ...string) (response, error) {
	req, err := http.NewRequestWithContext(w.Context(), method, "http://gateway"+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.HTTP().Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return response{}, err
	}
	r := response{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		err = d.Decode(&r.body)
	}
	return r, err
}

// act calls an action over HTTP.
func (w *world) act(address, action, args string, header ...string) response {
	w.Helper()
	return w.do("POST", "/v1/actors/"+address+"/actions/"+action, `{"args":`+args+`}`, header...)
}

// call calls an action with the SDK and wants it to succeed.
func call[T any](w *world, on client.Caller, action string, args ...any) T {
	w.Helper()
	v, err := client.Call[T](w.Context(), on, action, args...)
	if err != nil {
		w.Fatalf("%s: %v", action, err)
	}
	return v
}

// wantCode checks the code of an error and returns it for more.
func wantCode(t testing.TB, err error, code string) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Name() != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
	return e
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s = %v, want %v", what, got, want)
	}
}

// sleep lets virtual time pass.
func sleep(d time.Duration) { <-time.After(d); synctest.Wait() }

// inHeldWorld is inWorld over a store that the test can hold back.
func inHeldWorld(t *testing.T, held *heldStore, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		held.Store = gatewaytest.NewStore(t)
		test(&world{t, gatewaytest.Start(t, gateway.Config{Store: held, Logger: quiet()})})
	})
}
