//go:build unix

// Package dev keeps a runner command running beside a development gateway, and starts commands that must not outlive us.
//
// The command gets a process group of its own, so that Ctrl-C in the terminal reaches the gateway alone, which then drains
// its actors through the runner before it stops it. When the command dies it is started again, after a growing pause.
// It does not outlive us: at the end its whole group is killed, and so it is if we are killed first, the command by the
// kernel (on Linux) and what it has started by a watcher. Output passes through unchanged. A Child is the same for a command
// that runs once. edge/cli makes one Supervisor and runs it once, edge/bench starts children; Kill is safe to call at any
// time.
package dev

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"syscall"
	"time"
)

// Options say what to run and how patiently.
type Options struct {
	// Command is the program and its arguments.
	Command []string
	// Env is added to our own environment.
	Env []string
	// Stdout and Stderr are passed to the command. Its standard input is empty.
	Stdout, Stderr io.Writer
	Logger         *slog.Logger

	// MinPause is waited before the first restart, and doubled for each that follows, up to MaxPause. 200 ms, 5 s.
	MinPause, MaxPause time.Duration
	// Settled is how long a command must live for the pause to begin anew. 10 s.
	Settled time.Duration
	// Grace is the time between SIGTERM and SIGKILL at the end. 5 s.
	Grace time.Duration
}

// Supervisor runs one command. It is made by New.
type Supervisor struct {
	options Options
	group   group
}

// New makes a Supervisor; the error says that the command does not exist, before anything is started.
func New(o Options) (*Supervisor, error) {
	if _, err := exec.LookPath(o.Command[0]); err != nil {
		return nil, err
	}
	o.MinPause = orDefault(o.MinPause, 200*time.Millisecond)
	o.MaxPause = orDefault(o.MaxPause, 5*time.Second)
	o.Settled = orDefault(o.Settled, 10*time.Second)
	o.Grace = orDefault(o.Grace, 5*time.Second)
	return &Supervisor{options: o}, nil
}

func orDefault(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

// Run keeps the command running until ctx ends, then stops its group and returns.
func (s *Supervisor) Run(ctx context.Context) {
	pause := s.options.MinPause
	for {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= s.options.Settled {
			pause = s.options.MinPause
		}
		s.options.Logger.Warn("the runner ended; it is started again", "command", s.options.Command[0], "how", how(err),
			"pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, s.options.MaxPause)
	}
}

func how(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// once runs the command to its end, which ctx brings about: first SIGTERM to the group, after the grace SIGKILL.
func (s *Supervisor) once(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.group.run(command(s.options), func() {}) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.group.signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(s.options.Grace):
		s.options.Logger.Warn("the runner did not stop in time; it is killed", "grace", s.options.Grace)
	}
	s.group.signal(syscall.SIGKILL)
	return <-ended
}

// Kill ends the group at once. Run still needs its context to end, or it starts the command again.
func (s *Supervisor) Kill() { s.group.signal(syscall.SIGKILL) }
