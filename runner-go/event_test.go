package runner_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [CONN-11]
func TestUnreliableEventsAreMarked(t *testing.T) {
	run(t, func(t *testing.T) {
		var at, said runner.Event[int]
		world := defineWorld(&diary{}, script{"go": func(w *World, _ context.Context) (any, error) {
			conn := slices.Collect(w.Conns())[0]
			w.BroadcastUnreliable("said", 1, "two")
			conn.SendUnreliable("said", 2)
			said.BroadcastUnreliable(w, 3)
			said.SendUnreliable(conn, 4)
			at.Broadcast(w, 5)
			at.Send(conn, 6)
			w.BroadcastExcept("at", []*runner.Conn[Visitor]{conn}, 7)
			said.Broadcast(w, 8)
			conn.Send("said", 9)
			return 1, nil
		}}, runner.WithEvents("hello", "at"))
		at = runner.DeclareEvent[int](world, "at", runner.Unreliable())
		said = runner.DeclareEvent[int](world, "said")
		p := newStage(t, world).welcome()
		ref := p.created("world")
		p.attached(ref, 2, 11, "ada")
		p.call(ref, 1, "do", "go")
		for _, want := range []string{
			"said[] [1 two] true", "said[11] [2] true", "said[] [3] true", "said[11] [4] true",
			"at[] [5] true", "at[11] [6] true", "at[] [7] true", "said[] [8] false", "said[11] [9] false",
		} {
			m := expect[*wire.Emit](p)
			if got := fmt.Sprintf("%s%v %v %t", m.Event, m.To, decoded[[]any](t, m.Args), m.Unreliable); got != want {
				t.Errorf("event %s, want %s", got, want)
			}
		}
		result[int](p, 1)
	})
}

// [CONN-11] [GATE-5]
func TestAnUnreliableEventWaitsForItsCommit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, script{"move": func(w *World, _ context.Context) (any, error) {
			w.State().N = 1
			w.BroadcastUnreliable("at", 1)
			return 1, nil
		}})).welcome()
		ref := p.created("world")
		p.call(ref, 1, "do", "move")
		p.commit(2, 2)
		if m := expect[*wire.Emit](p); !m.Unreliable {
			t.Errorf("event %s", show(m))
		}
		result[int](p, 1)
	})
}

// [CONN-11]
func TestAnUnreliableEventFitsADatagram(t *testing.T) {
	run(t, func(t *testing.T) {
		var at runner.Event[[]byte]
		// Of the arguments 4 bytes are the heads of an array and of the bytes.
		argument := func(event string, over int) []byte { return make([]byte, wire.MaxUnreliableEvent-len(event)-4+over) }
		world := defineWorld(&diary{}, script{
			"fits": func(w *World, _ context.Context) (any, error) {
				w.BroadcastUnreliable("event", argument("event", 0))
				return 1, nil
			},
			"large": func(w *World, _ context.Context) (any, error) {
				w.BroadcastUnreliable("event", argument("event", 1))
				return 1, nil
			},
			"declared": func(w *World, _ context.Context) (any, error) { at.Broadcast(w, argument("at", 1)); return 1, nil },
			"reliable": func(w *World, _ context.Context) (any, error) {
				w.Broadcast("event", argument("event", 1))
				return 1, nil
			},
		}, runner.WithEvents("event"))
		at = runner.DeclareEvent[[]byte](world, "at", runner.Unreliable())
		p := newStage(t, world).welcome()
		ref := p.created("world")
		for i, name := range []string{"large", "declared"} {
			p.call(ref, uint64(i+1), "do", name)
			p.fails(uint64(i+1), "event.too_large", wire.RanYes)
		}
		for i, name := range []string{"fits", "reliable"} {
			p.call(ref, uint64(i+3), "do", name)
			if m := expect[*wire.Emit](p); len(m.Event)+len(m.Args) != wire.MaxUnreliableEvent+i || m.Unreliable != (i == 0) {
				t.Errorf("%s: event %s", name, show(m))
			}
			result[int](p, uint64(i+3))
		}
	})
}
