//go:build unix

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// weight is the memory of processes, in bytes.
type weight struct {
	resident float64 // of all of them
	heap     float64 // of the gateway, after a collection
}

// over is what each of n things has added to the weight before them.
func (w weight) over(before weight, n int) (resident, heap float64) {
	return (w.resident - before.resident) / float64(n), (w.heap - before.heap) / float64(n)
}

// weigh reads the resident memory of the processes when it has settled, then collects the gateway's garbage for its heap.
func (s *site) weigh(processes ...*process) (weight, error) {
	var w weight
	for _, p := range processes {
		bytes, err := resident(s.ctx, p)
		if err != nil {
			return w, err
		}
		w.resident += bytes
	}
	var err error
	w.heap, err = s.heap()
	return w, err
}

// When resident memory counts as settled: it has changed by less than a hundredth over a few looks, or time is up.
const (
	settleEvery = 100 * time.Millisecond
	settleLooks = 5
	settleWait  = 10 * time.Second
)

// resident is the memory of a process, once it does not change any more.
func resident(ctx context.Context, p *process) (float64, error) {
	last, same := 0.0, 0
	for deadline := time.Now().Add(settleWait); same < settleLooks && time.Now().Before(deadline); {
		if err := pause(ctx, settleEvery); err != nil {
			return 0, err
		}
		now, err := residentNow(ctx, p.Pid())
		if err != nil {
			return 0, fmt.Errorf("read the memory of the %s: %w", p.name, err)
		}
		if same++; now < 0.99*last || now > 1.01*last {
			same = 0
		}
		last = now
	}
	return last, nil
}

// residentNow asks the kernel, or ps where it does not say.
func residentNow(ctx context.Context, pid int) (float64, error) {
	if content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		fields := strings.Fields(string(content))
		if len(fields) < 2 {
			return 0, fmt.Errorf("/proc has %q", content)
		}
		pages, err := strconv.ParseFloat(fields[1], 64)
		return pages * float64(os.Getpagesize()), err
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	kilobytes, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return kilobytes * 1024, err
}

// maxLooks bounds the requests that are made to bring about a garbage collection.
const maxLooks = 20_000

// heap is the gateway's heap after a garbage collection. It cannot be asked for one, but each answer of its metrics leaves
// garbage, and the metrics count collections. 0: no collection came about, which is no fault.
func (s *site) heap() (float64, error) {
	first := -1.0
	for range maxLooks {
		m, err := s.metrics()
		if err != nil {
			return 0, err
		}
		count := m["go_gc_duration_seconds_count"]
		if first < 0 {
			first = count
		}
		if count > first {
			return s.swept()
		}
	}
	return 0, nil
}

// swept is the heap when what the collection has found was given back, which goes on for a moment after it.
func (s *site) swept() (float64, error) {
	if err := pause(s.ctx, settleEvery); err != nil {
		return 0, err
	}
	m, err := s.metrics()
	return m["go_memstats_heap_alloc_bytes"] + m["go_memstats_stack_inuse_bytes"], err
}

// descriptorReserve is what the process needs beside its many sockets.
const descriptorReserve = 200

// reachable is how many sockets each of so many groups can have under the limit on open files, which the Go runtime has
// raised as far as it may. note says so if it is less than was asked for.
func reachable(sockets, groups int) (n int, note string) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return sockets, ""
	}
	most := max(1, (int(min(limit.Cur, 1<<30))-descriptorReserve)/groups)
	if sockets <= most {
		return sockets, ""
	}
	return most, fmt.Sprintf("%d sockets instead of %d: the limit on open files is %d (ulimit -n)", most, sockets, limit.Cur)
}
