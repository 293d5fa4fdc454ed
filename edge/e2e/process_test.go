package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/examples/chat"
	"github.com/stagedoor-dev/stagedoor/examples/counter"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// helperEnv makes the test binary a runner instead of a test: of the examples, or of cells in the durability classes that it
// names.
const helperEnv = "STAGEDOOR_E2E_RUNNER"

const examples = "examples"

func helperProcess() bool {
	switch hosted := os.Getenv(helperEnv); hosted {
	case "":
		return false
	case examples:
		runner.Main(counter.Type(), chat.Type())
	default:
		runner.Main(cellTypes(strings.Split(hosted, ","))...)
	}
	return true
}

// stagedoor is the real binary, built once for all tests.
var stagedoor = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stagedoor-e2e")
	if err != nil {
		return "", err
	}
	builtIn.Store(&dir)
	path := filepath.Join(dir, "stagedoor")
	out, err := exec.Command("go", "build", "-o", path, "github.com/stagedoor-dev/stagedoor/edge/cmd/stagedoor").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build stagedoor: %w\n%s", err, out)
	}
	return path, nil
})

// removeBuilt removes the binary again, if it was built.
func removeBuilt() {
	if built := builtIn.Load(); built != nil {
		_ = os.RemoveAll(*built)
	}
}

var builtIn atomic.Pointer[string] // the directory of the binary

// process is a real process whose output goes to the test's log when it ends badly.
type process struct {
	*exec.Cmd
	output *synced
	exited chan struct{}
}

type synced struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *synced) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *synced) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func start(t *testing.T, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(path, args...), output: new(synced), exited: make(chan struct{})}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = p.output, p.output
	p.WaitDelay = 10 * time.Second
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(path), strings.Join(args, " "), p.output)
		}
	})
	return p
}

// kill ends the process as a power cut would, and waits for it.
func (p *process) kill() {
	_ = p.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// site is a gateway process and a runner process of the examples.
type site struct {
	t       *testing.T
	address string
	data    string
	store   string // embedded, or a URL
	hosted  string // by the runner: what helperEnv says
	gateway *process
	runner  *process
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := plan(t)
	s.startGateway()
	s.startRunner()
	return s
}

// plan is a site of which nothing runs yet.
func plan(t *testing.T) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes and takes seconds: not with -short")
	}
	return &site{t: t, address: freePort(t), data: filepath.Join(t.TempDir(), "data"), store: "embedded", hosted: examples}
}

func (s *site) url() string { return "http://" + s.address }

func (s *site) startGateway(flags ...string) {
	s.t.Helper()
	s.startAs(append([]string{"gateway", "--store", s.store, "--insecure"}, flags...)...)
}

// startDevelopment starts the gateway as developers do: with a certificate of its own, TLS and HTTP/3.
func (s *site) startDevelopment() {
	s.t.Helper()
	s.startAs("dev")
}

func (s *site) startAs(args ...string) {
	s.t.Helper()
	path, err := stagedoor()
	if err != nil {
		s.t.Fatal(err)
	}
	s.gateway = start(s.t, nil, path, append(args, "--data", s.data, "--listen", s.address)...)
	s.await("the gateway to be ready", func() bool { return s.status("/readyz") == http.StatusOK })
}

func (s *site) startRunner() {
	s.t.Helper()
	s.startRunnerAt(s.url())
}

func (s *site) startRunnerAt(endpoint string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.runner = start(s.t, []string{helperEnv + "=" + s.hosted, "STAGEDOOR_ENDPOINT=" + endpoint}, self)
	s.await("the runner to join", func() bool { return strings.Contains(s.runner.output.String(), "linked to the gateway") })
}

var plainHTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func (s *site) status(path string) int {
	res, err := plainHTTP.Get(s.url() + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (s *site) get(path string) string {
	res, err := plainHTTP.Get(s.url() + path)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

// await waits for a condition of another process.
func (s *site) await(what string, met func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !met() {
		select {
		case <-ticker.C:
		case <-deadline:
			s.t.Fatalf("waited 30 s for %s\ngateway: %s", what, s.gateway.output)
		}
	}
}

func (s *site) client() *client.Client {
	s.t.Helper()
	c, err := client.New(s.url(), client.Options{Backoff: client.Backoff{Max: 500 * time.Millisecond}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// ledger is what one actor's callers have seen.
type ledger struct {
	sent  atomic.Int64
	mu    sync.Mutex
	acked map[int]bool
	last  int
	twice []int
}

func (l *ledger) ack(value int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked[value] {
		l.twice = append(l.twice, value)
	}
	l.acked[value] = true
	l.last = max(l.last, value)
}

const (
	killClients  = 64
	killCounters = 16
	killAfter    = 20 * time.Second
)

// TestNothingAcknowledgedIsLostWhenAllIsKilled: 64 clients increment 16 counters for 20 s; in the middle of it gateway and
// runner die; afterwards every counter holds all that was acknowledged and no more than was sent, and no two
// acknowledged increments of an actor returned the same value. [STORE-2] [GATE-1] [GATE-3] [COMMIT-2]
func TestNothingAcknowledgedIsLostWhenAllIsKilled(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ledgers := make([]*ledger, killCounters)
	for i := range ledgers {
		ledgers[i] = &ledger{acked: map[int]bool{}}
	}
	var wg sync.WaitGroup
	for i := range killClients {
		c := s.client()
		l := ledgers[i%killCounters]
		h := c.GetOrCreate("counter", []string{fmt.Sprint(i % killCounters)})
		wg.Go(func() {
			for ctx.Err() == nil {
				l.sent.Add(1)
				callCtx, done := context.WithTimeout(ctx, 5*time.Second)
				n, err := client.Call[int](callCtx, h, "increment", 1)
				done()
				if err == nil {
					l.ack(n)
				}
			}
		})
	}
	// Three kills at random moments, each of both processes, all within the 20 s.
	begin := time.Now()
	for range 3 {
		wait(killAfter/5 + rand.N(killAfter/10))
		s.gateway.kill()
		s.runner.kill()
		s.startGateway()
		s.startRunner()
	}
	wait(killAfter - time.Since(begin))
	cancel()
	wg.Wait()
	s.gateway.kill()
	s.runner.kill()
	s.startGateway()
	s.startRunner()
	c := s.client()
	total := 0
	for i, l := range ledgers {
		final, err := client.Call[int](t.Context(), c.GetOrCreate("counter", []string{fmt.Sprint(i)}), "getCount")
		if err != nil {
			t.Fatalf("counter %d: %v", i, err)
		}
		if final < l.last || int64(final) > l.sent.Load() {
			t.Errorf("counter %d is %d: acknowledged up to %d, sent %d", i, final, l.last, l.sent.Load())
		}
		if len(l.twice) > 0 {
			t.Errorf("counter %d: acknowledged twice: %v", i, l.twice)
		}
		total += len(l.acked)
	}
	if total < 1000 {
		t.Errorf("only %d increments were acknowledged: the test shows too little", total)
	}
	t.Logf("%d increments acknowledged over 4 kills of gateway and runner", total)
}

// wait lets real time pass while other processes work.
func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// TestTheRunnerAloneIsKilled: the sockets stay open, the next call starts the actor again with its state and its
// connections, without onConnect, and events go on. [CONN-6] [LIFE-8]
func TestTheRunnerAloneIsKilled(t *testing.T) {
	s := newSite(t)
	ann, bob := s.join("ann"), s.join("bob")
	ann.say("one")
	bob.hears("ann: one")
	ann.hears("ann: one")
	for round := range 3 {
		s.runner.kill()
		s.startRunner()
		text := fmt.Sprintf("again %d", round)
		ann.say(text)
		bob.hears("ann: " + text)
		ann.hears("ann: " + text)
	}
	members, err := client.Call[[]string](t.Context(), ann.conn, "members")
	if err != nil || len(members) != 2 {
		t.Errorf("members = %q, %v", members, err)
	}
	history, err := client.Call[[]chat.Message](t.Context(), bob.conn, "history")
	if err != nil || len(history) != 4 {
		t.Errorf("history = %v, %v", history, err)
	}
	for _, m := range []*member{ann, bob} {
		if got := m.statuses(); got != "connected" {
			t.Errorf("%s saw its connection %s: it must have stayed open", m.name, got)
		}
		if m.joined() != map[string]int{"ann": 2, "bob": 1}[m.name] {
			t.Errorf("%s heard %d joins: onConnect ran again", m.name, m.joined())
		}
	}
}

// TestRunnersOverTCPAndUnixSockets reach the same gateway as those over WebSocket. [LINK-1] [FRAME-1]
func TestRunnersOverTCPAndUnixSockets(t *testing.T) {
	for scheme, listen := range map[string]func() string{
		"tcp":  func() string { return "tcp://" + freePort(t) },
		"unix": func() string { return "unix://" + filepath.Join(t.TempDir(), "runner.sock") },
	} {
		t.Run(scheme, func(t *testing.T) {
			s := plan(t)
			endpoint := listen()
			s.startGateway("--runner-listen", endpoint)
			s.startRunnerAt(endpoint)
			for want := 1; want <= 3; want++ {
				n, err := client.Call[int](t.Context(), s.client().GetOrCreate("counter", []string{scheme}), "increment", 1)
				if err != nil || n != want {
					t.Fatalf("increment = %d, %v; want %d", n, err, want)
				}
			}
		})
	}
}

// member is a chat client that notes what it hears.
type member struct {
	t     *testing.T
	name  string
	conn  *client.Connection
	heard chan string
	mu    sync.Mutex
	seen  []string
	joins int
}

func (s *site) join(name string) *member {
	s.t.Helper()
	m := &member{t: s.t, name: name, heard: make(chan string, 1000)}
	m.conn = s.client().GetOrCreate("chat", []string{"lobby"}).Connect(client.ConnectOptions{Params: chat.Member{Name: name}})
	m.conn.OnStatus(func(st client.Status) { m.note(func() { m.seen = append(m.seen, st.String()) }) })
	client.On(m.conn, "message", func(msg chat.Message) { m.heard <- msg.From + ": " + msg.Text })
	client.On(m.conn, "joined", func(string) { m.note(func() { m.joins++ }) })
	if err := m.conn.Ready(s.t.Context()); err != nil {
		s.t.Fatalf("%s joins: %v", name, err)
	}
	return m
}

func (m *member) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *member) statuses() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.seen, " ")
}

func (m *member) joined() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.joins
}

func (m *member) say(text string) {
	m.t.Helper()
	if err := m.conn.Call(m.t.Context(), "send", nil, text); err != nil {
		m.t.Fatalf("%s says %q: %v", m.name, text, err)
	}
}

func (m *member) hears(want string) {
	m.t.Helper()
	select {
	case got := <-m.heard:
		if got != want {
			m.t.Fatalf("%s heard %q, want %q", m.name, got, want)
		}
	case <-time.After(20 * time.Second):
		m.t.Fatalf("%s heard nothing for 20 s, want %q", m.name, want)
	}
}

// TestTwoChatClientsTalk runs the example's own client program twice.
func TestTwoChatClientsTalk(t *testing.T) {
	s := newSite(t)
	program := filepath.Join(t.TempDir(), "chat")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/stagedoor-dev/stagedoor/examples/chat/client").CombinedOutput(); err != nil {
		t.Fatalf("build the chat client: %v\n%s", err, out)
	}
	annIn, annOut := s.talk(program, "ann")
	bobIn, bobOut := s.talk(program, "bob")
	awaitLine(t, annOut, "* bob has joined")
	fmt.Fprintln(annIn, "hello from ann")
	awaitLine(t, bobOut, "ann: hello from ann")
	fmt.Fprintln(bobIn, "hello from bob")
	awaitLine(t, annOut, "bob: hello from bob")
	if err := bobIn.Close(); err != nil { // the end of bob's input ends bob
		t.Fatal(err)
	}
	awaitLine(t, annOut, "* bob has left")
}

func (s *site) talk(program, name string) (io.WriteCloser, <-chan string) {
	s.t.Helper()
	cmd := exec.Command(program, "--endpoint", s.url(), "--name", name, "--room", "lobby")
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	awaitLine(s.t, lines, "* "+name+" has joined")
	return in, lines
}

func awaitLine(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case line := <-lines:
			if line == want {
				return
			}
		case <-deadline:
			t.Fatalf("waited 20 s for the line %q", want)
		}
	}
}

// TestASigtermDrainsTheGateway: the process ends by itself, and what it held is there again.
func TestASigtermDrainsTheGateway(t *testing.T) {
	s := newSite(t)
	c := s.client()
	if _, err := client.Call[int](t.Context(), c.GetOrCreate("counter", []string{"x"}), "increment", 3); err != nil {
		t.Fatal(err)
	}
	if err := s.gateway.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.gateway.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway did not end within 20 s")
	}
	if code := s.gateway.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.startGateway()
	n, err := client.Call[int](t.Context(), c.GetOrCreate("counter", []string{"x"}), "getCount")
	var refused *client.Error
	if errors.As(err, &refused) && refused.Retryable { // the runner has not come back yet
		s.await("the runner to come back", func() bool { return strings.Contains(s.get("/metrics"), "\nstagedoor_links 1\n") })
		n, err = client.Call[int](t.Context(), c.GetOrCreate("counter", []string{"x"}), "getCount")
	}
	if err != nil || n != 3 {
		t.Errorf("after the restart: %d, %v", n, err)
	}
}
