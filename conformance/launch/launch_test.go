package launch

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, command string) *Process {
	t.Helper()
	p, err := Start(command, map[string]string{"CONFORM_TEST": "here"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func exit(t *testing.T, p *Process) int {
	t.Helper()
	code, err := p.Exit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestACommandRunsWithItsEnvironment(t *testing.T) {
	p := start(t, "echo $CONFORM_TEST; echo err >&2; exit 3")
	if code := exit(t, p); code != 3 || p.Alive() {
		t.Errorf("exit %d", code)
	}
	if got := p.Output(); !strings.Contains(got, "here\n") || !strings.Contains(got, "err\n") {
		t.Errorf("output %q", got)
	}
	if p.Signal(syscall.SIGTERM) == nil {
		t.Error("a process that has ended takes a signal")
	}
}

func TestAGroupIsKilledAsAWhole(t *testing.T) {
	p := start(t, "sleep 1000 & sleep 1000; true")
	p.Kill()
	if code := exit(t, p); code != 128+9 {
		t.Errorf("exit %d", code)
	}
}

func TestStopAsksFirst(t *testing.T) {
	p := start(t, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
	for !strings.Contains(p.Output(), "ready") {
		<-time.After(time.Millisecond)
	}
	p.Stop(time.Minute)
	if code := exit(t, p); code != 7 {
		t.Errorf("exit %d", code)
	}
	deaf := start(t, "trap '' TERM; echo ready; while :; do sleep 1000; done")
	for !strings.Contains(deaf.Output(), "ready") {
		<-time.After(time.Millisecond)
	}
	deaf.Stop(10 * time.Millisecond)
	if code := exit(t, deaf); code != 128+9 {
		t.Errorf("exit %d", code)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	p := start(t, "sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Exit(ctx); err == nil {
		t.Error("it ended")
	}
}

func TestEndlessOutputIsBounded(t *testing.T) {
	out := &tail{limit: 100}
	for range 1000 {
		if n, err := out.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	got := out.String()
	if len(got) > 300 || !strings.HasPrefix(got, "0123456789") || !strings.Contains(got, "left out") {
		t.Errorf("kept %q", got)
	}
}
