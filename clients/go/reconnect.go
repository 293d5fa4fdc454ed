package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var errNoWelcome = errors.New("the gateway sent no Welcome in time")

// supervisor gives the session its sockets, one after the other, while something needs one. Its goroutine lives that long;
// the socket of a session that nothing needs stays until it is lost.
type supervisor struct {
	session *session
	open    func(context.Context) (socket, error) // dials and shakes hands; the context bounds both
	ctx     context.Context                       // ends with the client
	running sync.WaitGroup
}

func newSupervisor(ctx context.Context, s *session, open func(context.Context) (socket, error)) *supervisor {
	v := &supervisor{session: s, open: open, ctx: ctx}
	s.random = rand.Float64
	s.start = func() { v.running.Go(v.run) }
	return v
}

func (v *supervisor) run() {
	options := v.session.options
	for attempt := 1; !v.session.stopping(); attempt++ {
		began := time.Now()
		n := v.serve()
		if n.welcomed && time.Since(began) >= options.Backoff.Max {
			attempt = 1
		}
		if n.final {
			attempt = 0 // nothing is left; what comes now is new work
			continue
		}
		pause := n.retryAfter
		if !n.resumable || attempt > 1 { // the first attempt to resume is made at once
			pause += options.Backoff.pause(attempt, v.session.random())
		}
		v.wait(pause)
	}
}

// serve lives through one socket, or the attempt to get one.
func (v *supervisor) serve() next {
	ctx, cancel := context.WithTimeout(v.ctx, v.session.options.DialTimeout)
	defer cancel()
	k, err := v.open(ctx)
	if err != nil {
		v.session.unreached(err)
		v.session.log().Warn("no session", "error", err)
		return next{}
	}
	k.serve()
	v.watch(ctx, k)
	p := k.vitals()
	if p.code != "" {
		v.session.part(p.code, p.cause.Error())
	}
	rests := k.finish(p.code != "")
	if p.unusable.Load() {
		v.session.leave() // it would come again with the session
	}
	n := v.session.end(p.cause, rests, time.Now())
	v.session.log().Info("socket lost", "error", p.cause, "resumable", n.resumable)
	return n
}

// watch returns when the socket is over. ctx bounds the wait for Welcome.
func (v *supervisor) watch(ctx context.Context, k socket) {
	p := k.vitals()
	select {
	case <-p.lost:
	case ping := <-v.session.welcomed:
		v.keepAlive(k, ping)
	case <-ctx.Done():
		if v.ctx.Err() != nil {
			p.fail(raise(wire.ClientClosed, wire.RanNo, ""), CodeConnectionClosed)
			return
		}
		v.silence(p, errNoWelcome)
	}
}

// silence gives a socket up on which nothing comes. A Goodbye would end a session that can be resumed [SESS-18].
func (v *supervisor) silence(p *pulse, cause error) {
	code := CodeSessionPingTimedOut
	if v.session.resumable() {
		code = ""
	}
	p.fail(cause, code)
}

// keepAlive sends a Ping after each interval of silence, and gives the socket up after the third [SESS-5]. A write that
// makes no way for as long counts as silence.
func (v *supervisor) keepAlive(k socket, ping time.Duration) {
	p := k.vitals()
	timer := time.NewTimer(ping)
	defer timer.Stop()
	var heard int64
	for pinged := 0; ; {
		select {
		case <-p.lost:
			return
		case <-v.ctx.Done():
			p.fail(raise(wire.ClientClosed, wire.RanNo, ""), CodeConnectionClosed)
			return
		case <-timer.C:
		}
		now := time.Now()
		if last := p.heard.Load(); last != heard {
			heard, pinged = last, 0
		}
		silent := time.Duration(now.UnixNano() - heard)
		if silent >= 3*ping || p.stalled(now) >= 3*ping {
			v.silence(p, raise(wire.SessionPingTimedOut, wire.RanUnspecified, ""))
			return
		}
		if silent >= time.Duration(pinged+1)*ping {
			pinged++
			k.ping(uint64(pinged))
		}
		timer.Reset(time.Duration(pinged+1)*ping - silent)
	}
}

// wait pauses, and meanwhile ends the calls that have waited long enough.
func (v *supervisor) wait(pause time.Duration) {
	end := time.Now().Add(pause)
	for {
		now := time.Now()
		next := v.session.expire(now)
		if !now.Before(end) {
			return
		}
		// A call that comes during the pause expires WaitTimeout later at the earliest.
		until := min(end.Sub(now), v.session.options.WaitTimeout)
		if !next.IsZero() {
			until = min(until, next.Sub(now))
		}
		timer := time.NewTimer(until)
		select {
		case <-timer.C:
		case <-v.ctx.Done():
			timer.Stop()
			return
		}
	}
}
