package link

import (
	"testing"
	"testing/synctest"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [LIMIT-4] [LIMIT-1]: while much memory is held no session begins; one that there is goes on.
func TestNoSessionBeginsWhileMemoryIsShort(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cfg.Budget = budget.New(1000)
		defer w.cfg.Budget.Close()
		first, _ := w.join(wire.FeatureResume)
		w.cfg.Budget.Add(800)
		p := w.dial()
		p.cold(features(wire.FeatureResume))
		p.got("reject gateway.overloaded true")
		p.ended()
		first.cut()
		w.back(0).got("welcome back, 0, resumed 1")
		reached := map[string]uint64{}
		w.cfg.Stats.EachLimit(func(name string, c *stats.Counter) { reached[name] = c.Value() })
		if n := reached[stats.MaxMemory]; n != 1 {
			t.Errorf("counted %d", n)
		}
		w.cfg.Budget.Add(-800)
		w.join()
	})
}

// [LIMIT-4]: what links hold counts, and a session without socket ends for it, that which holds most first.
func TestLinksGiveMemoryBack(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cfg.Budget = budget.New(1_000_000)
		defer w.cfg.Budget.Close()
		w.cfg.Budget.Register(w.cfg.Links)
		holds := func(low, high int) {
			t.Helper()
			synctest.Wait()
			if used := w.cfg.Budget.Used(); used < low || used > high {
				t.Fatalf("%d bytes are held, want %d to %d", used, low, high)
			}
		}
		large, l := w.join(wire.FeatureResume)
		a := w.bind(l, "large")
		large.send(&wire.Part{Actor: a.binding.Ref, Data: make([]byte, 60_000)})
		a.send(1, 60_000) // written, not acknowledged
		large.got("1")
		holds(120_000, 121_000)
		large.send(ack(1))
		holds(60_000, 64_100)
		small, l := w.join(wire.FeatureResume)
		b := w.bind(l, "small")
		small.cut()
		b.send(1, 40_000) // not written
		holds(100_000, 105_000)
		for range 14 {
			a.send(1, 50_000)
		}
		holds(800_000, 810_000)
		w.did("")
		large.cut()
		b.send(2, 50_000)
		w.did("")
		b.send(3, 60_000)
		w.did("ending, large lost, 0 unwritten, gone")
		holds(150_000, 155_000)
		b.send(4, 10_000)
		w.back(0).got("welcome back, 0, resumed 1, 1, 2, 3, 4")
		l.Close(wire.GatewayDraining.New(), anywhere)
		w.did("ending, small lost, 0 unwritten, gone")
		holds(0, 0)
	})
}
