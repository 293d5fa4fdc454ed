package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// op is an operation on one actor: on its count (increment, getCount) or on its value (write, read).
type op struct {
	typ, key string
	action   string
	value    int // of a write
}

func (o op) onValue() bool { return o.action == "write" || o.action == "read" }

func (o op) reads() bool { return o.action == "read" || o.action == "getCount" }

// unknown is the output of a change whose result nobody heard.
const unknown = -1

// actors is the sequential model: of each actor a count that begins at 0, and by itself a value that does.
var actors = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		type part struct {
			typ, key string
			value    bool
		}
		parts := map[part][]porcupine.Operation{}
		for _, noted := range history {
			o := noted.Input.(op)
			p := part{o.typ, o.key, o.onValue()}
			parts[p] = append(parts[p], noted)
		}
		var out [][]porcupine.Operation
		for _, p := range parts {
			out = append(out, p)
		}
		return out
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		now, o, out := state.(int), input.(op), output.(int)
		switch o.action {
		case "increment":
			return out == unknown || out == now+1, now + 1
		case "write":
			return true, o.value
		default:
			return out == now, now
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %v", input, output) },
}

// historian notes operations with their times.
type historian struct {
	begin time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	reads int
	last  map[op]time.Time // by actor: when it last acknowledged an increment
	codes map[string]int   // what failed, by code
}

func newHistorian() *historian {
	return &historian{begin: time.Now(), last: map[op]time.Time{}, codes: map[string]int{}}
}

// of is the actor of an operation.
func (o op) of() op { return op{typ: o.typ, key: o.key} }

var values atomic.Int64 // written so far: each value once

// do calls and notes what came of it: a change that may have run, or may yet, never returns.
func (h *historian) do(who int, sdk *client.Client, o op) error {
	var args []any
	switch o.action {
	case "increment":
		args = []any{1}
	case "write":
		o.value = int(values.Add(1))
		args = []any{o.value}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	called := time.Since(h.begin)
	n, err := client.Call[int](ctx, sdk.GetOrCreate(o.typ, []string{o.key}), o.action, args...)
	noted := porcupine.Operation{ClientId: who, Input: o, Call: int64(called), Output: n, Return: int64(time.Since(h.begin))}
	h.mu.Lock()
	defer h.mu.Unlock()
	failure, failed := errors.AsType[*client.Error](err)
	if failed {
		h.codes[failure.Name()]++
	}
	switch {
	case err != nil && o.reads(), failed && failure.Ran == client.RanNo:
		return err // it saw nothing and did nothing
	case err != nil:
		noted.Output, noted.Return = unknown, math.MaxInt64
	case o.action == "increment":
		h.last[o.of()] = time.Now()
	}
	h.ops = append(h.ops, noted)
	if o.reads() {
		h.reads++
	}
	return err
}

// countedSince tells whether each of these actors has acknowledged an increment that late, and when the last of them did so.
func (h *historian) countedSince(since time.Time, these []op) (all bool, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range these {
		last := h.last[o.of()]
		if !last.After(since) {
			return false, at
		}
		if last.After(at) {
			at = last
		}
	}
	return true, at
}

// check wants the history of the actors that are chosen to be what one sequence of operations could have given. That it cannot be
// told is a failure, too.
func (h *historian) check(t *testing.T, what string, want porcupine.CheckResult, chosen func(op) bool) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var ops []porcupine.Operation
	for _, noted := range h.ops {
		if chosen(noted.Input.(op)) {
			ops = append(ops, noted)
		}
	}
	if got := porcupine.CheckOperationsTimeout(actors, ops, 2*time.Minute); got != want {
		t.Errorf("the history of %s, %d operations: %v, want %v", what, len(ops), got, want)
	}
}

func all(op) bool { return true }
