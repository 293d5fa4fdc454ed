package storetest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var directoryTests = map[string]func(*harness){
	"create, resolve and describe agree":       testCreate,
	"a taken address is found, not made":       testCreateTaken,
	"malformed actors are refused":             testCreateInvalid,
	"keys are compared part by part":           testKeys,
	"racing creates make one actor":            testRacingCreates,
	"what does not exist is not found":         testNotFound,
	"input is told from no input":              testInput,
	"input is dropped when version 1 is there": testInputDropped,
	"a canceled context is not served":         testCanceled,
}

func testCreate(h *harness) {
	r := h.create("a", "b")
	partition, err := address.ParseID(r.ID)
	h.noError(err)
	h.equal("partition", partition, room("a", "b").Partition())
	h.equal("record", r, store.Record{ID: r.ID, Address: room("a", "b"), CreatedAt: h.clock.Now()})
	resolved, err := h.s.Resolve(h.ctx, room("a", "b"))
	h.noError(err)
	h.equal("resolved", resolved, r)
	described, err := h.s.Describe(h.ctx, r.ID)
	h.noError(err)
	h.equal("described", described, r)
}

func testCreateTaken(h *harness) {
	first := h.create("a")
	again, created, err := h.s.Create(h.ctx, store.Create{
		Address: room("a"), Region: "local", Input: []byte("other"), HasInput: true,
	})
	h.noError(err)
	h.equal("created", created, false)
	h.equal("record", again, first)
	other := room("a")
	other.Namespace = "other"
	_, created, err = h.s.Create(h.ctx, store.Create{Address: other, Region: "local"})
	h.noError(err)
	h.equal("created in another namespace", created, true)
}

func testCreateInvalid(h *harness) {
	bad := []store.Create{
		{Address: address.Address{Namespace: "default", Type: "", Key: nil}, Region: "local"},
		{Address: room(strings.Repeat("x", address.MaxKeyPart+1)), Region: "local"},
		{Address: room("a"), Region: ""},
		{Address: room("a"), Region: "Upper"},
		{Address: room("a"), Region: "local", Durability: store.Replicated + 1},
	}
	if !h.s.Supports(store.Replicated) {
		bad = append(bad, store.Create{Address: room("a"), Region: "local", Durability: store.Replicated})
	}
	for _, c := range bad {
		_, _, err := h.s.Create(h.ctx, c)
		h.is(err, store.ErrInvalid)
	}
	_, err := h.s.Resolve(h.ctx, address.Address{})
	h.is(err, store.ErrInvalid)
	_, err = h.s.Resolve(h.ctx, room("a"))
	h.is(err, store.ErrNotFound)
}

func testKeys(h *harness) {
	long := strings.Repeat("é", address.MaxKeyPart/2) // 128 bytes
	keys := [][]string{
		{},
		{""},
		{"", ""},
		{"a", "b"},
		{"a,b"},
		{"a/b"},
		{"a:b"},
		{"ab"},
		{"a", "b", ""},
		{"\x00"},
		{"a\x00b"},
		{"\u00e9"},
		{"e\u0301"}, // NFC and NFD
		{long},
		{long, long},
		{long[:126]},
	}
	ids := make(map[string][]string)
	for _, key := range keys {
		r := h.create(key...)
		if other, ok := ids[r.ID]; ok {
			h.Fatalf("%q and %q have one id", key, other)
		}
		ids[r.ID] = key
	}
	for id, key := range ids {
		r, err := h.s.Resolve(h.ctx, room(key...))
		h.noError(err)
		h.equal("id", r.ID, id)
		if len(r.Address.Key) != len(key) {
			h.Fatalf("key %q came back as %q", key, r.Address.Key)
		}
		for i := range key {
			h.equal("key part", r.Address.Key[i], key[i])
		}
	}
}

func testRacingCreates(h *harness) {
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		var made atomic.Int32
		var ids sync.Map
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				r, created, err := h.s.Create(h.ctx, store.Create{Address: room(key), Region: "local"})
				if err != nil {
					h.Error(err)
					return
				}
				if created {
					made.Add(1)
				}
				ids.Store(r.ID, true)
			})
		}
		wg.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if made.Load() != 1 || n != 1 {
			h.Fatalf("%d creations, %d ids for one address", made.Load(), n)
		}
	}
}

func testNotFound(h *harness) {
	_, err := h.s.Resolve(h.ctx, room("nobody"))
	h.is(err, store.ErrNotFound)
	for _, id := range []string{"", "nonsense", address.NewID("local", 7, h.clock.Now())} {
		_, err = h.s.Describe(h.ctx, id)
		h.is(err, store.ErrNotFound)
		h.is(h.s.Destroy(h.ctx, id), store.ErrNotFound)
		_, err = h.s.Acquire(h.ctx, store.Acquire{ID: id})
		h.is(err, store.ErrNotFound)
		h.is(h.s.Release(h.ctx, id, 1, [16]byte{}), store.ErrGone)
		h.is(commitAndWait(h.s, store.Commit{ID: id, Version: 1}), store.ErrGone)
		_, err = h.s.Read(h.ctx, store.Read{ID: id})
		h.is(err, store.ErrGone)
		_, err = h.s.Result(h.ctx, id, 0, [16]byte{}, []byte("k"))
		h.is(err, store.ErrGone)
	}
}

func testInput(h *harness) {
	for key, c := range map[string]store.Create{
		"none":  {},
		"empty": {HasInput: true},
		"some":  {HasInput: true, Input: []byte("input")},
	} {
		c.Address, c.Region = room(key), "local"
		made, _, err := h.s.Create(h.ctx, c)
		h.noError(err)
		found, _, err := h.s.Create(h.ctx, c)
		h.noError(err)
		described, err := h.s.Describe(h.ctx, made.ID)
		h.noError(err)
		acquired := h.acquire(made.ID)
		for _, r := range []store.Record{made, found, described, acquired.Record} {
			h.equal(key+" has input", r.HasInput, c.HasInput)
			h.equal(key+" input", string(r.Input), string(c.Input))
		}
	}
}

func testInputDropped(h *harness) {
	r, _, err := h.s.Create(h.ctx, store.Create{Address: room("a"), Region: "local", Input: []byte("in"), HasInput: true})
	h.noError(err)
	h.acquire(r.ID)
	o := h.acquire(r.ID) // A start that failed before version 1 is tried again with the input.
	h.equal("input", string(o.Record.Input), "in")
	o.must(store.Commit{})
	o = h.acquire(r.ID)
	h.equal("has input", o.Record.HasInput, false)
	h.equal("input", o.Record.Input, []byte(nil))
}

func testCanceled(h *harness) {
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	_, _, err := h.s.Create(ctx, store.Create{Address: room("a"), Region: "local"})
	h.is(err, context.Canceled)
	_, err = h.s.Resolve(ctx, room("a"))
	h.is(err, context.Canceled)
	_, err = h.s.Live(ctx, store.RunnerLease)
	h.is(err, context.Canceled)
	_, err = h.s.Resolve(h.ctx, room("a"))
	h.is(err, store.ErrNotFound)
}
