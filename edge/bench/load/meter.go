package load

import (
	"math/rand/v2"
	"slices"
	"time"
)

// maxSamples is how many latencies a meter keeps. Of more it keeps a fair choice.
const maxSamples = 1 << 16

// sampleUnit is the resolution of a kept latency; the longest is seven minutes.
const sampleUnit = 100 * time.Nanosecond

// Meter counts the operations of one worker. Window is set before the first of them.
type Meter struct {
	Window Window

	samples []uint32 // of sampleUnit
	seen    int
	errors  int
	fault   error

	_ [64]byte // meters stand side by side, and are written by different cores
}

// Done counts an operation that ended now, if that is within the window. One that ends after it counts if it is the worker's
// only one: operations that take longer than the window are not to look like none.
func (m *Meter) Done(now, took time.Duration) {
	if now < m.Window.from || now >= m.Window.to && m.seen > 0 {
		return
	}
	m.seen++
	sample := uint32(max(took, 0) / sampleUnit)
	if len(m.samples) < maxSamples {
		m.samples = append(m.samples, sample)
	} else if i := rand.IntN(m.seen); i < maxSamples {
		m.samples[i] = sample
	}
}

// Failed counts an operation that did not succeed, whenever that was.
func (m *Meter) Failed(err error) {
	if m.errors++; m.fault == nil {
		m.fault = err
	}
}

// GivesUp tells whether so many operations have failed that its worker is to begin no other.
func (m *Meter) GivesUp() bool { return m.errors >= maxFaults }

// Result is what workers did within a window.
type Result struct {
	Operations int           `json:"operations"`
	Seconds    float64       `json:"seconds"`
	P50        time.Duration `json:"p50"`
	P99        time.Duration `json:"p99"`
	// Errors is how many operations failed, within the window or not; Fault is the text of one of them.
	Errors int    `json:"errors"`
	Fault  string `json:"fault"`
}

// Rate is operations per second.
func (r Result) Rate() float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return float64(r.Operations) / r.Seconds
}

// Times is the result if each operation did n things at once.
func (r Result) Times(n int) Result {
	r.Operations *= n
	return r
}

// Sum is what the workers did together in this time. Workers do alike, so that each one's choice of samples counts the
// same.
func Sum(length time.Duration, meters []Meter) Result {
	r := Result{Seconds: length.Seconds()}
	var all []uint32
	for i := range meters {
		m := &meters[i]
		r.Operations += m.seen
		r.Errors += m.errors
		if r.Fault == "" && m.fault != nil {
			r.Fault = m.fault.Error()
		}
		all = append(all, m.samples...)
	}
	slices.Sort(all)
	r.P50, r.P99 = percentile(all, 50), percentile(all, 99)
	return r
}

// percentile is the smallest sample that p of a hundred do not exceed.
func percentile(sorted []uint32, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return time.Duration(sorted[rank-1]) * sampleUnit
}

// Timed is the result of operations that followed one another; the time between them does not count.
func Timed(took []time.Duration) Result {
	var total time.Duration
	m := Meter{Window: Window{0, 1}}
	for _, d := range took {
		total += d
		m.Done(0, d)
	}
	return Sum(total, []Meter{m})
}
