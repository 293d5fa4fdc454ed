package runner_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// windows announces credit for so many events of one actor, and of the link.
func windows(actor, link uint64) func(*runnerv1alpha1.Welcome) {
	return func(m *runnerv1alpha1.Welcome) {
		resilient(m)
		m.Limits.EventWindow, m.Limits.LinkWindow = actor*unit, link*unit
	}
}

// unit is what an event of these tests costs, and tick an event that costs it.
const unit = 100

func tick(w *World) { w.Broadcast("tick", make([]byte, unit-64-len("tick")-3)) }

// emitter is a world whose action "do" with a number, as text, emits that many events; "+" in front changes the state.
func emitter() *runner.Type[World] {
	s := script{}
	for n := range 101 {
		s[fmt.Sprint(n)] = func(w *World, _ context.Context) (any, error) {
			for range n {
				tick(w)
			}
			return n, nil
		}
		s[fmt.Sprint("+", n)] = func(w *World, _ context.Context) (any, error) {
			w.State().N++
			for range n {
				tick(w)
			}
			return n, nil
		}
	}
	return defineWorld(&diary{}, s)
}

// ticks takes that many events of the actor, and nothing more than that.
func (p *peer) ticks(ref uint64, n int) {
	p.t.Helper()
	for range n {
		if m := expect[*wire.Emit](p); m.Actor != ref || m.Cost() != unit {
			p.t.Fatalf("got %s, want an event of %d", show(m), ref)
		}
	}
}

// credit raises what the actor may have sent, 0: all, to so many events.
func (p *peer) credit(ref, events uint64) {
	p.t.Helper()
	p.send(&runnerv1alpha1.Credit{Actor: ref, Offset: events * unit})
}

// [LINK-18] [GATE-4]
func TestAGroupBeginsWhenAllItsEventsHaveCredit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, emitter()).welcome(windows(10, 1000))
		ref := p.created("world")
		p.call(ref, 1, "do", "+4")
		p.commit(2, 5)
		p.ticks(ref, 4)
		result[int](p, 1)
		p.ack(ref, 2)
		p.call(ref, 2, "do", "4") // without changes, but as a whole
		p.ticks(ref, 4)
		result[int](p, 2)
		p.call(ref, 3, "do", "+3") // two are left
		p.call(ref, 4, "get")
		p.call(ref, 5, "no such action")
		p.silent()
		p.credit(ref, 10) // no news
		p.credit(ref, 7)
		p.silent()
		p.credit(ref, 11)
		p.commit(3, 6)
		p.ticks(ref, 3)
		result[int](p, 3)
		result[int](p, 4)
		p.fails(5, "actor.action_not_found", wire.RanNo)
		p.ack(ref, 3)
		p.silent()
	})
}

// [GATE-4]
func TestTheEventsOfAGroupCostHalfOfTheWindow(t *testing.T) {
	for name, adjust := range map[string]func(*runnerv1alpha1.Welcome){"actor": windows(10, 1000), "link": windows(1000, 10)} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				p := newStage(t, emitter()).welcome(adjust)
				ref := p.created("world")
				p.call(ref, 1, "do", "+23")
				p.commit(2, 5)
				p.ticks(ref, 10)
				p.silent()
				p.ack(ref, 2)
				for _, offset := range []uint64{15, 20, 25} { // as a gateway does that waits until half has left
					p.silent()
					to := map[string]uint64{"actor": ref, "link": 0}[name]
					p.credit(to, offset)
					p.ticks(ref, min(5, 23-int(offset-5)))
				}
				result[int](p, 1)
			})
		})
	}
}

// [LINK-18]
func TestASlowActorDoesNotHoldUpOthersUnlessTheLinkIsUsedUp(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, emitter()).welcome(windows(10, 16))
		a, b := p.created("world"), p.created("world")
		p.call(a, 1, "do", "10")
		p.ticks(a, 10)
		result[int](p, 1)
		p.call(a, 2, "do", "1")
		p.silent()
		p.call(b, 3, "do", "5")
		p.ticks(b, 5)
		result[int](p, 3)
		p.call(b, 4, "do", "2") // one is left of the link
		p.call(b, 5, "get")
		p.silent()
		p.call(a, 6, "get")
		p.silent()
		p.credit(a, 20)
		p.silent() // it would fit, but the other one came first
		p.credit(0, 17)
		p.ticks(b, 2)
		result[int](p, 4)
		result[int](p, 5)
		p.silent()
		p.credit(0, 18)
		p.ticks(a, 1)
		result[int](p, 2)
		result[int](p, 6)
		p.silent()
	})
}

// [LINK-18]
func TestTheLinksCreditIsGivenInTheOrderOfAsking(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, emitter()).welcome(windows(20, 20))
		var refs []uint64
		for range 4 {
			refs = append(refs, p.created("world"))
		}
		for _, ref := range refs[:2] {
			p.call(ref, ref, "do", "10")
			p.ticks(ref, 10)
			result[int](p, ref)
		}
		wants := []string{"8", "+1", "9", "1"}
		for i, ref := range refs {
			p.call(ref, 1, "do", wants[i])
			p.silent()
		}
		p.send(&runnerv1alpha1.StopActor{Actor: refs[2], Reason: toFence}) // leaves the line
		p.stopped(refs[2], fenced)
		p.credit(0, 27)
		p.silent()
		p.credit(0, 28)
		p.ticks(refs[0], 8)
		result[int](p, 1)
		p.silent()
		p.credit(0, 30)
		p.commit(2, 2)
		p.ticks(refs[1], 1)
		result[int](p, 1)
		p.ticks(refs[3], 1)
		result[int](p, 1)
		p.silent()
	})
}

// [LINK-18]
func TestATurnThatEmitsWaitsForCreditAlsoWithoutASocket(t *testing.T) {
	run(t, func(t *testing.T) {
		emitted := 0
		s := newStage(t, defineWorld(&diary{}, script{"flood": func(w *World, _ context.Context) (any, error) {
			for range 100 {
				tick(w)
				emitted++
				pass(6 * time.Millisecond) // each is a flush
			}
			return 1, nil
		}}))
		p := s.welcome(windows(10, 1000))
		ref := p.created("world")
		p.call(ref, 1, "do", "flood")
		pass(time.Second)
		if emitted > 13 {
			t.Errorf("%d events were emitted with credit for 10", emitted)
		}
		p.ticks(ref, 10)
		p.cut()
		p = s.resume(p)
		p.silent()
		for sent := 10; sent < 100; sent += 6 {
			p.credit(ref, uint64(sent+6))
			p.ticks(ref, 6)
			pass(time.Second)
			if ahead := emitted - sent - 6; ahead > 3 {
				t.Errorf("%d events were emitted ahead", ahead)
			}
		}
		result[int](p, 1)
	})
}

// [LINK-18] [LINK-16]
func TestCreditOutlivesASocket(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, emitter())
		p := s.welcome(windows(10, 20))
		ref := p.created("world")
		p.call(ref, 1, "do", "10")
		p.ticks(ref, 10)
		result[int](p, 1)
		p.received.Add(^uint64(3)) // four frames are sent again, and cost nothing
		p.cut()
		p = s.resume(p)
		p.ticks(ref, 3)
		result[int](p, 1)
		p.call(ref, 2, "do", "2")
		p.silent()
		p.credit(ref, 12)
		p.credit(ref, 12) // repeated
		p.ticks(ref, 2)
		result[int](p, 2)
		p.call(ref, 3, "do", "1")
		p.silent()
	})
}

// [LINK-18] [LEASE-4]
func TestAnAdoptedActorBeginsWithFreshCredit(t *testing.T) {
	run(t, func(t *testing.T) {
		world := emitter()
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(windows(10, 20))
		ref := p.created("world")
		p.ack(ref, 1)
		p.call(ref, 1, "do", "7")
		p.ticks(ref, 7)
		result[int](p, 1)
		steps <- func(w *World, _ context.Context) { // waits for credit
			w.State().N = 1
			for range 5 {
				tick(w)
			}
		}
		p.silent()
		p = s.lose(p, windows(8, 12))
		ref = p.adopt(p.offered(1)[0], 1)
		p.commit(2, 4) // half of the new window
		p.ticks(ref, 5)
		p.ack(ref, 2)
		p.call(ref, 2, "do", "3")
		p.ticks(ref, 3)
		result[int](p, 2)
		p.call(ref, 3, "do", "1")
		p.silent()
		p.credit(ref, 9)
		p.ticks(ref, 1)
		result[int](p, 3)
	})
}

func TestAnEventThatHalfTheWindowDoesNotHoldIsTooLarge(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"small": func(w *World, _ context.Context) (any, error) { w.Broadcast("e", make([]byte, 90)); return 1, nil },
			"large": func(w *World, _ context.Context) (any, error) { w.Broadcast("e", make([]byte, 110)); return 1, nil },
		})).welcome(windows(6, 100))
		ref := p.created("world")
		p.call(ref, 1, "do", "small")
		expect[*wire.Emit](p)
		result[int](p, 1)
		p.call(ref, 2, "do", "large")
		p.fails(2, "event.too_large", wire.RanYes)
	})
}

// [LIFE-2] [LIFE-10]
func TestStartAndStopWaitForTheirEvents(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{
			"onCreate": func(w *World, _ context.Context) (any, error) { tick(w); return nil, nil },
			"onSleep":  func(w *World, _ context.Context) (any, error) { tick(w); return nil, nil },
			"4":        func(w *World, _ context.Context) (any, error) { tick(w); tick(w); tick(w); tick(w); return 4, nil },
		})).welcome(windows(20, 8))
		ref := p.created("world")
		synctest.Wait()
		p.call(ref, 1, "do", "4")
		p.ticks(ref, 4)
		result[int](p, 1)
		p.call(ref, 2, "do", "4")
		p.silent()
		other := p.start("world")
		p.stop(ref, toSleep)
		p.silent()
		p.credit(0, 9)
		p.ticks(ref, 4)
		result[int](p, 2)
		p.silent()
		p.credit(0, 10)
		p.commit(1, 1)
		p.ticks(other, 1)
		expect[*runnerv1alpha1.ActorReady](p)
		p.silent()
		p.credit(0, 11)
		p.ticks(ref, 1)
		p.stopped(ref, slept)
		p.silent()
	})
}

// What waits for credit is bounded: no turn begins while it is too much.
func TestNoTurnBeginsWhileTooMuchWaits(t *testing.T) {
	run(t, func(t *testing.T) {
		begun := 0
		p := newStage(t, defineWorld(&diary{}, script{"tick": func(w *World, _ context.Context) (any, error) {
			begun++
			tick(w)
			return 1, nil
		}})).welcome(windows(10, 1000), func(m *runnerv1alpha1.Welcome) { m.Limits.MaxHeldBytes = 4000 })
		ref := p.created("world")
		p.ack(ref, 1)
		for id := range uint64(100) {
			p.call(ref, id, "do", "tick")
		}
		synctest.Wait()
		if begun < 30 || begun > 60 {
			t.Errorf("%d turns began, 2,000 bytes may wait", begun)
		}
		p.credit(ref, 1000)
		for id := range uint64(100) {
			p.ticks(ref, 1)
			result[int](p, id)
		}
	})
}
