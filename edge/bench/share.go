//go:build unix

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// share is how much of a core a process has used while turns were taken.
type share struct{ used, whole time.Duration }

// watching is the turn, with the processor time of a process added up. Where the system does not tell it, none is.
func (s *share) watching(p *process, t turn) turn {
	return func(ctx context.Context) (load.Result, error) {
		began, before := load.Now(), processorTime(p.Pid())
		result, err := t(ctx)
		s.used += processorTime(p.Pid()) - before
		s.whole += load.Now() - began
		return result, err
	}
}

// String is "0.93 of a core", or empty.
func (s *share) String() string {
	if s.used <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f of a core", s.used.Seconds()/s.whole.Seconds())
}

// userTick is the unit of times in /proc, see proc_pid_stat(5).
const userTick = 10 * time.Millisecond

// processorTime is what all threads of a process have used; 0: only Linux tells.
func processorTime(pid int) time.Duration {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// Behind the name, which may hold anything, come the third field and all after it.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0
	}
	var ticks int
	for _, field := range []int{user, system} {
		n, err := strconv.Atoi(string(fields[field]))
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * userTick
}
