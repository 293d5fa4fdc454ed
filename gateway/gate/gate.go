// Package gate is the output gate: it holds what an actor sends until the commit it depends on is acknowledged.
//
// A Gate is the order of one incarnation's frames and nothing else: no I/O, no clock, no knowledge of what the frames
// mean. gateway/route owns one per incarnation and locks it. Requirements: GATE-1, GATE-2, GATE-4.
package gate

import "errors"

// Breaches of the protocol by the runner; they cost the actor [LINK-9].
var (
	// ErrOpen: a second commit before the first was answered [COMMIT-1].
	ErrOpen = errors.New("a commit while another one is unanswered")
	// A bound of GATE-4 is exceeded.
	ErrGroupOutputs = errors.New("more outputs than a group may have")
	ErrGroupBytes   = errors.New("a group with more bytes than it may have")
	ErrHeldBytes    = errors.New("more behind a commit than may wait there")
)

// minFrame is what a frame counts for at least: the memory of an empty one.
const minFrame = 64

// Limits bound what a gate holds.
type Limits struct {
	GroupOutputs int // outputs of one group
	GroupBytes   int // of these outputs together
	HeldBytes    int // of a group and all behind it, and minFrame for each frame
}

// Gate orders the frames of one incarnation. T is a frame that can be kept. The zero Gate is open.
type Gate[T any] struct {
	open    bool // a commit is unanswered
	missing int  // outputs that its group still lacks
	group   []T
	behind  []T
	bytes   int // held, the commit included
	outputs int // bytes of the group's outputs
}

// Frames is how many are held.
func (g *Gate[T]) Frames() int { return len(g.group) + len(g.behind) }

// Open begins a flush group of a commit with that many outputs [GATE-2].
func (g *Gate[T]) Open(outputs, size int, l Limits) error {
	if g.open {
		return ErrOpen
	}
	if outputs > l.GroupOutputs {
		return ErrGroupOutputs
	}
	if size > l.HeldBytes {
		return ErrHeldBytes
	}
	g.open, g.missing, g.bytes = true, outputs, size
	return nil
}

// Passes tells whether a frame may take effect at once: nothing is unacknowledged.
func (g *Gate[T]) Passes() bool { return !g.open }

// Complete tells whether the open commit has all its outputs and may go to the store.
func (g *Gate[T]) Complete() bool { return g.open && g.missing == 0 }

// Hold keeps a frame until Release: an output in the group while that lacks some, anything else behind it.
func (g *Gate[T]) Hold(frame T, size int, output bool, l Limits) error {
	g.bytes += size
	if g.bytes > l.HeldBytes || g.Frames() >= l.HeldBytes/minFrame {
		return ErrHeldBytes
	}
	if output && g.missing > 0 {
		if g.outputs += size; g.outputs > l.GroupBytes {
			return ErrGroupBytes
		}
		g.missing--
		g.group = append(g.group, frame)
		return nil
	}
	g.behind = append(g.behind, frame)
	return nil
}

// Release opens the gate after the commit was acknowledged: it returns the group's outputs and what came behind them,
// each in order. The caller lets them take effect before any other frame of the actor.
func (g *Gate[T]) Release() (group, behind []T) {
	group, behind = g.group, g.behind
	*g = Gate[T]{}
	return group, behind
}
