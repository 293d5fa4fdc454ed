//go:build unix

package bench

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// Row is one result, as --json writes it. A number without meaning for a scenario is 0.
type Row struct {
	Name string `json:"name"`

	// What the product measured in the round whose ratio is the median.
	Rate float64 `json:"rate_per_s"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	// The same of the baseline in the same round.
	BareRate float64 `json:"bare_rate_per_s"`
	BareP50  float64 `json:"bare_p50_ms,omitempty"`
	BareP99  float64 `json:"bare_p99_ms,omitempty"`
	// Ratio is how near the product comes to its baseline: by rate, or by bytes where there is no rate. 1 is as good.
	Ratio float64 `json:"ratio"`

	// Memory of the processes for each of what Unit names: resident, and on the gateway's heap after a collection.
	Bytes     float64 `json:"bytes_per_item,omitempty"`
	HeapBytes float64 `json:"heap_bytes_per_item,omitempty"`
	BareBytes float64 `json:"bare_bytes_per_item,omitempty"`

	// Goroutines of the gateway for each of what Unit names; what is left when they have gone, in all.
	Goroutines     float64 `json:"goroutines_per_item,omitempty"`
	LeftGoroutines float64 `json:"left_goroutines,omitempty"`
	LeftHeapBytes  float64 `json:"left_heap_bytes,omitempty"`

	Unit string `json:"unit"`

	// What was asked for.
	Connections int    `json:"connections,omitempty"`
	InFlight    int    `json:"in_flight,omitempty"`
	Actors      int    `json:"actors,omitempty"`
	Via         string `json:"via,omitempty"`
	Transport   string `json:"transport,omitempty"`
	Store       string `json:"store,omitempty"` // its kind, where the scenario can be run with several

	// How it was measured.
	Rounds     int     `json:"rounds"`
	Operations int     `json:"operations"` // of all rounds of the product
	Errors     int     `json:"errors"`     // of all rounds of both
	Fault      string  `json:"fault,omitempty"`
	Seconds    float64 `json:"seconds"` // of the whole scenario
	Note       string  `json:"note,omitempty"`
	Version    string  `json:"version,omitempty"`
	Go         string  `json:"go"`
	Node       string  `json:"node,omitempty"`
	CPUs       int     `json:"cpus"`
}

// describe adds what all rows of a scenario share.
func (r *Row) describe(o Options, took time.Duration) {
	r.Seconds = took.Seconds()
	r.Version, r.Go, r.CPUs = o.Version, runtime.Version(), runtime.GOMAXPROCS(0)
}

// remark adds something to be said about the row, if it is not empty.
func (r *Row) remark(text string) {
	switch {
	case r.Note == "":
		r.Note = text
	case text != "":
		r.Note += "; " + text
	}
}

// Load is the parameters for people: "64 × 16".
func (r *Row) Load() string {
	var parts []string
	if r.Connections > 0 {
		sockets := thousands(float64(r.Connections))
		if r.InFlight > 0 {
			sockets += fmt.Sprintf(" × %d", r.InFlight)
		}
		parts = append(parts, sockets)
	}
	if r.Actors > 0 {
		actors := thousands(float64(r.Actors)) + " actors"
		if r.InFlight > 0 {
			actors += fmt.Sprintf(" × %d", r.InFlight)
		}
		parts = append(parts, actors)
	}
	if r.Via == ViaHandle {
		parts = append(parts, "via handle")
	}
	return strings.Join(parts, ", ")
}

// identity tells rows that measure the same from others.
func (r *Row) identity() string { return strings.TrimSpace(r.Name + " " + r.Load()) }

// fail counts what failed in a round.
func (r *Row) fail(results ...load.Result) {
	for _, result := range results {
		r.Errors += result.Errors
		if r.Fault == "" {
			r.Fault = result.Fault
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
