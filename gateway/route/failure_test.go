package route

import (
	"testing"
	"time"
)

// [LIFE-11]
func TestPausesDoubleUpToTheirBound(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: 0, 1: 0, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond, 8: 6400 * time.Millisecond, 9: 10 * time.Second, 1 << 40: 10 * time.Second,
	} {
		if got := pause(failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}

// [LIFE-11]: what is remembered of failures has a bound; beyond it, an actor's entry goes as that of any other.
func TestOnlySoManyEntriesAreKeptForTheirFailures(t *testing.T) {
	r := New(Config{})
	for range maxRemembered {
		if !r.remember(1) {
			t.Fatal("there is room")
		}
	}
	a := &Actor{router: r}
	a.failures.count, a.failures.next = 3, time.Now()
	r.byAddress[""] = a
	if a.settleLocked(false); !a.removed || len(r.byAddress) != 0 {
		t.Error("one more was kept")
	}
	r.remember(-1)
	a = &Actor{router: r, failures: a.failures}
	if a.settleLocked(false); a.removed || !a.remembered {
		t.Error("one that has room was not kept")
	}
	if a.stirLocked(); r.kept != maxRemembered-1 {
		t.Errorf("%d are kept after one has gone", r.kept)
	}
}
