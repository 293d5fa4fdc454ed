package runner

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
)

// quiet is a socket on which nothing comes.
type quiet struct {
	closed chan struct{}
	last   func() // before it is known to be closed
}

func (q *quiet) ReadFrames(receiver) error { <-q.closed; q.last(); return io.EOF }
func (q *quiet) Write([]byte) error        { return nil }
func (q *quiet) Close()                    { close(q.closed) }

func newQuietDialog() (*dialog, *quiet) {
	q := &quiet{closed: make(chan struct{}), last: func() {}}
	d := newDialog(&hosting{runner: &Runner{log: slog.New(slog.DiscardHandler)}}, q)
	go d.out.writeLoop()
	go func() { d.ended <- q.ReadFrames(nil) }()
	return d, q
}

// A runner that is to stop when Welcome has just come has a session, whose actors are to be stopped with Drain [LINK-10].
func TestAWelcomeGoesBeforeTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 64 { // of two that are ready, select takes either
		d, _ := newQuietDialog()
		close(d.welcomed)
		if done, err := d.shake(ctx); done {
			t.Fatalf("the socket is left: %v", err)
		}
		_ = d.close(nil)
	}
}

// One that comes while the socket is being closed begins a session, too: it is gone on with, to stop the actors.
func TestAWelcomeDuringTheEndIsNotForgotten(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, q := newQuietDialog()
	q.last = func() { d.sess = &session{} }
	if done, err := d.shake(ctx); !done || !errors.Is(err, errInterrupted) {
		t.Errorf("done %t, %v", done, err)
	}
	if done, err := func() (bool, error) { d, _ := newQuietDialog(); return d.shake(ctx) }(); !done || err != nil {
		t.Errorf("without Welcome: done %t, %v", done, err)
	}
}
