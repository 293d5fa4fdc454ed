package gcfloor

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

var sink []byte

// waste makes so many bytes of garbage and returns how often it was collected.
func waste(bytes int) uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range bytes >> 10 {
		sink = make([]byte, 1<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

// percent is what the collector goes by.
func percent() int {
	now := debug.SetGCPercent(usual)
	debug.SetGCPercent(now)
	return now
}

func TestASmallHeapIsCollectedSeldomAndALargeOneAsEver(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	runtime.GC()
	often := waste(1 << 28)
	defer Set(Default)()
	if seldom := waste(1 << 28); seldom > often/3 {
		t.Errorf("%d collections of 256 MiB of garbage with the floor, %d without", seldom, often)
	}
	large := make([]byte, 2*Default)
	for deadline := time.Now().Add(time.Minute); percent() != usual; {
		if time.Now().After(deadline) {
			t.Fatalf("the collector goes by %d %% with a heap of twice the floor", percent())
		}
		runtime.GC()
	}
	runtime.KeepAlive(large)
	for deadline := time.Now().Add(time.Minute); percent() == usual; {
		if time.Now().After(deadline) {
			t.Fatal("the collector runs as ever when the heap is small again")
		}
		runtime.GC()
	}
}

func TestThePercentage(t *testing.T) {
	c := &collector{floor: 32 << 20, most: 800}
	for _, tt := range []struct{ heap, roots, want int }{
		{0, 0, 800}, {1 << 20, 1 << 20, 800}, {8 << 20, 0, 300}, {8 << 20, 8 << 20, 150}, {16 << 20, 0, 100}, {1 << 30, 0, 100}, {8 << 20, 1 << 30, 100},
	} {
		if got := c.after(tt.heap, tt.roots); got != tt.want {
			t.Errorf("%d and %d bytes: %d %%, not %d", tt.heap, tt.roots, got, tt.want)
		}
	}
}

func TestWhoeverRunsTheProcessDecides(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "50")
			before := debug.SetGCPercent(50)
			defer debug.SetGCPercent(before)
			defer Set(Default)()
			if got := percent(); got != 50 {
				t.Errorf("the collector goes by %d %%", got)
			}
		})
	}
}
