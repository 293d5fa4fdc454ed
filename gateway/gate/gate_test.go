package gate

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var roomy = Limits{GroupOutputs: 100, GroupBytes: 1 << 20, HeldBytes: 1 << 20}

// [GATE-1] [GATE-2]: whatever a runner sends and whenever the store answers, frames leave in the order they came, and none
// leaves while a commit before it is unanswered.
func TestFramesLeaveInOrderAndNeverBeforeTheirCommit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g Gate[int]
		var left []int // what took effect
		isOutput := map[int]bool{}
		next, missing, open := 0, 0, false
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				outputs := rapid.IntRange(0, 4).Draw(t, "outputs")
				err := g.Open(outputs, 10, roomy)
				if (err != nil) != open {
					t.Fatalf("Open while open=%v: %v", open, err)
				}
				if err == nil {
					open, missing = true, outputs
				}
			},
			"frame": func(t *rapid.T) {
				output := rapid.Bool().Draw(t, "output")
				isOutput[next] = output
				if g.Passes() != !open {
					t.Fatalf("Passes = %v with open=%v", g.Passes(), open)
				}
				if !open {
					left = append(left, next)
				} else if err := g.Hold(next, 1, output, roomy); err != nil {
					t.Fatal(err)
				}
				if open && output && missing > 0 {
					missing--
				}
				next++
			},
			"acknowledge": func(*rapid.T) {
				if g.Complete() {
					left = append(left, g.Release()...)
					open = false
				}
			},
			"": func(t *rapid.T) {
				if g.Complete() != (open && missing == 0) {
					t.Fatalf("Complete = %v with open=%v, missing=%d", g.Complete(), open, missing)
				}
			},
		})
		if open {
			return
		}
		// All of them, and the outputs among themselves as well as the rest among themselves in order: only an output that
		// its group still lacked may step before what is none.
		if len(left) != next {
			t.Fatalf("%d of %d frames left", len(left), next)
		}
		last := map[bool]int{true: -1, false: -1}
		for _, n := range left {
			if n <= last[isOutput[n]] {
				t.Fatalf("frames left in the order %v", left)
			}
			last[isOutput[n]] = n
		}
	})
}

func TestOutputsOfAGroupComeBeforeWhatStandsBehindIt(t *testing.T) {
	var g Gate[string]
	if err := g.Open(2, 0, roomy); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name   string
		output bool
	}{{"output 1", true}, {"a read", false}, {"output 2", true}, {"output 3", true}} {
		if err := g.Hold(f.name, 1, f.output, roomy); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := g.Release(), []string{"output 1", "output 2", "a read", "output 3"}; !slices.Equal(got, want) {
		t.Errorf("released %q, want %q", got, want)
	}
	if !g.Passes() {
		t.Error("the gate is still closed")
	}
}

// [GATE-4]
func TestAGateHoldsNoMoreThanItMay(t *testing.T) {
	limits := Limits{GroupOutputs: 2, GroupBytes: 50, HeldBytes: 100}
	for name, hold := range map[string]func(g *Gate[int]) error{
		"outputs of a group": func(g *Gate[int]) error { return g.Open(3, 0, limits) },
		"bytes of a commit":  func(g *Gate[int]) error { return g.Open(0, 101, limits) },
		"bytes of outputs":   func(g *Gate[int]) error { _ = g.Open(1, 0, limits); return g.Hold(1, 51, true, limits) },
		"bytes of a group":   func(g *Gate[int]) error { _ = g.Open(1, 60, limits); return g.Hold(1, 41, true, limits) },
		"bytes behind one":   func(g *Gate[int]) error { _ = g.Open(0, 60, limits); return g.Hold(1, 41, false, limits) },
	} {
		if err := hold(new(Gate[int])); !errors.Is(err, ErrTooMuch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
