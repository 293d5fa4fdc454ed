package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

const (
	slept     = runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT
	destroyed = runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED
	crashed   = runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED
	fenced    = runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED
	notStart  = runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED

	toSleep   = runnerv1alpha1.StopReason_STOP_REASON_SLEEP
	toDestroy = runnerv1alpha1.StopReason_STOP_REASON_DESTROY
	toFence   = runnerv1alpha1.StopReason_STOP_REASON_FENCED
)

func wantDiary(t *testing.T, d *diary, want string) {
	t.Helper()
	if got := d.text(); got != want {
		t.Errorf("diary\n got %s\nwant %s", got, want)
	}
}

func TestACreationRunsItsHooksInOrderAndCommitsVersionOne(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.start("world", func(m *runnerv1alpha1.StartActor) { m.Input = encoded(7) })
		if got := decoded[WorldState](t, p.commit(1, 0).State).N; got != 7 {
			t.Errorf("state %d", got)
		}
		expect[*runnerv1alpha1.ActorReady](p)
		wantDiary(t, d, "input=7,true createState onCreate createVars onWake")
		p.ack(ref, 1)
		p.silent()
	})
}

func TestAnAbsentInputIsZeroAndNotPresent(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		p.created("world")
		p.created("world", func(m *runnerv1alpha1.StartActor) { m.Input = encoded(nil) })
		wantDiary(t, d, "input=0,false createState onCreate createVars onWake input=0,true createState onCreate createVars onWake")
	})
}

func TestAWakeRunsItsHooksWithTheStoredStateAndCommitsNothing(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.woken(9, WorldState{N: 5})
		expect[*runnerv1alpha1.ActorReady](p)
		wantDiary(t, d, "createVars onWake")
		p.call(ref, 1, "get")
		if n := result[int](p, 1); n != 5 {
			t.Errorf("state %d", n)
		}
		p.call(ref, 2, "set", 6)
		p.commit(10, 1)
	})
}

func TestAFailedStartIsReportedWithItsCause(t *testing.T) {
	for hook, want := range map[string]string{"createState": "user.no", "onCreate": "user.no", "createVars": "user.no", "onWake": "user.no"} {
		t.Run(hook, func(t *testing.T) {
			run(t, func(t *testing.T) {
				d := &diary{}
				d.failing(hook, runner.UserError{Code: "no", Message: "not today"})
				p := newStage(t, defineWorld(d, nil)).welcome()
				ref := p.start("world")
				committed := hook == "createVars" || hook == "onWake"
				if committed {
					p.commit(1, 0)
					p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("get")})
				}
				if committed { // ActorStopped follows the result of the commit
					if m := expect[*wire.CallResult](p); !m.NotRun || m.ID != 1 {
						t.Errorf("the waiting call got %s", show(m))
					}
					p.silent()
					p.ack(ref, 1)
				}
				m := p.stopped(ref, notStart)
				if e := wire.ErrorFromProto(m.Error); e.Name() != want || e.Message != "not today" {
					t.Errorf("error %v", e)
				}
				p.silent()
			})
		})
	}
}

func TestAPanicInAStartHookFailsTheStartWithoutItsText(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{"onWake": func(*World, context.Context) (any, error) { panic(errBoom) }}))
		p := s.welcome()
		ref := p.woken(1, WorldState{})
		m := p.stopped(ref, notStart)
		if e := wire.ErrorFromProto(m.Error); e.Name() != "internal.error" || strings.Contains(e.Message, "hunter2") {
			t.Errorf("error %v", e)
		}
		if log := s.logs.text(); !strings.Contains(log, "hunter2") || !strings.Contains(log, "world_test.go") {
			t.Errorf("the log lacks the panic or its stack: %s", log)
		}
	})
}

func TestStateThatCannotBeDecodedFailsTheStart(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.woken(1, "not a map")
		if e := wire.ErrorFromProto(p.stopped(ref, notStart).Error); e.Name() != "state.invalid" {
			t.Errorf("error %v", e)
		}
	})
}

func TestATypeThatIsNotHostedFailsTheStart(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineCounter()).welcome()
		ref := p.start("chess")
		if e := wire.ErrorFromProto(p.stopped(ref, notStart).Error); e.Name() != "actor.start_failed" {
			t.Errorf("error %v", e)
		}
	})
}

func TestSleepRunsOnSleepCommitsAndStopsAfterItsResult(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"onSleep": func(w *World, _ context.Context) (any, error) {
			w.State().Text = "sleeping"
			w.Broadcast("night")
			return nil, nil
		}})).welcome()
		ref := p.created("world")
		p.stop(ref, toSleep)
		if got := decoded[WorldState](t, p.commit(2, 1).State).Text; got != "sleeping" {
			t.Errorf("state %q", got)
		}
		expect[*wire.Emit](p)
		p.call(ref, 1, "get")
		if m := expect[*wire.CallResult](p); !m.NotRun {
			t.Errorf("got %s", show(m))
		}
		p.silent()
		p.ack(ref, 2)
		p.stopped(ref, slept)
		p.silent()
	})
}

func TestCallsBeforeAStopFinishAndCallsAfterItGoBack(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 1000)
		p.call(ref, 2, "get")
		p.stop(ref, toSleep)
		p.call(ref, 3, "get")
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: 4, Connection: 9})
		for _, id := range []uint64{3, 4} {
			if m := expect[*wire.CallResult](p); m.ID != id || !m.NotRun {
				t.Errorf("got %s", show(m))
			}
		}
		result[string](p, 1)
		result[int](p, 2)
		p.stopped(ref, slept)
		if !strings.HasSuffix(d.text(), "onSleep") {
			t.Errorf("diary %s", d.text())
		}
	})
}

func TestDestroyRunsItsHooksAndCommitsDestroyAlone(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"onDestroy": func(w *World, _ context.Context) (any, error) {
			w.State().N = 99
			w.Broadcast("bye")
			return nil, w.KV().PutText("k", "v")
		}})).welcome()
		ref := p.created("world")
		p.open(ref, 1, 11, "ada")
		p.commit(2, 3)
		for range 3 {
			p.next()
		}
		p.ack(ref, 2)
		p.stop(ref, toDestroy)
		c := p.commit(3, 1)
		if !c.Destroy || c.State != nil || len(c.Kv) != 0 || len(c.ConnectionsRemoved) != 0 {
			t.Errorf("changes %v", c)
		}
		expect[*wire.Emit](p)
		p.ack(ref, 3)
		p.stopped(ref, destroyed)
		if !strings.HasSuffix(d.text(), "onDestroy left:c11:ada") {
			t.Errorf("diary %s", d.text())
		}
	})
}

func TestActorsAskToSleepWhenIdleAndAgainWhenIgnored(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil, runner.WithSleepAfter(10*time.Second))).welcome()
		ref := p.created("world")
		synctest.Wait()
		pass(6 * time.Second)
		p.call(ref, 1, "get")
		result[int](p, 1)
		begun := time.Now()
		for range 2 {
			if m := expect[*runnerv1alpha1.ActorIntent](p); m.Intent != runnerv1alpha1.Intent_INTENT_SLEEP {
				t.Errorf("intent %v", m)
			}
			if rested := time.Since(begun); rested != 10*time.Second {
				t.Errorf("asked after %v", rested)
			}
			begun = time.Now()
		}
	})
}

func TestTheGatewaysSleepAfterIsTheDefaultAndStayAwakeHasNone(t *testing.T) {
	run(t, func(t *testing.T) {
		awake := runner.Define[Counter]("awake", runner.WithStayAwake())
		p := newStage(t, defineCounter(), awake).welcome(func(m *runnerv1alpha1.Welcome) { m.TimeoutsMs = map[string]uint32{"sleep_after": 4000} })
		p.created("awake")
		ref := p.created("counter")
		synctest.Wait()
		begun := time.Now()
		if m := expect[*runnerv1alpha1.ActorIntent](p); m.Actor != ref || time.Since(begun) != 4*time.Second {
			t.Errorf("intent %v after %v", m, time.Since(begun))
		}
	})
}

func TestKeepAwakeHoldsOffSleepAndTheStopWaitsForIt(t *testing.T) {
	run(t, func(t *testing.T) {
		var release func()
		p := newStage(t, defineWorld(&diary{}, script{
			"hold": func(w *World, _ context.Context) (any, error) { release = w.KeepAwake(); return nil, nil },
		}, runner.WithSleepAfter(2*time.Second))).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "hold")
		expect[*wire.CallResult](p)
		pass(10 * time.Second)
		p.silent()
		p.stop(ref, toSleep)
		pass(2 * time.Second)
		p.silent()
		release()
		release()
		p.stopped(ref, slept)
	})
}

// [LINK-20]: the gateway hears that an actor is ready behind all that its start hooks have written.
func TestReadyIsSaidBehindWhatTheHooksHaveChanged(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"onWake": func(w *World, _ context.Context) (any, error) { return nil, w.KV().PutText("key", "value") },
		})).welcome()
		ref := p.start("world")
		p.commit(1, 0)
		p.silent()
		p.ack(ref, 1)
		p.commit(2, 0)
		if ready := expect[*runnerv1alpha1.ActorReady](p); ready.Actor != ref {
			t.Errorf("ready: %v", ready)
		}
	})
}

// [SLEEP-1]
func TestRunHoldsOffSleepUntilItIsOverAndTheActorsOwnWishDoesNotWait(t *testing.T) {
	run(t, func(t *testing.T) {
		over := make(chan struct{})
		def := defineWorld(&diary{}, script{
			"sleep": func(w *World, _ context.Context) (any, error) { w.Sleep(); return nil, nil },
		}, runner.WithSleepAfter(2*time.Second))
		runner.Run(def, func(_ *World, ctx context.Context) error {
			select {
			case <-over:
			case <-ctx.Done():
			}
			return nil
		})
		p := newStage(t, def).welcome()
		resting, wishing := p.created("world"), p.created("world")
		pass(10 * time.Second)
		p.silent()
		p.call(wishing, 1, "do", "sleep")
		expect[*wire.CallResult](p)
		if m := expect[*runnerv1alpha1.ActorIntent](p); m.Actor != wishing {
			t.Errorf("actor %d asks to sleep, want %d", m.Actor, wishing)
		}
		p.stop(wishing, toSleep)
		p.stopped(wishing, slept)
		close(over)
		begun := time.Now()
		if m := expect[*runnerv1alpha1.ActorIntent](p); m.Actor != resting || time.Since(begun) < 2*time.Second {
			t.Errorf("actor %d asks to sleep after %v", m.Actor, time.Since(begun))
		}
	})
}

// [SLEEP-1]: a stop waits for it all the same, and what it does by then is kept.
func TestAStopWaitsForWhatIsGivenToWaitUntil(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"later": func(w *World, _ context.Context) (any, error) {
				w.WaitUntil(func(ctx context.Context) error {
					pass(5 * time.Second)
					return w.Do(ctx, func(context.Context) error { w.State().N = 7; return nil })
				})
				w.Sleep()
				return nil, nil
			},
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "later")
		expect[*wire.CallResult](p)
		expect[*runnerv1alpha1.ActorIntent](p)
		p.stop(ref, toSleep)
		pass(4 * time.Second)
		p.silent()
		if n := decoded[WorldState](t, p.commit(2, 0).State).N; n != 7 {
			t.Errorf("state %d", n)
		}
		p.ack(ref, 2)
		p.stopped(ref, slept)
	})
}

func TestAReleaseBeginsTheWaitForSleepAnew(t *testing.T) {
	run(t, func(t *testing.T) {
		var release func()
		p := newStage(t, defineWorld(&diary{}, script{
			"hold": func(w *World, _ context.Context) (any, error) { release = w.KeepAwake(); return nil, nil },
		}, runner.WithSleepAfter(2*time.Second))).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "hold")
		expect[*wire.CallResult](p)
		pass(9 * time.Second)
		release()
		begun := time.Now()
		expect[*runnerv1alpha1.ActorIntent](p)
		if rested := time.Since(begun); rested < 2*time.Second || rested > 4*time.Second {
			t.Errorf("asked after %v", rested)
		}
	})
}

func TestSleepAndDestroyAreAskedOfTheGateway(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"sleep":   func(w *World, _ context.Context) (any, error) { w.State().N++; w.Sleep(); return nil, nil },
			"destroy": func(w *World, _ context.Context) (any, error) { w.Destroy(); return nil, nil },
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "sleep")
		p.commit(2, 1)
		expect[*wire.CallResult](p)
		p.silent() // the gateway would ignore it while the commit is under way
		p.ack(ref, 2)
		if m := expect[*runnerv1alpha1.ActorIntent](p); m.Intent != runnerv1alpha1.Intent_INTENT_SLEEP {
			t.Errorf("intent %v", m)
		}
		p.call(ref, 2, "do", "destroy")
		if m := expect[*runnerv1alpha1.ActorIntent](p); m.Intent != runnerv1alpha1.Intent_INTENT_DESTROY {
			t.Errorf("intent %v", m)
		}
		expect[*wire.CallResult](p)
		expect[*runnerv1alpha1.ActorIntent](p) // the wish to sleep again
	})
}

// [LIFE-6]: a wish that the gateway does not hear any more, since a stop is under way, is not lost.
func TestADestroyWhileTheActorStopsDestroysIt(t *testing.T) {
	for name, tell := range map[string]func(p *peer, ref uint64){
		"from onSleep": func(p *peer, ref uint64) { p.stop(ref, toSleep) },
		"crossing the stop": func(p *peer, ref uint64) {
			p.call(ref, 1, "do", "destroy")
			expect[*runnerv1alpha1.ActorIntent](p)
			expect[*wire.CallResult](p)
			p.stop(ref, toSleep)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				d := &diary{}
				hooks := script{"destroy": func(w *World, _ context.Context) (any, error) { w.Destroy(); return nil, nil }}
				if name == "from onSleep" {
					hooks["onSleep"] = hooks["destroy"]
				}
				p := newStage(t, defineWorld(d, hooks)).welcome()
				ref := p.created("world")
				tell(p, ref)
				if m := p.commit(2, 0); !m.Destroy {
					t.Errorf("the last commit: %v", m)
				}
				p.ack(ref, 2)
				p.stopped(ref, destroyed)
				if text := d.text(); !strings.HasSuffix(text, "onDestroy") {
					t.Errorf("diary %s", text)
				}
			})
		})
	}
}

func TestARefusedCommitEndsTheActorWithoutHooks(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		ended := make(chan error, 1)
		p := newStage(t, defineWorld(d, script{
			"park": func(w *World, ctx context.Context) (any, error) {
				<-ctx.Done()
				ended <- ctx.Err()
				return nil, ctx.Err()
			},
		})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "set", 3)
		p.commit(2, 1)
		result[int](p, 1)
		p.call(ref, 2, "do", "park")
		p.call(ref, 3, "get")
		synctest.Wait()
		p.send(&wire.CommitResult{Actor: ref, Version: 2, Error: wire.ActorFenced.New()})
		p.stopped(ref, fenced)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the running turn's context: %v", err)
		}
		p.stop(ref, toFence)
		p.silent()
		if strings.Contains(d.text(), "onSleep") {
			t.Errorf("diary %s", d.text())
		}
	})
}

func TestAFenceFromTheGatewayIsImmediate(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 5000)
		p.call(ref, 2, "get")
		synctest.Wait()
		p.stop(ref, toFence)
		p.stopped(ref, fenced)
		p.silent()
	})
}

func TestRunIsCanceledFirstAndAwaitedWithinTheGrace(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		runner.Run(world, func(w *World, ctx context.Context) error {
			<-ctx.Done()
			d.add("run-canceled")
			return w.Do(context.Background(), func(context.Context) error {
				w.State().Text = "from run"
				d.add("run-do")
				return nil
			})
		})
		p := newStage(t, world).welcome()
		ref := p.created("world")
		p.stop(ref, toSleep)
		p.commit(2, 0)
		p.ack(ref, 2)
		p.stopped(ref, slept)
		if got := d.text(); !strings.HasSuffix(got, "run-canceled run-do onSleep") {
			t.Errorf("diary %s", got)
		}
	})
}

func TestARunThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	run(t, func(t *testing.T) {
		world := defineWorld(&diary{}, nil)
		runner.Run(world, func(*World, context.Context) error { pass(time.Minute); return errBoom })
		p := newStage(t, world).welcome()
		ref := p.created("world")
		begun := time.Now()
		p.stop(ref, toSleep)
		p.stopped(ref, slept)
		if waited := time.Since(begun); waited < 10*time.Second || waited > 15*time.Second {
			t.Errorf("stopped after %v", waited)
		}
		pass(time.Minute)
	})
}

func TestAStopThatTakesLongerThanItsGraceIsOver(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"onSleep": func(*World, context.Context) (any, error) { pass(time.Minute); return nil, nil }})).welcome()
		ref := p.created("world")
		begun := time.Now()
		p.stop(ref, toSleep)
		p.stopped(ref, fenced)
		if waited := time.Since(begun); waited != 15*time.Second {
			t.Errorf("stopped after %v", waited)
		}
		pass(time.Minute)
	})
}

func TestAStopDuringTheStartFollowsIt(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, script{"onWake": func(*World, context.Context) (any, error) { pass(time.Second); return nil, nil }})).welcome()
		ref := p.woken(3, WorldState{})
		p.stop(ref, toSleep)
		expect[*runnerv1alpha1.ActorReady](p)
		p.stopped(ref, slept)
		wantDiary(t, d, "createVars onWake onSleep")
	})
}

func TestADestroyOvertakesASleepThatHasNotBegun(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 1000)
		p.stop(ref, toSleep)
		p.stop(ref, toDestroy)
		result[string](p, 1)
		p.commit(2, 0)
		p.ack(ref, 2)
		p.stopped(ref, destroyed)
		if !strings.HasSuffix(d.text(), "onDestroy") {
			t.Errorf("diary %s", d.text())
		}
	})
}
