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

func TestWhatAccumulatesIsSplitBetweenTurnsNotWithinThem(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"write": func(w *World, _ context.Context) (any, error) {
			w.State().N++
			return w.State().N, errors.Join(w.KV().PutText("a", "1"), w.KV().PutText("b", "2"))
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxKvOperations = 5 })
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		for id := range uint64(3) {
			p.call(ref, id+2, "do", "write")
		}
		synctest.Wait()
		p.ack(ref, 2)
		if c := p.commit(3, 2); len(c.Kv) != 4 || decoded[WorldState](t, c.State).N != 3 {
			t.Errorf("changes %v", c)
		}
		result[int](p, 2)
		result[int](p, 3)
		p.silent()
		p.ack(ref, 3)
		if c := p.commit(4, 1); len(c.Kv) != 2 || decoded[WorldState](t, c.State).N != 4 {
			t.Errorf("changes %v", c)
		}
		result[int](p, 4)
	})
}

func TestChangesLargerThanACommitCrashTheActor(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"write": func(w *World, _ context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 700)
			return 1, w.KV().Put([]byte("k"), make([]byte, 700))
		}})).welcome(func(m *runnerv1alpha1.Welcome) { m.Limits.MaxCommit = 1000 })
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "do", "write")
		p.fails(1, "state.too_large", wire.RanYes)
		p.stopped(ref, crashed)
	})
}

func TestATurnThatEmitsFasterThanCommitsWaits(t *testing.T) {
	run(t, func(t *testing.T) {
		emitted := make(chan int, 1000)
		p := newStage(t, defineWorld(&diary{}, script{"flood": func(w *World, _ context.Context) (any, error) {
			w.State().N = 1
			for i := range 40 {
				w.Broadcast("e", make([]byte, 1_000_000))
				emitted <- i
			}
			return 1, nil
		}})).welcome()
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "do", "flood")
		synctest.Wait()
		if n := len(emitted); n < 15 || n > 25 {
			t.Errorf("%d MB behind an unanswered commit", n)
		}
		expect[*wire.Commit](p)
		p.ack(ref, 2)
		for range 40 {
			expect[*wire.Emit](p)
		}
		result[int](p, 1)
	})
}

func TestATurnThatEmitsFasterThanTheSocketTakesWaits(t *testing.T) {
	run(t, func(t *testing.T) {
		emitted := make(chan int, 1000)
		s := newStage(t, defineWorld(&diary{}, script{"flood": func(w *World, _ context.Context) (any, error) {
			for i := range 80 {
				w.Broadcast("e", make([]byte, 1_000_000))
				emitted <- i
			}
			return 1, nil
		}}))
		p := s.welcome()
		ref := p.created("world")
		synctest.Wait()
		p.hold <- struct{}{} // nothing is read from the socket any more
		p.call(ref, 1, "do", "flood")
		pass(time.Second)
		n := len(emitted)
		<-p.hold
		if n < 60 || n > 75 {
			t.Errorf("%d MB queued", n)
		}
		for range 80 {
			expect[*wire.Emit](p)
		}
		result[int](p, 1)
	})
}

func TestAOneWayCallsResultHasNoOutput(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.created("world")
		p.send(&wire.Call{Actor: ref, ID: 1, Action: []byte("get"), Oneway: true})
		if m := expect[*wire.CallResult](p); m.HasOutput || m.Error != nil || m.ID != 1 {
			t.Errorf("got %s", show(m))
		}
	})
}

func TestInputAndParamsThatDoNotFitAreInvalidPayload(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome()
		ref := p.start("world", func(m *runnerv1alpha1.StartActor) { m.Input = encoded("seven") })
		if e := wire.ErrorFromProto(p.stopped(ref, notStart).Error); e.Name() != "request.invalid_payload" {
			t.Errorf("error %v", e)
		}
		ref = p.created("world")
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: 1, Connection: 1, Params: encoded("ada")})
		p.fails(1, "request.invalid_payload", wire.RanYes)
	})
}

func TestAPrincipalIsKnownByItsConnectionAndGoesAway(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"who": func(w *World, ctx context.Context) (any, error) {
			principal := w.Conn(ctx).Principal()
			var claims struct{ Admin bool }
			if err := principal.Claims(&claims); err != nil {
				return nil, err
			}
			return fmt.Sprint(principal.Kind, " ", principal.Subject, " ", claims.Admin, " ", runner.Caller(ctx) == nil), nil
		}}, "nodisconnect")).welcome()
		ref := p.created("world")
		p.send(&runnerv1alpha1.Principal{Principal: 5, Kind: "client", Subject: "ada", Claims: encoded(map[string]bool{"Admin": true})})
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: 1, Connection: 1, ConnectionId: "c1", Principal: 5})
		for range 3 {
			p.next()
		}
		p.send(&runnerv1alpha1.Principal{Principal: 5, Gone: true})
		p.send(&wire.Call{Actor: ref, ID: 2, Action: []byte("do"), Args: argsOf("who"), Connection: 1, Principal: 5})
		if got := result[string](p, 2); got != "client ada true true" {
			t.Errorf("got %s", got)
		}
	})
}

func TestAReadOfAnActorThatEndsReturns(t *testing.T) {
	run(t, func(t *testing.T) {
		ended := make(chan error, 1)
		p, ref := kvActor(t, func(w *World, ctx context.Context) (any, error) {
			_, _, err := w.KV().GetText(context.WithoutCancel(ctx), "k")
			ended <- err
			return nil, err
		})
		expect[*runnerv1alpha1.KvRead](p)
		p.stop(ref, toFence)
		p.stopped(ref, fenced)
		if err := <-ended; !errors.Is(err, runner.ErrStopped) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestAStopBeforeTheRestoredConnectionsEndsTheStart(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		p := newStage(t, defineWorld(d, nil)).welcome()
		ref := p.woken(5, WorldState{}, func(m *runnerv1alpha1.StartActor) { m.RestoredConnections = 1 })
		p.stop(ref, toSleep)
		p.stopped(ref, notStart)
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Connection: 1, Restored: true})
		p.silent()
		wantDiary(t, d, "")
	})
}

func TestARunThatFailsIsLoggedAndTheActorLivesOn(t *testing.T) {
	run(t, func(t *testing.T) {
		world := defineWorld(&diary{}, nil)
		runner.Run(world, func(*World, context.Context) error { panic(errBoom) })
		s := newStage(t, world)
		p := s.welcome()
		ref := p.created("world")
		p.call(ref, 1, "get")
		result[int](p, 1)
		synctest.Wait()
		if log := s.logs.text(); !strings.Contains(log, "hunter2") || !strings.Contains(log, "bounds_test.go") {
			t.Errorf("log %s", log)
		}
		p.stop(ref, toSleep)
		p.stopped(ref, slept)
	})
}

func TestHookErrorsAtTheEndAreLoggedAndChangeNothing(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		for _, hook := range []string{"onSleep", "onDestroy", "left:c11:ada"} {
			d.failing(hook, errBoom)
		}
		s := newStage(t, defineWorld(d, nil))
		p := s.welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: 11})
		p.commit(3, 0)
		p.ack(ref, 3)
		p.stop(ref, toSleep)
		p.stopped(ref, slept)
		ref = p.created("world")
		p.stop(ref, toDestroy)
		p.commit(2, 0)
		p.ack(ref, 2)
		p.stopped(ref, destroyed)
		if n := strings.Count(s.logs.text(), "hunter2"); n != 3 {
			t.Errorf("%d log records: %s", n, s.logs.text())
		}
	})
}

func TestErrorsAreComparedByCode(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", runner.Reject("no"))
	if !errors.Is(err, &runner.Error{Code: "connection.rejected"}) || errors.Is(err, &runner.Error{Code: "auth.forbidden"}) {
		t.Errorf("%v", err)
	}
	if text := (runner.UserError{Code: "x", Message: "m"}).Error(); text != "user.x: m" {
		t.Errorf("text %q", text)
	}
}
