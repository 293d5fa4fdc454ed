package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/cli"
	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
)

// runnerVariable makes the test binary the runner of `dev`: it says where it would dial, and waits.
const runnerVariable = "STAGEDOOR_TEST_RUNNER"

func TestMain(m *testing.M) {
	if os.Getenv(runnerVariable) != "" {
		fmt.Fprintf(os.Stdout, "runner: endpoint %q token %q\n", os.Getenv("STAGEDOOR_ENDPOINT"), os.Getenv("STAGEDOOR_TOKEN"))
		<-make(chan struct{}, len(os.Args))
	}
	goleak.VerifyTestMain(m)
}

// fakeGateway answers its path and does nothing else. Its drain lasts until busy is closed, unless that is nil.
type fakeGateway struct{ busy chan struct{} }

func (fakeGateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
}
func (fakeGateway) ServeRunner(net.Conn) {}
func (fakeGateway) Unserved()            {}

func (g fakeGateway) Drain(context.Context) error {
	if g.busy != nil {
		<-g.busy
	}
	return nil
}

func (fakeGateway) Close() error { return nil }

// log is what several goroutines write.
type log struct {
	mu      sync.Mutex
	text    strings.Builder
	written sync.Cond
}

func newLog() *log {
	l := &log{}
	l.written.L = &l.mu
	return l
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written.Broadcast()
	return l.text.Write(b)
}

// await returns when the text has been written.
func (l *log) await(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !strings.Contains(l.text.String(), text) {
		l.written.Wait()
	}
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// process is a command line that runs.
type process struct {
	t       *testing.T
	out     *bufio.Reader
	err     *log
	configs chan config.Config
	code    chan int
	busy    chan struct{} // as in fakeGateway
	exits   chan int      // exit codes after a second signal
}

// begin runs the command line in this process. A test ends it by a signal.
func begin(t *testing.T, env map[string]string, args ...string) *process {
	t.Helper()
	return beginBusy(t, nil, env, args...)
}

// beginBusy is begin with a gateway that drains until busy is closed.
func beginBusy(t *testing.T, busy chan struct{}, env map[string]string, args ...string) *process {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	p := &process{
		t: t, out: bufio.NewReader(read), err: newLog(), configs: make(chan config.Config, 1), code: make(chan int, 1),
		exits: make(chan int, 1), busy: busy,
	}
	program := cli.Program{
		Args: args, Stdout: write, Stderr: p.err,
		Env:  func(name string) string { return env[name] },
		Exit: func(code int) { p.exits <- code },
		Assemble: func(_ context.Context, cfg config.Config, _ *slog.Logger) (serve.Gateway, error) {
			p.configs <- cfg
			return fakeGateway{p.busy}, nil
		},
	}
	go func() {
		code := cli.Main(program)
		_ = write.Close()
		p.code <- code
	}()
	return p
}

// expect reads output up to a line that matches, and returns the first group.
func (p *process) expect(pattern string) string {
	p.t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.t.Fatalf("no line like %q; exit %d, standard error: %s", pattern, <-p.code, p.err)
		}
		if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
}

func (p *process) signal() {
	p.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) interrupt() {
	p.t.Helper()
	p.signal()
	if code := <-p.code; code != 0 {
		p.t.Errorf("exit %d: %s", code, p.err)
	}
}

func TestDevServesAndStartsItsRunner(t *testing.T) {
	t.Setenv(runnerVariable, "1")
	p := begin(t, nil, "dev", "--listen", "127.0.0.1:0", "--data", "d", "--", os.Args[0], "an argument")
	url := p.expect(`HTTP +(http://\S+)`)
	curl := p.expect(`curl -X POST (\S+)`)
	if want := url + "/v1/actors/counter:a/actions/increment"; curl != want {
		t.Errorf("the line to paste has %s, not %s", curl, want)
	}
	if got := p.expect(`runner: (.*)`); got != fmt.Sprintf("endpoint %q token %q", url, "") {
		t.Errorf("the runner was told %s", got)
	}
	cfg := <-p.configs
	if !cfg.Insecure || !cfg.Development || !cfg.RequireRunner || cfg.Data != "d" || cfg.Patience == 0 {
		t.Errorf("assembled with %v", cfg)
	}
	response, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	p.interrupt()
}

func TestTheSecondSignalLeavesAtOnce(t *testing.T) {
	t.Setenv(runnerVariable, "1")
	busy := make(chan struct{})
	p := beginBusy(t, busy, nil, "dev", "--listen", "127.0.0.1:0", "--", os.Args[0])
	p.expect(`(runner: )`)
	p.signal()
	p.err.await("shutting down")
	p.signal()
	if code := <-p.exits; code != 1 {
		t.Errorf("exit %d", code)
	}
	close(busy) // in life the process is gone by now
	<-p.code
}

func TestDevWithoutRunnerIsReadyByItself(t *testing.T) {
	p := begin(t, nil, "dev", "--listen=:0")
	if host := p.expect(`Ready +http://([^:]+):`); host != "127.0.0.1" {
		t.Errorf("it is said to be at %s", host)
	}
	if cfg := <-p.configs; cfg.RequireRunner {
		t.Error("it waits for a runner")
	}
	p.interrupt()
	if !strings.Contains(p.err.String(), "everybody who reaches this address") {
		t.Errorf("no warning: %s", p.err)
	}
}

func TestDevWithTokensIsClosed(t *testing.T) {
	t.Setenv(runnerVariable, "1")
	env := map[string]string{"STAGEDOOR_RUNNER_TOKEN": "r1,r2", "STAGEDOOR_CLIENT_TOKEN": "c"}
	p := begin(t, env, "dev", "--listen", "127.0.0.1:0", "--", os.Args[0])
	p.expect(`(CLIENT-TOKEN)`)
	if got := p.expect(`runner: .* token "(.*)"`); got != "r1" {
		t.Errorf("the runner's token is %q", got)
	}
	if cfg := <-p.configs; cfg.Insecure {
		t.Error("it is open")
	}
	p.interrupt()
}

func TestGatewayLogsJSONWithoutSecrets(t *testing.T) {
	socket := "unix://" + filepath.Join(t.TempDir(), "s")
	p := begin(t, map[string]string{"STAGEDOOR_ADMIN_TOKEN": "hush1"}, "gateway", "--listen", "127.0.0.1:0",
		"--runner-listen", socket, "--runner-token", "hush2", "--runner-token=hush3", "--log-level", "info")
	cfg := <-p.configs
	if len(cfg.RunnerTokens) != 2 || cfg.Development || cfg.Patience != 0 || cfg.RunnerListen[0] != socket {
		t.Errorf("assembled with %v", cfg)
	}
	p.interrupt()
	logged := p.err.String()
	if !strings.Contains(logged, `"msg":"gateway started"`) || !strings.Contains(logged, `"msg":"gateway stopped"`) {
		t.Errorf("logged %s", logged)
	}
	if strings.Contains(logged, "hush") {
		t.Errorf("a token is logged: %s", logged)
	}
}

func TestCommandsThatAreNotUnderstood(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no tokens", []string{"gateway"}, "--insecure"},
		{"a store that is none", []string{"gateway", "--insecure", "--store", "mysql://h"}, "redis://host:port"},
		{"a bad value", []string{"gateway", "--insecure", "--listen", "6420"}, `--listen "6420"`},
		{"an unknown flag", []string{"gateway", "--lisen"}, "--lisen"},
		{"an unknown command", []string{"serve"}, `unknown command "serve"`},
		{"arguments", []string{"gateway", "now"}, "now"},
		{"no such file", []string{"gateway", "--config", "nowhere.toml"}, "nowhere.toml"},
		{"a runner without --", []string{"dev", "./runner"}, "dev -- ./runner"},
		{"a runner that does not exist", []string{"dev", "--", "stagedoor-no-such-runner"}, "stagedoor-no-such-runner"},
		{"no address", []string{"actors", "get"}, "1 arg"},
		{"a bad address", []string{"actors", "get", "co unter"}, "type:part:part"},
		{"an unknown scenario", []string{"bench", "fly"}, `unknown command "fly" for "stagedoor bench"`},
		{"a negative number", []string{"bench", "calls", "--connections", "-1"}, "--connections is -1; it is at least 1"},
		{"an unknown transport among others", []string{"bench", "calls", "--transport", "ws,carrier-pigeon"}, `--transport is "carrier-pigeon"; it is one of ws, wt, h1, h3`},
		{"no transport", []string{"bench", "calls", "--transport", ""}, "--transport names none"},
		{"a negative limit", []string{"bench", "all", "--actors=-2"}, "--actors is -2"},
		{"no time", []string{"bench", "cold", "--duration", "0"}, "--duration is 0s"},
		{"a number that the scenario does not have", []string{"bench", "cold", "--connections", "3"}, "--connections"},
		{"a comparison with nothing", []string{"bench", "compare", "old.json"}, "2 arg"},
		{"a comparison of files that are not there", []string{"bench", "compare", "old.json", "new.json"}, "old.json"},
		{"a comparison of other files", []string{"bench", "compare", "cli_test.go", "cli_test.go"}, "cli_test.go: line 1: it is not a result"},
		{"a text without quotes", []string{"actors", "call", "a", "b", "hello"}, `'"hello"'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := begin(t, nil, c.args...)
			if code := <-p.code; code != 2 {
				t.Errorf("exit %d", code)
			}
			if !strings.HasPrefix(p.err.String(), "stagedoor: ") || !strings.Contains(p.err.String(), c.want) {
				t.Errorf("%q does not say %q", p.err, c.want)
			}
		})
	}
}

func TestATakenPortIsAFailureThatNamesTheHolder(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	p := begin(t, nil, "gateway", "--insecure", "--listen", held.Addr().String())
	if code := <-p.code; code != 1 || !strings.Contains(p.err.String(), fmt.Sprintf("process %d (", os.Getpid())) {
		t.Errorf("exit %d: %s", code, p.err)
	}
}

func TestVersionAndHelp(t *testing.T) {
	p := begin(t, nil, "version")
	p.expect(`^stagedoor (\S+)`)
	<-p.code
	p = begin(t, map[string]string{"STAGEDOOR_TOKEN": "hush", "STAGEDOOR_CLIENT_TOKEN": "hush"}, "gateway", "--help")
	if line := p.expect(`(--listen host:port.*)`); !strings.Contains(line, "127.0.0.1:6420") {
		t.Errorf("no default in %q", line)
	}
	rest, err := io.ReadAll(p.out)
	if err != nil || bytes.Contains(rest, []byte("hush")) {
		t.Errorf("%s %v", rest, err)
	}
	<-p.code
}
