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
					group, behind := g.Release()
					left = append(append(left, group...), behind...)
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
	group, behind := g.Release()
	if want := []string{"output 1", "output 2"}; !slices.Equal(group, want) {
		t.Errorf("the group is %q, want %q", group, want)
	}
	if want := []string{"a read", "output 3"}; !slices.Equal(behind, want) {
		t.Errorf("behind it is %q, want %q", behind, want)
	}
	if !g.Passes() {
		t.Error("the gate is still closed")
	}
}

// [GATE-4]
func TestAGateHoldsNoMoreThanItMay(t *testing.T) {
	limits := Limits{GroupOutputs: 2, GroupBytes: 50, HeldBytes: 100}
	for name, c := range map[string]struct {
		hold func(g *Gate[int]) error
		want error
	}{
		"outputs of a group": {func(g *Gate[int]) error { return g.Open(3, 0, limits) }, ErrGroupOutputs},
		"bytes of a commit":  {func(g *Gate[int]) error { return g.Open(0, 101, limits) }, ErrHeldBytes},
		"bytes of outputs":   {func(g *Gate[int]) error { _ = g.Open(1, 0, limits); return g.Hold(1, 51, true, limits) }, ErrGroupBytes},
		"bytes of a group":   {func(g *Gate[int]) error { _ = g.Open(1, 60, limits); return g.Hold(1, 41, true, limits) }, ErrHeldBytes},
		"bytes behind one":   {func(g *Gate[int]) error { _ = g.Open(0, 60, limits); return g.Hold(1, 41, false, limits) }, ErrHeldBytes},
		"empty frames": {func(g *Gate[int]) error {
			_ = g.Open(0, 0, limits)
			_ = g.Hold(1, 0, false, limits)
			return g.Hold(2, 0, false, limits)
		}, ErrHeldBytes},
	} {
		if err := c.hold(new(Gate[int])); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
