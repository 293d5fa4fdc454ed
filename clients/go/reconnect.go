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
	session  *session
	endpoint endpoint
	ctx      context.Context // ends with the client
	running  sync.WaitGroup
}

func newSupervisor(ctx context.Context, s *session, e endpoint) *supervisor {
	v := &supervisor{session: s, endpoint: e, ctx: ctx}
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
	k, err := openSocket(ctx, v.session, v.endpoint)
	if err != nil {
		v.session.unreached(err)
		v.session.log().Warn("no session", "error", err)
		return next{}
	}
	v.session.begin(time.Now())
	k.serve()
	v.watch(ctx, k)
	if k.code != "" {
		v.session.part(k.code, k.cause.Error())
	}
	k.finish(k.code != "")
	if k.unusable {
		v.session.leave() // it would come again with the session
	}
	n := v.session.end(k.cause, &k.batch, k.meter.written, time.Now())
	v.session.log().Info("socket lost", "error", k.cause, "resumable", n.resumable)
	return n
}

// watch returns when the socket is over. ctx bounds the wait for Welcome.
func (v *supervisor) watch(ctx context.Context, k *socket) {
	select {
	case <-k.lost:
	case ping := <-v.session.welcomed:
		v.keepAlive(k, ping)
	case <-ctx.Done():
		if v.ctx.Err() != nil {
			k.fail(raise(wire.ClientClosed, wire.RanNo, ""), CodeConnectionClosed)
			return
		}
		v.silence(k, errNoWelcome)
	}
}

// silence gives a socket up on which nothing comes. A Goodbye would end a session that can be resumed [SESS-18].
func (v *supervisor) silence(k *socket, cause error) {
	code := CodeSessionPingTimedOut
	if v.session.resumable() {
		code = ""
	}
	k.fail(cause, code)
}

// keepAlive sends a Ping after each interval of silence, and gives the socket up after the third [SESS-5]. A write that
// makes no way for as long counts as silence.
func (v *supervisor) keepAlive(k *socket, ping time.Duration) {
	timer := time.NewTimer(ping)
	defer timer.Stop()
	var heard int64
	for pinged := 0; ; {
		select {
		case <-k.lost:
			return
		case <-v.ctx.Done():
			k.fail(raise(wire.ClientClosed, wire.RanNo, ""), CodeConnectionClosed)
			return
		case <-timer.C:
		}
		now := time.Now()
		if last := k.heard.Load(); last != heard {
			heard, pinged = last, 0
		}
		silent := time.Duration(now.UnixNano() - heard)
		if silent >= 3*ping || k.stalled(now) >= 3*ping {
			v.silence(k, raise(wire.SessionPingTimedOut, wire.RanUnspecified, ""))
			return
		}
		if silent >= time.Duration(pinged+1)*ping {
			pinged++
			v.session.ping(uint64(pinged))
		}
		timer.Reset(time.Duration(pinged+1)*ping - silent)
	}
}

func (k *socket) stalled(now time.Time) time.Duration {
	since := k.writing.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - since)
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
