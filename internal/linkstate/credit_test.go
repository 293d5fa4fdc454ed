package linkstate

import (
	"errors"
	"math"
	"testing"
)

// [LINK-18]
func TestAllowance(t *testing.T) {
	var a Allowance
	if a.Fits(1) || !a.Fits(0) {
		t.Error("the zero Allowance allows something")
	}
	if !a.Raise(100) || a.Raise(100) || a.Raise(99) {
		t.Error("an offset that is not higher is news")
	}
	a.Spend(60)
	if !a.Fits(40) || a.Fits(41) || a.Fits(math.MaxUint64) {
		t.Error("40 are left")
	}
	a.Refund(10)
	if !a.Fits(50) || a.Fits(51) {
		t.Error("50 are left")
	}
	a.Refund(1000)
	if !a.Fits(100) || a.Fits(101) {
		t.Error("more came back than was spent")
	}
	a.Spend(200)
	if a.Fits(1) {
		t.Error("an overdraw allows everything")
	}
}

// [LINK-18]
func TestWindow(t *testing.T) {
	w := NewWindow(100)
	if offset, news := w.Offset(); offset != 100 || news {
		t.Errorf("first offset %d, news %v", offset, news)
	}
	for range 2 {
		if err := w.Take(50); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Take(1); !errors.Is(err, ErrOverdraw) {
		t.Errorf("error %v", err)
	}
	if w.Held() != 100 {
		t.Errorf("held %d", w.Held())
	}
	if _, tell := w.Release(49); tell {
		t.Error("told before half of the window has left")
	}
	if offset, tell := w.Release(1); !tell || offset != 150 {
		t.Errorf("offset %d, tell %v", offset, tell)
	}
	if offset, news := w.Offset(); offset != 150 || !news {
		t.Errorf("offset %d, news %v", offset, news)
	}
	if err := w.Take(51); !errors.Is(err, ErrOverdraw) {
		t.Errorf("error %v", err)
	}
	if err := w.Take(math.MaxUint64); !errors.Is(err, ErrOverdraw) {
		t.Errorf("error %v", err)
	}
	if err := w.Take(50); err != nil {
		t.Error(err)
	}
}

// [LINK-18]: what was dropped comes back, be it ever so much; until then nothing may be sent beyond it.
func TestWhatIsDroppedIsNotLost(t *testing.T) {
	w := NewWindow(100)
	if err := w.Take(90); err != nil {
		t.Fatal(err)
	}
	if _, tell := w.Drop(30); tell {
		t.Error("told before half of the window has left")
	}
	if w.Held() != 90 {
		t.Errorf("held %d", w.Held())
	}
	if err := w.Take(1); !errors.Is(err, ErrOverdraw) {
		t.Errorf("error %v", err)
	}
	if offset, tell := w.Release(90); !tell || offset != 220 {
		t.Errorf("offset %d, tell %v", offset, tell)
	}
	if err := w.Take(100); err != nil {
		t.Error(err)
	}
}

// [GATE-4] [LINK-18]: whoever wants at most half of a window at once gets it as soon as what it sent before has left.
func TestHalfAWindowIsNeverStuck(t *testing.T) {
	for size := uint64(2); size <= 64; size++ {
		for cost := uint64(1); cost <= size/2; cost++ {
			w, a := NewWindow(size), Allowance{}
			a.Raise(size)
			for range 3 * size {
				if !a.Fits(cost) {
					t.Fatalf("window %d, cost %d: stuck", size, cost)
				}
				a.Spend(cost)
				if err := w.Take(cost); err != nil {
					t.Fatal(err)
				}
				if offset, tell := w.Release(cost); tell {
					a.Raise(offset)
				}
			}
		}
	}
}
