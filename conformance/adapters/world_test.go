package adapters_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

const root = "../.."

// patience is how long a test waits for what should take a moment.
const patience = 20 * time.Second

// built are the programs that the tests run; TestMain makes them.
var built struct{ gateway, runnerGo string }

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "contract-app")
	if err == nil {
		built.gateway, err = build(folder, "./edge/cmd/stagedoor")
	}
	if err == nil {
		built.runnerGo, err = build(folder, "./conformance/adapters/runner-go")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

func build(folder, what string) (string, error) {
	program := filepath.Join(folder, filepath.Base(what))
	cmd := exec.Command("go", "build", "-o", program, what)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", what, err, out)
	}
	return program, nil
}

// world is a gateway with a runner, and the gates of its actors.
type world struct {
	t      *testing.T
	client *client.Client
	gates  *gates
	log    *output
}

// newWorld runs the real gateway with that runner beside it.
func newWorld(t *testing.T, runner []string, env ...string) *world {
	t.Helper()
	w := &world{t: t, gates: newGates(t), log: &output{}}
	args := append([]string{"dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"), "--"}, runner...)
	cmd := exec.Command(built.gateway, args...)
	cmd.Env = append(os.Environ(), append(env, "CONFORM_GATE_URL="+w.gates.server.URL)...)
	cmd.Stdout, cmd.Stderr = w.log, w.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("the gateway does not end")
		}
		if t.Failed() {
			t.Logf("gateway and runner:\n%s", w.log)
		}
	})
	address := w.log.find(t, regexp.MustCompile(`HTTP +(http://\S+)`))
	var err error
	if w.client, err = client.New(address, client.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.client.Close() })
	waitReady(t, address)
	return w
}

func waitReady(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		resp, err := http.Get(address + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("no runner has come")
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// output is what a process writes, to be searched while it runs.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits for what the pattern's group matches.
func (o *output) find(t *testing.T, pattern *regexp.Regexp) string {
	t.Helper()
	late := time.After(patience)
	for {
		o.mu.Lock()
		found := pattern.FindStringSubmatch(o.text.String())
		if o.grown == nil {
			o.grown = make(chan struct{})
		}
		grown := o.grown
		o.mu.Unlock()
		if found != nil {
			return found[1]
		}
		select {
		case <-grown:
		case <-late:
			t.Fatalf("no %s in:\n%s", pattern, o)
		}
	}
}

// gates are where actors wait. A gate is made by whoever first asks for it.
type gates struct {
	server *httptest.Server
	mu     sync.Mutex
	all    map[string]*gate
}

type gate struct{ reached, open chan struct{} }

func newGates(t *testing.T) *gates {
	g := &gates{all: map[string]*gate{}}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := g.at(strings.TrimPrefix(r.URL.Path, "/"))
		select {
		case at.reached <- struct{}{}:
		default:
		}
		select {
		case <-at.open:
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(g.server.Close)
	return g
}

func (g *gates) at(id string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all[id] == nil {
		g.all[id] = &gate{make(chan struct{}, 100), make(chan struct{})}
	}
	return g.all[id]
}

func (g *gates) open(id string) { close(g.at(id).open) }

// reached waits until somebody waits there.
func (g *gates) reached(t *testing.T, id string) {
	t.Helper()
	select {
	case <-g.at(id).reached:
	case <-time.After(patience):
		t.Fatalf("nobody waits at gate %s", id)
	}
}
