//go:build unix

package dev

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Child is a command that runs once and outlives us as little as one under a Supervisor. Start makes it; its methods are
// safe for concurrent use.
type Child struct {
	group group
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // set before ended is closed
}

// Start starts a command. Of the options Command, Env, Stdout and Stderr count.
func Start(o Options) (*Child, error) {
	c := &Child{cmd: command(o), ended: make(chan struct{})}
	began := make(chan struct{})
	go func() {
		defer close(c.ended)
		c.err = c.group.run(c.cmd, func() { close(began) })
	}()
	select {
	case <-began:
	case <-c.ended:
	}
	if c.cmd.Process == nil {
		return nil, c.err
	}
	return c, nil
}

// Pid is the number of the process.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Ended is closed when the process and its group are gone and their output was passed on.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Err says how the process ended, once it has: nil, or what exec.Cmd.Wait returned.
func (c *Child) Err() error { return c.err }

// Stop ends the group and waits for it: SIGTERM, after the grace SIGKILL. Without grace SIGKILL comes at once.
func (c *Child) Stop(grace time.Duration) {
	if grace > 0 {
		c.group.signal(syscall.SIGTERM)
		select {
		case <-c.ended:
			return
		case <-time.After(grace):
		}
	}
	c.group.signal(syscall.SIGKILL)
	<-c.ended
}

func command(o Options) *exec.Cmd {
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Stdout, cmd.Stderr = o.Stdout, o.Stderr
	cmd.SysProcAttr = attributes()
	return cmd
}
