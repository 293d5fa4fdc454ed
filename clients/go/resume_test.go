package client

import (
	"bytes"
	"context"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The socket is cut with frames of two channels under way in both directions: each side gets what it lacks, once and in
// order, channel by channel and before anything new. [SESS-12] [SESS-15].
func TestNothingIsLostWithTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		c, conn, p := attached(t, g, d.hear)
		h := c.Get("a", nil)
		first := increment(t.Context(), conn)
		one := next1[*wire.ClientCall](p)
		second := increment(t.Context(), h)
		two := next1[*wire.ClientCall](p)
		third := increment(t.Context(), conn)
		three := next1[*wire.ClientCall](p)
		p.send(event(1, "n", 1), result(one, 1), event(1, "n", 2))
		noError(t, <-first)
		d.want(t, "connected", "1", "2")
		p.drop()
		later := increment(t.Context(), conn)
		p = g.resumes("t1", 0, 0, 1, 4)
		d.want(t, "connected", "1", "2", "reconnecting")
		p.send(resumed("t2", 0, 0, 1, 2)) // it has the open and the first call
		again := next1[*wire.ClientCall](p)
		if again.ID != two.ID || again.Connection != 0 {
			t.Errorf("sent again: %+v", again)
		}
		if again = next1[*wire.ClientCall](p); again.ID != three.ID || again.Connection != 1 {
			t.Errorf("sent again: %+v", again)
		}
		four := next1[*wire.ClientCall](p)
		p.silent()
		p.wantAck(0, 0)
		p.send(event(1, "n", 3), result(three, 1), result(two, 1), event(1, "n", 4), result(four, 1))
		for _, outcome := range []<-chan error{second, third, later} {
			noError(t, <-outcome)
		}
		d.want(t, "connected", "1", "2", "reconnecting", "connected", "3", "4")
		if g.dials.Load() != 2 || conn.Status() != StatusConnected {
			t.Errorf("%d dials, %v", g.dials.Load(), conn.Status())
		}
	})
}

// What goes again may be too much for one message.
func TestMuchGoesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, conn, p := attached(t, g, nil)
		var calls []<-chan error
		var want []uint64
		for _, on := range []Caller{c.Get("a", nil), conn} {
			for range 4 {
				calls = append(calls, background(func() error { return on.Call(t.Context(), "f", nil, make([]byte, maxBatch/3)) }))
				want = append(want, next1[*wire.ClientCall](p).ID)
			}
		}
		p.drop()
		synctest.Wait()
		calls = append(calls, increment(t.Context(), conn), increment(t.Context(), c.Get("a", nil)))
		p = g.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 1))
		for i := range calls {
			call := next1[*wire.ClientCall](p)
			if i < len(want) && call.ID != want[i] {
				t.Errorf("call %d came, want %d", call.ID, want[i])
			}
			p.send(result(call, 1))
		}
		for _, call := range calls {
			noError(t, <-call)
		}
	})
}

// Without the feature in Welcome nothing is kept or acknowledged, and an Ack is a frame that was not negotiated. [SESS-13].
func TestResumeThatIsNotGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		p := g.greet(nil)
		p.accepts()
		noError(t, conn.Ready(t.Context()))
		for range 2 * ackFrames {
			p.send(event(1, "n"))
		}
		p.noAck()
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		if s := c.session; s.kept != 0 || s.zero.received != 0 || conn.channel.kept.len() != 0 {
			t.Errorf("%d bytes are kept", s.kept)
		}
		p.send(&clientv1alpha1.Ack{Received: counts(1, 2)})
		expectUnsupported(t, p, wire.ClientAck)
		p.drop()
		wantError(t, <-call, CodeSessionLost, RanMaybe)
	})
}

// The token that is used is that of the last Welcome that was read, and the counts are what has come until then: a cut
// before Welcome, or before its Ack has arrived, costs nothing. [SESS-16].
func TestCutsAroundWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		_, conn, p := attached(t, g, d.hear)
		call := increment(t.Context(), conn)
		one := next1[*wire.ClientCall](p)
		p.drop()
		g.resumes("t1", 0, 0, 1, 1).drop() // no Welcome
		p = g.resumes("t1", 0, 0, 1, 1)
		resume := p.stopReading() // its Ack does not arrive
		p.send(resumed("t3", 0, 0, 1, 1), event(1, "n", 1))
		d.want(t, "connected", "reconnecting", "connected", "1")
		p.drop()
		resume()
		p = g.resumes("t3", 0, 0, 1, 2)
		p.send(resumed("t4", 0, 0, 1, 1))
		p.wantAck(0, 0)
		if again := next1[*wire.ClientCall](p); again.ID != one.ID {
			t.Errorf("sent again: %+v", again)
		}
		p.send(result(one, 1))
		noError(t, <-call)
	})
}

// A Hello that was lost before the first Welcome began nothing: there is no session to go on with.
func TestCutBeforeTheFirstWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		call := increment(t.Context(), h)
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		next1[*wire.ClientCall](p)
		p.drop()
		wantError(t, <-call, CodeSessionLost, RanMaybe)
		call = increment(t.Context(), h)
		p = g.grants("t1")
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-call)
	})
}

// The socket breaks at many a byte of a write that holds frames of two channels. What did not arrive is sent again, or for
// the first time, and in order. [SESS-15].
func TestResumeAfterAWriteThatBroke(t *testing.T) {
	for allow := 0; allow < 150; allow += 3 {
		synctest.Test(t, func(t *testing.T) { resumeAfterBreak(t, allow) })
	}
}

func resumeAfterBreak(t *testing.T, allow int) {
	g := newGateway(t)
	var wires []*brittle
	g.wrap = func(c net.Conn) net.Conn {
		b := &brittle{Conn: c}
		b.allow.Store(-1)
		wires = append(wires, b)
		return b
	}
	c, conn, p := attached(t, g, nil)
	on := []Caller{c.Get("a", nil), conn}
	var outcomes []<-chan error
	hold(c.session, func() {
		for i := range 4 {
			outcomes = append(outcomes, background(func() error { return on[i%2].Call(t.Context(), "f", nil, i) }))
			synctest.Wait()
		}
		wires[0].allow.Store(int64(allow))
	})
	heard := map[uint64][]byte{} // what each call was about, by channel
	received := []uint64{0, 0, 1, 1}
	hear := func(m any) *wire.ClientCall {
		call, ok := m.(*wire.ClientCall)
		if !ok {
			t.Fatalf("got %T %v", m, m)
		}
		heard[call.Connection] = append(heard[call.Connection], call.Args...)
		received[1+2*call.Connection]++
		return call
	}
	var unanswered []any
	for _, m := range p.ended() {
		unanswered = append(unanswered, result(hear(m), 1))
	}
	p = g.resumes("t1", 0, 0, 1, 1)
	p.send(append([]any{resumed("t2", received...)}, unanswered...)...)
	for range 4 - len(unanswered) {
		p.send(result(hear(<-p.got), 1))
	}
	for _, outcome := range outcomes {
		noError(t, <-outcome)
	}
	p.silent()
	if want := map[uint64][]byte{0: {0x81, 0, 0x81, 2}, 1: {0x81, 1, 0x81, 3}}; !maps.EqualFunc(heard, want, bytes.Equal) {
		t.Errorf("after %d bytes: arrived %x, want %x", allow, heard, want)
	}
}

// A message of the gateway that was cut off was not received. [SESS-15].
func TestCutAmidAMessageOfTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		_, _, p := attached(t, g, d.hear)
		p.send(event(1, "n", 1))
		message := encoded(event(1, "n", 2), event(1, "n", 3))
		_, err := p.conn.NetConn().Write(append([]byte{0x82, byte(len(message))}, message[:len(message)-1]...))
		noError(t, err)
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 2)
		p.send(resumed("t2", 0, 0, 1, 1), event(1, "n", 2), event(1, "n", 3))
		d.want(t, "connected", "1", "reconnecting", "connected", "2", "3")
	})
}

// What was canceled while there was no socket does not run: a call that the gateway has gets its CancelCall, on its channel,
// one that it never got is not sent again. [CALL-5] [SESS-15].
func TestCancelWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		ctx1, cancel1 := context.WithCancel(t.Context())
		one := increment(ctx1, conn)
		first := next1[*wire.ClientCall](p)
		ctx2, cancel2 := context.WithCancel(t.Context())
		two := increment(ctx2, conn)
		second := next1[*wire.ClientCall](p)
		p.drop()
		g.refuse.Store(true)
		synctest.Wait()
		cancel1()
		wantError(t, <-one, CodeActionCanceled, RanMaybe)
		cancel2()
		wantError(t, <-two, CodeActionCanceled, RanMaybe)
		three := increment(t.Context(), conn)
		g.refuse.Store(false)
		p = g.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 2)) // the open and the first call
		for _, id := range []uint64{first.ID, second.ID} {
			if got := next1[*clientv1alpha1.CancelCall](p); got.GetId() != id || got.GetConnection() != 1 {
				t.Errorf("canceled %v, want %d", got, id)
			}
		}
		third := next1[*wire.ClientCall](p)
		p.send(failure(first, wire.ActionCanceled.New()), result(third, 1))
		noError(t, <-three)
		p.silent()
		p.drop() // the counts have kept step
		p = g.resumes("t2", 0, 0, 1, 3)
		p.send(resumed("t3", 0, 0, 1, 5))
		p.silent()
	})
}

// Handlers that come and go without socket are made up for at once, before the calls that wait. [CONN-5] [SESS-15].
func TestSubscriptionsWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		_, conn, p := attached(t, g, d.hear)
		gone := conn.On("gone", func(Event) {})
		expectSubscribe(t, p, 1, "gone")
		p.drop()
		g.refuse.Store(true)
		synctest.Wait()
		gone()
		conn.On("new", func(Event) {})
		for range 100 {
			conn.On("brief", func(Event) {})()
		}
		call := increment(t.Context(), conn)
		g.refuse.Store(false)
		p = g.resumes("t1", 0, 0, 1, 2)
		p.send(resumed("t2", 0, 0, 1, 2))
		expectUnsubscribe(t, p, 1, "gone")
		expectSubscribe(t, p, 1, "new")
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-call)
		p.silent()
	})
}

// A connection that is closed without socket is left as soon as there is one. [SESS-15].
func TestConnectionClosedWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		c, conn, p := attached(t, g, d.hear)
		noError(t, conn.Send(t.Context(), "last words"))
		next1[*wire.ClientCall](p)
		p.drop()
		g.refuse.Store(true)
		synctest.Wait()
		conn.Close()
		wantError(t, conn.Call(t.Context(), "f", nil), CodeConnectionClosed, RanNo)
		g.refuse.Store(false)
		p = g.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 1))
		if call := next1[*wire.ClientCall](p); string(call.Action) != "last words" {
			t.Errorf("%+v", call)
		}
		next1[*clientv1alpha1.ConnectionClose](p)
		p.wantAck(0, 0)
		p.send(event(1, "n", 1), &clientv1alpha1.ConnectionClosed{Connection: 1})
		p.wantAck(1, 3)
		d.want(t, "connected", "reconnecting", "closed", "close ")
		if len(c.session.channels) != 0 || c.session.kept != 0 {
			t.Error("the channel was not forgotten")
		}
	})
}

// A one-way call that was written counts as done; nevertheless it arrives, once. [SESS-14] [SESS-15].
func TestOneWayCallsArriveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		warm := background(func() error { return h.Send(t.Context(), "f", 0) })
		p := g.grants("t1")
		noError(t, <-warm)
		next1[*wire.ClientCall](p)
		for i := 1; i < 4; i++ {
			noError(t, h.Send(t.Context(), "f", i))
		}
		p.drop() // and nothing but these calls needs another socket
		p = g.resumes("t1", 0, 0)
		p.send(resumed("t2", 0, 2))
		for i := 2; i < 4; i++ {
			if call := next1[*wire.ClientCall](p); !call.Oneway || call.Args[1] != byte(i) {
				t.Errorf("sent again: %+v", call)
			}
		}
		p.silent()
		p.send(&clientv1alpha1.Ack{Received: counts(0, 4)})
		synctest.Wait()
		p.drop()
		synctest.Wait()
		if n := g.dials.Load(); n != 2 {
			t.Errorf("%d dials; nothing needs a socket", n)
		}
	})
}

// A one-way call of which the write failed is done when the gateway has it after all. [SESS-15].
func TestOneWayCallThatWasReceivedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		resume := p.stopReading()
		sent := background(func() error { return conn.Send(t.Context(), "f") }) // the pipe is full: it is never seen to be written
		synctest.Wait()
		p.drop()
		resume()
		p = g.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 2))
		noError(t, <-sent)
		p.silent()
	})
}

// The client that is closed without socket forgets the session; the gateway ends it in time. [SESS-8].
func TestClientClosedWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		c, conn, p := attached(t, g, d.hear)
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.drop()
		g.refuse.Store(true)
		synctest.Wait()
		noError(t, c.Close())
		wantError(t, <-call, CodeClientClosed, RanMaybe)
		d.want(t, "connected", "reconnecting", "closed", "close client.closed")
		if s := c.session; s.kept != 0 || s.resumeToken != nil {
			t.Error("the session was kept")
		}
		<-time.After(time.Minute)
		if n := g.dials.Load(); n != 2 {
			t.Errorf("%d dials", n)
		}
	})
}

// Ready waits until the connection can be used again.
func TestReadyWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 1)
		ready := background(func() error { return conn.Ready(t.Context()) })
		synctest.Wait()
		if conn.Status() != StatusReconnecting || len(ready) > 0 {
			t.Errorf("status %v", conn.Status())
		}
		p.send(resumed("t2", 0, 0, 1, 1))
		noError(t, <-ready)
	})
}

func expectUnsupported(t *testing.T, p *peer, kind wire.Kind) {
	t.Helper()
	if m := next1[*commonv1alpha1.Unsupported](p); m.GetKind() != uint32(kind) {
		t.Fatalf("%v, want kind %d", m, kind)
	}
}
