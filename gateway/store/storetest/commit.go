package storetest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var commitTests = map[string]func(*harness){
	"versions decide the outcome":                     testOutcomes,
	"a repeated commit succeeds and applies once":     testDuplicate,
	"absent state stays, empty state replaces":        testPresence,
	"small and large states follow each other":        testStateSizes,
	"malformed commits are refused":                   testMalformed,
	"every class that is supported can be had":        testClasses,
	"queued commits apply in order, answered once":    testQueued,
	"connections are added and removed once":          testConnections,
	"a commit changes all it names in the same step":  testWholeCommit, // [STORE-1]
	"a commit before the first acquire has no effect": testUnowned,
}

func testOutcomes(h *harness) {
	o := h.actor("a")
	other := [16]byte{99}
	h.is(o.commit(store.Commit{Version: 2}), store.ErrGap)
	o.must(store.Commit{State: []byte("1"), HasState: true})
	o.must(store.Commit{State: []byte("2"), HasState: true})
	for name, step := range map[string]struct {
		c    store.Commit
		want error
	}{
		"same version, other bytes":            {store.Commit{Version: 2, CommitID: other}, store.ErrConflict},
		"earlier version":                      {store.Commit{Version: 1}, store.ErrStale},
		"earlier version, other bytes":         {store.Commit{Version: 1, CommitID: other}, store.ErrStale},
		"a version in between is missing":      {store.Commit{Version: 4}, store.ErrGap},
		"far ahead":                            {store.Commit{Version: 1 << 60}, store.ErrGap},
		"destroy with an applied version":      {store.Commit{Version: 2, CommitID: other, Destroy: true}, store.ErrConflict},
		"destroy with a version still to come": {store.Commit{Version: 4, Destroy: true}, store.ErrGap},
	} {
		step.c.State, step.c.HasState = []byte("never"), true
		if err := commitAndWait(h.s, o.prepare(step.c)); err == nil {
			h.Errorf("%s: applied", name)
		} else {
			h.is(err, step.want)
		}
	}
	o.must(store.Commit{})
	h.equal("state", string(h.acquire(o.Record.ID).State), "2")
}

func testDuplicate(h *harness) {
	o := h.actor("a")
	c := o.prepare(store.Commit{
		KV:        []store.KVOp{put("k", "v")},
		Schedules: []store.ScheduleOp{{ID: "s", At: h.clock.Now().Add(time.Minute)}},
	})
	for range 3 {
		h.noError(commitAndWait(h.s, c))
		h.clock.Advance(time.Second)
	}
	again := h.acquire(o.Record.ID)
	h.equal("version", again.Record.Version, uint64(1))
	h.equal("fire", again.Schedules[0].Fire, uint64(1))
	h.is(commitAndWait(h.s, c), store.ErrFenced) // The acquisition in between is what counts first.
	h.equal("kv", again.all(), []string{"k=v"})
}

func testPresence(h *harness) {
	o := h.actor("a")
	reload := func() *owner { o = h.acquire(o.Record.ID); return o }
	o.must(store.Commit{State: []byte("ignored")})
	h.equal("has state", reload().HasState, false)
	o.must(store.Commit{HasState: true})
	h.equal("has state", reload().HasState, true)
	h.equal("state", len(o.State), 0)
	o.must(store.Commit{State: []byte("x"), HasState: true})
	o.must(store.Commit{})
	h.equal("state", string(reload().State), "x")
	o.must(store.Commit{State: []byte{}, HasState: true})
	h.equal("has state", reload().HasState, true)
	h.equal("state", len(o.State), 0)
}

func testStateSizes(h *harness) {
	o := h.actor("a")
	for i, n := range []int{1, 1 << 20, 1023, 1024, 1025, 10, 4096, 0, 70_000} {
		state := strings.Repeat(string(rune('a'+i)), n)
		o.must(store.Commit{State: []byte(state), HasState: true})
		o.must(store.Commit{KV: []store.KVOp{put("k", fmt.Sprint(i))}})
		o = h.acquire(o.Record.ID)
		if string(o.State) != state {
			h.Fatalf("state of %d bytes came back with %d", n, len(o.State))
		}
	}
	h.equal("kv", o.all(), []string{"k=8"})
}

func testMalformed(h *harness) {
	o := h.actor("a")
	negative := -time.Second
	for name, c := range map[string]store.Commit{
		"empty key":                 {KV: []store.KVOp{put("", "v")}},
		"delete of an empty key":    {KV: []store.KVOp{del("")}},
		"range with a value":        {KV: []store.KVOp{{IsRange: true, HasValue: true}}},
		"schedule without id":       {Schedules: []store.ScheduleOp{{At: h.clock.Now()}}},
		"schedule without time":     {Schedules: []store.ScheduleOp{{ID: "s"}}},
		"schedule before time":      {Schedules: []store.ScheduleOp{{ID: "s", After: &negative}}},
		"finished without a name":   {Finished: []store.Finished{{Result: []byte("r")}}},
		"open without a name":       {Open: []store.Open{{Fire: 1}}},
		"connection without id":     {Connections: store.ConnectionsDelta{Added: []string{""}}},
		"removal without id":        {Connections: store.ConnectionsDelta{Removed: []string{"c", ""}}},
		"class that does not exist": {Durability: store.Replicated + 1},
		"class volatile":            {Durability: store.Volatile},
	} {
		if err := o.commit(c); err == nil {
			h.Errorf("%s: applied", name)
		} else {
			h.is(err, store.ErrInvalid)
		}
	}
	zero := o.prepare(store.Commit{})
	zero.Version = 0
	h.is(commitAndWait(h.s, zero), store.ErrInvalid)
	o.must(store.Commit{})
}

func testClasses(h *harness) {
	o := h.actor("a")
	if !h.s.Supports(store.DurabilityDefault) || !h.s.Supports(store.Volatile) {
		h.Error("the default or volatile is not supported")
	}
	for _, d := range []store.Durability{store.DurabilityDefault, store.Fast, store.Disk, store.Replicated} {
		if h.s.Supports(d) {
			o.must(store.Commit{Durability: d, State: []byte{byte(d)}, HasState: true})
		} else {
			h.is(o.commit(store.Commit{Durability: d}), store.ErrInvalid)
		}
	}
	h.noError(h.s.Ready(h.ctx))
}

func testQueued(h *harness) {
	const n = 500
	o := h.actor("a")
	var answers [n]atomic.Int32
	answered := make(chan int, 2*n)
	for i := range n {
		c := o.prepare(store.Commit{Version: uint64(i) + 1, KV: []store.KVOp{put("last", fmt.Sprint(i))}})
		if i%2 == 0 {
			c.Durability = store.Fast
		}
		h.s.Commit(c, func(err error) {
			if err != nil {
				h.Errorf("commit %d: %v", i, err)
			}
			answers[i].Add(1)
			answered <- i
		})
	}
	for range n {
		<-answered
	}
	h.equal("kv", o.all(), []string{"last=499"})
	h.noError(h.s.Close())
	for i := range answers {
		if k := answers[i].Load(); k != 1 {
			h.Errorf("commit %d was answered %d times", i, k)
		}
	}
}

func testConnections(h *harness) {
	o := h.actor("a")
	for _, step := range []struct{ added, removed, want string }{
		{"b a", "", "a b"},
		{"a", "nobody", "a b"},
		{"c", "b", "a c"},
		{"d", "d", "a c"}, // came and went
		{"", "a c", ""},
		{"a", "", "a"},
	} {
		o.must(store.Commit{Connections: store.ConnectionsDelta{
			Added: strings.Fields(step.added), Removed: strings.Fields(step.removed),
		}})
		o = h.acquire(o.Record.ID)
		h.equal("connections", strings.Join(o.Connections, " "), step.want)
	}
}

func testWholeCommit(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{Schedules: []store.ScheduleOp{{ID: "old", At: h.clock.Now().Add(time.Hour)}}})
	o.must(store.Commit{
		State: []byte("state"), HasState: true,
		KV:          []store.KVOp{put("k", "v")},
		Schedules:   []store.ScheduleOp{{ID: "new", At: h.clock.Now().Add(time.Hour)}},
		Finished:    []store.Finished{{Schedule: "old", Fire: 1}, {Key: []byte("done"), Result: []byte("r")}},
		Open:        []store.Open{{Key: []byte("open")}},
		Connections: store.ConnectionsDelta{Added: []string{"c"}},
	})
	o = h.acquire(o.Record.ID)
	h.equal("state", string(o.State), "state")
	h.equal("kv", o.all(), []string{"k=v"})
	h.equal("schedules", len(o.Schedules), 1)
	h.equal("schedule", o.Schedules[0].ID, "new")
	h.equal("done", string(o.result("done").Result), "r")
	h.equal("open", o.result("open").State, store.ResultInDoubt)
	h.equal("connections", o.Connections, []string{"c"})
}

func testUnowned(h *harness) {
	r := h.create("a")
	h.is(commitAndWait(h.s, store.Commit{ID: r.ID, Version: 1, HasState: true}), store.ErrFenced)
	h.equal("record", h.describe(r.ID), r)
}
