package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lxzan/gws"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestBackoffBounds(t *testing.T) {
	b := Options{}.withDefaults().Backoff
	bound := b.Min
	for n := 1; n < 100; n++ {
		if got := b.pause(n, 0.999999); got > bound || got < bound*9/10 {
			t.Errorf("pause %d is %v, bound %v", n, got, bound)
		}
		if got := b.pause(n, 0); got != 0 {
			t.Errorf("pause %d is at least %v", n, got)
		}
		if got := b.pause(n, rand.Float64()); got < 0 || got > 30*time.Second {
			t.Errorf("pause %d is %v", n, got)
		}
		bound = min(2*bound, 30*time.Second)
	}
}

func TestTransportFailuresNeverStopTheRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse.Store(true)
		c := g.client(Options{})
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		<-time.After(24 * time.Hour)
		if n := g.dials.Load(); n < 24*60*2/2 || n > 24*60*60*4 {
			t.Errorf("%d dials in a day", n)
		}
		g.refuse.Store(false)
		g.greet(nil).accepts()
		noError(t, conn.Ready(t.Context()))
	})
}

// A call whose frame was written is lost with the socket, one that still waited is sent again.
func TestSocketLostWithWrittenAndWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		written := increment(t.Context(), h)
		p := g.greet(&clientv1alpha1.Limits{MaxCalls: 1})
		next1[*wire.ClientCall](p)
		synctest.Wait() // Welcome has been read
		waiting := increment(t.Context(), h)
		p.silent()
		p.drop()
		e := theError(t, <-written, CodeSessionLost, RanMaybe)
		if !e.Retryable || e.Unwrap() == nil {
			t.Errorf("%+v", e)
		}
		p = g.greet(nil)
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-waiting)
	})
}

func TestSocketLostBeforeWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		early := increment(t.Context(), h)
		synctest.Wait()
		large := background(func() error { return h.Call(t.Context(), "f", nil, make([]byte, maxEarly)) })
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		next1[*wire.ClientCall](p)
		p.silent() // the large one waits for the limits
		p.drop()
		wantError(t, <-early, CodeSessionLost, RanMaybe)
		p = g.greet(nil)
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-large)
	})
}

// brittle is a conn that breaks when allow more bytes were written; < 0: not yet.
type brittle struct {
	net.Conn
	allow atomic.Int64
}

func (b *brittle) Write(p []byte) (int, error) {
	allow := b.allow.Load()
	if allow < 0 {
		return b.Conn.Write(p)
	}
	n, _ := b.Conn.Write(p[:min(int(allow), len(p))])
	_ = b.Close()
	return n, errors.New("the wire broke")
}

// The write of three calls breaks at every possible byte: a call of which a byte was written is lost, the others go again.
func TestWriteBreaksAtEachByte(t *testing.T) {
	frame := len(encoded(&wire.ClientCall{ID: 10, Action: []byte("increment"), Args: []byte{0x81, 1}, Target: &commonv1alpha1.Address{Type: "a"}, Mode: 1}))
	const header = 6 // of the WebSocket message, with its mask; 126 bytes and more have 8
	for allow := range header + 2 + 3*frame {
		synctest.Test(t, func(t *testing.T) { breakAfter(t, allow, frame) })
	}
}

func breakAfter(t *testing.T, allow, frame int) {
	g := newGateway(t)
	var wires []*brittle
	g.wrap = func(c net.Conn) net.Conn {
		b := &brittle{Conn: c}
		b.allow.Store(-1)
		wires = append(wires, b)
		return b
	}
	h := g.client(Options{}).Get("a", nil)
	s := h.client.session
	warm := increment(t.Context(), h)
	p := g.greet(nil)
	p.send(result(next1[*wire.ClientCall](p), 1))
	noError(t, <-warm)
	synctest.Wait()
	s.mu.Lock() // so that the three go in one write
	s.lastID = 9
	var outcomes []<-chan error
	wires[0].allow.Store(int64(allow))
	s.mu.Unlock()
	hold(s, func() {
		for range 3 {
			outcomes = append(outcomes, increment(t.Context(), h))
			synctest.Wait()
		}
	})
	payload := max(0, allow-6)
	if 3*frame > 125 {
		payload = max(0, allow-8)
	}
	lost := min(3, (payload+frame-1)/frame)
	for _, outcome := range outcomes[:lost] {
		wantError(t, <-outcome, CodeSessionLost, RanMaybe)
	}
	if lost == 3 {
		return // nothing needs another socket
	}
	p = g.greet(nil)
	for _, outcome := range outcomes[lost:] {
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-outcome)
	}
	p.silent()
}

// hold keeps the writer from taking calls while f runs.
func hold(s *session, f func()) {
	s.mu.Lock()
	limits := s.limits
	s.limits = &clientv1alpha1.Limits{MaxCalls: 1}
	s.unanswered[0] = &call{}
	s.mu.Unlock()
	f()
	s.mu.Lock()
	s.limits = limits
	delete(s.unanswered, 0)
	s.stir()
	s.mu.Unlock()
}

func TestConnectionsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		var d diary
		conn := c.Get("room", nil).Connect(ConnectOptions{Params: 5, Setup: func(conn *Connection) {
			d.keep(conn)
			conn.On("a", func(Event) {})
		}})
		p := g.greet(nil)
		first := p.accepts()
		noError(t, conn.Ready(t.Context()))
		conn.On("b", func(Event) {})
		expectSubscribe(t, p, first.GetConnection(), "b")
		underWay := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.drop()
		wantError(t, <-underWay, CodeSessionLost, RanMaybe)
		later := increment(t.Context(), conn)
		p = g.greet(nil)
		second := next1[*clientv1alpha1.ConnectionOpen](p)
		if len(second.GetSubscriptions()) != 2 || string(second.GetParams()) != string(first.GetParams()) ||
			second.GetTarget().GetType() != "room" || second.GetConnection() == first.GetConnection() {
			t.Errorf("reopened with %v", second)
		}
		p.silent()
		p.send(event(second.GetConnection(), "a"), &clientv1alpha1.ConnectionOpened{Connection: second.GetConnection(), ConnectionId: "new"})
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-later)
		d.want(t, "connected", "reconnecting", "connected")
	})
}

func TestClosedToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		var d diary
		conn := c.Get("room", nil).Connect(ConnectOptions{Setup: d.keep})
		p := g.greet(nil)
		first := p.accepts().GetConnection()
		underWay := increment(t.Context(), conn)
		call := next1[*wire.ClientCall](p)
		p.send(closedBy(first, wire.ConnectionClosed, same), result(call, 1)) // its result still comes [CALL-1]
		noError(t, <-underWay)
		again := increment(t.Context(), conn)
		second := p.accepts().GetConnection()
		if got := next1[*wire.ClientCall](p); got.Connection != second {
			t.Errorf("call on %d", got.Connection)
		} else {
			p.send(result(got, 1))
		}
		noError(t, <-again)
		d.want(t, "connected", "reconnecting", "error connection.closed", "connected")
		if c.session.phase != phaseReady || g.dials.Load() != 1 {
			t.Error("the socket did not stay")
		}
	})
}

func TestSocketLostWhileAConnectionPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		conn := c.Get("room", nil).Connect(ConnectOptions{})
		p := g.greet(nil)
		n := p.accepts().GetConnection()
		busy := wire.ConnectionClosed.New().Proto()
		busy.RetryAfterMs = 60_000
		p.send(&clientv1alpha1.ConnectionClosed{Connection: n, Error: busy, Reconnect: same})
		synctest.Wait()
		p.drop()
		p = g.greet(nil)
		p.silent() // it waits for its own pause
		begun := time.Now()
		p.accepts()
		noError(t, conn.Ready(t.Context()))
		if passed := time.Since(begun); passed < 50*time.Second {
			t.Errorf("it came back after %v", passed)
		}
	})
}

func TestRetryableReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		done := increment(t.Context(), h)
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		next1[*wire.ClientCall](p)
		err := wire.GatewayDraining.New().Proto()
		err.RetryAfterMs = 5000
		p.send(&clientv1alpha1.Reject{Error: err})
		begun := time.Now()
		p = g.greet(nil) // the call certainly did not run, and is sent again
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-done)
		if passed := time.Since(begun); passed < 5*time.Second || passed > 5250*time.Millisecond {
			t.Errorf("retry_after 5 s became %v", passed)
		}
		if rest := g.dials.Load(); rest != 2 {
			t.Errorf("%d dials", rest)
		}
	})
}

func TestFinalReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		h := c.Get("a", nil)
		var d diary
		conn := h.Connect(ConnectOptions{Setup: d.keep})
		call, onConn := increment(t.Context(), h), increment(t.Context(), conn)
		p := g.accept()
		synctest.Wait()
		p.send(&clientv1alpha1.Reject{Error: wire.AuthUnauthenticated.New().Proto()})
		wantError(t, <-call, CodeAuthUnauthenticated, RanNo)
		wantError(t, <-onConn, CodeAuthUnauthenticated, RanNo)
		d.want(t, "closed", "close auth.unauthenticated")
		for _, m := range p.ended() {
			if _, ok := m.(*commonv1alpha1.Goodbye); ok {
				t.Error("the client said goodbye to a Reject")
			}
		}
		<-time.After(time.Hour)
		if n := g.dials.Load(); n != 1 {
			t.Errorf("%d dials", n)
		}
		again := increment(t.Context(), h)
		p = g.greet(nil)
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-again)
	})
}

func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		conn := c.Get("a", nil).Connect(ConnectOptions{})
		p := g.greet(nil)
		p.accepts()
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.send(&commonv1alpha1.Goodbye{Code: CodeGatewayDraining, RetryAfterMs: 3000, Reconnect: same})
		err := <-call
		wantError(t, err, CodeSessionLost, RanMaybe)
		if !errors.Is(err, errGoodbye) {
			t.Errorf("%v does not tell of the goodbye", err)
		}
		begun := time.Now()
		p = g.greet(nil)
		if passed := time.Since(begun); passed < 3*time.Second || passed > 3250*time.Millisecond {
			t.Errorf("came back after %v", passed)
		}
		p.accepts()
		noError(t, conn.Ready(t.Context()))
		p.send(&commonv1alpha1.Goodbye{Code: CodeAuthForbidden, Message: "the token was revoked", Reconnect: never})
		for conn.Status() != StatusClosed {
			synctest.Wait()
		}
		e := theError(t, conn.Ready(t.Context()), CodeAuthForbidden, RanNo)
		if e.Message != "the token was revoked" {
			t.Errorf("%q", e.Message)
		}
		<-time.After(time.Hour)
		if n := g.dials.Load(); n != 2 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		call := increment(t.Context(), c.Get("a", nil))
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		p.send(&clientv1alpha1.Welcome{PingMs: 1000}, &commonv1alpha1.Ping{Nonce: 77})
		next1[*wire.ClientCall](p)
		if pong := next1[*clientv1alpha1.Pong](p); pong.GetNonce() != 77 || pong.GetNowMs() != time.Now().UnixMilli() {
			t.Errorf("%v", pong)
		}
		for range 5 {
			begun := time.Now()
			ping := next1[*commonv1alpha1.Ping](p)
			if passed := time.Since(begun); passed != time.Second {
				t.Errorf("ping after %v", passed)
			}
			p.send(&clientv1alpha1.Pong{Nonce: ping.GetNonce()})
		}
		noError(t, p.conn.WritePing([]byte("ws")))
		if pong := next1[string](p); pong != "ws" {
			t.Errorf("pong %q", pong)
		}
		begun := time.Now()
		wantError(t, <-call, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed != 3*time.Second {
			t.Errorf("given up after %v", passed)
		}
		rest := p.ended()
		if bye, ok := rest[len(rest)-1].(*commonv1alpha1.Goodbye); len(rest) != 3 || !ok || bye.GetCode() != CodeSessionPingTimedOut {
			t.Errorf("sent %v", rest)
		}
	})
}

func TestNoWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		call := increment(t.Context(), g.client(Options{}).Get("a", nil))
		begun := time.Now()
		err := <-call
		wantError(t, err, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed != 10*time.Second || !errors.Is(err, errNoWelcome) {
			t.Errorf("%v after %v", err, passed)
		}
	})
}

func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		h := c.Get("a", nil)
		warm := increment(t.Context(), h)
		p := g.greet(nil)
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-warm)
		resume := sync.OnceFunc(p.stopReading())
		defer resume()
		begun, stuck := time.Now(), p.conn
		ctx, cancel := context.WithCancel(t.Context())
		g.done.Go(func() { // it goes on talking, so that only the writes stand still
			for ctx.Err() == nil {
				<-time.After(time.Second)
				_ = stuck.WriteMessage(gws.OpcodeBinary, encoded(&clientv1alpha1.Pong{}))
			}
		})
		one := increment(t.Context(), h)
		synctest.Wait()
		two := background(func() error { return h.Call(t.Context(), "f", nil, make([]byte, 1<<20)) })
		synctest.Wait()
		three := increment(t.Context(), h)
		wantError(t, <-one, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed < 30*time.Minute || passed > 41*time.Minute {
			t.Errorf("given up after %v", passed)
		}
		cancel()
		resume()
		p = g.greet(nil) // nothing of the other two was taken from us
		p.send(result(next1[*wire.ClientCall](p), 1), result(next1[*wire.ClientCall](p), 1))
		noError(t, <-two)
		noError(t, <-three)
	})
}
