package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestNoIOBeforeFirstUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		c.GetOrCreate("counter", []string{"a"}, WithInput(1))
		c.Get("counter", nil)
		c.GetForID("id")
		synctest.Wait()
		if n := g.dials.Load(); n != 0 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestHelloAndCallGoInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{Token: "secret", Namespace: "ns"})
		done := increment(t.Context(), c.GetOrCreate("counter", []string{"a", ""}, WithInput(nil)))
		p := g.accept()
		hello := next1[*clientv1alpha1.Hello](p)
		if hello.GetToken() != "secret" || hello.GetNamespace() != "ns" || hello.GetSdk() != "stagedoor-go" {
			t.Errorf("hello: %v", hello)
		}
		call := next1[*wire.ClientCall](p)
		if n := p.messages.Load(); n != 1 {
			t.Errorf("%d WebSocket messages, want 1", n)
		}
		if p.request.Header.Get("Authorization") != "" || p.request.URL.RawQuery != "" {
			t.Errorf("the token is in the request: %v", p.request)
		}
		checkCall(t, call)
		p.send(&clientv1alpha1.Welcome{}, result(call, 7))
		noError(t, <-done)
	})
}

func checkCall(t *testing.T, call *wire.ClientCall) {
	t.Helper()
	key := call.Target.GetKey()
	if string(call.Action) != "increment" || call.Target.GetType() != "counter" || len(key) != 2 || key[0] != "a" || key[1] != "" {
		t.Errorf("call: %+v", call)
	}
	if call.Mode != commonv1alpha1.Mode_MODE_GET_OR_CREATE || !call.HasInput || call.Input[0] != 0xf6 || call.DeadlineMs != 0 {
		t.Errorf("call: %+v", call)
	}
	var args []int
	if err := payload.Unmarshal(call.Args, &args); err != nil || len(args) != 1 || args[0] != 1 {
		t.Errorf("args: %v %v", args, err)
	}
}

func TestResultsOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("counter", nil)
		const n = 50
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				got, err := Call[int](t.Context(), h, "echo", i)
				if err != nil || got != i {
					t.Errorf("echo %d: %d, %v", i, got, err)
				}
			})
		}
		p := g.greet(nil)
		calls := make([]*wire.ClientCall, n)
		for i := range calls {
			calls[i] = next1[*wire.ClientCall](p)
		}
		var answers []any
		for i := range calls {
			var args []int
			call := calls[n-1-i]
			noError(t, payload.Unmarshal(call.Args, &args))
			answers = append(answers, result(call, args[0]))
		}
		p.send(answers...)
		wg.Wait()
	})
}

// answering serves every call of the next session with the function.
func answering(g *gateway, answer func(*wire.ClientCall) *wire.ClientCallResult) *peer {
	p := g.greet(nil)
	g.done.Go(func() {
		for m := range p.got {
			if call, ok := m.(*wire.ClientCall); ok && !call.Oneway {
				p.send(answer(call))
			}
		}
	})
	return p
}

func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("counter", nil)
		g.done.Go(func() {
			answering(g, func(c *wire.ClientCall) *wire.ClientCallResult {
				switch string(c.Action) {
				case "nothing":
					if c.Args != nil {
						t.Errorf("args %x, want none", c.Args)
					}
					return &wire.ClientCallResult{ID: c.ID}
				case "text":
					return result(c, "text")
				case "broken":
					return &wire.ClientCallResult{ID: c.ID, Output: []byte{0xff, 1}, HasOutput: true}
				case "user":
					return failure(c, &wire.Error{Group: "user", Code: "no_funds", Message: "broke", Metadata: must(payload.Marshal(map[string]int{"balance": 3})), Ran: wire.RanYes})
				}
				return failure(c, &wire.Error{Group: "actor", Code: "overloaded", RetryAfterMs: 1500, Retryable: true})
			})
		})
		ctx := t.Context()
		n := 5
		noError(t, h.Call(ctx, "nothing", &n))
		if n != 5 {
			t.Errorf("an absent output changed the result to %d", n)
		}
		noError(t, h.Call(ctx, "text", nil))
		_, err := Call[int](ctx, h, "text")
		wantError(t, err, CodeClientInvalidResponse, RanYes)
		_, err = Call[any](ctx, h, "broken")
		if e := theError(t, err, CodeClientInvalidResponse, RanYes); !errors.Is(e, payload.ErrInvalid) {
			t.Errorf("%v does not wrap its cause", err)
		}
		e := theError(t, h.Call(ctx, "user", nil), "user.no_funds", RanYes)
		var metadata struct{ Balance int }
		if err := e.DecodeMetadata(&metadata); err != nil || metadata.Balance != 3 || e.Message != "broke" {
			t.Errorf("%v %+v", err, metadata)
		}
		e = theError(t, h.Call(ctx, "other", nil), CodeActorOverloaded, RanNo) // ran filled in [ERR-4]
		if !e.Retryable || e.RetryAfter != 1500*time.Millisecond || e.Message == "" || CodeOf(fmt.Errorf("x: %w", e)) != CodeActorOverloaded {
			t.Errorf("%+v", e)
		}
	})
}

func TestUnusableRequestsAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		ctx := t.Context()
		good := c.Get("counter", nil)
		wantError(t, good.Call(ctx, "", nil), CodeRequestInvalid, RanNo)
		wantError(t, good.Call(ctx, strings.Repeat("x", 129), nil), CodeRequestInvalid, RanNo)
		wantError(t, good.Call(ctx, "\xff", nil), CodeRequestInvalid, RanNo)
		wantError(t, good.Call(ctx, "f", nil, make(chan int)), CodeRequestInvalidPayload, RanNo)
		wantError(t, c.Get("", nil).Call(ctx, "f", nil), CodeRequestInvalidAddress, RanNo)
		wantError(t, c.Get("a", []string{"\xc3", "\xa9"}).Call(ctx, "f", nil), CodeRequestInvalidAddress, RanNo)
		wantError(t, c.GetForID("").Call(ctx, "f", nil), CodeRequestInvalidAddress, RanNo)
		wantError(t, c.GetOrCreate("a", nil, WithInput(make(chan int))).Call(ctx, "f", nil), CodeRequestInvalidPayload, RanNo)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		err := good.Call(ended, "f", nil)
		wantError(t, err, CodeActionCanceled, RanNo)
		synctest.Wait()
		if g.dials.Load() != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d dials, %v", g.dials.Load(), err)
		}
	})
}

func TestCancelOfAWrittenCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("counter", nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := increment(ctx, h)
		p := g.greet(nil)
		call := next1[*wire.ClientCall](p)
		why := errors.New("the user went away")
		cancel(why)
		err := <-done
		wantError(t, err, CodeActionCanceled, RanMaybe)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("%v wraps neither", err)
		}
		if got := next1[*clientv1alpha1.CancelCall](p); got.GetId() != call.ID {
			t.Errorf("canceled %d, not %d", got.GetId(), call.ID)
		}
		p.send(failure(call, wire.ActionCanceled.New())) // late: ignored
		again := increment(t.Context(), h)
		second := next1[*wire.ClientCall](p)
		if second.ID == call.ID {
			t.Error("the id was used twice")
		}
		p.send(result(call, "late"), result(second, 2))
		noError(t, <-again)
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("counter", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		done := increment(ctx, h)
		p := g.greet(nil)
		if call := next1[*wire.ClientCall](p); call.DeadlineMs != 5000 {
			t.Errorf("deadline %d ms", call.DeadlineMs)
		}
		begun := time.Now()
		err := <-done
		wantError(t, err, CodeActionTimedOut, RanMaybe)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		next1[*clientv1alpha1.CancelCall](p)
	})
}

func TestDeadlineWhileUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse.Store(true)
		h := g.client(Options{}).Get("counter", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := <-increment(ctx, h)
		wantError(t, err, CodeClientUnreachable, RanNo)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errNoGateway) {
			t.Errorf("%v does not wrap its causes", err)
		}
	})
}

func TestCallWithoutDeadlineDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse.Store(true)
		c := g.client(Options{})
		begun := time.Now()
		err := <-increment(t.Context(), c.Get("counter", nil))
		wantError(t, err, CodeClientUnreachable, RanNo)
		if waited := time.Since(begun); waited != time.Minute || !errors.Is(err, errNoGateway) {
			t.Errorf("%v after %v", err, waited)
		}
		// With nothing left to do, the client comes to rest.
		<-time.After(time.Minute)
		dials := g.dials.Load()
		<-time.After(time.Hour)
		if g.dials.Load() != dials {
			t.Error("it goes on dialing for nobody")
		}
	})
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).GetForID("id-1")
		done := background(func() error { return h.Send(t.Context(), "note", "x") })
		p := g.greet(nil)
		if call := next1[*wire.ClientCall](p); !call.Oneway || call.TargetID != "id-1" || call.Target != nil {
			t.Errorf("%+v", call)
		}
		noError(t, <-done)
		h.client.session.mu.Lock()
		defer h.client.session.mu.Unlock()
		if n := len(h.client.session.unanswered); n != 0 {
			t.Errorf("%d calls wait for an answer to a one-way call", n)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		g.done.Go(func() {
			p := g.greet(&clientv1alpha1.Limits{MaxArgs: 200 << 10, MaxInput: 100 << 10, MaxParams: 100, MaxMessage: 250 << 10})
			for m := range p.got {
				if call, ok := m.(*wire.ClientCall); ok {
					p.send(result(call, len(call.Args)))
				}
			}
		})
		ctx := t.Context()
		h := c.Get("a", nil)
		for _, size := range []int{300 << 10, 201 << 10} { // the first waits for Welcome: it is too long to go before it
			err := h.Call(ctx, "f", nil, make([]byte, size))
			if wantError(t, err, CodeRequestTooLarge, RanNo); !strings.Contains(err.Error(), "max_args is 204800") {
				t.Errorf("%v does not name the limit", err)
			}
		}
		noError(t, h.Call(ctx, "f", nil, make([]byte, 199<<10)))
		large := c.GetOrCreate("a", nil, WithInput(make([]byte, 101<<10)))
		if err := large.Call(ctx, "f", nil); !strings.Contains(fmt.Sprint(err), "max_input") {
			t.Error(err)
		}
		large = c.GetOrCreate("a", nil, WithInput(make([]byte, 99<<10)))
		if err := large.Call(ctx, "f", nil, make([]byte, 199<<10)); !strings.Contains(fmt.Sprint(err), "max_message") {
			t.Error(err)
		}
		conn := h.Connect(ConnectOptions{Params: make([]byte, 101)})
		if err := conn.Ready(ctx); !strings.Contains(fmt.Sprint(err), "max_params") {
			t.Error(err)
		}
	})
}

func TestCallsBeyondMaxCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		first := increment(t.Context(), h)
		p := g.greet(&clientv1alpha1.Limits{MaxCalls: 2})
		calls := []*wire.ClientCall{next1[*wire.ClientCall](p)}
		synctest.Wait() // Welcome has been read
		second, third := increment(t.Context(), h), increment(t.Context(), h)
		calls = append(calls, next1[*wire.ClientCall](p))
		p.silent()
		p.send(result(calls[0], 1))
		noError(t, <-first)
		calls = append(calls, next1[*wire.ClientCall](p))
		p.send(result(calls[1], 1), result(calls[2], 1))
		noError(t, <-second)
		noError(t, <-third)
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse.Store(true)
		h := g.client(Options{MaxQueued: 2000}).Get("a", nil)
		ctx, cancel := context.WithCancel(t.Context())
		first := background(func() error { return h.Call(ctx, "f", nil, make([]byte, 5000)) }) // one always goes
		synctest.Wait()
		wantError(t, h.Call(ctx, "f", nil), CodeSessionTooManyCalls, RanNo)
		cancel()
		wantError(t, <-first, CodeActionCanceled, RanNo)
		if n := h.client.session.waiting; n != 0 {
			t.Errorf("%d bytes count as waiting", n)
		}
	})
}

func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(Options{})
		h := c.Get("a", nil)
		written := increment(t.Context(), h)
		p := g.greet(&clientv1alpha1.Limits{MaxCalls: 1})
		next1[*wire.ClientCall](p)
		synctest.Wait() // Welcome has been read
		queued := increment(t.Context(), h)
		conn := h.Connect(ConnectOptions{})
		p.accepts()
		var why error
		conn.OnClose(func(err error) { why = err })
		noError(t, conn.Ready(t.Context()))
		noError(t, c.Close())
		wantError(t, <-written, CodeClientClosed, RanMaybe)
		wantError(t, <-queued, CodeClientClosed, RanNo)
		rest := p.ended()
		if bye, ok := rest[len(rest)-1].(*commonv1alpha1.Goodbye); !ok || bye.GetCode() != CodeConnectionClosed {
			t.Errorf("the last frame is %v", rest)
		}
		synctest.Wait()
		wantError(t, why, CodeClientClosed, RanNo)
		wantError(t, h.Call(t.Context(), "f", nil), CodeClientClosed, RanNo)
		wantError(t, h.Connect(ConnectOptions{}).Ready(t.Context()), CodeClientClosed, RanNo)
		noError(t, c.Close())
	})
}

func TestUnsupportedEndsItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		h := g.client(Options{}).Get("a", nil)
		done := increment(t.Context(), h)
		p := g.greet(nil)
		call := next1[*wire.ClientCall](p)
		p.send(&commonv1alpha1.Unsupported{Kind: 1, Number: call.ID})
		wantError(t, <-done, CodeRequestUnsupported, RanNo)
		conn := h.Connect(ConnectOptions{})
		open := next1[*clientv1alpha1.ConnectionOpen](p)
		p.send(&commonv1alpha1.Unsupported{Kind: 20, Number: open.GetConnection()})
		wantError(t, conn.Ready(t.Context()), CodeRequestUnsupported, RanNo)
	})
}
