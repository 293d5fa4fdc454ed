package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// limitTests run with smallLimits.
var limitTests = map[string]func(*harness){
	"sizes are checked to the byte":               testSizes,
	"the quota is exact under every change":       testQuota,
	"the quota is exact within one commit":        testQuotaWithin,
	"a refused commit leaves no trace":            testNoTrace,
	"schedules are bounded":                       testScheduleLimit,
	"results are bounded, the oldest go first":    testResultCount,
	"one commit may carry more than the bound":    testResultBurst,
	"results run out":                             testResultTTL,
	"what ran out makes room before what has not": testResultRoom,
}

func testSizes(h *harness) {
	o := h.actor("a")
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]store.Commit{
		"state": {State: []byte(x(65)), HasState: true},
		"key":   {KV: []store.KVOp{put(x(9), "v")}},
		"value": {KV: []store.KVOp{put("k", x(33))}},
	} {
		if err := o.commit(c); !errors.Is(err, store.ErrTooLarge) {
			h.Errorf("%s: got %v, want %v", name, err, store.ErrTooLarge)
		}
	}
	o.must(store.Commit{State: []byte(x(64)), HasState: true})
	o.must(store.Commit{HasState: true, KV: []store.KVOp{put(x(8), x(32))}})
	o.must(store.Commit{KV: []store.KVOp{delRange(x(100), x(200))}}) // Bounds are not keys.
}

func testQuota(h *harness) {
	o := h.actor("a")
	v := func(n int) string { return strings.Repeat("v", n) }
	steps := []struct {
		c    store.Commit
		want error
	}{
		{store.Commit{State: []byte(v(50)), HasState: true}, nil},                         // 50
		{store.Commit{KV: []store.KVOp{put("a", v(29)), put("b", v(19))}}, nil},           // 100
		{store.Commit{KV: []store.KVOp{put("c", "")}}, store.ErrQuota},                    // 101
		{store.Commit{State: []byte(v(51)), HasState: true}, store.ErrQuota},              // 101
		{store.Commit{KV: []store.KVOp{put("a", v(30))}}, store.ErrQuota},                 // 101
		{store.Commit{KV: []store.KVOp{put("a", v(28)), put("c", "")}}, nil},              // 100
		{store.Commit{KV: []store.KVOp{put("d", ""), del("c")}}, nil},                     // 100
		{store.Commit{KV: []store.KVOp{del("d"), del("d"), del("nope")}}, nil},            // 99
		{store.Commit{KV: []store.KVOp{put("e", "v")}}, store.ErrQuota},                   // 101
		{store.Commit{KV: []store.KVOp{delRange("b", ""), put("x", v(20))}}, nil},         // 100
		{store.Commit{KV: []store.KVOp{put("y", "")}}, store.ErrQuota},                    // 101
		{store.Commit{KV: []store.KVOp{put("y", ""), delRange("x", "y"), del("y")}}, nil}, // 79
		{store.Commit{KV: []store.KVOp{put("z", v(20))}}, nil},                            // 100
		{store.Commit{HasState: true, KV: []store.KVOp{delRange("", "")}}, nil},           // 0
		{store.Commit{KV: []store.KVOp{put("1", v(32)), put("2", v(32)), put("3", v(32))}}, nil},
		{store.Commit{KV: []store.KVOp{put("4", "")}}, nil}, // 100
		{store.Commit{KV: []store.KVOp{put("5", "")}}, store.ErrQuota},
		{store.Commit{Schedules: []store.ScheduleOp{{ID: "s", At: h.clock.Now()}}}, nil}, // not counted
	}
	for i, step := range steps {
		if err := o.commit(step.c); !errors.Is(err, step.want) {
			h.Fatalf("step %d: got %v, want %v; holds %q", i, err, step.want, o.all())
		}
	}
}

// testQuotaWithin measures what the store thinks the keys take, by how much state fits beside them.
func testQuotaWithin(h *harness) {
	o := h.actor("a")
	v := strings.Repeat("v", 11)
	base := []store.KVOp{delRange("", ""), put("a", v), put("b", v), put("c", v), put("d", v)} // 48 bytes
	for name, ops := range map[string][]store.KVOp{
		"none":                           {},
		"overlapping ranges":             {delRange("a", "c"), delRange("b", "c")},
		"a range again":                  {delRange("d", ""), delRange("d", "")},
		"a put into a deleted range":     {delRange("a", "b"), put("a", v)},
		"a put over what a range takes":  {put("a", "v"), delRange("a", "b"), put("a", v)},
		"a put twice":                    {put("a", "v"), put("a", v+"v")},
		"a new key in a deleted range":   {put("aa", "v"), delRange("a", "b")},
		"a delete in a deleted range":    {delRange("a", "b"), del("a"), delRange("a", "b")},
		"a put, a delete, a range":       {put("x", v), del("x"), delRange("x", ""), put("x", "")},
		"everything, then a part of it":  {delRange("", ""), put("a", v), put("b", v), put("c", v), put("d", v), delRange("d", "")},
		"a range around a deleted key":   {del("b"), delRange("a", "c")},
		"the same key again and again":   {del("a"), put("a", ""), del("a"), put("a", v), put("a", "")},
		"everything after a part of it":  {delRange("a", "b"), delRange("", ""), put("a", v), put("b", v), put("c", v)},
		"a range over old and new alike": {put("bb", v), delRange("b", "c"), put("bbb", "v")},
	} {
		o.must(store.Commit{HasState: true, KV: base})
		o.must(store.Commit{KV: ops})
		held := len(strings.Join(o.all(), "")) - len(o.all()) // without the equals signs
		if held < 37 {
			o.must(store.Commit{KV: []store.KVOp{put("filler", strings.Repeat("f", 31))}})
			held += 37 // The state is to fit into its own limit.
		}
		state := []byte(strings.Repeat("s", 101-held))
		if err := o.commit(store.Commit{State: state, HasState: true}); !errors.Is(err, store.ErrQuota) {
			h.Errorf("%s: %d bytes of keys and %d of state: got %v", name, held, len(state), err)
		}
		if err := o.commit(store.Commit{State: state[1:], HasState: true}); err != nil {
			h.Errorf("%s: %d bytes of keys and %d of state: %v", name, held, len(state)-1, err)
		}
	}
}

func testNoTrace(h *harness) {
	o := h.actor("a")
	due := h.clock.Now().Add(time.Hour)
	o.must(store.Commit{
		State: []byte("before"), HasState: true, KV: []store.KVOp{put("k", "v")},
		Schedules: []store.ScheduleOp{{ID: "s", At: due}}, Connections: store.ConnectionsDelta{Added: []string{"c"}},
	})
	kept := h.describe(o.Record.ID)
	c := store.Commit{
		State: []byte("after"), HasState: true,
		KV:        []store.KVOp{delRange("", ""), put("big", strings.Repeat("x", 32)), put("bigger", strings.Repeat("x", 32))},
		Schedules: []store.ScheduleOp{{ID: "s", Cancel: true}, {ID: "t", At: due}},
		Finished:  []store.Finished{{Key: []byte("done")}}, Open: []store.Open{{Key: []byte("open")}},
		Connections: store.ConnectionsDelta{Added: []string{"d"}, Removed: []string{"c"}},
	}
	for _, refused := range []store.KVOp{put("quota", strings.Repeat("x", 32)), put("too large", "x")} {
		c.KV = append(c.KV[:3:3], refused)
		// In the same group as one that succeeds before and after it.
		other := h.actor(string(refused.Key))
		before, between, after := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		h.s.Commit(other.prepare(store.Commit{Version: 1}), func(err error) { before <- err })
		h.s.Commit(o.prepare(c), func(err error) { between <- err })
		h.s.Commit(other.prepare(store.Commit{Version: 2}), func(err error) { after <- err })
		h.noError(<-before)
		if err := <-between; !errors.Is(err, store.ErrQuota) && !errors.Is(err, store.ErrTooLarge) {
			h.Fatalf("got %v", err)
		}
		h.noError(<-after)
	}
	h.equal("record", h.describe(o.Record.ID), kept)
	h.equal("kv", o.all(), []string{"k=v"})
	h.equal("done", o.result("done").State, store.ResultUnknown)
	h.equal("open", o.result("open").State, store.ResultUnknown)
	again := h.acquire(o.Record.ID)
	h.equal("state", string(again.State), "before")
	h.equal("schedules", fmt.Sprint(again.Schedules), fmt.Sprint(o.h.acquire(o.Record.ID).Schedules))
	h.equal("schedule", again.Schedules[0].ID, "s")
	h.equal("connections", again.Connections, []string{"c"})
}

func testScheduleLimit(h *harness) {
	o := h.actor("a")
	set := func(ids ...string) (ops []store.ScheduleOp) {
		for _, id := range ids {
			ops = append(ops, store.ScheduleOp{ID: id, At: h.clock.Now()})
		}
		return ops
	}
	o.must(store.Commit{Schedules: set("a", "b", "c")})
	h.is(o.commit(store.Commit{Schedules: set("d")}), store.ErrTooLarge)
	o.must(store.Commit{Schedules: set("a", "c")})
	o.must(store.Commit{Schedules: append(set("d"), store.ScheduleOp{ID: "a", Cancel: true})})
	h.is(o.commit(store.Commit{Schedules: set("a")}), store.ErrTooLarge)
	o.must(store.Commit{Schedules: set("a"), Finished: []store.Finished{{Schedule: "b", Fire: 1}}})
}

func finished(keys ...string) (c store.Commit) {
	for _, key := range keys {
		c.Finished = append(c.Finished, store.Finished{Key: []byte(key), Result: []byte("of " + key)})
	}
	return c
}

func (o *owner) known(keys string) (known string) {
	o.h.Helper()
	for _, key := range strings.Fields(keys) {
		if o.result(key).State != store.ResultUnknown {
			known += key
		}
	}
	return known
}

func testResultCount(h *harness) {
	o := h.actor("a")
	o.must(finished("a"))
	o.must(finished("b"))
	o.must(store.Commit{Open: []store.Open{{Key: []byte("c")}}})
	o.must(finished("d"))
	h.equal("known", o.known("a b c d"), "abcd")
	o.must(finished("c")) // was in doubt; the newest now
	o.must(finished("e"))
	h.equal("known", o.known("a b c d e"), "bcde")
	o.must(finished("b"))
	o.must(finished("f", "g"))
	h.equal("known", o.known("a b c d e f g"), "befg")
}

func testResultBurst(h *harness) {
	o := h.actor("a")
	o.must(finished("x", "y"))
	o.must(finished("a", "b", "y", "c", "d", "e"))
	h.equal("known", o.known("x y a b c d e"), "ycde")
	o.must(finished("f"))
	h.equal("known", o.known("x y a b c d e f"), "cdef")
}

func testResultTTL(h *harness) {
	o := h.actor("a")
	o.must(finished("a"))
	h.clock.Advance(30 * time.Minute)
	o.must(store.Commit{Open: []store.Open{{Key: []byte("b")}}})
	h.clock.Advance(30*time.Minute - time.Microsecond)
	h.equal("known", o.known("a b"), "ab")
	h.clock.Advance(time.Microsecond)
	h.equal("known", o.known("a b"), "b")
	o.must(store.Commit{Open: []store.Open{{Key: []byte("a")}, {Key: []byte("b")}}})
	h.equal("a", o.result("a").State, store.ResultInDoubt)
	h.clock.Advance(30 * time.Minute)
	h.equal("known", o.known("a b"), "a") // The mark of b is as old as its first.
}

func testResultRoom(h *harness) {
	o := h.actor("a")
	o.must(finished("a", "b"))
	h.clock.Advance(time.Hour)
	o.must(finished("c", "d", "e"))
	h.equal("known", o.known("a b c d e"), "cde")
	o.must(finished("f"))
	h.equal("known", o.known("a b c d e f"), "cdef")
}
