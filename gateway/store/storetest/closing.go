package storetest

import (
	"errors"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var closingTests = map[string]func(*harness){
	"everything fails when closed":      testClosed,
	"close waits for what is under way": testCloseWaits,
}

func testClosed(h *harness) {
	o := h.actor("a")
	h.noError(h.s.Ready(h.ctx))
	h.noError(h.s.Close())
	h.is(h.s.Close(), store.ErrClosed)
	h.is(h.s.Ready(h.ctx), store.ErrClosed)
	h.is(commitAndWait(h.s, o.prepare(store.Commit{})), store.ErrClosed)
	id, generation, nonce := o.Record.ID, o.Record.Generation, o.Record.Nonce
	for name, call := range map[string]func() error{
		"Resolve":  func() error { _, err := h.s.Resolve(h.ctx, room("a")); return err },
		"Describe": func() error { _, err := h.s.Describe(h.ctx, id); return err },
		"Create": func() error {
			_, _, err := h.s.Create(h.ctx, store.Create{Address: room("b"), Region: "local"})
			return err
		},
		"List":     func() error { _, _, err := h.s.List(h.ctx, store.Filter{}, "", 1); return err },
		"Destroy":  func() error { return h.s.Destroy(h.ctx, id) },
		"Acquire":  func() error { _, err := h.s.Acquire(h.ctx, store.Acquire{ID: id}); return err },
		"Release":  func() error { return h.s.Release(h.ctx, id, generation, nonce) },
		"Read":     func() error { _, err := h.s.Read(h.ctx, o.readOf()); return err },
		"Result":   func() error { _, err := h.s.Result(h.ctx, id, generation, nonce, []byte("k")); return err },
		"ClaimDue": func() error { _, err := h.s.ClaimDue(h.ctx, 0, 1, time.Second); return err },
		"ExtendClaim": func() error {
			return h.s.ExtendClaim(h.ctx, store.Due{ActorID: id, Schedule: store.Schedule{ID: "s"}}, time.Second)
		},
		"NextDue": func() error { _, err := h.s.NextDue(h.ctx, 0); return err },
		"Grant":   func() error { _, err := h.s.Grant(h.ctx, lease("r", "s"), time.Second); return err },
		"Revoke":  func() error { return h.s.Revoke(h.ctx, "r", "s") },
		"Live":    func() error { _, err := h.s.Live(h.ctx, store.RunnerLease); return err },
		"Lease":   func() error { _, err := h.s.Lease(h.ctx, "r"); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrClosed) {
			h.Errorf("%s: got %v, want %v", name, err, store.ErrClosed)
		}
	}
}

// testCloseWaits closes in the middle of traffic: each answer is success or ErrClosed, and none is missing.
func testCloseWaits(h *harness) {
	const owners, queued = 4, 50
	var answered sync.WaitGroup
	answered.Add(owners * queued)
	var ready, wg sync.WaitGroup
	for i := range owners {
		o := h.actor(string(rune('a' + i)))
		ready.Add(1)
		wg.Go(func() {
			for version := range uint64(queued) {
				if version == queued/2 {
					ready.Done()
				}
				h.s.Commit(o.prepare(store.Commit{Version: version + 1}), func(err error) {
					defer answered.Done()
					if err != nil && !errors.Is(err, store.ErrClosed) {
						h.Errorf("commit: %v", err)
					}
				})
				if _, err := h.s.Read(h.ctx, o.readOf()); err != nil && !errors.Is(err, store.ErrClosed) {
					h.Errorf("read: %v", err)
				}
			}
		})
	}
	ready.Wait()
	h.noError(h.s.Close())
	wg.Wait()
	answered.Wait()
}
