package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunCountsWhatSucceedsAndWhatFails(t *testing.T) {
	var failed atomic.Int64
	r := Run(t.Context(), Open(20*time.Millisecond), 4, func(_ context.Context, worker int) error {
		if worker == 0 {
			failed.Add(1)
			return errors.New("out of order")
		}
		return nil
	})
	if r.Operations == 0 || r.Rate() <= 0 {
		t.Errorf("nothing succeeded: %+v", r)
	}
	if n := int(failed.Load()); n == 0 || r.Errors != n || r.Fault != "out of order" {
		t.Errorf("%d operations failed: %+v", n, r)
	}
}

func TestAWorkerGivesUp(t *testing.T) {
	r := Run(t.Context(), Open(time.Hour), 3, func(context.Context, int) error { return errors.New("nobody there") })
	if r.Errors != 3*maxFaults || r.Operations != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := Run(ctx, Open(time.Hour), 2, func(ctx context.Context, _ int) error {
		cancel()
		return ctx.Err()
	})
	if r.Errors != 0 {
		t.Errorf("counted as failed: %+v", r)
	}
}

func TestEachDoesEveryOneOnce(t *testing.T) {
	seen := make([]atomic.Int64, 100)
	err := Each(t.Context(), len(seen), 7, func(_ context.Context, i int) error {
		seen[i].Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var done atomic.Int64
	err := Each(t.Context(), 1000, 1, func(_ context.Context, i int) error {
		done.Add(1)
		if i == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || done.Load() != 4 {
		t.Errorf("%d were done: %v", done.Load(), err)
	}
}

func TestOnlyWhatEndsWithinTheWindowCounts(t *testing.T) {
	m := Meter{Window: Window{from: 100, to: 200}}
	for _, now := range []time.Duration{99, 100, 199, 200} {
		m.Done(now, time.Second)
	}
	if r := Sum(m.Window.Length(), []Meter{m}); r.Operations != 2 {
		t.Errorf("%d counted", r.Operations)
	}
}

func TestAnOperationThatIsLongerThanTheWindowCounts(t *testing.T) {
	m := Meter{Window: Window{from: 100, to: 200}}
	m.Done(99, time.Second)
	m.Done(300, time.Second)
	m.Done(300, time.Second)
	if r := Sum(m.Window.Length(), []Meter{m}); r.Operations != 1 || r.P50 != time.Second {
		t.Errorf("%+v", r)
	}
}

func TestPercentilesAreExactOverAllMeters(t *testing.T) {
	meters := make([]Meter, 4)
	for i := range 1000 {
		m := &meters[i%len(meters)]
		m.Window = Window{0, 1}
		m.Done(0, time.Duration(i+1)*time.Millisecond)
	}
	r := Sum(2*time.Second, meters)
	if r.P50 != 500*time.Millisecond || r.P99 != 990*time.Millisecond || r.Operations != 1000 || r.Rate() != 500 {
		t.Errorf("%+v", r)
	}
}

func TestNothingHasNoPercentiles(t *testing.T) {
	if r := Sum(0, nil); r != (Result{}) || r.Rate() != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAFairChoiceOfManySamplesIsKept(t *testing.T) {
	m := Meter{Window: Window{0, 1}}
	const n = 8 * maxSamples
	for i := range n {
		m.Done(0, time.Duration(i)*sampleUnit)
	}
	r := Sum(time.Second, []Meter{m})
	if len(m.samples) != maxSamples || r.Operations != n {
		t.Errorf("%d samples of %d operations", len(m.samples), r.Operations)
	}
	// The median of 65,536 of 524,288 even values lies within 1 % of the middle but for one case in millions.
	if off := float64(r.P50)/float64(n/2*sampleUnit) - 1; off < -0.01 || off > 0.01 {
		t.Errorf("the median is off by %.2f %%", 100*off)
	}
}

func TestTimedIsOneAfterAnother(t *testing.T) {
	r := Timed([]time.Duration{time.Second, 3 * time.Second})
	if r.Operations != 2 || r.Seconds != 4 || r.P50 != time.Second || r.P99 != 3*time.Second {
		t.Errorf("%+v", r)
	}
}

func TestManyThingsAtOnceAreCountedEach(t *testing.T) {
	r := Result{Operations: 3, Seconds: 2, P50: time.Second}.Times(4)
	if r.Operations != 12 || r.Rate() != 6 || r.P50 != time.Second {
		t.Errorf("%+v", r)
	}
}
