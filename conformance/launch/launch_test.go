package launch

import (
	"bytes"
	"context"
	"errors"
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
	out := &output{limit: 100}
	for range 1000 {
		if n, err := out.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	got := out.since(0)
	if len(got) > 300 || !strings.HasPrefix(got, "0123456789") || !strings.Contains(got, "left out") {
		t.Errorf("kept %q", got)
	}
	if n := out.written(); n != 10_000 {
		t.Errorf("%d bytes were written", n)
	}
}

// What is asked for from somewhere on is a whole of what is kept, wherever that is.
func TestOutputIsKnownByWhereItBegan(t *testing.T) {
	out := &output{limit: 20}
	all := ""
	for range 5 {
		_, _ = out.Write([]byte("abcdefg"))
		all += "abcdefg"
	}
	for n := range len(all) + 1 {
		got := out.since(n)
		_, last, cut := strings.Cut(got, "left out …\n")
		if !cut {
			last = got
		}
		if !strings.HasSuffix(all, last) || !cut && got != all[n:] || cut && n > len(out.first)+out.lost {
			t.Errorf("since %d: %q", n, got)
		}
	}
	if out.lost == 0 {
		t.Error("nothing was left out, and the test says little")
	}
}

func TestALogHasPlainLinesOfEachProcess(t *testing.T) {
	var file strings.Builder
	log := NewLog(&file)
	for _, command := range []string{`printf 'one\ntwo\033[2J'`, `printf '\033[31mred\033[0m\n'`} {
		p, err := StartLogged(command, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		exit(t, p)
	}
	if want := "1| one\n1| two\\x1b[2J\n2| red\n"; file.String() != want || log.Err() != nil {
		t.Errorf("the log has %q (%v)", file.String(), log.Err())
	}
}

func TestALogIsBounded(t *testing.T) {
	var file strings.Builder
	o := newOutput(NewLog(&file))
	o.log.left = 3 * maxPending
	for range 10 {
		_, _ = o.Write(bytes.Repeat([]byte("x"), maxPending)) // a line without end
	}
	o.end()
	if n := len(file.String()); n > 4*maxPending || !strings.HasSuffix(file.String(), "1| … what it writes from here on is left out …\n") {
		t.Errorf("%d bytes are logged", n)
	}
}

type fullDisk struct{ writes int }

func (f *fullDisk) Write([]byte) (int, error) { f.writes++; return 0, syscall.ENOSPC }

func TestALogThatCannotBeWrittenIsToldOnce(t *testing.T) {
	disk := &fullDisk{}
	log := NewLog(disk)
	o := newOutput(log)
	_, _ = o.Write([]byte("one\ntwo\n"))
	if !errors.Is(log.Err(), syscall.ENOSPC) || disk.writes != 1 {
		t.Errorf("%v after %d attempts", log.Err(), disk.writes)
	}
}
