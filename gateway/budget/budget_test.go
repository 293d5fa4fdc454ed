package budget

import (
	"slices"
	"sync"
	"testing"
)

// hoard is a holder that gives back one piece at a time.
type hoard struct {
	b      *Budget
	mu     sync.Mutex
	pieces []int
	asked  []Level
}

func (h *hoard) Relieve(level Level, excess int) (freed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, level)
	for len(h.pieces) > 0 && freed < excess {
		freed += h.pieces[0]
		h.b.Add(-h.pieces[0])
		h.pieces = h.pieces[1:]
	}
	return freed
}

// [LIMIT-4]
func TestLevels(t *testing.T) {
	b := New(1000)
	for _, c := range []struct {
		used int
		want Level
	}{{0, Normal}, {799, Normal}, {800, Refusing}, {899, Refusing}, {900, Shedding}, {999, Shedding}, {1000, Full}, {5000, Full}} {
		b.Add(c.used - b.Used())
		if got := b.Level(); got != c.want {
			t.Errorf("at %d: level %d, want %d", c.used, got, c.want)
		}
	}
	b.Close()
}

// [LIMIT-4]
func TestHoldersAreAskedUntilItIsEnough(t *testing.T) {
	b := New(1000)
	h := &hoard{b: b, pieces: []int{50, 50, 50}}
	b.Register(h)
	b.Add(899)
	b.work.Wait()
	if h.asked != nil {
		t.Errorf("asked at %d", b.Used())
	}
	b.Add(61)
	b.work.Wait()
	if got := b.Used(); got != 860 {
		t.Errorf("%d are left", got)
	}
	b.Add(200)
	b.work.Wait()
	if got := b.Used(); got != 1010 || !slices.Equal(h.asked, []Level{Shedding, Full, Full}) {
		t.Errorf("%d are left, asked %v", got, h.asked)
	}
	b.Close()
}

func TestAHolderThatHasNothingIsNotAskedAtEachAdd(t *testing.T) {
	b := New(1000)
	h := &hoard{b: b}
	b.Register(h)
	b.Add(950)
	for range 9 {
		b.Add(1)
		b.work.Wait()
	}
	if len(h.asked) != 1 {
		t.Errorf("asked %d times", len(h.asked))
	}
	b.Add(-500)
	h.pieces = []int{100}
	b.Add(450)
	b.work.Wait()
	if got := b.Used(); got != 809 {
		t.Errorf("%d are left", got)
	}
	b.Close()
	b.Add(1000)
	b.work.Wait()
	if len(h.asked) != 2 {
		t.Errorf("asked %d times, once after Close", len(h.asked))
	}
}

func TestANilBudgetHasNoBound(t *testing.T) {
	b := New(0)
	b.Register(nil)
	b.Add(1 << 40)
	if b.Level() != Normal || b.Used() != 0 {
		t.Error("it counts")
	}
	b.Close()
}

// late is a holder that more is held while it is asked.
type late struct {
	b     *Budget
	asked []Level
}

func (l *late) Relieve(level Level, _ int) int {
	if l.asked = append(l.asked, level); len(l.asked) == 1 {
		l.b.Add(100)
	}
	return 0
}

// [LIMIT-4]
func TestWhatComesWhileHoldersAreAskedCounts(t *testing.T) {
	b := New(1000)
	l := &late{b: b}
	b.Register(l)
	b.Add(950)
	b.work.Wait()
	if !slices.Equal(l.asked, []Level{Shedding, Full}) {
		t.Errorf("asked at %v", l.asked)
	}
	b.Close()
}

// The callers of Add hold locks that the holder needs.
func TestAddNeverWaitsForAHolder(t *testing.T) {
	b := New(1000)
	h := &hoard{b: b}
	for range 300 {
		h.pieces = append(h.pieces, 10)
	}
	b.Register(h)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				h.mu.Lock()
				b.Add(10)
				h.pieces = append(h.pieces, 10)
				h.mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.Close()
	if got := b.Used(); got >= 1000 {
		t.Errorf("%d are left", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	budget := New(1 << 30)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Add(4096)
			budget.Add(-4096)
		}
	})
}
