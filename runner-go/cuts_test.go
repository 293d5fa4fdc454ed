package runner_test

import (
	"fmt"
	"log/slog"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

// seeds is how many networks a simulation meets.
func seeds() uint64 {
	if testing.Short() {
		return 5
	}
	return 40
}

// [LINK-16] [LINK-18] [COMMIT-1]
func TestCutsAtAnyByteLoseAndDoubleNothing(t *testing.T) {
	cuts := 0
	for seed := range seeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T) {
				g := simulate(t, seed, false)
				cuts += g.cuts
				calls := 0
				for _, a := range g.actors {
					calls += a.answered
					if a.unknown != 0 || len(a.calls) != 0 || a.n != a.ran || a.n != a.answered || len(a.events) != a.n {
						t.Errorf("%s: %d calls ran, %d were answered, state %d, %d events; %d calls are open", a.id, a.ran, a.answered, a.n, len(a.events), len(a.calls))
					}
					for i, n := range a.events {
						if n != i+1 {
							t.Fatalf("%s: event %d is %d", a.id, i+1, n)
						}
					}
				}
				if calls != 150 {
					t.Errorf("%d calls were answered", calls)
				}
			})
		})
	}
	if cuts < int(seeds()) {
		t.Errorf("%d cuts", cuts)
	}
}

// [LINK-19] [LEASE-4] [COMMIT-1]
func TestSessionsLostAtAnyByteKeepEveryActorWhole(t *testing.T) {
	losses, fences := 0, 0
	for seed := range seeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T) {
				g := simulate(t, seed, true)
				losses, fences = losses+g.losses, fences+g.fences
				for _, a := range g.actors {
					if len(a.calls) != 0 {
						t.Errorf("%s: %d calls are open", a.id, len(a.calls))
					}
					if a.n > a.ran || g.fences == 0 && a.n != a.ran {
						t.Errorf("%s: state %d, %d calls ran; the actors were fenced %d times", a.id, a.n, a.ran, g.fences)
					}
					for i, n := range a.events {
						if i > 0 && n <= a.events[i-1] && g.fences == 0 || n > a.n {
							t.Fatalf("%s: event %d follows %d, state %d", a.id, n, a.events[max(0, i-1)], a.n)
						}
					}
				}
			})
		})
	}
	if losses < int(seeds()) {
		t.Errorf("%d sessions were lost", losses)
	}
	t.Logf("%d sessions lost, %d actors fenced", losses, fences)
}
