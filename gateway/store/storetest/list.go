package storetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var listTests = map[string]func(*harness){
	"pages hold every actor once, in order":          testListPages,
	"filters select":                                 testListFilters,
	"malformed questions are refused":                testListInvalid,
	"creates under way neither hide nor repeat":      testListConcurrent,
	"a cursor outlives the actor that it stands for": testListCursor,
}

// list walks all pages.
func (h *harness) list(f store.Filter, limit int) (all []store.Record) {
	h.Helper()
	cursor := ""
	for {
		page, next, err := h.s.List(h.ctx, f, cursor, limit)
		h.noError(err)
		if len(page) > limit {
			h.Fatalf("a page of %d records, at most %d were asked for", len(page), limit)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		if next == cursor {
			h.Fatalf("the cursor %q stands still", cursor)
		}
		cursor = next
	}
}

func testListPages(h *harness) {
	h.equal("of nothing", len(h.list(store.Filter{}, 10)), 0)
	var made []store.Record
	for i := range 60 {
		made = append(made, h.create(fmt.Sprint(i)))
	}
	// Neighbours in one partition.
	for i := 60; len(made) < 64; i++ {
		if key := fmt.Sprint("n", i); room(key).Partition() == room("0").Partition() {
			made = append(made, h.create(key))
		}
	}
	o := h.acquire(made[0].ID)
	o.must(store.Commit{State: []byte("s"), HasState: true, KV: []store.KVOp{put("k", "v")}})
	made[0] = h.describe(made[0].ID)
	slices.SortFunc(made, byPartition)
	for _, limit := range []int{1, 7, 64, 1000} {
		h.equal(fmt.Sprintf("by %d", limit), h.list(store.Filter{}, limit), made)
	}
}

func (h *harness) describe(id string) store.Record {
	h.Helper()
	r, err := h.s.Describe(h.ctx, id)
	h.noError(err)
	return r
}

func testListFilters(h *harness) {
	made := make(map[string]store.Record)
	for _, namespace := range []string{"default", "other"} {
		for _, typ := range []string{"room", "roomy", "user"} {
			for _, key := range [][]string{{}, {"a"}, {"a", "b"}} {
				a := address.Address{Namespace: namespace, Type: typ, Key: key}
				r, _, err := h.s.Create(h.ctx, store.Create{Address: a, Region: "local"})
				h.noError(err)
				made[r.ID] = r
			}
		}
	}
	for f, want := range map[*store.Filter]int{
		{}:                                   18,
		{Namespace: "other"}:                 9,
		{Type: "room"}:                       6,
		{Namespace: "other", Type: "room"}:   3,
		{Namespace: "none"}:                  0,
		{Type: "room", HasKey: true}:         2,
		{Type: "room", Key: []string{"a"}}:   6, // without HasKey it does not count
		{Namespace: "other", HasKey: false}:  9,
		{Type: "none", HasKey: true}:         0,
		{Namespace: "default", Type: "!bad"}: 0,
		{Namespace: "default", Type: "room", HasKey: true, Key: []string{"a", "b"}}: 1,
		{Namespace: "default", Type: "room", HasKey: true, Key: []string{"a,b"}}:    0,
		{Namespace: "!", Type: "room", HasKey: true, Key: []string{"a"}}:            0,
	} {
		got := h.list(*f, 2)
		h.equal(fmt.Sprintf("number of %+v", *f), len(got), want)
		for _, r := range got {
			h.equal("record", r, made[r.ID])
		}
	}
}

func testListInvalid(h *harness) {
	h.create("a")
	for _, q := range []struct {
		f      store.Filter
		cursor string
		limit  int
	}{
		{limit: 0},
		{limit: -1},
		{limit: 1, cursor: "nonsense"},
		{limit: 1, cursor: address.NewID("local", 3, h.clock.Now())},
		{limit: 1, f: store.Filter{HasKey: true, Key: []string{"a"}}},
	} {
		_, _, err := h.s.List(h.ctx, q.f, q.cursor, q.limit)
		h.is(err, store.ErrInvalid)
	}
}

func testListConcurrent(h *harness) {
	before := make(map[string]int)
	for i := range 50 {
		before[h.create(fmt.Sprint("before", i)).ID] = 0
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 25 {
				_, _, err := h.s.Create(h.ctx, store.Create{Address: room(fmt.Sprint(i), fmt.Sprint(j)), Region: "local"})
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	listed := h.list(store.Filter{}, 5)
	wg.Wait()
	if !slices.IsSortedFunc(listed, byPartition) {
		h.Error("pages are out of order")
	}
	for _, r := range listed {
		if _, ok := before[r.ID]; ok {
			before[r.ID]++
		}
	}
	for id, n := range before {
		if n != 1 {
			h.Errorf("%q was listed %d times", id, n)
		}
	}
	h.equal("afterwards", len(h.list(store.Filter{}, 40)), 150)
}

func testListCursor(h *harness) {
	for i := range 10 {
		h.create(fmt.Sprint(i))
	}
	all := h.list(store.Filter{}, 100)
	page, cursor, err := h.s.List(h.ctx, store.Filter{}, "", 4)
	h.noError(err)
	for i, want := range map[int]int{len(page) - 1: 0, len(page): 1} { // before and behind the cursor
		one := store.Filter{Namespace: "default", Type: "room", Key: all[i].Address.Key, HasKey: true}
		got, _, err := h.s.List(h.ctx, one, cursor, 4)
		h.noError(err)
		h.equal("by key", len(got), want)
	}
	for _, r := range page {
		h.noError(h.s.Destroy(h.ctx, r.ID))
	}
	rest, _, err := h.s.List(h.ctx, store.Filter{}, cursor, 100)
	h.noError(err)
	h.equal("rest", rest, all[len(page):])
	h.equal("all", h.list(store.Filter{}, 3), all[len(page):])
}
