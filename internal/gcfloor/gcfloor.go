// Package gcfloor keeps the garbage collector from running all the time where there is next to nothing on the heap: by itself it
// runs for every four megabytes that a small program allocates, dozens of times a second in a busy one.
//
// Processes of ours set a floor when they begin: runner-go's Main, and the gateway's commands. It is for the whole process.
package gcfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Default is a floor that no machine misses.
const Default = 32 << 20

// What the collector does by itself.
const (
	usual   = 100     // percent
	minHeap = 4 << 20 // of which it takes that percentage as the least goal
)

// Set lets the heap grow to floor bytes before garbage is collected. A heap that is half as large without its garbage is
// collected as ever. Nothing changes where GOGC or GOMEMLIMIT is set: whoever runs the process has decided. A process has one floor
// at a time, until unset.
func Set(floor int) (unset func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	c := &collector{floor: floor, most: max(usual, floor/(minHeap/100))}
	c.set(c.most)
	c.watch()
	return c.unset
}

type collector struct {
	floor int
	most  int // percent: beyond it the least goal would be more than the floor

	mu      sync.Mutex
	percent int
	over    bool
}

// watch adjusts the collector after its next run, and so on.
func (c *collector) watch() {
	type mark struct{ _ *collector }
	runtime.AddCleanup(new(mark), func(c *collector) {
		if c.set(c.after(measure())) {
			c.watch()
		}
	}, c)
}

// measure is how much the last run has found: on the heap, and elsewhere where it had to look.
func measure() (heap, roots int) {
	found := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(found)
	return int(found[0].Value.Uint64()), int(found[1].Value.Uint64() + found[2].Value.Uint64())
}

// after is the percentage by which the next run comes at the floor.
func (c *collector) after(heap, roots int) int {
	return min(max(usual, 100*(c.floor-heap)/max(1, heap+roots)), c.most)
}

// set stops the world for a moment, and leaves be what would change little. false: there is no floor any more.
func (c *collector) set(percent int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := percent - c.percent; !c.over && (d > c.percent/8 || d < -c.percent/8 || percent == usual && d != 0) {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	return !c.over
}

func (c *collector) unset() {
	c.set(usual)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}
