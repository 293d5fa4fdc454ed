package runner_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// resilient announces every feature.
func resilient(m *runnerv1alpha1.Welcome) { m.Features, m.ResumeMs = wire.RunnerFeatures(), 5000 }

// cut ends the socket as a broken network does.
func (p *peer) cut() {
	synctest.Wait()
	_ = p.conn.Close()
}

// next takes the runner's next socket, on which it asks to go on with p's session. The peer continues p's counts.
func (s *stage) next(p *peer) (*peer, *runnerv1alpha1.Hello) {
	s.t.Helper()
	q := unreadPeer(s.t, <-s.dials)
	synctest.Wait() // p has read what it will
	q.nextRef, q.parts, q.sent, q.session = p.nextRef, p.parts, p.sent, p.session
	q.received.Store(p.received.Load())
	hello := s.begin(q)
	if string(hello.GetResume().GetSession()) != p.session || hello.Resume.Received > uint64(len(q.sent)) || hello.Resume.Received < p.acked.Load() {
		s.t.Fatalf("hello %v, %d frames were sent, %d acknowledged", hello.Resume, len(p.sent), p.acked.Load())
	}
	return q, hello
}

// resume takes the runner's next socket and goes on with p's session there: each side sends what the other lacks.
func (s *stage) resume(p *peer) *peer {
	s.t.Helper()
	q, hello := s.next(p)
	s.goOn(q, hello)
	return q
}

func (s *stage) goOn(q *peer, hello *runnerv1alpha1.Hello) {
	s.t.Helper()
	w := defaultWelcome()
	resilient(w)
	w.Session, w.ResumedReceived = []byte(q.session), proto.Uint64(q.received.Load())
	q.awaiting.Store(true)
	q.send(w, &runnerv1alpha1.Resumed{Next: hello.Resume.Received + 1})
	for _, frame := range q.sent[hello.Resume.Received:] {
		q.write(frame)
	}
	if next := <-q.resumed; next != *w.ResumedReceived+1 {
		s.t.Fatalf("the runner goes on with frame %d, %d were received", next, *w.ResumedReceived)
	}
}

// [LINK-16] [LINK-11]
func TestACutBetweenCommitAndResultIsNotSeenByTheActor(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, script{"save": func(w *World, ctx context.Context) (any, error) {
			w.State().N = 7
			w.Broadcast("saving")
			if err := w.SaveState(ctx); err != nil {
				return nil, err
			}
			return w.State().N, nil
		}}))
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "do", "save")
		p.commit(2, 1)
		expect[*wire.Emit](p)
		begun := time.Now()
		p.cut()
		q := s.resume(p)
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("the first attempt came after %v", waited)
		}
		q.silent()
		q.ack(ref, 2)
		if n := result[int](q, 1); n != 7 {
			t.Errorf("result %d", n)
		}
		if got := d.text(); strings.Contains(got, "onSleep") || strings.Count(got, "onWake") != 1 {
			t.Errorf("diary %s", got)
		}
	})
}

// [LINK-16]
func TestWhatTheGatewayHasNotReceivedIsSentAgainOnce(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		all := p.received.Load()
		p.received.Store(all - 2) // commit and result were lost with the socket
		p.cut()
		q := s.resume(p)
		q.commit(2, 1)
		result[int](q, 1)
		q.silent()
		q.received.Store(all - 1) // the result again
		q.cut()
		q = s.resume(q)
		result[int](q, 1)
		q.silent()
		q.cut()
		q = s.resume(q)
		q.silent()
		q.ack(ref, 2)
		q.call(ref, 2, "get")
		if n := result[int](q, 2); n != 1 {
			t.Errorf("result %d", n)
		}
		q.silent()
	})
}

// [LINK-16]
func TestTurnsGoOnWithoutASocketAndTheirOutputsFollow(t *testing.T) {
	run(t, func(t *testing.T) {
		world := defineWorld(&diary{}, nil)
		steps := make(chan func(w *World), 8)
		runner.Run(world, func(w *World, ctx context.Context) error {
			for {
				select {
				case step := <-steps:
					if err := w.Do(ctx, func(context.Context) error { step(w); return nil }); err != nil {
						return err
					}
				case <-ctx.Done():
					return nil
				}
			}
		})
		s := newStage(t, world)
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "wait", 1000)
		s.refuse.Store(true)
		p.cut()
		for i := range 3 {
			steps <- func(w *World) { w.State().N = i + 1; w.Broadcast("step", i+1) }
		}
		pass(2 * time.Second)
		s.refuse.Store(false)
		q := s.resume(p)
		if got := result[string](q, 1); got != "waited" {
			t.Errorf("result %s", got)
		}
		q.commit(2, 1)
		expect[*wire.Emit](q)
		q.silent()
		q.ack(ref, 2)
		if n := decoded[WorldState](t, q.commit(3, 2).State).N; n != 3 {
			t.Errorf("state %d", n)
		}
	})
}

// [LINK-16] [LINK-3]
func TestACutAmidPartsGoesOnWithTheNextPart(t *testing.T) {
	run(t, func(t *testing.T) {
		text := strings.Repeat("0123456789", 50_000)
		s := newStage(t, defineWorld(&diary{}, script{"large": func(w *World, _ context.Context) (any, error) {
			w.State().Text = text
			return text, nil
		}}))
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		p.stopAt.Store(p.received.Load() + 3)
		p.call(ref, 1, "do", "large")
		p.cut()
		q := s.resume(p)
		if got := decoded[WorldState](t, q.commit(2, 1).State).Text; got != text {
			t.Errorf("%d bytes of state", len(got))
		}
		if got := result[string](q, 1); got != text {
			t.Errorf("%d bytes of result", len(got))
		}
		if p.nparts != 3 || q.nparts != 13 {
			t.Errorf("%d and %d parts", p.nparts, q.nparts)
		}
	})
}

// [LINK-16]
func TestACutAmidIncomingPartsGoesOnWithTheNextPart(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{"echo": func(w *World, _ context.Context) (any, error) { return len(w.View().Text), nil }}))
		p := s.welcome(resilient)
		var out wire.Outbox
		lane := wire.Lane{Actor: 500}
		out.Push(&lane, wire.Runner(&runnerv1alpha1.StartActor{
			Actor: 500, Id: "x", Type: "world", Version: 3, State: encoded(WorldState{Text: strings.Repeat("x", 200_000)}),
		}))
		for rest := out.Take(nil, 1<<20); len(rest) > 0; {
			size := wire.HeaderLen + int(rest[0])<<24 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
			p.sent = append(p.sent, rest[:size])
			rest = rest[size:]
		}
		p.write(p.sent[0])
		p.write(p.sent[1][:1000])
		p.cut()
		p = s.resume(p)
		expect[*runnerv1alpha1.ActorReady](p)
		p.call(500, 1, "do", "echo")
		if n := result[int](p, 1); n != 200_000 {
			t.Errorf("%d bytes", n)
		}
	})
}

// [LINK-16] [LINK-11]
func TestTwoCutsInARowAndOneBeforeWelcome(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "set", 1)
		p.commit(2, 1)
		result[int](p, 1)
		p.cut()
		q, _ := s.next(p) // no Welcome comes
		q.cut()
		begun := time.Now()
		q = s.resume(q)
		if waited := time.Since(begun); waited < 100*time.Millisecond || waited > 2*time.Second {
			t.Errorf("the second attempt came after %v", waited)
		}
		q.cut()
		q = s.resume(q)
		q.ack(ref, 2)
		q.call(ref, 2, "get")
		if n := result[int](q, 2); n != 1 {
			t.Errorf("result %d", n)
		}
		q.silent()
	})
}

// [LINK-16]
func TestOnlyWhatTheRunnerTookCountsAsReceived(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "get")
		frame := wire.AppendMessage(nil, &wire.Call{Actor: ref, ID: 2, Action: []byte("get")})
		p.sent = append(p.sent, frame)
		p.write(frame[:len(frame)-1]) // cut within the frame
		result[int](p, 1)
		p.cut()
		q, hello := s.next(p)
		if want := uint64(len(p.sent) - 1); hello.Resume.Received != want {
			t.Errorf("received %d, want %d", hello.Resume.Received, want)
		}
		s.goOn(q, hello)
		result[int](q, 2)
		q.silent()
	})
}

// [LINK-14]
func TestFramesAreAcknowledgedInTime(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome(resilient)
		ref := p.created("world")
		pass(50 * time.Millisecond)
		synctest.Wait()
		if got := p.acked.Load(); got != uint64(len(p.sent)) {
			t.Errorf("%d of %d acknowledged after 50 ms", got, len(p.sent))
		}
		before := p.acked.Load()
		for range 64 { // frames that are not answered
			p.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 99})
		}
		synctest.Wait()
		if got := p.acked.Load(); got != before+64 {
			t.Errorf("%d acknowledged at once after 64 more than %d", got, before)
		}
	})
}

// [LINK-15]
func TestTheRunnerKeepsNoMoreThanIsAllowedAndLosesNothing(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"large": func(*World, context.Context) (any, error) {
			return strings.Repeat("x", 60_000), nil
		}})).welcome(resilient, func(m *runnerv1alpha1.Welcome) { m.Limits.MaxUnackedBytes = 200_000 })
		ref := p.created("world")
		synctest.Wait()
		for id := range uint64(10) {
			p.call(ref, id, "do", "large")
		}
		got := uint64(0)
		for synctest.Wait(); got < 10; synctest.Wait() {
			if n := len(p.frames); n > 4 || n == 0 {
				t.Fatalf("%d results of 60 kB are unacknowledged", n)
			}
			for len(p.frames) > 0 {
				result[string](p, got)
				got++
			}
			p.send(&runnerv1alpha1.Ack{Received: p.received.Load()})
		}
	})
}

// [LINK-7] [LINK-16]
func TestAGatewayThatFallsSilentIsLeftWithoutGoodbyeAndResumed(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		ref := p.created("world")
		pass(time.Second)
		p.mute.Store(true)
		begun := time.Now()
		for m := p.next(); m != nil; m = p.next() {
			t.Errorf("unexpected %s", show(m))
		}
		if silent := time.Since(begun); silent < 15*time.Second || silent > 20*time.Second {
			t.Errorf("left after %v", silent)
		}
		q := s.resume(p)
		q.call(ref, 1, "get")
		result[int](q, 1)
	})
}

// [LINK-17]
func TestCountsThatCannotBeEndTheSession(t *testing.T) {
	for name, fault := range map[string]func(q *peer, hello *runnerv1alpha1.Hello, w *runnerv1alpha1.Welcome){
		"more than was sent": func(q *peer, _ *runnerv1alpha1.Hello, w *runnerv1alpha1.Welcome) {
			w.ResumedReceived = proto.Uint64(q.received.Load() + 1)
			q.send(w)
		},
		"a gap": func(q *peer, hello *runnerv1alpha1.Hello, w *runnerv1alpha1.Welcome) {
			q.send(w, &runnerv1alpha1.Resumed{Next: hello.Resume.Received + 2})
		},
		"a repetition": func(q *peer, hello *runnerv1alpha1.Hello, w *runnerv1alpha1.Welcome) {
			q.send(w, &runnerv1alpha1.Resumed{Next: hello.Resume.Received})
		},
		"an ack of what was never sent": func(q *peer, hello *runnerv1alpha1.Hello, w *runnerv1alpha1.Welcome) {
			q.send(w, &runnerv1alpha1.Resumed{Next: hello.Resume.Received + 1}, &runnerv1alpha1.Ack{Received: 1 << 40})
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				s := newStage(t, defineWorld(&diary{}, nil))
				p := s.welcome(resilient)
				p.created("world")
				p.cut()
				q, hello := s.next(p)
				q.mute.Store(true) // a Pong would wait for a runner that reads no more
				w := defaultWelcome()
				resilient(w)
				w.ResumedReceived = proto.Uint64(q.received.Load())
				fault(q, hello, w)
				if g := expect[*commonv1alpha1.Goodbye](q); g.Code != "runner.session_lost" {
					t.Errorf("goodbye %v", g)
				}
				_, hello = s.accept()
				if hello.Resume != nil || !hello.Hosting {
					t.Errorf("hello %v", hello)
				}
			})
		})
	}
}

func TestASessionThatWasNotAskedForIsAFault(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p, _ := s.accept()
		w := defaultWelcome()
		w.ResumedReceived = proto.Uint64(0)
		p.send(w)
		if g := expect[*commonv1alpha1.Goodbye](p); g.Code != "internal.error" {
			t.Errorf("goodbye %v", g)
		}
	})
}

// [LINK-6]
func TestAfterAGoodbyeNothingIsResumed(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		p.created("world")
		p.send(&commonv1alpha1.Goodbye{Code: "runner.ping_timed_out", Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME})
		p.cut()
		if _, hello := s.accept(); hello.Resume != nil || !hello.Hosting {
			t.Errorf("hello %v", hello)
		}
	})
}

// [LINK-10] [LINK-16]
func TestADrainOutlivesACut(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, script{"onSleep": func(w *World, _ context.Context) (any, error) { w.State().N = 5; return nil, nil }}))
		p := s.welcome(resilient)
		ref := p.created("world")
		synctest.Wait()
		s.cancel()
		expect[*runnerv1alpha1.Drain](p)
		p.cut()
		q := s.resume(p)
		q.stop(ref, runnerv1alpha1.StopReason_STOP_REASON_DRAIN)
		q.commit(2, 0)
		q.ack(ref, 2)
		q.stopped(ref, slept)
		q.send(&commonv1alpha1.Goodbye{Code: "gateway.draining"})
		_ = q.conn.Close()
		if err := <-s.served; err != nil || !strings.HasSuffix(d.text(), "onSleep") {
			t.Errorf("Serve: %v, diary %s", err, d.text())
		}
		s.served <- nil
	})
}

// A runner that is told to end while it has no socket makes one attempt to hand its actors over.
func TestAnEndWithoutASocketIsOneAttempt(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		p.created("world")
		s.refuse.Store(true)
		p.cut()
		synctest.Wait()
		begun := time.Now()
		s.cancel()
		if err := <-s.served; err != nil || time.Since(begun) > time.Second {
			t.Errorf("Serve: %v after %v", err, time.Since(begun))
		}
		s.served <- nil
	})
}
