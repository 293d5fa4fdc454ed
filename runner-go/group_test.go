package runner

import (
	"slices"
	"testing"
)

// [CONN-8]: the store adds before it removes.
func TestAConnectionThatIsOpenedAgainStaysInTheRecord(t *testing.T) {
	earlier, later := &group{removed: []string{"a", "b"}}, &group{removed: []string{"c"}}
	later.accept("b")
	later.accept("c")
	earlier.add(later)
	if !slices.Equal(earlier.added, []string{"b", "c"}) || !slices.Equal(earlier.removed, []string{"a"}) {
		t.Errorf("added %v, removed %v", earlier.added, earlier.removed)
	}
}
