// Package launch runs the program under test: a shell command in a process group of its own, with the environment that tells it
// where the suite is. What it writes is kept, up to a bound, and never read as anything but text.
//
// Whoever starts a Process ends it with Kill, which waits until the whole group is gone. A Process is safe for concurrent use.
package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is one run of the command.
type Process struct {
	cmd    *exec.Cmd
	output *tail
	done   chan struct{}

	mu   sync.Mutex
	code int
}

// maxOutput is how much of the output is kept: its beginning and its end, half each.
const maxOutput = 1 << 20

// outlive has the shell wait for the command when a signal comes to both of them: its status is what counts.
const outlive = "trap : TERM INT\n"

// Start runs the command with these variables besides the suite's own environment.
func Start(command string, env map[string]string) (*Process, error) {
	p := &Process{cmd: exec.Command("/bin/sh", "-c", outlive+command), output: &tail{limit: maxOutput}, done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second // a grandchild that left the group may keep the pipe
	p.cmd.Env = os.Environ()
	for k, v := range env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w", command, err)
	}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	err := p.cmd.Wait()
	code := p.cmd.ProcessState.ExitCode()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) && code == 0 {
		code = 1
	}
	p.mu.Lock()
	p.code = code
	p.mu.Unlock()
	close(p.done)
}

// Done is closed when the command has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive says whether it has not.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Exit waits for the end and gives the exit status; 128 and the signal's number for a signal, as shells do.
func (p *Process) Exit(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.code, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the process to end: %w", context.Cause(ctx))
	}
}

// Output is what it has written to standard output and standard error.
func (p *Process) Output() string { return p.output.String() }

// Signal sends a signal to the whole group.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Alive() {
		return errors.New("signal the process: it has ended")
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil {
		return fmt.Errorf("signal the process: %w", err)
	}
	return nil
}

// Kill ends the group and waits for the command's end.
func (p *Process) Kill() {
	// The group outlives its leader while others of it live; a group that is gone is no fault.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Stop asks the group to end, and kills it after the grace.
func (p *Process) Stop(grace time.Duration) {
	if p.Signal(syscall.SIGTERM) == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
	}
	p.Kill()
}

// tail keeps the beginning and the end of what is written.
type tail struct {
	limit int

	mu    sync.Mutex
	first []byte
	last  []byte
	lost  int
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if room := t.limit/2 - len(t.first); room > 0 {
		take := min(room, len(b))
		t.first, b = append(t.first, b[:take]...), b[take:]
	}
	t.last = append(t.last, b...)
	if over := len(t.last) - t.limit; over > 0 { // halved seldom, not at each write
		cut := over + t.limit/2
		t.last = append([]byte(nil), t.last[cut:]...)
		t.lost += cut
	}
	return n, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == 0 {
		return string(t.first) + string(t.last)
	}
	return string(bytes.ToValidUTF8(t.first, nil)) + fmt.Sprintf("\n… %d bytes left out …\n", t.lost) + string(t.last)
}
