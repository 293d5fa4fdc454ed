package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func TestHelloNamesTheRunnerAndItsTypes(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter(runner.WithSleepAfter(time.Minute), runner.WithDurability(runner.Disk), runner.WithEvents("count"),
			runner.WithStayAwake(), runner.WithMaxCalls(5)), defineWorld(&diary{}, nil))
		_, hello := s.accept()
		if hello.Token != "secret" || hello.Pool != "pool" || hello.Instance != "one" || hello.RunnerVersion != 7 || hello.Sdk != "go" ||
			hello.ProtocolMin != 1 || hello.ProtocolMax != 1 || len(hello.Features) != 6 {
			t.Errorf("hello %v", hello)
		}
		if len(hello.Types) != 2 {
			t.Fatalf("types %v", hello.Types)
		}
		c := hello.Types[0]
		if c.Name != "counter" || c.SleepAfterMs != 60000 || c.Durability != runnerv1alpha1.Durability_DURABILITY_DISK || !c.StayAwake ||
			c.MaxCalls != 5 || len(c.Events) != 1 || c.Concurrency != runnerv1alpha1.Concurrency_CONCURRENCY_SERIAL {
			t.Errorf("type %v", c)
		}
	})
}

func TestAFinalRejectIsServesError(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p, _ := s.accept()
		p.send(&runnerv1alpha1.Reject{Code: "auth.unauthenticated", Message: "A valid token is needed."})
		_ = p.conn.Close()
		err := <-s.served
		s.served <- nil
		var e *runner.Error
		if !errors.As(err, &e) || e.Code != "auth.unauthenticated" || e.Retryable {
			t.Errorf("got %v", err)
		}
	})
}

func TestARejectForTheVersionNamesBothRanges(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p, _ := s.accept()
		p.send(&runnerv1alpha1.Reject{Code: "runner.protocol_unsupported", Message: "too old", ProtocolMin: 2, ProtocolMax: 3})
		_ = p.conn.Close()
		err := <-s.served
		s.served <- nil
		if err == nil || !strings.Contains(err.Error(), "2 to 3") {
			t.Errorf("got %v", err)
		}
	})
}

func TestARetryableRejectIsTriedAgainNotBeforeItsTime(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p, _ := s.accept()
		p.send(&runnerv1alpha1.Reject{Code: "gateway.draining", Retryable: true, RetryAfterMs: 20000})
		_ = p.conn.Close()
		begun := time.Now()
		s.accept()
		if waited := time.Since(begun); waited < 20*time.Second {
			t.Errorf("came back after %v", waited)
		}
	})
}

// [LINK-11]
func TestReconnectsWaitLongerEachTimeWithinBounds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome() // bounds 100 ms to 2 s
		_ = p.conn.Close()
		bound := 100 * time.Millisecond
		for range 12 {
			begun := time.Now()
			conn := <-s.dials
			bound = min(2*bound, 2*time.Second)
			if waited := time.Since(begun); waited < 100*time.Millisecond || waited > bound {
				t.Errorf("waited %v, want 100ms to %v", waited, bound)
			}
			_ = conn.Close()
		}
	})
}

func TestNoWelcomeInTimeIsALostLink(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		s.accept()
		begun := time.Now()
		s.accept()
		if waited := time.Since(begun); waited < 10*time.Second || waited > 20*time.Second {
			t.Errorf("came back after %v", waited)
		}
	})
}

func TestAFrameBeforeWelcomeEndsTheSocketWithGoodbye(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p, _ := s.accept()
		p.send(&wire.Call{Actor: 1, ID: 1})
		if g := expect[*commonv1alpha1.Goodbye](p); g.Code != "internal.error" {
			t.Errorf("goodbye %v", g)
		}
		if m := p.next(); m != nil {
			t.Errorf("then %s", show(m))
		}
		s.accept()
	})
}

func TestGoodbyeNeverEndsServe(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome()
		p.send(&commonv1alpha1.Goodbye{Code: "runner.replaced", Message: "Another took over.", Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER})
		_ = p.conn.Close()
		err := <-s.served
		s.served <- nil
		if e, ok := errors.AsType[*runner.Error](err); !ok || e.Code != "runner.replaced" {
			t.Errorf("got %v", err)
		}
	})
}

func TestGoodbyeSameComesBackAndIsLogged(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome()
		p.send(&commonv1alpha1.Goodbye{Code: "gateway.draining", Reconnect: commonv1alpha1.Reconnect_RECONNECT_ANY, RetryAfterMs: 5000})
		_ = p.conn.Close()
		begun := time.Now()
		s.welcome()
		if time.Since(begun) < 5*time.Second || !strings.Contains(s.logs.text(), "gateway.draining") {
			t.Errorf("back after %v, log %s", time.Since(begun), s.logs.text())
		}
	})
}

func TestPingsGoBothWaysAndSilenceIsALoss(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome()
		p.send(&commonv1alpha1.Ping{Nonce: 42})
		if pong := expect[*runnerv1alpha1.Pong](p); pong.Nonce != 42 {
			t.Errorf("pong %v", pong)
		}
		pass(time.Minute)
		p.silent()
		p.mute.Store(true)
		begun := time.Now()
		if g := expect[*commonv1alpha1.Goodbye](p); g.Code != "runner.ping_timed_out" {
			t.Errorf("goodbye %v", g)
		}
		if silent := time.Since(begun); silent < 15*time.Second || silent > 18*time.Second {
			t.Errorf("lost after %v", silent)
		}
		s.accept()
	})
}

func TestUnknownKindsAreAnsweredUnsupported(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineCounter()).welcome()
		p.write([]byte{0, 0, 0, 4, 0x9a, 0x05, 1, 0}) // kind 83
		if m := expect[*commonv1alpha1.Unsupported](p); m.Kind != 83 {
			t.Errorf("got %v", m)
		}
		p.send(&wire.CallResult{Actor: 1, ID: 1}) // only runners send it
		p.send(&runnerv1alpha1.Drain{})
		if m := expect[*commonv1alpha1.Unsupported](p); m.Kind != uint32(wire.RunnerCallResult) {
			t.Errorf("got %v", m)
		}
		p.send(&commonv1alpha1.Unsupported{Kind: 9})
		p.silent()
	})
}

func TestFeaturesNotNegotiatedAreUnsupported(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"emit": func(w *World, _ context.Context) (any, error) { w.Broadcast("e"); return 1, nil },
			"put":  func(w *World, _ context.Context) (any, error) { return 1, w.KV().PutText("k", "v") },
		})).welcome(func(m *runnerv1alpha1.Welcome) { m.Features = nil })
		ref := p.created("world")
		p.send(&runnerv1alpha1.ConnectionOpen{Actor: ref, Call: 77, Connection: 1})
		if m := expect[*commonv1alpha1.Unsupported](p); m.Kind != uint32(wire.RunnerConnectionOpen) || m.Number != 77 {
			t.Errorf("got %v", m)
		}
		p.call(ref, 1, "do", "emit")
		p.fails(1, "internal.error", wire.RanYes)
		p.call(ref, 2, "do", "put")
		p.fails(2, "internal.error", wire.RanYes)
	})
}

func TestFramingFaultsEndTheSocketWithGoodbye(t *testing.T) {
	for name, b := range map[string][]byte{
		"length 0":        {0, 0, 0, 0},
		"over the limit":  {0x7f, 0, 0, 0},
		"malformed frame": {0, 0, 0, 2, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				s := newStage(t, defineCounter())
				p := s.welcome()
				p.write(b)
				expect[*commonv1alpha1.Goodbye](p)
				s.accept()
			})
		})
	}
}

// [LINK-11] [LIFE-9]
func TestALostSessionDropsActorsWithoutHooksBeforeHello(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, script{}))
		p := s.welcome()
		ref := p.created("world")
		p.call(ref, 1, "wait", 60000)
		synctest.Wait()
		_ = p.conn.Close()
		p = s.welcome()
		synctest.Wait()
		if got := d.text(); strings.Contains(got, "onSleep") || strings.Contains(got, "onDestroy") {
			t.Errorf("hooks ran: %s", got)
		}
		p.call(ref, 2, "get")
		if m := expect[*wire.CallResult](p); !m.NotRun || m.ID != 2 || m.Actor != ref {
			t.Errorf("got %s", show(m))
		}
		p.silent()
	})
}

func TestServeRefusesToRunTwice(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		s.welcome()
		if err := s.runner.Serve(t.Context()); err == nil {
			t.Error("a second Serve ran")
		}
	})
}

func TestDrainStopsActorsAndEndsWithTheGatewaysGoodbye(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, nil))
		p := s.welcome()
		ref := p.created("world")
		synctest.Wait()
		s.cancel()
		if m := expect[*runnerv1alpha1.Drain](p); m.DeadlineMs != 20000 {
			t.Errorf("drain %v", m)
		}
		p.stop(ref, runnerv1alpha1.StopReason_STOP_REASON_DRAIN)
		p.stopped(ref, runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT)
		p.send(&commonv1alpha1.Goodbye{Code: "gateway.draining"})
		_ = p.conn.Close()
		if err := <-s.served; err != nil || !strings.HasSuffix(d.text(), "onSleep") {
			t.Errorf("Serve: %v, diary %s", err, d.text())
		}
		s.served <- nil
	})
}

func TestDrainEndsAtItsDeadlineWithAGoodbye(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome()
		p.created("counter")
		begun := time.Now()
		s.cancel()
		expect[*runnerv1alpha1.Drain](p)
		expect[*commonv1alpha1.Goodbye](p)
		if err := <-s.served; err != nil || time.Since(begun) > 21*time.Second {
			t.Errorf("Serve: %v after %v", err, time.Since(begun))
		}
		s.served <- nil
	})
}

func TestDrainWithoutActorsDoesNotWaitLong(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome()
		synctest.Wait()
		begun := time.Now()
		s.cancel()
		expect[*runnerv1alpha1.Drain](p)
		expect[*commonv1alpha1.Goodbye](p)
		if err := <-s.served; err != nil || time.Since(begun) > 3*time.Second {
			t.Errorf("Serve: %v after %v", err, time.Since(begun))
		}
		s.served <- nil
	})
}
