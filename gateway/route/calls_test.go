package route

import (
	"math/rand/v2"
	"testing"
)

// [CALL-1]: each answer finds its call, once, in whatever order they come.
func TestCallsAreFoundByID(t *testing.T) {
	var list calls
	under := map[uint64]*Call{}
	next := uint64(0)
	for range 10_000 {
		if rand.IntN(2) == 0 && len(under) < 50 {
			next += 1 + rand.Uint64N(3)
			under[next] = &Call{id: next}
			list.add(under[next])
		}
		id := next - min(next, rand.Uint64N(60))
		if got := list.get(id); got != under[id] {
			t.Fatalf("call %d is %v, not %v", id, got, under[id])
		}
		if got := list.take(id); got != under[id] {
			t.Fatalf("took %v for call %d, not %v", got, id, under[id])
		}
		delete(under, id)
		if len(list) != len(under) {
			t.Fatalf("%d calls instead of %d", len(list), len(under))
		}
	}
	for id := range under {
		list.take(id)
	}
	if cap(list) > idleCalls {
		t.Errorf("an idle actor keeps %d places", cap(list))
	}
}
