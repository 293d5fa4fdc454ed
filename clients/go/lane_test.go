package client

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// A stream that was reset is resumed alone: nothing is lost or doubled, and nothing else notices. [SESS-20].
func TestResumedLane(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		var d, e diary
		c, conn, w, zero, one := attachedByLane(t, g, d.hear)
		other := c.Get("room", []string{"2"}).Connect(ConnectOptions{Setup: e.hear})
		two := w.lane(2)
		two.accepts()
		one.send(event(1, "n", 1))
		first, second := increment(t.Context(), conn), (<-chan error)(nil)
		call := next1[*wire.ClientCall](one)
		one.settle()
		second = increment(t.Context(), conn)
		next1[*wire.ClientCall](one)
		one.reset()

		again := w.lane(1)
		again.resumes(2, 2) // opened, an event; the open, a call
		sent := next1[*wire.ClientCall](again)
		again.send(result(call, 1), event(1, "n", 2), result(sent, 2))
		noError(t, <-first)
		noError(t, <-second)
		done := increment(t.Context(), other)
		two.send(result(next1[*wire.ClientCall](two), 1))
		noError(t, <-done)
		zero.silent()
		d.want(t, "connected", "1", "reconnecting", "connected", "2")
		e.want(t, "connected")
	})
}

// A call that is made, and one that is given up, while a stream is being resumed.
func TestCallsBetweenLanes(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		_, conn, w, zero, one := attachedByLane(t, g, nil)
		ctx, cancel := context.WithCancel(t.Context())
		given := increment(ctx, conn)
		first := next1[*wire.ClientCall](one)
		one.reset()
		again := w.lane(1)
		m := next1[*clientv1alpha1.ConnectionResume](again)
		cancel()
		wantError(t, <-given, CodeActionCanceled, RanMaybe)
		done := increment(t.Context(), conn)
		zero.send(&clientv1alpha1.Ack{Received: counts(1, 2)}) // was on its way
		again.silent()
		again.send(&clientv1alpha1.ConnectionResumed{Connection: m.GetConnection(), Frames: 2})
		if canceled := next1[*clientv1alpha1.CancelCall](again); canceled.GetId() != first.ID || canceled.GetConnection() != 1 {
			t.Errorf("%v", canceled)
		}
		again.send(result(next1[*wire.ClientCall](again), 1))
		noError(t, <-done)
		zero.silent()
	})
}

// A stream that is lost again and again, with nothing achieved between, is given up: what was under way may have run, and
// the connection opens anew.
func TestLaneThatCannotBeResumed(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		var d diary
		_, conn, w, _, one := attachedByLane(t, g, d.hear)
		conn.On("late", func(Event) {}) // is not answered, and asked for again
		next1[*clientv1alpha1.Subscribe](one)
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](one)
		one.reset()
		for range maxLosses {
			again := w.lane(1)
			next1[*clientv1alpha1.ConnectionResume](again)
			again.reset()
		}
		wantError(t, <-call, CodeConnectionResumeLost, RanMaybe)
		anew := w.lane(4).accepts() // the subscription had number 2, the call 3
		if names := anew.GetSubscriptions(); !slices.Contains(names, "late") {
			t.Errorf("asked for %q", names)
		}
		noError(t, conn.Ready(t.Context()))
		d.want(t, "connected", "reconnecting", "error connection.resume_lost", "connected", "reset connection.resume_lost")
	})
}

// A connection that has ended while its calls could not be written: the gateway does not read them any more.
func TestLaneLostBehindTheEnd(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		_, conn, _, _, one := attachedByLane(t, g, nil)
		resume := one.stopReading()
		defer resume()
		var calls []<-chan error
		for range 20 {
			calls = append(calls, background(func() error { return conn.Call(t.Context(), "f", nil, make([]byte, 100<<10)) }))
		}
		one.settle()
		one.send(closedBy(1, wire.ConnectionDisconnected, never))
		one.settle()
		one.stream.CancelRead(7)
		for _, call := range calls {
			if name := CodeOf(<-call); name != CodeConnectionClosed && name != CodeConnectionDisconnected {
				t.Errorf("%s", name)
			}
		}
	})
}

// An opening that was lost with its stream comes again.
func TestOpeningThatWasLost(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c := g.client()
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		w, _ := g.grants()
		w.lane(1).reset()
		again := w.lane(1)
		again.resumes(0, 0)
		again.accepts()
		noError(t, conn.Ready(t.Context()))
	})
}

// An opening that the gateway knows goes on, without a word having come.
func TestOpeningThatWasResumed(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c := g.client()
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		w, _ := g.grants()
		w.lane(1).reset()
		again := w.lane(1)
		again.resumes(0, 1)
		again.send(&clientv1alpha1.ConnectionOpened{Connection: 1})
		noError(t, conn.Ready(t.Context()))
	})
}

// Without resume a connection ends with its stream. [SESS-20].
func TestLaneLostWithoutResume(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c := g.client()
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		w := <-g.peers
		zero, one := w.lane(0), w.lane(1)
		zero.send(&clientv1alpha1.Welcome{PingMs: 600_000})
		one.accepts()
		noError(t, conn.Ready(t.Context()))
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](one)
		one.reset()
		wantError(t, <-call, CodeSessionLost, RanMaybe)
		w.lane(3).accepts()
		noError(t, conn.Ready(t.Context()))
	})
}

// A session that goes on after its socket was lost: Hello alone, then each connection on its own stream, with both counts
// before anything else. [SESS-15] [SESS-20].
func TestSessionGoesOnOverLanes(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		var d diary
		c, conn, w, zero, one := attachedByLane(t, g, d.hear)
		gone := c.Get("room", []string{"2"}).Connect(ConnectOptions{}) // the gateway will not have heard of it
		next1[*clientv1alpha1.ConnectionOpen](w.lane(2))
		free, onConn := increment(t.Context(), c.Get("a", nil)), increment(t.Context(), conn)
		next1[*wire.ClientCall](zero)
		call := next1[*wire.ClientCall](one)
		w.drop()

		w = <-g.peers
		zero = w.lane(0)
		hello := next1[*clientv1alpha1.Hello](zero)
		if got := pairs(hello.GetResume().GetReceived()); len(got) != 6 || string(hello.GetResume().GetToken()) != "t1" {
			t.Fatalf("%v", hello)
		}
		zero.silent()
		w.noLane()
		zero.send(resumed("t2", 0, 0, 1, 2))
		one = w.lane(1)
		one.resumes(1, 2)
		w.lane(2).accepts()
		noError(t, gone.Ready(t.Context()))
		zero.send(result(next1[*wire.ClientCall](zero), 1))
		one.send(result(call, 1), event(1, "n", 1))
		noError(t, <-free)
		noError(t, <-onConn)
		one.silent()
		d.want(t, "connected", "reconnecting", "connected", "1")
	})
}

// A session goes on on a socket of another transport. [SESS-15].
func TestSessionChangesTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lanes, plain := newLaneGateway(t), newGateway(t)
		var d diary
		c := lanes.client()
		c.session.options.Dial = plain.dial
		overLane := c.supervisor.open
		var byLane bool
		c.supervisor.open = func(ctx context.Context) (socket, error) {
			if byLane = !byLane; byLane {
				return overLane(ctx)
			}
			return openWebSocket(ctx, c.session, must(parseEndpoint("http://gateway", Options{})))
		}
		conn := c.Get("room", nil).Connect(ConnectOptions{Setup: d.hear})
		w, _ := lanes.grants()
		w.lane(1).accepts()
		noError(t, conn.Ready(t.Context()))
		first := increment(t.Context(), conn)
		w.drop()

		p := plain.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 1))
		p.send(result(next1[*wire.ClientCall](p), 1), event(1, "n", 1))
		noError(t, <-first)
		p.drop()

		w = <-lanes.peers
		zero := w.lane(0)
		next1[*clientv1alpha1.Hello](zero)
		zero.send(resumed("t3", 0, 0, 1, 2))
		one := w.lane(1)
		one.resumes(3, 2)
		one.send(event(1, "n", 2))
		one.settle()
		d.want(t, "connected", "reconnecting", "connected", "1", "reconnecting", "connected", "2")
	})
}

// Unreliable events are delivered and not counted; those of a connection that is not open are passed over. [CONN-11].
func TestUnreliableEvents(t *testing.T) {
	unreliable := func(connection uint64, n int) *wire.ClientEvent {
		e := event(connection, "n", n)
		e.Unreliable = true
		return e
	}
	t.Run("datagrams", func(t *testing.T) {
		overLanes(t, func(t *testing.T, g *laneGateway) {
			var d, e diary
			c, _, w, zero, one := attachedByLane(t, g, d.hear)
			c.Get("room", []string{"2"}).Connect(ConnectOptions{Setup: e.hear})
			two := w.lane(2)
			next1[*clientv1alpha1.ConnectionOpen](two)
			w.datagram(unreliable(1, 1), unreliable(2, 9), unreliable(7, 9), event(1, "n", 9), &clientv1alpha1.Welcome{})
			noError(t, w.session.SendDatagram([]byte{0xff}))
			one.settle()
			for range ackFrames - 1 {
				one.send(event(1, "m"))
			}
			zero.wantAck(1, ackFrames)
			d.want(t, "connected", "1")
			e.want(t)
			two.silent()
		})
	})
	t.Run("frames", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGateway(t)
			var d diary
			_, _, p := attached(t, g, d.hear)
			p.send(unreliable(1, 1), unreliable(7, 9), event(1, "n", 2))
			p.noAck()
			d.want(t, "connected", "1", "2")
			p.drop()
			g.resumes("t1", 0, 0, 1, 2)
		})
	})
}

// A Ping is answered the way it came. Of our own the first of a silence is a datagram, and the next, which must not be lost,
// a frame; then the socket is given up. [SESS-5] [SESS-21].
func TestPingsOverWebTransport(t *testing.T) {
	overLanes(t, func(t *testing.T, g *laneGateway) {
		c := g.client()
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		w := <-g.peers
		zero := w.lane(0)
		next1[*clientv1alpha1.Hello](zero)
		welcome := grant("t1")
		welcome.PingMs = 15_000
		zero.send(welcome)
		w.lane(1).accepts()
		noError(t, conn.Ready(t.Context()))
		w.datagram(&commonv1alpha1.Ping{Nonce: 5})
		if pong, ok := (<-w.datagrams).(*clientv1alpha1.Pong); !ok || pong.GetNonce() != 5 {
			t.Errorf("%v", pong)
		}
		zero.send(&commonv1alpha1.Ping{Nonce: 6})
		if pong := next1[*clientv1alpha1.Pong](zero); pong.GetNonce() != 6 {
			t.Errorf("%v", pong)
		}
		silent := time.Now()
		if ping, ok := (<-w.datagrams).(*commonv1alpha1.Ping); !ok || ping.GetNonce() != 1 {
			t.Errorf("%v", ping)
		}
		next1[*commonv1alpha1.Ping](zero)
		zero.ended()
		if passed := time.Since(silent).Round(time.Second); passed != 45*time.Second {
			t.Errorf("given up after %v", passed)
		}
		again := (<-g.peers).lane(0)
		if hello := next1[*clientv1alpha1.Hello](again); string(hello.GetResume().GetToken()) != "t1" {
			t.Errorf("%v", hello)
		}
	})
}
