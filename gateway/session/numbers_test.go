package session

import (
	"testing"

	"pgregory.net/rapid"
)

// [SESS-11]: each number is taken once, whatever the order, as long as it is not below all gaps that are remembered.
func TestNumbersAreUsedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 4
		var u numbers
		used := map[uint64]bool{}
		forgotten := uint64(0) // up to here all count as used
		for range rapid.IntRange(1, 60).Draw(t, "times") {
			n := rapid.Uint64Range(1, 40).Draw(t, "n")
			want := !used[n] && n > forgotten
			if got := u.free(n); got != want {
				t.Fatalf("free(%d) = %v, want %v; %+v", n, got, want, u)
			}
			if want {
				u.use(n, most)
			}
			used[n] = true
			if len(u.gaps) > most {
				t.Fatalf("%d gaps", len(u.gaps))
			}
			if len(u.gaps) == most {
				forgotten = max(forgotten, u.gaps[0].from-1)
			}
		}
	})
}
