package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// counterOp is an operation on one counter: an increment, or a read.
type counterOp struct {
	counter int
	read    bool
}

// unknown is the output of an increment whose result nobody heard.
const unknown = -1

// counters is the sequential model: a counter that begins at 0, by itself.
var counters = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byCounter := map[int][]porcupine.Operation{}
		for _, op := range history {
			n := op.Input.(counterOp).counter
			byCounter[n] = append(byCounter[n], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byCounter {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		count, op, out := state.(int), input.(counterOp), output.(int)
		if op.read {
			return out == count, count
		}
		return out == unknown || out == count+1, count + 1
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %v", input, output) },
}

// historian notes operations with their times.
type historian struct {
	begin time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	reads int
}

// do calls and notes what came of it: an increment that may have run, or may yet, never returns.
func (h *historian) do(who int, sdk *client.Client, op counterOp) {
	action, args := "increment", []any{1}
	if op.read {
		action, args = "getCount", nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	called := time.Since(h.begin)
	n, err := client.Call[int](ctx, sdk.GetOrCreate("counter", []string{fmt.Sprint(op.counter)}), action, args...)
	noted := porcupine.Operation{ClientId: who, Input: op, Call: int64(called), Output: n, Return: int64(time.Since(h.begin))}
	failure, failed := errors.AsType[*client.Error](err)
	switch {
	case failed && (op.read || failure.Ran == client.RanNo):
		return // it saw nothing and did nothing
	case err != nil:
		noted.Output, noted.Return = unknown, math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, noted)
	if op.read {
		h.reads++
	}
}

// TestARunnerThatSleptIsNobody: a runner is stopped by SIGSTOP past its lease, with calls on their way to it; its actors start on
// another one; then it wakes: it sends nothing on the old socket, and all that anybody was ever told is one sequential history.
// [LEASE-1] [LEASE-2] [LEASE-3] [FENCE-1] [LINK-7]
func TestARunnerThatSleptIsNobody(t *testing.T) {
	s := plan(t)
	s.startGateway()
	p := newProxy(t, s.address)
	s.startRunnerAt("http://" + p.address())
	zombie := s.runner
	h := &historian{begin: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	for who := range 12 {
		sdk := s.client()
		load.Go(func() {
			for ctx.Err() == nil {
				h.do(who, sdk, counterOp{counter: rand.N(4), read: rand.N(2) == 0})
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
	if result := porcupine.CheckOperationsTimeout(counters, h.ops, time.Minute); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: %v", result)
	}
}
