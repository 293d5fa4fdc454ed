package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type CounterState struct{ Count int }

type Counter struct {
	runner.Actor[CounterState, runner.None]
}

func (c *Counter) Increment(_ context.Context, n int) (int, error) {
	c.State().Count += n
	c.Broadcast("count", c.State().Count)
	return c.State().Count, nil
}

func (c *Counter) Get(context.Context) (int, error) { return c.View().Count, nil }

func defineCounter(opts ...runner.Option) *runner.Type[Counter] {
	t := runner.Define[Counter]("counter", opts...)
	runner.Action1(t, "increment", (*Counter).Increment)
	runner.Action0(t, "get", (*Counter).Get)
	return t
}

func TestAnActionsChangeEventAndResultFollowItsCommit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineCounter()).welcome()
		ref := p.created("counter")
		p.call(ref, 1, "increment", 5)
		c := p.commit(2, 2)
		if got := decoded[CounterState](t, c.State).Count; got != 5 {
			t.Fatalf("state %d", got)
		}
		p.next()
		if got := result[int](p, 1); got != 5 {
			t.Fatalf("result %d", got)
		}
		p.silent()
	})
}

// [TURN-1]
func TestCallsOfAnActorRunOneAtATimeInOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{
			"a": func(*World, context.Context) (any, error) { pass(time.Second); d.add("a-end"); return 1, nil },
			"b": func(*World, context.Context) (any, error) { d.add("b-end"); return 2, nil },
		})).welcome()
		ref := p.created("world")
		other := p.created("world")
		p.call(ref, 1, "do", "a")
		p.call(ref, 2, "do", "b")
		p.call(other, 3, "get")
		result[int](p, 3) // another actor does not wait
		result[int](p, 1)
		result[int](p, 2)
		if got := d.text(); !strings.HasSuffix(got, "do:a a-end do:b b-end") {
			t.Errorf("diary %s", got)
		}
	})
}

func TestArgumentsAreDecodedOrRefusedHelpfully(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "four", 1, "two", true, []byte{4})
		if got := result[string](p, 1); got != "1 two true [4]" {
			t.Errorf("got %s", got)
		}
		for i, c := range []struct {
			action string
			args   []byte
			want   string
		}{
			{"four", argsOf(1, "two", true), "four takes 4 arguments, got 3"},
			{"four", argsOf(1, 2, true, []byte{}), "four: argument 2"},
			{"get", argsOf(1), "get takes no arguments, got 1"},
			{"set", argsOf("x"), "set: argument 1"},
			{"set", nil, "set takes 1 argument, got 0"},
			{"set", []byte{0x01}, "not one array"},
			{"set", []byte{0x81}, "set: argument 1"},
			{"set", []byte{0x81, 0x01, 0x01}, "behind the arguments"},
			{"set", []byte{0x98}, "not one array"},
		} {
			id := uint64(10 + i)
			p.send(&wire.Call{Actor: ref, ID: id, Action: []byte(c.action), Args: c.args})
			if e := failed(p, id, "action.invalid_arguments", wire.RanNo); !strings.Contains(e.Message, c.want) {
				t.Errorf("%s %x: %q, want %q", c.action, c.args, e.Message, c.want)
			}
		}
		p.send(&wire.Call{Actor: ref, ID: 2, Action: []byte("set"), Args: []byte{0x9f, 0x07, 0xff}}) // indefinite length
		p.commit(2, 1)
		if n := result[int](p, 2); n != 7 {
			t.Errorf("set to %d", n)
		}
		p.send(&wire.Call{Actor: ref, ID: 3, Action: []byte("get")}) // absent arguments are none
		result[int](p, 3)
	})
}

func TestAnActionWithoutResultHasNoOutput(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"nil": func(*World, context.Context) (any, error) { return nil, nil }})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "nothing")
		if m := expect[*wire.CallResult](p); m.HasOutput || m.Error != nil {
			t.Errorf("got %s", show(m))
		}
		p.call(ref, 2, "do", "nil")
		if m := expect[*wire.CallResult](p); !m.HasOutput || !bytes.Equal(m.Output, []byte{0xf6}) {
			t.Errorf("got %s", show(m))
		}
	})
}

func TestUserErrorsPassUnchanged(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"value": func(*World, context.Context) (any, error) {
				return nil, runner.UserError{Code: "poor", Message: "no money", Metadata: 3, Retryable: true}
			},
			"wrapped": func(*World, context.Context) (any, error) {
				return nil, fmt.Errorf("pay: %w", &runner.UserError{Code: "poor", Message: "no money"})
			},
			"badcode": func(*World, context.Context) (any, error) { return nil, runner.UserError{Code: "no spaces please"} },
			"huge": func(*World, context.Context) (any, error) {
				return nil, runner.UserError{Code: "x", Message: strings.Repeat("é", 4000), Metadata: make([]byte, 20000)}
			},
			"forbid": func(*World, context.Context) (any, error) { return nil, runner.Forbidden("admins only") },
			"utf8":   func(*World, context.Context) (any, error) { return nil, runner.UserError{Code: "x", Message: "a\xffb"} },
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "value")
		if e := failed(p, 1, "user.poor", wire.RanYes); e.Message != "no money" || !e.Retryable || decoded[int](t, e.Metadata) != 3 {
			t.Errorf("error %+v", e)
		}
		p.call(ref, 2, "do", "wrapped")
		p.fails(2, "user.poor", wire.RanYes)
		p.call(ref, 3, "do", "badcode")
		p.fails(3, "internal.error", wire.RanYes)
		p.call(ref, 4, "do", "huge")
		if e := failed(p, 4, "user.x", wire.RanYes); len(e.Message) != 4096 || e.Metadata != nil {
			t.Errorf("%d bytes of message, %d of metadata", len(e.Message), len(e.Metadata))
		}
		p.call(ref, 5, "do", "forbid")
		p.fails(5, "auth.forbidden", wire.RanYes)
		p.call(ref, 6, "do", "utf8")
		if e := failed(p, 6, "user.x", wire.RanYes); e.Message != "a\uFFFDb" {
			t.Errorf("message %q", e.Message)
		}
	})
}

func TestACallCanceledBeforeItsTurnNeverRuns(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 1000)
		p.call(ref, 2, "do", "x")
		p.call(ref, 3, "do", "y")
		p.call(ref, 4, "get")
		p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 2, Reason: runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER})
		p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 3, Reason: runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE})
		p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 77})
		p.fails(2, "action.canceled", wire.RanNo)
		p.fails(3, "action.timed_out", wire.RanNo)
		result[string](p, 1)
		result[int](p, 4)
		if strings.Contains(d.text(), "do:") {
			t.Errorf("diary %s", d.text())
		}
	})
}

// [CALL-11]: nor does an open run its hooks that was canceled, or is too late, when its turn comes.
func TestAnOpenThatNobodyWaitsForNeverRuns(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{})).welcome()
		ref := p.created("world")
		synctest.Wait()
		before := d.text()
		p.call(ref, 1, "wait", 1000)
		p.open(ref, 2, 2, "ann")
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: 3, Connection: 3, ConnectionId: "late", DeadlineMs: 500})
		p.call(ref, 4, "get")
		p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 2, Reason: runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER})
		p.fails(2, "action.canceled", wire.RanNo)
		result[string](p, 1)
		p.fails(3, "action.timed_out", wire.RanNo)
		result[int](p, 4)
		if d.text() != before {
			t.Errorf("diary %s, was %s", d.text(), before)
		}
	})
}

func TestACancelReachesTheRunningActionsContext(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 60000)
		synctest.Wait()
		p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 1})
		p.fails(1, "action.canceled", wire.RanYes)
	})
}

func TestDeadlinesEndTheContext(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{
			"derived": func(_ *World, ctx context.Context) (any, error) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				<-ctx.Done()
				return nil, ctx.Err()
			},
			"ignores": func(_ *World, ctx context.Context) (any, error) {
				pass(2 * time.Second)
				return ctx.Err() != nil, nil
			},
		}, runner.WithActionTimeout(3*time.Second))).welcome()
		ref := p.created("world")
		begun := time.Now()
		p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("do"), Args: argsOf("derived"), DeadlineMs: 1000})
		p.send(&wire.Call{Actor: ref, ID: 2, Action: []byte("get"), DeadlineMs: 500})
		p.fails(1, "action.timed_out", wire.RanYes)
		p.fails(2, "action.timed_out", wire.RanNo) // its turn came too late
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("timed out after %v", waited)
		}
		p.send(&wire.Call{Actor: ref, ID: 3, Action: []byte("do"), Args: argsOf("ignores"), DeadlineMs: 1000})
		if !result[bool](p, 3) {
			t.Error("Err does not see the deadline")
		}
		begun = time.Now()
		p.call(ref, 4, "wait", 60000)
		p.fails(4, "action.timed_out", wire.RanYes)
		if waited := time.Since(begun); waited != 3*time.Second {
			t.Errorf("the type's own time-out came after %v", waited)
		}
	})
}

// [TURN-5]
func TestDoIsATurnFromOutside(t *testing.T) {
	run(t, func(t *testing.T) {
		world := make(chan *World, 1)
		p := newStage(t, defineWorld(&diary{}, script{
			"leak": func(w *World, _ context.Context) (any, error) { world <- w; return nil, nil },
			"inside": func(w *World, ctx context.Context) (any, error) {
				return nil, w.Do(ctx, func(context.Context) error { return nil })
			},
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "leak")
		expect[*wire.CallResult](p)
		w := <-world
		err := w.Do(t.Context(), func(ctx context.Context) error {
			w.State().N = 5
			w.Broadcast("n", 5)
			return errBoom
		})
		if !errors.Is(err, errBoom) {
			t.Errorf("Do: %v", err)
		}
		p.commit(2, 1)
		expect[*wire.Emit](p)
		p.ack(ref, 2)
		p.call(ref, 2, "do", "inside")
		p.fails(2, "internal.error", wire.RanYes)
		if err := w.Do(t.Context(), func(context.Context) error { panic("x") }); err == nil {
			t.Error("a panic in Do is lost")
		}
		p.call(ref, 3, "wait", 1000)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := w.Do(ctx, func(context.Context) error { t.Error("it ran"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do: %v", err)
		}
		result[string](p, 3)
		if err := w.Do(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do: %v", err)
		}
		p.stop(ref, toFence)
		p.stopped(ref, fenced)
		if err := w.Do(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, runner.ErrStopped) {
			t.Errorf("Do: %v", err)
		}
	})
}

// [TURN-5]
func TestUseOutsideATurnPanicsWithAdvice(t *testing.T) {
	run(t, func(t *testing.T) {
		world := make(chan *World, 1)
		p := newStage(t, defineWorld(&diary{}, script{
			"leak": func(w *World, _ context.Context) (any, error) { world <- w; return nil, nil },
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "leak")
		expect[*wire.CallResult](p)
		w := <-world
		synctest.Wait()
		defer func() {
			if text := fmt.Sprint(recover()); !strings.Contains(text, "wrap it in Do") {
				t.Errorf("panic %s", text)
			}
		}()
		w.State()
	})
}

// [SLEEP-1]
func TestWaitUntilDoesNotKeepAwakeAndEndsWithTheActor(t *testing.T) {
	run(t, func(t *testing.T) {
		ended := make(chan error, 1)
		p := newStage(t, defineWorld(&diary{}, script{
			"later": func(w *World, _ context.Context) (any, error) {
				w.WaitUntil(func(ctx context.Context) error {
					<-ctx.Done()
					ended <- ctx.Err()
					return nil
				})
				return nil, nil
			},
		}, runner.WithSleepAfter(time.Second))).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "later")
		expect[*wire.CallResult](p)
		begun := time.Now()
		for range 2 {
			expect[*runnerv1alpha1.ActorIntent](p)
		}
		if rested := time.Since(begun); rested != 2*time.Second {
			t.Errorf("asked twice to sleep within %v", rested)
		}
		p.stop(ref, toFence)
		p.stopped(ref, fenced)
		if err := <-ended; err == nil {
			t.Error("the context is alive")
		}
	})
}

func TestCodeThatEndsItsGoroutineCrashesItsActorOnly(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"exit": func(*World, context.Context) (any, error) { runtime.Goexit(); return nil, nil }})).welcome()
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "do", "exit")
		p.fails(1, "actor.crashed", wire.RanMaybe)
		p.stopped(ref, crashed)
	})
}

func TestAnActorKnowsWhoItIs(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"who": func(w *World, ctx context.Context) (any, error) {
			return []any{w.ID(), w.Type(), w.Namespace(), w.Key(), w.Generation(), w.Region(), w.Context().Err() == nil, runner.Caller(ctx).Subject}, nil
		}})).welcome()
		ref := p.created("world")
		p.send(&runnerv1alpha1.Principal{Principal: 5, Kind: "client", Subject: "ada", Claims: encoded(1)})
		p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("do"), Args: argsOf("who"), Principal: 5})
		if got := fmt.Sprint(result[[]any](p, 1)); got != "[eu-101 world default [k] 1101 eu true ada]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestDefinitionsThatAreWrongPanic(t *testing.T) {
	noop := func(*World, context.Context) (int, error) { return 0, nil }
	for name, f := range map[string]func(){
		"type name":   func() { runner.Define[World]("no spaces") },
		"only dots":   func() { runner.Define[World]("..") },
		"no name":     func() { runner.Define[World]("") },
		"action name": func() { runner.Action0(runner.Define[World]("w"), strings.Repeat("x", 129), noop) },
		"event name":  func() { runner.Define[World]("w", runner.WithEvents("")) },
		"two actions": func() {
			w := runner.Define[World]("w")
			runner.Action0(w, "a", noop)
			runner.Action0(w, "a", noop)
		},
		"two hooks": func() {
			w := runner.Define[World]("w")
			runner.OnWake(w, func(*World, context.Context) error { return nil })
			runner.OnWake(w, func(*World, context.Context) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "runner: ") {
					t.Errorf("panic %q", text)
				}
			}()
			f()
		})
	}
}
