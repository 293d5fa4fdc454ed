package runner

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/crew"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// hosting is one Serve: it goes from socket to socket, and keeps the session and the actors in between.
type hosting struct {
	runner  *Runner
	workers sync.WaitGroup        // goroutines that run user code
	crew    *crew.Crew[*instance] // of these, for turns
	drain   drainer

	// Of the loop, and of the reader of a socket while its Welcome is awaited.
	sess    *session    // nil: none that goes on
	adrift  []*instance // of lost sessions: to be offered to the next one
	hurried time.Time   // when an attempt was last made at once
}

func newHosting(ctx context.Context, r *Runner) *hosting {
	h := &hosting{runner: r, drain: drainer{begin: ctx.Done(), timeout: r.config.DrainTimeout}}
	h.crew = crew.New(&h.workers, (*instance).work)
	return h
}

// serve makes one link after another until ctx ends, or a reject or goodbye is final.
func (h *hosting) serve(ctx context.Context) error {
	last := false
	for {
		err := h.connect(ctx)
		if ctx.Err() != nil {
			if err == nil || h.sess == nil || last {
				return nil
			}
			last = true // one attempt to go on, so that the actors can be handed over
			continue
		}
		wait := time.Duration(0)
		if bye, ok := errors.AsType[*farewell](err); ok {
			if bye.final {
				return bye.cause
			}
			wait = bye.retryAfter
		}
		if wait == 0 && !h.hurry() {
			wait = h.runner.backoff.next()
		}
		h.runner.log.Warn("no link to the gateway", "endpoint", h.runner.config.Endpoint, "error", err, "retry_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// hurry tells whether the next attempt is made at once: there are actors that wait for it, and the last such attempt is not
// just over [LINK-11].
func (h *hosting) hurry() bool {
	if h.sess == nil && len(h.adrift) == 0 || !h.hurried.IsZero() && time.Since(h.hurried) < h.runner.backoff.longest() {
		return false
	}
	h.hurried = time.Now()
	return true
}

// connect makes a socket and serves it to its end.
func (h *hosting) connect(ctx context.Context) error {
	if h.sess != nil && h.sess.lease.ended() {
		h.lose()
	}
	dialing := ctx
	if ctx.Err() != nil && h.sess != nil {
		var cancel context.CancelFunc
		dialing, cancel = context.WithTimeout(context.WithoutCancel(ctx), h.sess.resumeFor)
		defer cancel()
	}
	r := h.runner
	sock, err := r.at.dial(dialing, r.config.Dial, r.config.TLS, r.config.Token)
	if err != nil {
		return err
	}
	d := newDialog(h, sock)
	err = d.run(ctx)
	if d.sess == nil {
		return err
	}
	d.sess.link.detach()
	if err != nil && (d.over.Load() || !d.sess.resume || d.sess.lease.ended()) {
		h.lose()
	}
	return err
}

// hello says who the runner is, and what it has of a session that it wants to go on with.
func (h *hosting) hello() *runnerv1alpha1.Hello {
	r := h.runner
	h.adrift = slices.DeleteFunc(h.adrift, (*instance).ended)
	m := &runnerv1alpha1.Hello{
		ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax, Features: wire.RunnerFeatures(),
		Token: r.config.Token, Pool: r.config.Pool, Instance: r.config.Instance, RunnerVersion: r.config.Version,
		Region: r.config.Region, Labels: r.config.Labels, Sdk: "go", SdkVersion: sdkVersion, Hosting: len(h.adrift) > 0,
	}
	for _, name := range slices.Sorted(maps.Keys(r.defs)) {
		m.Types = append(m.Types, r.defs[name].announce())
	}
	if s := h.sess; s != nil {
		m.Resume = &runnerv1alpha1.Resume{Session: s.id, Received: s.link.received()}
		m.Hosting = m.Hosting || s.adopt && len(s.all()) > 0
	}
	return m
}

// unleasedWait is how long actors without a session and without a lease wait to be adopted.
const unleasedWait = time.Minute

// lose ends the session. Its actors wait to be adopted until one more lease is over.
func (h *hosting) lose() {
	s := h.sess
	h.sess = nil
	adrift := s.lose()
	if len(adrift) == 0 {
		return
	}
	s.log.Warn("the session is lost; its actors wait for another one", "actors", len(adrift))
	h.adrift = append(h.adrift, adrift...)
	wait := unleasedWait
	if t := s.lease.term.Load(); t != nil {
		wait = max(0, t.left(now())+t.length)
	}
	time.AfterFunc(wait, func() {
		for _, in := range adrift {
			in.giveUp(s)
		}
	})
}

// begin replaces the session by a new one, to which the actors of the old one are offered, if offering was announced
// [LINK-19].
func (h *hosting) begin(s *session, announced bool) {
	if h.sess != nil {
		h.lose()
	}
	h.sess = s
	adrift := h.adrift
	h.adrift = nil
	if s.adopt && announced {
		s.offer(adrift)
		return
	}
	for _, in := range adrift {
		in.mu.Lock()
		in.drop()
		in.mu.Unlock()
	}
}

// workersWait is how long Serve waits for user code that goes on although its context has ended.
const workersWait = 5 * time.Second

// end drops what is left and waits for its code.
func (h *hosting) end() {
	h.drain.stop()
	left := h.adrift
	if h.sess != nil {
		h.sess.link.kill()
		left = append(left, h.sess.all()...)
	}
	for _, in := range left {
		in.mu.Lock()
		in.drop()
		in.mu.Unlock()
	}
	h.crew.Close()
	done := make(chan struct{})
	go func() {
		h.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(workersWait):
		h.runner.log.Warn("actor code is still running although its context has ended")
	}
}
