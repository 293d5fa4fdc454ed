package storetest

import (
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var ownerTests = map[string]func(*harness){
	"acquire raises the generation and sets a nonce": testAcquire,
	"generations rise though the clock falls":        testGenerations, // [FENCE-2]
	"acquire compares if asked to":                   testAcquireCompares,
	"an earlier owner is fenced from everything":     testFenced,
	"the nonce fences alone":                         testNonce,
	"acquire returns all that the actor starts from": testAcquireReads,
	"preload leaves out what does not fit":           testPreload,
	"release forgets the runner":                     testRelease,
	"acquire refuses a class that cannot be given":   testAcquireClass,
}

func testAcquire(h *harness) {
	r := h.create("a")
	first := h.acquire(r.ID)
	if first.Record.Generation < uint64(h.clock.Now().UnixMicro()) || first.Record.Generation >= 1<<53 {
		h.Errorf("generation %d", first.Record.Generation)
	}
	h.equal("previous owns", first.PreviousOwns, false)
	h.equal("runner", first.Record.Runner, "runner-1")
	second := h.acquire(r.ID)
	if second.Record.Generation <= first.Record.Generation {
		h.Errorf("generation %d after %d", second.Record.Generation, first.Record.Generation)
	}
	if second.Record.Nonce == first.Record.Nonce || second.Record.Nonce == [16]byte{} {
		h.Errorf("nonce %x after %x", second.Record.Nonce, first.Record.Nonce)
	}
	h.equal("previous owns", second.PreviousOwns, true)
	h.equal("described", h.describe(r.ID), second.Record)
}

func testGenerations(h *harness) {
	r := h.create("a")
	last := h.acquire(r.ID).Record.Generation
	for _, step := range []time.Duration{0, -time.Hour, time.Hour, -24 * time.Hour, 48 * time.Hour} {
		h.clock.Advance(step)
		g := h.acquire(r.ID).Record.Generation
		if want := max(last+1, uint64(h.clock.Now().UnixMicro())); g != want {
			h.Fatalf("generation %d, want %d", g, want)
		}
		last = g
	}
}

func testAcquireCompares(h *harness) {
	o := h.actor("a")
	for _, q := range []store.Acquire{
		{Generation: o.Record.Generation + 1, Nonce: o.Record.Nonce},
		{Generation: o.Record.Generation, Nonce: [16]byte{1}},
		{Generation: 1},
	} {
		q.ID = o.Record.ID
		_, err := h.s.Acquire(h.ctx, q)
		h.is(err, store.ErrFenced)
	}
	o.must(store.Commit{}) // The refused ones changed nothing.
	adopted, err := h.s.Acquire(h.ctx, store.Acquire{
		ID: o.Record.ID, Runner: "runner-2", Generation: o.Record.Generation, Nonce: o.Record.Nonce,
	})
	h.noError(err)
	h.equal("runner", adopted.Record.Runner, "runner-2")
	h.equal("version", adopted.Record.Version, uint64(1))
	never := h.create("never acquired")
	_, err = h.s.Acquire(h.ctx, store.Acquire{ID: never.ID, Generation: 1})
	h.is(err, store.ErrFenced)
}

func testFenced(h *harness) {
	old := h.actor("a")
	old.must(store.Commit{KV: []store.KVOp{put("k", "v")}, Finished: []store.Finished{{Key: []byte("call")}}})
	h.acquire(old.Record.ID)
	before := h.describe(old.Record.ID)

	h.is(old.commit(store.Commit{State: []byte("late"), HasState: true}), store.ErrFenced)
	h.is(old.commit(store.Commit{Destroy: true}), store.ErrFenced)
	h.is(old.commit(store.Commit{Version: 1}), store.ErrFenced) // also what was applied when it owned
	q := old.readOf()
	q.Keys = [][]byte{[]byte("k")}
	_, err := h.s.Read(h.ctx, q)
	h.is(err, store.ErrFenced)
	_, err = h.s.Result(h.ctx, q.ID, q.Generation, q.Nonce, []byte("call"))
	h.is(err, store.ErrFenced)
	h.is(h.s.Release(h.ctx, q.ID, q.Generation, q.Nonce), store.ErrFenced)
	h.equal("record", h.describe(q.ID), before)
}

func testNonce(h *harness) {
	o := h.actor("a")
	forged := *o
	forged.Record.Nonce[3] ^= 1
	h.is(forged.commit(store.Commit{}), store.ErrFenced)
	h.is(h.s.Release(h.ctx, o.Record.ID, o.Record.Generation, forged.Record.Nonce), store.ErrFenced)
	never := h.create("never acquired")
	h.is(commitAndWait(h.s, store.Commit{ID: never.ID, Version: 1}), store.ErrFenced)
	o.must(store.Commit{})
}

func testAcquireReads(h *harness) {
	for name, state := range map[string]string{"small": "state", "large": strings.Repeat("large ", 5000), "empty": ""} {
		o := h.actor(name)
		due := h.clock.Now().Add(time.Minute)
		o.must(store.Commit{
			State: []byte(state), HasState: true,
			KV: []store.KVOp{put("a1", "x"), put("a2", "y"), put("b1", "z")},
			Schedules: []store.ScheduleOp{
				{ID: "z", At: due, Spec: []byte("spec z")}, {ID: "a", At: due, Spec: []byte("spec a")},
			},
			Connections: store.ConnectionsDelta{Added: []string{"c2", "c1"}},
			CommitID:    [16]byte{42},
		})
		got, err := h.s.Acquire(h.ctx, store.Acquire{
			ID: o.Record.ID, Runner: "runner-2", PreloadBytes: 1 << 10,
			Preload: []store.Range{{From: []byte("b")}, {From: []byte("a"), Until: []byte("b")}},
		})
		h.noError(err)
		h.equal("has state", got.HasState, true)
		h.equal("state", string(got.State), state)
		h.equal("version", got.Record.Version, uint64(1))
		h.equal("commit id", got.Record.CommitID, [16]byte{42})
		h.equal("schedules", got.Schedules, []store.Schedule{
			{ID: "a", Fire: 1, DueAt: due, Spec: []byte("spec a")}, {ID: "z", Fire: 1, DueAt: due, Spec: []byte("spec z")},
		})
		h.equal("connections", got.Connections, []string{"c1", "c2"})
		h.equal("preload", words(got.Preload), []string{"b1=z", "a1=x", "a2=y"})
		h.equal("preloaded", got.Preloaded, []store.Range{{From: []byte("b")}, {From: []byte("a"), Until: []byte("b")}})
	}
	o := h.actor("new")
	h.equal("has state", o.HasState, false)
}

func testPreload(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{KV: []store.KVOp{put("a", "1234"), put("b", strings.Repeat("x", 100)), put("c", "1234")}})
	ranges := []store.Range{
		{From: []byte("a"), Until: []byte("b")},
		{From: []byte("b"), Until: []byte("c")},
		{From: []byte("c")},
		{From: []byte("x")}, // empty, so it fits
	}
	for bytes, want := range map[int][]string{
		0: nil, 4: nil, 5: {"a=1234"}, 10: {"a=1234", "c=1234"}, 105: {"a=1234", "c=1234"},
		111: {"a=1234", "b=" + strings.Repeat("x", 100), "c=1234"},
	} {
		got, err := h.s.Acquire(h.ctx, store.Acquire{ID: o.Record.ID, Preload: ranges, PreloadBytes: bytes})
		h.noError(err)
		h.equal("preload", words(got.Preload), want)
		h.equal("preloaded", len(got.Preloaded), len(want)+1)
	}
}

func testRelease(h *harness) {
	o := h.actor("a")
	h.noError(h.s.Release(h.ctx, o.Record.ID, o.Record.Generation, o.Record.Nonce))
	r := h.describe(o.Record.ID)
	h.equal("runner", r.Runner, "")
	h.equal("generation", r.Generation, o.Record.Generation)
	next := h.acquire(o.Record.ID)
	h.equal("previous owns", next.PreviousOwns, false)
	if next.Record.Generation <= r.Generation {
		h.Errorf("generation %d after %d", next.Record.Generation, r.Generation)
	}
}

func testAcquireClass(h *harness) {
	r := h.create("a")
	_, err := h.s.Acquire(h.ctx, store.Acquire{ID: r.ID, Durability: store.Replicated + 1})
	h.is(err, store.ErrInvalid)
	for _, d := range []store.Durability{store.DurabilityDefault, store.Volatile, store.Fast, store.Disk} {
		if h.s.Supports(d) {
			_, err := h.s.Acquire(h.ctx, store.Acquire{ID: r.ID, Durability: d})
			h.noError(err)
		}
	}
}
