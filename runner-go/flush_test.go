package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func TestAGroupIsTheCommitAndItsOutputsByteForByte(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineCounter()).welcome()
		ref := p.created("counter")
		synctest.Wait()
		p.call(ref, 1, "increment", 5)
		want := []wire.Message{
			&wire.Commit{Actor: ref, Version: 2, Outputs: 2, Changes: append([]byte{0x0a, 8}, encoded(CounterState{Count: 5})...)},
			&wire.Emit{Actor: ref, Event: []byte("count"), Args: argsOf(5)},
			&wire.CallResult{Actor: ref, ID: 1, Output: encoded(5), HasOutput: true},
		}
		for i, m := range want {
			f := <-p.frames
			if body := m.AppendTo(nil); f.Kind != m.Kind() || string(f.Body) != string(body) {
				t.Errorf("frame %d: kind %d %x, want %x", i, f.Kind, f.Body, body)
			}
		}
	})
}

// [GATE-5]
func TestWhileACommitIsUnansweredChangesAccumulateIntoTheNext(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		p.call(ref, 2, "get") // nothing has changed since the commit: its result follows it at once
		result[int](p, 2)
		p.call(ref, 3, "set", 2)
		p.call(ref, 4, "get") // reads a change that waits: so does its result
		p.call(ref, 5, "set", 3)
		p.call(ref, 6, "no such action")
		p.silent()
		p.ack(ref, 2)
		if n := decoded[WorldState](t, p.commit(3, 4).State).N; n != 3 {
			t.Errorf("state %d", n)
		}
		if a, b, c := result[int](p, 3), result[int](p, 4), result[int](p, 5); a != 2 || b != 2 || c != 3 {
			t.Errorf("results %d %d %d", a, b, c)
		}
		p.fails(6, "actor.action_not_found", wire.RanNo)
		p.ack(ref, 3)
		p.silent()
	})
}

// [FLUSH-3]
func TestAnIdenticalEncodingIsNoCommit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.woken(4, WorldState{N: 3})
		expect[*runnerv1alpha1.ActorReady](p)
		p.call(ref, 1, "set", 3)
		result[int](p, 1)
		p.call(ref, 2, "set", 4)
		p.commit(5, 1)
		result[int](p, 2)
		p.call(ref, 3, "set", 4) // the same as the one under way
		result[int](p, 3)
	})
}

func TestAFailedTurnIsNotRolledBackAndItsErrorIsGated(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{
			"fail":  func(w *World, _ context.Context) (any, error) { w.State().N = 9; return nil, errBoom },
			"panic": func(w *World, _ context.Context) (any, error) { w.State().N = 10; panic(errBoom) },
		}))
		p := s.welcome()
		ref := p.created("world")
		for i, name := range []string{"fail", "panic"} {
			p.call(ref, 1, "do", name)
			if n := decoded[WorldState](t, p.commit(uint64(2+i), 1).State).N; n != 9+i {
				t.Errorf("state %d", n)
			}
			if e := failed(p, 1, "internal.error", wire.RanYes); strings.Contains(e.Message, "hunter2") {
				t.Errorf("the text has left: %v", e)
			}
			p.ack(ref, uint64(2+i))
		}
		if log := s.logs.text(); strings.Count(log, "hunter2") < 2 || !strings.Contains(log, "flush_test.go") {
			t.Errorf("log %s", log)
		}
	})
}

func TestInDevelopmentInternalErrorsKeepTheirText(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"fail": func(*World, context.Context) (any, error) { return nil, errBoom }})).
			welcome(func(m *runnerv1alpha1.Welcome) { m.Development = true })
		ref := p.created("world")
		p.call(ref, 1, "do", "fail")
		if e := failed(p, 1, "internal.error", wire.RanYes); !strings.Contains(e.Message, "hunter2") {
			t.Errorf("message %q", e.Message)
		}
	})
}

// [FLUSH-2]
func TestAnOldHeldOutputFlushesAtTheNextEmission(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"slow": func(w *World, _ context.Context) (any, error) {
			w.State().N = 1
			w.Broadcast("a")
			pass(4 * time.Millisecond)
			w.Broadcast("b")
			pass(2 * time.Millisecond)
			w.Broadcast("c")
			pass(time.Minute)
			w.State().N = 2
			return 1, nil
		}})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "slow")
		p.commit(2, 3)
		for _, name := range []string{"a", "b", "c"} {
			if m := expect[*wire.Emit](p); string(m.Event) != name {
				t.Errorf("event %s", m.Event)
			}
		}
		p.ack(ref, 2)
		p.commit(3, 1)
		result[int](p, 1)
	})
}

// [FLUSH-1]
func TestFlushAndSaveStateMakeGroupsOfTheirOwn(t *testing.T) {
	run(t, func(t *testing.T) {
		saved := make(chan error, 2)
		p := newStage(t, defineWorld(&diary{}, script{"save": func(w *World, ctx context.Context) (any, error) {
			w.State().N = 1
			w.Flush()
			w.State().N = 2
			saved <- w.SaveState(ctx)
			return w.State().N, w.SaveState(ctx) // nothing more to save
		}})).welcome()
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "do", "save")
		p.commit(2, 0)
		p.silent()
		p.ack(ref, 2)
		p.commit(3, 0)
		p.silent()
		if len(saved) != 0 {
			t.Error("SaveState did not wait")
		}
		p.ack(ref, 3)
		if n := result[int](p, 1); n != 2 {
			t.Errorf("result %d", n)
		}
		if err := <-saved; err != nil {
			t.Errorf("SaveState: %v", err)
		}
	})
}

func TestSaveStateFailsWhenTheCommitIsRefused(t *testing.T) {
	run(t, func(t *testing.T) {
		saved := make(chan error, 1)
		p := newStage(t, defineWorld(&diary{}, script{"save": func(w *World, ctx context.Context) (any, error) {
			w.State().N = 1
			err := w.SaveState(ctx)
			saved <- err
			return nil, err
		}})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "save")
		p.commit(2, 0)
		p.send(&wire.CommitResult{Actor: ref, Version: 2, Error: wire.ActorFenced.New()})
		p.stopped(ref, fenced)
		if err := <-saved; !errors.Is(err, runner.ErrStopped) {
			t.Errorf("SaveState: %v", err)
		}
		p.silent()
	})
}

func TestAGroupHoldsNoMoreThanTheGatewayTakes(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"burst": func(w *World, _ context.Context) (any, error) {
			w.State().N = 1
			for i := range 5 {
				w.Broadcast("e", i)
			}
			return 1, nil
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxGroupOutputs = 3 })
		ref := p.created("world")
		p.call(ref, 1, "do", "burst")
		p.commit(2, 3)
		for i := range 5 {
			m := expect[*wire.Emit](p)
			if got := decoded[[]int](t, m.Args); got[0] != i {
				t.Errorf("event %d is %v", i, got)
			}
		}
		result[int](p, 1)
	})
}

func TestWhatAccumulatesIsNoLargerAGroup(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxGroupOutputs = 3 })
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		for id := range uint64(5) {
			p.call(ref, id+2, "set", id+2)
		}
		synctest.Wait()
		p.ack(ref, 2)
		p.commit(3, 3)
		for id := range uint64(5) {
			result[int](p, id+2)
		}
	})
}

func TestAGroupFitsItsBytesWithTheCommitCounted(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"burst": func(w *World, _ context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 1000)
			for range 3 {
				w.Broadcast("e", strings.Repeat("y", 400))
			}
			return 1, nil
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxGroupBytes = 2000 })
		ref := p.created("world")
		p.call(ref, 1, "do", "burst")
		// The third emission finds the group half full of outputs, which flushes; 1,000 bytes of commit leave room for two.
		p.commit(2, 2)
		for range 3 {
			expect[*wire.Emit](p)
		}
		result[int](p, 1)
	})
}

func TestStateTooLargeFailsTheTurnsSinceTheLastCommitAndRestarts(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{"grow": func(w *World, _ context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 5000)
			w.Broadcast("grown")
			return 1, nil
		}}))
		p := s.welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		p.call(ref, 2, "set", 2)
		synctest.Wait()
		p.call(ref, 3, "wait", 1000)
		p.call(ref, 4, "do", "grow")
		p.call(ref, 5, "get")
		for _, id := range []uint64{2, 3, 4} {
			p.fails(id, "state.too_large", wire.RanYes)
		}
		if m := expect[*wire.CallResult](p); m.ID != 5 || !m.NotRun {
			t.Errorf("got %s", show(m))
		}
		p.call(ref, 6, "get")
		if m := expect[*wire.CallResult](p); m.ID != 6 || !m.NotRun {
			t.Errorf("got %s", show(m))
		}
		p.silent()
		p.ack(ref, 2)
		if e := wire.ErrorFromProto(p.stopped(ref, crashed).Error); e.Name() != "state.too_large" {
			t.Errorf("error %v", e)
		}
		p.silent()
	})
}

func TestStateTooLargeAtAFlushWithinATurnAnswersItsCall(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"grow": func(w *World, ctx context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 5000)
			if err := w.SaveState(ctx); !errors.Is(err, runner.ErrStopped) {
				return nil, fmt.Errorf("SaveState: %w", err)
			}
			return 1, nil
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		ref := p.created("world")
		p.ack(ref, 1)
		synctest.Wait()
		p.call(ref, 1, "do", "grow")
		p.fails(1, "state.too_large", wire.RanYes)
		p.stopped(ref, crashed)
		p.silent()
	})
}

func TestAnInitialStateThatIsTooLargeFailsTheStart(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"onCreate": func(w *World, _ context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 5000)
			return nil, nil
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		ref := p.start("world")
		if e := wire.ErrorFromProto(p.stopped(ref, notStart).Error); e.Name() != "state.too_large" {
			t.Errorf("error %v", e)
		}
	})
}

func TestResultsAndEventsTooLargeFailTheirTurnOnly(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"result": func(w *World, _ context.Context) (any, error) { w.State().N = 1; return make([]byte, 3000), nil },
			"event":  func(w *World, _ context.Context) (any, error) { w.Broadcast("e", make([]byte, 3000)); return 1, nil },
			"both": func(w *World, _ context.Context) (any, error) {
				w.Broadcast("e", make([]byte, 3000))
				return 1, errBoom
			},
			"code": func(w *World, _ context.Context) (any, error) { w.Broadcast("e", func() {}); return 1, nil },
			"name": func(w *World, _ context.Context) (any, error) { w.Broadcast("", 1); return 1, nil },
		})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxOutput, m.Limits.MaxEvent = 2000, 2000 })
		ref := p.created("world")
		p.call(ref, 1, "do", "result")
		p.commit(2, 1)
		p.fails(1, "action.result_too_large", wire.RanYes)
		p.ack(ref, 2)
		for i, want := range []string{"event event.too_large", "both internal.error", "code internal.error", "name internal.error"} {
			name, code, _ := strings.Cut(want, " ")
			p.call(ref, uint64(10+i), "do", name)
			p.fails(uint64(10+i), code, wire.RanYes)
		}
		p.call(ref, 3, "get")
		result[int](p, 3)
	})
}

func TestDeclaredEventsAreTheOnlyOnes(t *testing.T) {
	run(t, func(t *testing.T) {
		var typed runner.Event[int]
		counter := defineWorld(&diary{}, script{
			"good": func(w *World, _ context.Context) (any, error) { typed.Broadcast(w, 4); return 1, nil },
			"bad":  func(w *World, _ context.Context) (any, error) { w.Broadcast("other"); return 1, nil },
		}, runner.WithEvents("listed"))
		typed = runner.DeclareEvent[int](counter, "typed")
		s := newStage(t, counter)
		p, hello := s.accept()
		if got := fmt.Sprint(hello.Types[0].Events); got != "[listed typed]" {
			t.Errorf("declared %s", got)
		}
		p.send(defaultWelcome())
		ref := p.created("world")
		p.call(ref, 1, "do", "good")
		if m := expect[*wire.Emit](p); string(m.Event) != "typed" || decoded[[]int](t, m.Args)[0] != 4 {
			t.Errorf("event %s", show(m))
		}
		result[int](p, 1)
		p.call(ref, 2, "do", "bad")
		p.fails(2, "event.not_found", wire.RanYes)
	})
}

func TestLargeFramesGoAsPartsBothWays(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"echo": func(w *World, _ context.Context) (any, error) {
			return w.State().Text, nil
		}})).welcome()
		text := strings.Repeat("0123456789", 20_000)
		ref := p.nextRef + 1
		p.nextRef++
		var out wire.Outbox
		lane := wire.Lane{Actor: ref}
		out.Push(&lane, wire.Runner(&runnerv1alpha1.StartActor{Actor: ref, Id: "x", Type: "world", Version: 3, State: encoded(WorldState{Text: text})}))
		p.write(out.Take(nil, 1<<20))
		expect[*runnerv1alpha1.ActorReady](p)
		p.call(ref, 1, "do", "echo")
		if got := result[string](p, 1); got != text || p.nparts != 4 {
			t.Errorf("%d bytes in %d parts", len(got), p.nparts)
		}
	})
}

func TestAFrameBetweenPartsOfItsActorEndsTheSocket(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome()
		ref := p.created("world")
		p.send(&wire.Part{Actor: ref, Data: []byte{1, 2, 3}})
		p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("get")})
		if m := p.next(); fmt.Sprintf("%T", m) != "*commonv1alpha1.Goodbye" {
			t.Errorf("got %s", show(m))
		}
		s.accept()
	})
}

// [LINK-20]
func TestAFenceIsAnsweredBehindTheOutputsThatWaitForACommit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		p.call(ref, 2, "set", 2)
		p.call(ref, 3, "get")
		p.send(&runnerv1alpha1.Fence{Nonce: 5, Actor: ref})
		p.silent()
		p.ack(ref, 2)
		p.commit(3, 2)
		result[int](p, 2)
		result[int](p, 3)
		if m := expect[*runnerv1alpha1.FenceReached](p); m.Nonce != 5 || m.Actor != ref {
			t.Errorf("got %v", m)
		}
	})
}

func TestFencesAreAnsweredInOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 1000)
		p.send(&runnerv1alpha1.Fence{Nonce: 1, Actor: ref})
		p.send(&runnerv1alpha1.Fence{Nonce: 2})
		p.send(&runnerv1alpha1.Fence{Nonce: 3, Actor: 9999})
		if m := expect[*runnerv1alpha1.FenceReached](p); m.Nonce != 2 {
			t.Errorf("got %v", m)
		}
		result[string](p, 1)
		if m := expect[*runnerv1alpha1.FenceReached](p); m.Nonce != 1 || m.Actor != ref {
			t.Errorf("got %v", m)
		}
		p.silent()
	})
}
