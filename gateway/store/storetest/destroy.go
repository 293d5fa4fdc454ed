package storetest

import (
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var destroyTests = map[string]func(*harness){
	"a commit destroys everything":            func(h *harness) { testDestroy(h, destroyByCommit) }, // [COMMIT-6]
	"destroy from outside removes everything": func(h *harness) { testDestroy(h, destroyFromOutside) },
	"destroying makes no later version":       testNoLaterVersion, // [COMMIT-6]
	"a fresh actor can be destroyed":          testDestroyFresh,
}

func destroyByCommit(o *owner) {
	// The rest is ignored, even where it is malformed.
	o.must(store.Commit{Destroy: true, State: []byte("x"), HasState: true, KV: []store.KVOp{put("", "")}})
}

func destroyFromOutside(o *owner) {
	o.h.Helper()
	o.h.noError(o.h.s.Destroy(o.h.ctx, o.Record.ID))
}

func testDestroy(h *harness, destroy func(*owner)) {
	neighbour := h.actor("neighbour")
	full := store.Commit{
		State: []byte(strings.Repeat("s", 5000)), HasState: true,
		KV:          []store.KVOp{put("a", "1"), put("b", "2"), put("\xff", "3")},
		Schedules:   []store.ScheduleOp{{ID: "due", At: h.clock.Now()}, {ID: "later", At: h.clock.Now().Add(time.Hour)}},
		Finished:    []store.Finished{{Key: []byte("done"), Result: []byte("r")}},
		Open:        []store.Open{{Key: []byte("open")}},
		Connections: store.ConnectionsDelta{Added: []string{"c"}},
	}
	neighbour.must(full)
	o := h.actor("a")
	o.must(full)
	o.claim(1, time.Minute)
	destroy(o)

	_, err := h.s.Describe(h.ctx, o.Record.ID)
	h.is(err, store.ErrNotFound)
	_, err = h.s.Resolve(h.ctx, room("a"))
	h.is(err, store.ErrNotFound)
	h.is(h.s.Destroy(h.ctx, o.Record.ID), store.ErrNotFound)
	h.is(o.commit(store.Commit{}), store.ErrGone)
	h.is(o.commit(store.Commit{Destroy: true}), store.ErrGone)
	_, err = h.s.Read(h.ctx, o.readOf())
	h.is(err, store.ErrGone)
	_, err = h.s.Acquire(h.ctx, store.Acquire{ID: o.Record.ID})
	h.is(err, store.ErrNotFound)
	h.equal("next due", o.nextDue().IsZero(), true)
	h.clock.Advance(2 * time.Hour)
	h.equal("due", fires(o.claim(10, time.Minute)), "")

	// The key is free at once, and nothing is inherited [LIFE-6].
	heir := h.actor("a")
	if heir.Record.ID == o.Record.ID {
		h.Error("the id came back")
	}
	h.equal("record", heir.Record, store.Record{
		ID: heir.Record.ID, Address: room("a"), CreatedAt: h.clock.Now(),
		Generation: heir.Record.Generation, Nonce: heir.Record.Nonce, Runner: "runner-1",
	})
	h.equal("has state", heir.HasState, false)
	h.equal("schedules", len(heir.Schedules), 0)
	h.equal("connections", len(heir.Connections), 0)
	h.equal("kv", heir.all(), []string(nil))
	h.equal("known", heir.known("done open"), "")
	heir.must(full)

	h.equal("the neighbour's kv", neighbour.all(), []string{"a=1", "b=2", "\xff=3"})
	h.equal("the neighbour's results", neighbour.known("done open"), "doneopen")
	h.equal("the neighbour's fires", fires(neighbour.claim(5, time.Minute)), "due#1.1 later#1.1")
}

func testNoLaterVersion(h *harness) {
	o := h.actor("a")
	answers := make(chan error, 3)
	done := func(err error) { answers <- err }
	h.s.Commit(o.prepare(store.Commit{Version: 1}), done)
	h.s.Commit(o.prepare(store.Commit{Version: 2, Destroy: true}), done)
	h.s.Commit(o.prepare(store.Commit{Version: 3}), done)
	fenced := 0
	for range 3 {
		if err := <-answers; err != nil {
			h.is(err, store.ErrFenced)
			fenced++
		}
	}
	h.equal("fenced", fenced, 1)
	h.create("a")
}

func testDestroyFresh(h *harness) {
	r, _, err := h.s.Create(h.ctx, store.Create{Address: room("a"), Region: "local", Input: []byte("in"), HasInput: true})
	h.noError(err)
	h.noError(h.s.Destroy(h.ctx, r.ID))
	again := h.create("a")
	h.equal("has input", again.HasInput, false)
	h.equal("listed", len(h.list(store.Filter{}, 10)), 1)
}
