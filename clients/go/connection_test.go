package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	same  = commonv1alpha1.Reconnect_RECONNECT_SAME
	never = commonv1alpha1.Reconnect_RECONNECT_NEVER
)

// diary writes down what a connection tells, in order.
type diary struct{ lines []string }

func (d *diary) keep(c *Connection) {
	c.OnStatus(func(s Status) { d.lines = append(d.lines, s.String()) })
	c.OnError(func(err error) { d.lines = append(d.lines, "error "+CodeOf(err)) })
	c.OnClose(func(err error) { d.lines = append(d.lines, "close "+CodeOf(err)) })
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(d.lines, lines) {
		t.Fatalf("told %q, want %q", d.lines, lines)
	}
}

func TestConnectionFromOpenToDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).GetOrCreate("room", []string{"x"}, WithInput("in"))
		var d diary
		conn := h.Connect(ConnectOptions{Params: map[string]string{"user": "u"}, Setup: func(c *Connection) {
			d.keep(c)
			On(c, "count", func(n int) { d.lines = append(d.lines, fmt.Sprint("count ", n)) })
			c.On("note", func(Event) {})
		}})
		if conn.Status() != StatusConnecting {
			t.Errorf("status %v", conn.Status())
		}
		p := g.accept()
		next1[*clientv1alpha1.Hello](p)
		open := next1[*clientv1alpha1.ConnectionOpen](p)
		if n := p.messages.Load(); n != 1 || !slices.Equal(open.GetSubscriptions(), []string{"count", "note"}) {
			t.Errorf("%d messages, subscriptions %v", n, open.GetSubscriptions())
		}
		var params struct{ User string }
		if err := payload.Unmarshal(open.GetParams(), &params); err != nil || params.User != "u" || open.Input == nil {
			t.Errorf("params %x, input %x", open.GetParams(), open.GetInput())
		}
		n := open.GetConnection()
		p.send(&clientv1alpha1.Welcome{}, &clientv1alpha1.ConnectionOpened{Connection: n, ActorId: "a", ConnectionId: "c"},
			event(n, "count", 1), event(n, "unheard", 5), event(n, "count", "one"), event(n, "count"), event(n, "count", 2, "more"))
		noError(t, conn.Ready(t.Context()))
		if conn.ActorID() != "a" || conn.ID() != "c" {
			t.Errorf("ids %q %q", conn.ActorID(), conn.ID())
		}
		p.send(event(n, "count", 3), closedBy(n, wire.ConnectionDisconnected, never), event(n, "count", 4))
		d.want(t, "connected", "count 1", "error client.invalid_response", "count 0", "count 2", "count 3", "closed", "close connection.disconnected")
		wantError(t, conn.Call(t.Context(), "f", nil), CodeConnectionDisconnected, RanNo)
		wantError(t, conn.Ready(t.Context()), CodeConnectionDisconnected, RanNo)
		late := make(chan error, 1)
		conn.OnClose(func(err error) { late <- err })
		wantError(t, <-late, CodeConnectionDisconnected, RanUnknown)
		p.silent()
	})
}

func TestRefusedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("room", nil)
		var d diary
		conn := h.Connect(ConnectOptions{Setup: d.keep})
		call := increment(t.Context(), conn)
		p := g.greet(nil)
		open := next1[*clientv1alpha1.ConnectionOpen](p)
		p.silent() // the call waits for the answer
		p.send(&clientv1alpha1.ConnectionClosed{Connection: open.GetConnection(), Error: &commonv1alpha1.Error{Group: "user", Code: "banned"}})
		wantError(t, conn.Ready(t.Context()), "user.banned", RanNo)
		wantError(t, <-call, "user.banned", RanNo)
		d.want(t, "closed", "close user.banned")
	})
}

func TestRefusedForNowIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("room", nil)
		h.client.session.random = func() float64 { return 0.5 }
		var d diary
		conn := h.Connect(ConnectOptions{Setup: d.keep})
		call := increment(t.Context(), conn)
		p := g.greet(nil)
		begun := time.Now()
		var seen []uint64
		for i, want := range []time.Duration{0, 125, 375, 875} { // half of 250, 500, 1000 ms, added up
			open := next1[*clientv1alpha1.ConnectionOpen](p)
			if passed := time.Since(begun); passed != want*time.Millisecond {
				t.Errorf("opening %d after %v", i, passed)
			}
			if slices.Contains(seen, open.GetConnection()) {
				t.Error("a number was used twice")
			}
			seen = append(seen, open.GetConnection())
			p.send(closedBy(open.GetConnection(), wire.RunnerUnavailable, commonv1alpha1.Reconnect_RECONNECT_UNSPECIFIED))
		}
		<-time.After(3 * time.Second)
		open := p.accepts()
		noError(t, conn.Ready(t.Context()))
		got := next1[*wire.ClientCall](p)
		if got.Connection != open.GetConnection() || got.Target != nil {
			t.Errorf("call on %d, open is %d", got.Connection, open.GetConnection())
		}
		p.send(result(got, 1))
		noError(t, <-call)
		e := "error " + CodeRunnerUnavailable
		d.want(t, e, e, e, e, "connected")
	})
}

func TestRefusedForNowDoesNotHoldCallsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("room", nil)
		conn := h.Connect(ConnectOptions{})
		call := increment(t.Context(), conn)
		p := g.greet(nil)
		g.done.Go(func() {
			for m := range p.got {
				if open, ok := m.(*clientv1alpha1.ConnectionOpen); ok {
					p.send(closedBy(open.GetConnection(), wire.RunnerUnavailable, same))
				} else if ping, ok := m.(*commonv1alpha1.Ping); ok {
					p.send(&clientv1alpha1.Pong{Nonce: ping.GetNonce()})
				}
			}
		})
		begun := time.Now()
		wantError(t, <-call, CodeRunnerUnavailable, RanNo)
		if waited := time.Since(begun); waited < time.Minute || waited > 91*time.Second {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := conn.Ready(ctx)
		wantError(t, err, CodeClientUnreachable, RanNo)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap the context's error", err)
		}
	})
}

func TestCloseByTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("room", nil)
		var d diary
		conn := h.Connect(ConnectOptions{Setup: d.keep})
		p := g.greet(nil)
		open := p.accepts()
		call := increment(t.Context(), conn)
		next1[*wire.ClientCall](p)
		noError(t, conn.Send(t.Context(), "last words"))
		conn.Close()
		conn.Close()
		wantError(t, <-call, CodeConnectionClosed, RanMaybe)
		next1[*wire.ClientCall](p)
		if got := next1[*clientv1alpha1.ConnectionClose](p); got.GetConnection() != open.GetConnection() {
			t.Errorf("%v", got)
		}
		p.send(event(open.GetConnection(), "count", 1), &clientv1alpha1.ConnectionClosed{Connection: open.GetConnection()})
		d.want(t, "connected", "closed", "close ")
		wantError(t, conn.Ready(t.Context()), CodeConnectionClosed, RanNo)
		wantError(t, conn.Call(t.Context(), "f", nil), CodeConnectionClosed, RanNo)
	})
}

func TestConnectWithUnusableParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		conn := c.Get("room", nil).Connect(ConnectOptions{Params: make(chan int)})
		wantError(t, conn.Ready(t.Context()), CodeRequestInvalidPayload, RanNo)
		conn = c.Get("", nil).Connect(ConnectOptions{})
		wantError(t, conn.Ready(t.Context()), CodeRequestInvalidAddress, RanNo)
		conn = c.Get("room", nil).Connect(ConnectOptions{Setup: (*Connection).Close})
		wantError(t, conn.Ready(t.Context()), CodeConnectionClosed, RanNo)
		if n := g.dials.Load(); n != 0 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestHandlersMayUseTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		done := make(chan error, 1)
		conn := c.Get("room", nil).Connect(ConnectOptions{Setup: func(conn *Connection) {
			On(conn, "ask", func(n int) {
				got, err := Call[int](t.Context(), conn, "answer", n)
				if err == nil && got != 2*n {
					err = fmt.Errorf("got %d", got)
				}
				conn.Close()
				_ = c.Close()
				done <- err
			})
		}})
		p := g.greet(nil)
		open := p.accepts()
		p.send(event(open.GetConnection(), "ask", 21))
		p.send(result(next1[*wire.ClientCall](p), 42))
		noError(t, <-done)
		noError(t, plain(conn.err))
	})
}

func TestSlowHandlerDelaysOnlyItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{EventQueue: 10})
		release := make(chan struct{})
		var slow, quick []int
		var d diary
		c.Get("slow", nil).Connect(ConnectOptions{Setup: func(conn *Connection) {
			conn.OnError(func(err error) { d.lines = append(d.lines, err.Error()) })
			On(conn, "n", func(n int) {
				<-release
				slow = append(slow, n)
			})
		}})
		p := g.greet(nil)
		one := p.accepts().GetConnection()
		c.Get("quick", nil).Connect(ConnectOptions{Setup: func(conn *Connection) {
			On(conn, "n", func(n int) { quick = append(quick, n) })
		}})
		two := p.accepts().GetConnection()
		for n := range 15 {
			p.send(event(one, "n", n), event(two, "n", n))
			synctest.Wait()
		}
		if len(quick) != 15 || len(slow) != 0 {
			t.Errorf("quick %v, slow %v", quick, slow)
		}
		close(release)
		d.want(t, "session.slow_reader: The handlers of the connection are too slow: its oldest 4 waiting events were dropped.")
		if !slices.Equal(slow, []int{0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}) { // 0 was being handled
			t.Errorf("slow %v", slow)
		}
	})
}

func TestSubscriptionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		conn := g.client(Options{}).Get("room", nil).Connect(ConnectOptions{})
		p := g.greet(nil)
		open := next1[*clientv1alpha1.ConnectionOpen](p)
		early := conn.On("early", func(Event) {}) // after the open was sent: made up for when it is answered
		gone := conn.On("gone", func(Event) {})
		gone()
		n := open.GetConnection()
		p.silent()
		p.send(&clientv1alpha1.ConnectionOpened{Connection: n})
		expectSubscribe(t, p, n, "early")
		var heard []string
		hear := func(who string) func(Event) { return func(Event) { heard = append(heard, who) } }
		first, second := conn.On("count", hear("first")), conn.On("count", hear("second"))
		expectSubscribe(t, p, n, "count")
		p.silent()
		conn.Once("count", hear("once"))
		p.send(event(n, "count"), event(n, "count"))
		synctest.Wait()
		first()
		first()
		p.silent()
		p.send(event(n, "count"))
		synctest.Wait()
		second()
		expectUnsubscribe(t, p, n, "count")
		p.send(event(n, "count"))
		early()
		expectUnsubscribe(t, p, n, "early")
		p.silent()
		if want := []string{"first", "second", "once", "first", "second", "second"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

func expectSubscribe(t *testing.T, p *peer, n uint64, name string) {
	t.Helper()
	m := next1[*clientv1alpha1.Subscribe](p)
	if m.GetConnection() != n || !slices.Equal(m.GetEvents(), []string{name}) {
		t.Fatalf("%v, want %s", m, name)
	}
	p.send(&clientv1alpha1.SubscriptionResult{Id: m.GetId(), Connection: n})
}

func expectUnsubscribe(t *testing.T, p *peer, n uint64, name string) {
	t.Helper()
	m := next1[*clientv1alpha1.Unsubscribe](p)
	if m.GetConnection() != n || !slices.Equal(m.GetEvents(), []string{name}) {
		t.Fatalf("%v, want %s", m, name)
	}
	p.send(&clientv1alpha1.SubscriptionResult{Id: m.GetId(), Connection: n})
}

func TestSubscribeComesBeforeALaterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		conn := g.client(Options{}).Get("room", nil).Connect(ConnectOptions{})
		call := background(func() error {
			noError(t, conn.Ready(t.Context()))
			conn.On("count", func(Event) {})
			return conn.Call(t.Context(), "f", nil)
		})
		p := g.greet(nil)
		n := p.accepts().GetConnection()
		expectSubscribe(t, p, n, "count")
		p.send(result(next1[*wire.ClientCall](p), nil))
		noError(t, <-call)
	})
}

func TestUndeclaredEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var d diary
		conn := g.client(Options{}).Get("room", nil).Connect(ConnectOptions{Setup: func(c *Connection) {
			d.keep(c)
			c.On("wrong", func(Event) {})
			c.On("right", func(Event) {})
			c.On("\xff", func(Event) {})
		}})
		p := g.greet(nil)
		open := next1[*clientv1alpha1.ConnectionOpen](p)
		p.send(closedBy(open.GetConnection(), wire.EventNotFound, never)) // not final: it is about one of the events
		open = p.accepts()
		n := open.GetConnection()
		if len(open.GetSubscriptions()) != 0 {
			t.Errorf("subscriptions %v", open.GetSubscriptions())
		}
		expectSubscribe(t, p, n, "right")
		wrong := next1[*clientv1alpha1.Subscribe](p)
		p.send(&clientv1alpha1.SubscriptionResult{Id: wrong.GetId(), Connection: n, Error: wire.EventNotFound.New().Proto()})
		d.want(t, "error request.invalid", "connected", "error event.not_found")
		conn.On("wrong", func(Event) {})
		p.silent()
		p.drop()
		p = g.greet(nil)
		if open := p.accepts(); !slices.Equal(open.GetSubscriptions(), []string{"right"}) {
			t.Errorf("subscriptions %v", open.GetSubscriptions())
		}
	})
}

func TestTooManySubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		warm := increment(t.Context(), c.Get("room", nil))
		p := g.greet(&clientv1alpha1.Limits{MaxSubscriptions: 2})
		p.send(result(next1[*wire.ClientCall](p), 1))
		noError(t, <-warm)
		var d diary
		conn := c.Get("room", nil).Connect(ConnectOptions{Setup: func(c *Connection) {
			d.keep(c)
			for _, name := range []string{"a", "b", "c"} {
				c.On(name, func(Event) {})
			}
		}})
		if open := p.accepts(); !slices.Equal(open.GetSubscriptions(), []string{"a", "b"}) {
			t.Errorf("subscriptions %v", open.GetSubscriptions())
		}
		noError(t, conn.Ready(t.Context()))
		conn.On("d", func(Event) {})
		p.silent()
		d.want(t, "error request.too_large", "connected", "error request.too_large")
	})
}

func TestStatusStrings(t *testing.T) {
	for status, want := range map[Status]string{StatusConnecting: "connecting", StatusReconnecting: "reconnecting", 99: "closed"} {
		if status.String() != want {
			t.Errorf("%d is %q", status, status)
		}
	}
}

func TestCanceledCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		conn := g.client(Options{}).Get("room", nil).Connect(ConnectOptions{Setup: func(c *Connection) {
			c.OnStatus(func(Status) { t.Error("OnStatus was canceled") })()
			c.OnError(func(error) { t.Error("OnError was canceled") })()
			c.OnClose(func(error) { t.Error("OnClose was canceled") })()
			c.On("n", func(Event) { t.Error("On was canceled") })()
		}})
		p := g.greet(nil)
		n := p.accepts().GetConnection()
		var kept Event
		conn.Once("n", func(e Event) { kept = e })
		sub := next1[*clientv1alpha1.Subscribe](p)
		p.send(&commonv1alpha1.Unsupported{Kind: 30, Number: sub.GetId()}, event(n, "n", "x"))
		synctest.Wait()
		var text string
		if err := kept.Decode(&text); err != nil || text != "x" || len(kept.Args()) != 3 || kept.Name != "n" {
			t.Errorf("%+v %v", kept, err)
		}
		if err := (Event{Name: "n", args: []byte{1}}).Decode(); CodeOf(err) != CodeClientInvalidResponse {
			t.Error(err)
		}
		conn.Close()
		synctest.Wait()
	})
}

// Dropping the oldest event leaves what else is to be told, in its place.
func TestDroppingKeepsTheOrder(t *testing.T) {
	var told []string
	b := &inbox{limit: 2, handlers: map[string][]*listener{}, running: true}
	b.add("n", &listener{handle: func(e Event) { told = append(told, string(e.args)) }})
	b.onStatus = []*func(Status){new(func(s Status) { told = append(told, s.String()) })}
	post(b, &b.onStatus, StatusConnected)
	for _, args := range []string{"1", "2"} {
		b.event([]byte("n"), []byte(args))
	}
	post(b, &b.onStatus, StatusReconnecting)
	b.event([]byte("n"), []byte("3"))
	b.event([]byte("n"), make([]byte, maxInboxBytes))
	b.event([]byte("n"), []byte("5")) // drops the one before: too many bytes
	b.work()
	if want := []string{"connected", "reconnecting", "5"}; !slices.Equal(told, want) {
		t.Errorf("told %.20q, want %q", told, want)
	}
	if b.events != 0 || b.bytes != 0 || b.running {
		t.Errorf("%d events, %d bytes, running: %v", b.events, b.bytes, b.running)
	}
}

func TestCloseDropsTheEventsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var seen []int
		conn := g.client(Options{}).Get("room", nil).Connect(ConnectOptions{Setup: func(c *Connection) {
			On(c, "n", func(n int) {
				seen = append(seen, n)
				c.Close()
			})
		}})
		p := g.greet(nil)
		n := p.accepts().GetConnection()
		p.send(event(n, "n", 1), event(n, "n", 2))
		synctest.Wait()
		wantError(t, conn.Ready(t.Context()), CodeConnectionClosed, RanNo)
		if !slices.Equal(seen, []int{1}) {
			t.Errorf("seen %v", seen)
		}
	})
}
