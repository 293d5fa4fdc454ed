package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const anywhere = commonv1alpha1.Reconnect_RECONNECT_ANY

// The gateway does not know the session any more: a new one has begun, on this socket. Calls that were written are lost,
// those that waited go; the connections open anew and tell that they may have missed something. [SESS-15].
func TestSessionThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		_, conn, p := attached(t, g, d.hear)
		written := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 1)
		waiting := increment(t.Context(), conn)
		p.silent()
		p.send(grant("u1"))
		wantError(t, <-written, CodeSessionLost, RanMaybe)
		open := p.accepts()
		p.wantAck(0, 0)
		call := next1[*wire.ClientCall](p)
		if open.GetConnection() <= 2 || call.Connection != open.GetConnection() {
			t.Errorf("opened as %d, called on %d", open.GetConnection(), call.Connection)
		}
		p.send(event(1, "n", 1), event(open.GetConnection(), "n", 2), result(call, 1))
		noError(t, <-waiting)
		d.want(t, "connected", "reconnecting", "connected", "reset session.lost", "2")
	})
}

// resume_ms bounds the way back; then a new session is begun, and the calls end when it is over. [SESS-15].
func TestSessionThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		c, conn, p := attached(t, g, d.hear)
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		begun := time.Now()
		g.refuse.Store(true)
		p.drop()
		err := theError(t, <-call, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed != 30*time.Second || !errors.Is(err, errNoGateway) {
			t.Errorf("%v after %v", err, passed)
		}
		synctest.Wait()
		if s := c.session; s.kept != 0 || len(s.channels) != 0 {
			t.Error("the session was kept")
		}
		g.refuse.Store(false)
		g.grants("u1").accepts()
		noError(t, conn.Ready(t.Context()))
		d.want(t, "connected", "reconnecting", "connected", "reset session.lost")
	})
}

// The time is that since the socket of the last Welcome was lost: attempts without Welcome do not prolong it. [SESS-15].
func TestAttemptsDoNotProlongTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.drop()
		begun := time.Now()
		attempts := background(func() error {
			for passed := time.Duration(0); passed < 30*time.Second; {
				p := g.accept()
				hello := next1[*clientv1alpha1.Hello](p)
				if passed = time.Since(begun); (hello.GetResume() != nil) != (passed < 30*time.Second) {
					t.Errorf("after %v: %v", passed, hello)
				}
				p.drop()
			}
			return nil
		})
		wantError(t, <-call, CodeSessionLost, RanMaybe)
		if passed := time.Since(begun); passed != 30*time.Second {
			t.Errorf("given up after %v", passed)
		}
		noError(t, <-attempts)
	})
}

// The first attempt is made at once, the others after pauses.
func TestPausesBeforeResuming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, _, p := attached(t, g, nil)
		c.session.random = func() float64 { return 0.5 }
		begun := time.Now()
		for _, want := range []time.Duration{0, 250, 750, 1750} { // half of 500 ms, 1 s, 2 s, added up
			p.drop()
			p = g.resumes("t1", 0, 0, 1, 1)
			if passed := time.Since(begun); passed != want*time.Millisecond {
				t.Errorf("came after %v, want %d ms", passed, want)
			}
		}
		p.send(resumed("t2", 0, 0, 1, 1))
		<-time.After(time.Minute) // it lasted
		begun = time.Now()
		p.drop()
		if g.resumes("t2", 0, 0, 1, 1); time.Now() != begun {
			t.Errorf("came after %v", time.Since(begun))
		}
	})
}

// A connection of which the gateway could not keep everything opens again, its unanswered calls may have run, and nothing
// happens to the other one. [SESS-17].
func TestConnectionThatCannotBeResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d, other diary
		c, conn, p := attached(t, g, d.hear)
		spared := c.Get("hall", nil).Connect(ConnectOptions{Setup: other.hear})
		n := p.accepts().GetConnection()
		noError(t, spared.Ready(t.Context()))
		call, written := increment(t.Context(), spared), increment(t.Context(), conn)
		answer := next1[*wire.ClientCall](p)
		if next := next1[*wire.ClientCall](p); answer.Connection != n {
			answer = next
		}
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 1, n, 1)
		p.send(resumed("t2", 0, 0, 1, 2, n, 2), closedBy(1, wire.ConnectionResumeLost, same), event(n, "n", 1), result(answer, 1))
		wantError(t, <-written, CodeConnectionResumeLost, RanMaybe)
		noError(t, <-call)
		p.wantAck(0, 0, 1, 2, n, 3)
		again := p.accepts().GetConnection()
		p.send(event(again, "n", 2))
		d.want(t, "connected", "reconnecting", "connected", "reconnecting", "error connection.resume_lost",
			"connected", "reset connection.resume_lost", "2")
		other.want(t, "connected", "reconnecting", "connected", "1")
		p.drop()
		g.resumes("t2", 0, 0, n, 3, again, 2)
	})
}

// The socket is cut behind the end of a channel. A call on it that the gateway did not get did not run; one that it got is
// answered on channel 0. [SESS-12] [SESS-14].
func TestCallsOnAChannelThatHasEnded(t *testing.T) {
	for name, connection := range map[string]uint64{"answered without connection": 0, "answered with it": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				_, conn, p := attached(t, g, nil)
				first := increment(t.Context(), conn)
				one := next1[*wire.ClientCall](p)
				second := increment(t.Context(), conn)
				next1[*wire.ClientCall](p)
				noError(t, conn.Send(t.Context(), "f"))
				retry := wire.ConnectionClosed.New().Proto()
				retry.RetryAfterMs = 60_000
				p.send(&clientv1alpha1.ConnectionClosed{Connection: 1, Error: retry, Reconnect: same})
				p.wantAck(1, 2)
				p.drop()
				p = g.resumes("t1", 0, 0, 1, 2)
				p.send(resumed("t2", 0, 0, 1, 2)) // the open and the first call
				wantError(t, <-second, CodeConnectionClosed, RanNo)
				p.send(&wire.ClientCallResult{ID: one.ID, Connection: connection})
				noError(t, <-first)
				p.silent()
				p.drop()
				synctest.Wait()
				p = g.accept() // nothing is left to go on with
				if hello := next1[*clientv1alpha1.Hello](p); hello.GetResume() != nil {
					t.Errorf("%v", hello)
				}
			})
		})
	}
}

// A channel that has ended is kept until all that was sent on it is acknowledged. [SESS-14].
func TestWhenAChannelIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, conn, p := attached(t, g, nil)
		noError(t, conn.Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		p.send(closedBy(1, wire.ConnectionDisconnected, never))
		p.wantAck(1, 2)
		noError(t, c.Get("a", nil).Send(t.Context(), "f"))
		next1[*wire.ClientCall](p)
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 2)
		p.send(resumed("t2", 0, 1, 1, 2))
		p.wantAck(0, 0)
		noError(t, c.Get("a", nil).Send(t.Context(), "f"))
		p.drop()
		g.resumes("t2", 0, 0)
	})
}

// A gateway that has forgotten the end of a channel cannot say what it got: its calls may have run.
func TestChannelThatTheGatewayForgot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.send(closedBy(1, wire.ConnectionDisconnected, never))
		p.wantAck(1, 2)
		p.drop()
		p = g.resumes("t1", 0, 0, 1, 2)
		p.send(resumed("t2", 0, 0))
		wantError(t, <-call, CodeConnectionClosed, RanMaybe)
	})
}

// A Goodbye with reconnect same leaves the session, any other ends it. [SESS-18].
func TestGoodbyeOfASession(t *testing.T) {
	cases := map[string]struct {
		code      string
		reconnect commonv1alpha1.Reconnect
	}{
		"slow reader": {CodeSessionSlowReader, same},
		"silence":     {CodeSessionPingTimedOut, same},
		"draining":    {CodeGatewayDraining, anywhere},
		"superseded":  {CodeSessionSuperseded, never},
		"not said":    {CodeGatewayDraining, commonv1alpha1.Reconnect_RECONNECT_UNSPECIFIED},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				_, conn, p := attached(t, g, nil)
				call := increment(t.Context(), conn)
				one := next1[*wire.ClientCall](p)
				begun := time.Now()
				p.send(&commonv1alpha1.Goodbye{Code: c.code, Reconnect: c.reconnect, RetryAfterMs: 1000})
				switch c.reconnect {
				case same:
					p = g.resumes("t1", 0, 0, 1, 1)
					if passed := time.Since(begun); passed != time.Second {
						t.Errorf("came after %v", passed)
					}
					p.send(resumed("t2", 0, 0, 1, 2), result(one, 1))
					noError(t, <-call)
				case never:
					wantError(t, <-call, c.code, RanMaybe)
					wantError(t, conn.Ready(t.Context()), c.code, RanNo)
				default:
					wantError(t, <-call, CodeSessionLost, RanMaybe)
					g.grants("u1").accepts()
					noError(t, conn.Ready(t.Context()))
				}
			})
		})
	}
}

// A socket on which nothing comes is left without a Goodbye, which would end the session. [SESS-5] [SESS-18].
func TestSilentSocketIsLeftForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		call := increment(t.Context(), c.Get("a", nil))
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		welcome := grant("t1")
		welcome.PingMs = 1000
		p.send(welcome)
		one := next1[*wire.ClientCall](p)
		begun := time.Now()
		for _, m := range p.ended() {
			if _, ok := m.(*commonv1alpha1.Ping); !ok {
				t.Errorf("sent %v", m)
			}
		}
		p = g.resumes("t1", 0, 0)
		if passed := time.Since(begun); passed != 3*time.Second {
			t.Errorf("left after %v", passed)
		}
		if rest := p.ended(); len(rest) != 0 { // no Welcome: the same
			t.Errorf("sent %v", rest)
		}
		p = g.resumes("t1", 0, 0)
		p.send(resumed("t2", 0, 1), result(one, 1))
		noError(t, <-call)
	})
}

// A Reject that passes does not harm the session; a final one ends everything. [SESS-2] [SESS-15].
func TestRejectedResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		_, conn, p := attached(t, g, nil)
		call := increment(t.Context(), conn)
		one := next1[*wire.ClientCall](p)
		p.drop()
		g.resumes("t1", 0, 0, 1, 1).send(&clientv1alpha1.Reject{Error: wire.GatewayOverloaded.New().Proto()})
		p = g.resumes("t1", 0, 0, 1, 1)
		p.send(resumed("t2", 0, 0, 1, 2), result(one, 1))
		noError(t, <-call)
		call = increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		p.drop()
		p = g.resumes("t2", 0, 0, 1, 2)
		waiting := increment(t.Context(), conn)
		synctest.Wait()
		p.send(&clientv1alpha1.Reject{Error: wire.AuthUnauthenticated.New().Proto()})
		wantError(t, <-call, CodeAuthUnauthenticated, RanMaybe)
		wantError(t, <-waiting, CodeAuthUnauthenticated, RanNo)
		wantError(t, conn.Ready(t.Context()), CodeAuthUnauthenticated, RanNo)
	})
}

// Where the gateway says what cannot be, the client ends the session and begins another. [SESS-14] [SESS-15].
func TestWhatCannotBe(t *testing.T) {
	cases := map[string][]any{
		"more than was sent":       {resumed("t2", 0, 0, 1, 3)},
		"less than acknowledged":   {resumed("t2", 0, 0, 1, 0)},
		"an open channel unknown":  {resumed("t2", 0, 0)},
		"no token":                 {resumed("", 0, 0, 1, 1)},
		"a frame before Welcome":   {event(1, "n")},
		"Ack of more than is sent": {resumed("t2", 0, 0, 1, 1), &clientv1alpha1.Ack{Received: counts(1, 9)}},
	}
	for name, messages := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				_, conn, p := attached(t, g, nil)
				call := increment(t.Context(), conn)
				next1[*wire.ClientCall](p)
				p.drop()
				p = g.resumes("t1", 0, 0, 1, 1)
				p.send(messages...)
				wantError(t, <-call, CodeSessionLost, RanMaybe)
				rest := p.ended()
				if bye, ok := rest[len(rest)-1].(*commonv1alpha1.Goodbye); !ok || bye.GetCode() != CodeRequestInvalidFrame {
					t.Errorf("sent %v", rest)
				}
				g.grants("u1").accepts()
				noError(t, conn.Ready(t.Context()))
			})
		})
	}
}

// What cannot be read as WebSocket would come again with the session, which therefore is over.
func TestUnreadableMessageEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{MaxMessage: 1000})
		call := increment(t.Context(), c.Get("a", nil))
		p := g.grants("t1")
		one := next1[*wire.ClientCall](p)
		p.send(result(one, make([]byte, 2000)))
		wantError(t, <-call, CodeSessionLost, RanMaybe)
		call = increment(t.Context(), c.Get("a", nil))
		p = g.grants("u1")
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-call)
	})
}
