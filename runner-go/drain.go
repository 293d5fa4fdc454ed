package runner

import (
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// drainer is the orderly end of Serve [LINK-10].
type drainer struct {
	begin   <-chan struct{} // nil once it has
	timeout time.Duration
	end     *time.Timer // nil: not yet
}

// emptyWait is how long a drained runner without actors waits for the gateway's Goodbye.
const emptyWait = 2 * time.Second

func (d *drainer) start(s *session) {
	d.begin = nil
	s.log.Info("draining", "timeout", d.timeout)
	d.end = time.NewTimer(d.timeout)
	s.push(wire.Runner(&runnerv1alpha1.Drain{
		DeadlineMs: uint32(d.timeout.Milliseconds()), Code: wire.RunnerDraining.Group + "." + wire.RunnerDraining.Code,
	}))
	d.empty(s)
}

// empty looks whether there is anything left to wait for.
func (d *drainer) empty(s *session) {
	if d.end != nil && s.count() == 0 {
		d.end.Reset(min(emptyWait, d.timeout))
	}
}

func (d *drainer) over() <-chan time.Time {
	if d.end == nil {
		return nil
	}
	return d.end.C
}

func (d *drainer) stop() {
	if d.end != nil {
		d.end.Stop()
	}
}
