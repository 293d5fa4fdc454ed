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
		v.wait(n.retryAfter + options.Backoff.pause(attempt, v.session.random()))
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
	v.session.begin()
	k.serve()
	v.watch(ctx, k)
	if k.code != "" {
		v.session.part(k.code, k.cause.Error())
	}
	k.finish(k.code != "")
	v.session.log().Info("session lost", "error", k.cause)
	return v.session.end(k.cause, &k.batch, k.meter.written, time.Now())
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
		k.fail(errNoWelcome, CodeSessionPingTimedOut)
	}
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
			k.fail(raise(wire.SessionPingTimedOut, wire.RanUnspecified, ""), CodeSessionPingTimedOut)
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
