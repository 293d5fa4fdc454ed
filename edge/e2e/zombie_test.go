package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// TestARunnerThatSleptIsNobody: a runner is stopped by SIGSTOP past its lease, with calls on their way to it; its actors start on
// another one; then it wakes: it sends nothing on the old socket, and all that anybody was ever told is one sequential history.
// [LEASE-1] [LEASE-2] [LEASE-3] [FENCE-1] [LINK-7]
func TestARunnerThatSleptIsNobody(t *testing.T) {
	s := plan(t)
	s.startGateway()
	p := newProxy(t, s.address)
	s.startRunnerAt("http://" + p.address())
	zombie := s.runner
	h := newHistorian()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	for who := range 12 {
		sdk := s.client()
		load.Go(func() {
			for ctx.Err() == nil {
				o := op{typ: "counter", key: fmt.Sprint(rand.N(4)), action: "increment"}
				if rand.N(2) == 0 {
					o.action = "getCount"
				}
				_ = h.do(who, sdk, o)              // it is noted
				wait(rand.N(4 * time.Millisecond)) // a history that can be checked
			}
		})
	}
	wait(time.Second)
	if err := zombie.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	old := p.all()[len(p.all())-1]
	s.startRunner() // another one, directly
	s.await("the gateway to give the actors away", func() bool { return old.over.Load() })
	wait(2 * time.Second)
	sent := old.up.Load()
	if err := zombie.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.await("the old runner to come back anew", func() bool { return len(p.all()) > 1 })
	wait(2 * time.Second)
	if now := old.up.Load(); now != sent {
		t.Errorf("the runner sent %d bytes after its lease had ended", now-sent)
	}
	cancel()
	load.Wait()
	if h.reads < 100 || len(h.ops) < 500 {
		t.Errorf("%d operations, %d reads: the test shows too little", len(h.ops), h.reads)
	}
	t.Logf("%d operations, %d of them reads", len(h.ops), h.reads)
	h.check(t, "all", porcupine.Ok, all)
}
