// Package launch runs the program under test: a shell command in a process group of its own, with the environment that tells it
// where the suite is. What it writes is kept, up to a bound, and never read as anything but text; a Log writes it to a file, too.
//
// Whoever starts a Process ends it with Kill, which waits until the whole group is gone. Process and Log are safe for concurrent
// use.
package launch

import (
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
	output *output
	done   chan struct{}

	mu   sync.Mutex
	code int
}

// outlive has the shell wait for the command when a signal comes to both of them: its status is what counts.
const outlive = "trap : TERM INT; "

// Start runs the command with these variables besides the suite's own environment.
func Start(command string, env map[string]string) (*Process, error) {
	return StartLogged(command, env, nil)
}

// StartLogged does what Start does, and has the log write what the command writes; nil: there is none.
func StartLogged(command string, env map[string]string, log *Log) (*Process, error) {
	p := &Process{cmd: exec.Command("/bin/sh", "-c", outlive+command), output: newOutput(log), done: make(chan struct{})}
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
	p.output.end()
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

// Ending says in words how a process ended that has this exit status.
func Ending(code int) string {
	switch {
	case code == 126:
		return "ended with status 126: the shell must not execute that"
	case code == 127:
		return "ended with status 127: the shell finds no such command"
	case code > 128 && code <= 128+64:
		return fmt.Sprintf("was ended by signal %d (%v)", code-128, syscall.Signal(code-128))
	}
	return fmt.Sprintf("ended with status %d", code)
}

// Output is what it has written to standard output and standard error.
func (p *Process) Output() string { return p.output.since(0) }

// Written is how many bytes it has written.
func (p *Process) Written() int { return p.output.written() }

// OutputSince is what it has written behind the first n bytes.
func (p *Process) OutputSince(n int) string { return p.output.since(n) }

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
