//go:build unix

package dev_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/dev"
)

// roleVariable makes the test binary play one of the processes of a test instead of running tests.
const roleVariable = "STAGEDOOR_TEST_ROLE"

// quickExit spares the second that the race detector waits at the end of a process.
const quickExit = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// play is the body of a process. Each says its name and pid on standard output first, and the tests see that it is dead
// when the pipe that they all share ends.
func play(role string) {
	name, rest, _ := strings.Cut(role, ">")
	switch name {
	case "dies":
		say("dies")
	case "stays":
		say("stays")
		hang()
	case "obeys":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		say("obeys")
		<-term
		say("obeyed")
	case "ignores":
		signal.Ignore(syscall.SIGTERM)
		say("ignores")
		hang()
	case "starts": // a grandchild, and stays
		start(rest)
		say("starts")
		hang()
	case "leaves": // a grandchild, and dies
		start(rest)
		say("leaves")
	case "supervises":
		say("supervises")
		s, err := dev.New(options(rest, os.Stdout))
		if err != nil {
			panic(err)
		}
		s.Run(context.Background())
	}
}

func say(name string) { fmt.Fprintln(os.Stdout, name, os.Getpid()) }

func hang() { <-make(chan struct{}, len(os.Args)) }

func start(role string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, quickExit)
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

func options(role string, out *os.File) dev.Options {
	return dev.Options{
		Command: []string{os.Args[0]}, Env: []string{roleVariable + "=" + role, quickExit}, Stdout: out, Stderr: os.Stderr,
		Logger: slog.New(slog.DiscardHandler), MinPause: time.Millisecond, MaxPause: 20 * time.Millisecond,
	}
}

// output is the pipe that the processes of one test share.
type output struct {
	t     *testing.T
	write *os.File
	lines *bufio.Reader
}

func newOutput(t *testing.T) *output {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	if err := read.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &output{t, write, bufio.NewReader(read)}
}

// expect reads what a process says and returns its pid.
func (o *output) expect(name string) int {
	o.t.Helper()
	line, err := o.lines.ReadString('\n')
	if err != nil {
		o.t.Fatalf("no word of %s: %v", name, err)
	}
	said, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	pid, err := strconv.Atoi(number)
	if said != name || err != nil {
		o.t.Fatalf("%q instead of %s", line, name)
	}
	return pid
}

// expectSilence returns when every process that had the pipe is dead.
func (o *output) expectSilence() {
	o.t.Helper()
	_ = o.write.Close() // ours; a second time does no harm
	rest, err := io.ReadAll(o.lines)
	if err != nil {
		o.t.Fatalf("somebody lives: %v", err)
	}
	if len(rest) > 0 {
		o.t.Errorf("more was said: %q", rest)
	}
}

// supervise runs a command until stop, which waits for Run to return.
func supervise(t *testing.T, o dev.Options) (s *dev.Supervisor, stop func()) {
	t.Helper()
	s, err := dev.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return s, func() {
		cancel()
		<-done
	}
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

func TestADeadCommandIsStartedAgain(t *testing.T) {
	out := newOutput(t)
	_, stop := supervise(t, options("stays", out.write))
	first := out.expect("stays")
	kill(t, first, syscall.SIGKILL)
	if second := out.expect("stays"); second == first {
		t.Errorf("it is the same process: %d", second)
	}
	stop()
	out.expectSilence()
}

func TestThePauseGrows(t *testing.T) {
	out := newOutput(t)
	pauses := make(chan time.Duration, 100)
	o := options("dies", out.write)
	o.Logger = slog.New(pauseHandler{slog.DiscardHandler, pauses})
	_, stop := supervise(t, o)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 20, 20} {
		out.expect("dies")
		if got := <-pauses; got != want*time.Millisecond {
			t.Errorf("a pause of %v, not %v ms", got, want)
		}
	}
	stop()
}

func TestThePauseBeginsAnewWhenTheCommandHadSettled(t *testing.T) {
	out := newOutput(t)
	pauses := make(chan time.Duration, 100)
	o := options("dies", out.write)
	o.Logger = slog.New(pauseHandler{slog.DiscardHandler, pauses})
	o.Settled = time.Nanosecond
	_, stop := supervise(t, o)
	for range 3 {
		out.expect("dies")
		if got := <-pauses; got != time.Millisecond {
			t.Errorf("a pause of %v", got)
		}
	}
	stop()
}

// pauseHandler takes the pauses out of the log.
type pauseHandler struct {
	slog.Handler
	pauses chan<- time.Duration
}

func (h pauseHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h pauseHandler) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "pause" {
			h.pauses <- a.Value.Duration()
		}
		return true
	})
	return nil
}

func TestStoppingLetsTheCommandFinish(t *testing.T) {
	out := newOutput(t)
	o := options("obeys", out.write)
	o.Grace = time.Minute
	_, stop := supervise(t, o)
	out.expect("obeys")
	stop()
	out.expect("obeyed")
	out.expectSilence()
}

func TestACommandThatIgnoresSIGTERMIsKilled(t *testing.T) {
	out := newOutput(t)
	o := options("ignores", out.write)
	o.Grace = 20 * time.Millisecond
	_, stop := supervise(t, o)
	out.expect("ignores")
	stop()
	out.expectSilence()
}

func TestTheWholeGroupIsKilled(t *testing.T) {
	out := newOutput(t)
	_, stop := supervise(t, options("starts>stays", out.write))
	out.expectBoth("starts", "stays")
	stop()
	out.expectSilence()
}

func TestWhatADeadCommandLeftIsKilled(t *testing.T) {
	out := newOutput(t)
	pauses := make(chan time.Duration, 1)
	o := options("leaves>ignores", out.write)
	o.MinPause, o.MaxPause = time.Minute, time.Minute
	o.Logger = slog.New(pauseHandler{slog.DiscardHandler, pauses})
	_, stop := supervise(t, o)
	out.expect("leaves")
	<-pauses
	out.tolerate("ignores")
	out.expectSilence()
	stop()
}

func TestKillEndsTheGroupAtOnce(t *testing.T) {
	out := newOutput(t)
	o := options("ignores", out.write)
	o.Grace, o.MinPause, o.MaxPause = time.Minute, time.Minute, time.Minute
	s, stop := supervise(t, o)
	out.expect("ignores")
	s.Kill()
	out.expectSilence()
	stop()
}

func TestACommandThatDoesNotExistIsRefused(t *testing.T) {
	_, err := dev.New(dev.Options{Command: []string{"stagedoor-no-such-command"}})
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// expectBoth is expect for two processes in either order.
func (o *output) expectBoth(a, b string) {
	o.t.Helper()
	for range 2 {
		line, err := o.lines.ReadString('\n')
		if err != nil {
			o.t.Fatal(err)
		}
		said, _, _ := strings.Cut(line, " ")
		switch said {
		case a:
			a = ""
		case b:
			b = ""
		default:
			o.t.Fatalf("%q instead of %s or %s", line, a, b)
		}
	}
}

// tolerate reads the word of a process that may have been killed before it said it.
func (o *output) tolerate(name string) {
	o.t.Helper()
	_ = o.write.Close() // so that an end is seen
	if line, err := o.lines.ReadString('\n'); err == nil && !strings.HasPrefix(line, name+" ") {
		o.t.Errorf("%q instead of %s", line, name)
	}
}
