package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

var scheduleTests = map[string]func(*harness){
	"a fire is claimed when due, never early":     testDue,   // [ALARM-1]
	"a claim hides, counts, and runs out":         testClaim, // [ALARM-1] [ALARM-6]
	"fires are claimed in due order up to limit":  testClaimOrder,
	"a claim is extended while its fire stands":   testExtend,
	"finished consumes or moves on its own fire":  testFinished,
	"setting and canceling count fires":           testSetCancel,
	"a delay counts from the store's clock":       testAfter, // [ALARM-7]
	"a commit marks open fires in doubt":          testFireInDoubt,
	"partitions do not see each other's fires":    testClaimPartition,
	"malformed claims are refused":                testClaimInvalid,
	"schedules within one commit apply in order":  testSchedulesInOrder,
	"due times round up to the store's precision": testDueRounds,
}

func (o *owner) partition() uint16 {
	p, err := address.ParseID(o.Record.ID)
	o.h.noError(err)
	return p
}

func (o *owner) claim(limit int, visibility time.Duration) []store.Due {
	o.h.Helper()
	due, err := o.h.s.ClaimDue(o.h.ctx, o.partition(), limit, visibility)
	o.h.noError(err)
	return due
}

func (o *owner) nextDue() time.Time {
	o.h.Helper()
	t, err := o.h.s.NextDue(o.h.ctx, o.partition())
	o.h.noError(err)
	return t
}

// schedule sets a schedule d from now.
func (o *owner) schedule(id string, d time.Duration) {
	o.h.Helper()
	o.must(store.Commit{Schedules: []store.ScheduleOp{{ID: id, At: o.h.clock.Now().Add(d), Spec: []byte("spec " + id)}}})
}

func fires(due []store.Due) string {
	var out []string
	for _, d := range due {
		out = append(out, fmt.Sprintf("%s#%d.%d", d.Schedule.ID, d.Schedule.Fire, d.Schedule.Attempt))
	}
	return strings.Join(out, " ")
}

func testDue(h *harness) {
	o := h.actor("a")
	h.equal("next due", o.nextDue().IsZero(), true)
	o.schedule("s", time.Minute)
	dueAt := h.clock.Now().Add(time.Minute)
	h.equal("next due", o.nextDue(), dueAt)
	h.clock.Advance(time.Minute - time.Microsecond)
	h.equal("early", fires(o.claim(10, time.Minute)), "")
	h.clock.Advance(time.Microsecond)
	got := o.claim(10, time.Minute)
	h.equal("due", got, []store.Due{{ActorID: o.Record.ID, Schedule: store.Schedule{
		ID: "s", Fire: 1, DueAt: dueAt, Spec: []byte("spec s"), Attempt: 1, Claimed: dueAt.Add(time.Minute),
	}}})
	h.equal("acquired", h.acquire(o.Record.ID).Schedules, []store.Schedule{got[0].Schedule})
}

func testClaim(h *harness) {
	o := h.actor("a")
	o.schedule("s", 0)
	h.equal("first", fires(o.claim(10, time.Minute)), "s#1.1")
	h.equal("hidden", fires(o.claim(10, time.Minute)), "")
	h.equal("next due", o.nextDue(), h.clock.Now().Add(time.Minute))
	h.clock.Advance(time.Minute - time.Microsecond)
	h.equal("hidden", fires(o.claim(10, time.Minute)), "")
	h.clock.Advance(time.Microsecond)
	h.equal("again", fires(o.claim(10, time.Second)), "s#1.2")
	h.clock.Advance(time.Second)
	h.acquire(o.Record.ID) // An acquisition does not touch claims.
	h.equal("again", fires(o.claim(10, time.Second)), "s#1.3")
}

func testClaimOrder(h *harness) {
	o := h.actor("a")
	for i, id := range strings.Fields("e d c b a") {
		o.schedule(id, time.Duration(i)*time.Second)
	}
	o.schedule("z", 2*time.Second) // as due as c
	h.clock.Advance(3 * time.Second)
	h.equal("first", fires(o.claim(2, time.Minute)), "e#1.1 d#1.1")
	h.equal("next", fires(o.claim(2, time.Minute)), "c#1.1 z#1.1")
	h.equal("rest", fires(o.claim(10, time.Minute)), "b#1.1")
	h.equal("none", fires(o.claim(10, time.Minute)), "")
	h.clock.Advance(time.Minute)
	h.equal("number", len(o.claim(10, time.Minute)), 6)
}

func testExtend(h *harness) {
	o := h.actor("a")
	o.schedule("s", 0)
	due := o.claim(1, time.Minute)[0]
	h.clock.Advance(50 * time.Second)
	h.noError(h.s.ExtendClaim(h.ctx, due, time.Minute))
	h.clock.Advance(30 * time.Second)
	h.equal("hidden", fires(o.claim(1, time.Minute)), "")
	h.clock.Advance(30 * time.Second)
	h.equal("again", fires(o.claim(1, time.Minute)), "s#1.2")

	h.is(h.s.ExtendClaim(h.ctx, due, 0), store.ErrInvalid)
	gone := func(d store.Due) { h.Helper(); h.is(h.s.ExtendClaim(h.ctx, d, time.Minute), store.ErrNotFound) }
	gone(store.Due{ActorID: "nonsense", Schedule: due.Schedule})
	gone(store.Due{ActorID: o.Record.ID, Schedule: store.Schedule{ID: "none", Fire: 1}})
	o.schedule("s", time.Hour) // set anew
	gone(due)
	o.must(store.Commit{Schedules: []store.ScheduleOp{{ID: "s", Cancel: true}}})
	gone(due)
	o.schedule("s", time.Hour) // fire 1 again, but not that one
	gone(due)
	o.must(store.Commit{Finished: []store.Finished{{Schedule: "s", Fire: 1}}})
	gone(due)
	h.equal("next due", o.nextDue().IsZero(), true)
}

func testFinished(h *harness) {
	o := h.actor("a")
	next := h.clock.Now().Add(time.Hour)
	o.schedule("once", 0)
	o.schedule("again", 0)
	h.equal("due", fires(o.claim(10, time.Minute)), "again#1.1 once#1.1")
	o.must(store.Commit{Finished: []store.Finished{
		{Schedule: "once", Fire: 1}, {Schedule: "again", Fire: 1, NextAt: next}, {Schedule: "none", Fire: 1},
	}})
	want := []store.Schedule{{ID: "again", Fire: 2, DueAt: next, Spec: []byte("spec again")}}
	h.equal("schedules", h.reacquire(o).Schedules, want)
	h.equal("next due", o.nextDue(), next)
	// Not that fire any more.
	o.must(store.Commit{Finished: []store.Finished{{Schedule: "again", Fire: 1}, {Schedule: "again", Fire: 3}}})
	h.equal("schedules", h.reacquire(o).Schedules, want)
	h.clock.Advance(time.Hour)
	h.equal("due", fires(o.claim(10, time.Minute)), "again#2.1")
	o.must(store.Commit{Finished: []store.Finished{{Schedule: "again", Fire: 2}}})
	h.equal("schedules", len(h.reacquire(o).Schedules), 0)
	h.clock.Advance(time.Hour)
	h.equal("due", fires(o.claim(10, time.Minute)), "")
}

// reacquire makes o its own successor.
func (h *harness) reacquire(o *owner) *owner {
	h.Helper()
	*o = *h.acquire(o.Record.ID)
	return o
}

func testSetCancel(h *harness) {
	o := h.actor("a")
	o.schedule("s", 0)
	o.claim(1, time.Minute)
	o.must(store.Commit{Open: []store.Open{{Schedule: "s", Fire: 1}}})
	o.schedule("s", time.Second)
	h.equal("set anew", h.reacquire(o).Schedules, []store.Schedule{
		{ID: "s", Fire: 2, DueAt: h.clock.Now().Add(time.Second), Spec: []byte("spec s")},
	})
	h.clock.Advance(time.Second)
	h.equal("due", fires(o.claim(1, time.Minute)), "s#2.1") // The claim of fire 1 does not hide it.
	cancel := store.Commit{Schedules: []store.ScheduleOp{{ID: "s", Cancel: true}, {ID: "none", Cancel: true}}}
	o.must(cancel)
	o.must(cancel)
	h.equal("schedules", len(h.reacquire(o).Schedules), 0)
	h.clock.Advance(time.Hour)
	h.equal("due", fires(o.claim(1, time.Minute)), "")
	o.schedule("s", 0)
	h.equal("due", fires(o.claim(1, time.Minute)), "s#1.1")
}

func testAfter(h *harness) {
	o := h.actor("a")
	delay := 90 * time.Second
	c := o.prepare(store.Commit{Schedules: []store.ScheduleOp{{ID: "s", After: &delay}}})
	h.clock.Advance(time.Hour) // between making the commit and its arrival
	h.noError(commitAndWait(h.s, c))
	h.equal("next due", o.nextDue(), h.clock.Now().Add(delay))
	var none time.Duration
	o.version = 1
	o.must(store.Commit{Schedules: []store.ScheduleOp{{ID: "t", After: &none}}})
	h.equal("due", fires(o.claim(5, time.Minute)), "t#1.1")
}

func testFireInDoubt(h *harness) {
	o := h.actor("a")
	o.schedule("s", 0)
	o.claim(1, time.Minute)
	o.must(store.Commit{Open: []store.Open{{Schedule: "s", Fire: 2}, {Schedule: "none", Fire: 1}}})
	h.equal("in doubt", h.reacquire(o).Schedules[0].InDoubt, false)
	o.must(store.Commit{Open: []store.Open{{Schedule: "s", Fire: 1}}})
	h.equal("in doubt", h.reacquire(o).Schedules[0].InDoubt, true)
	h.clock.Advance(time.Minute)
	due := o.claim(1, time.Minute)
	h.equal("due", fires(due), "s#1.2")
	h.equal("in doubt", due[0].Schedule.InDoubt, true)
	o.must(store.Commit{Finished: []store.Finished{{Schedule: "s", Fire: 1, NextAt: h.clock.Now()}}})
	due = o.claim(1, time.Minute)
	h.equal("due", fires(due), "s#2.1")
	h.equal("in doubt", due[0].Schedule.InDoubt, false)
}

func testClaimPartition(h *harness) {
	a, b := h.actor("a"), h.actor("b")
	if a.partition() == b.partition() {
		h.Fatal("the keys of this test share a partition")
	}
	a.schedule("s", 0)
	b.schedule("s", time.Hour)
	h.equal("b", fires(b.claim(1, time.Minute)), "")
	h.equal("a", fires(a.claim(1, time.Minute)), "s#1.1")
	h.equal("next due", b.nextDue(), h.clock.Now().Add(time.Hour))
	empty := (a.partition() + 1) % address.Partitions
	if empty == b.partition() {
		empty = (empty + 1) % address.Partitions
	}
	next, err := h.s.NextDue(h.ctx, empty)
	h.noError(err)
	h.equal("nothing scheduled", next.IsZero(), true)
}

func testClaimInvalid(h *harness) {
	for _, q := range []struct {
		partition  uint16
		limit      int
		visibility time.Duration
	}{{address.Partitions, 1, time.Second}, {0, 0, time.Second}, {0, 1, 0}, {0, 1, -1}} {
		_, err := h.s.ClaimDue(h.ctx, q.partition, q.limit, q.visibility)
		h.is(err, store.ErrInvalid)
	}
	_, err := h.s.NextDue(h.ctx, address.Partitions)
	h.is(err, store.ErrInvalid)
}

func testSchedulesInOrder(h *harness) {
	o := h.actor("a")
	at := h.clock.Now()
	op := func(id string) store.ScheduleOp { return store.ScheduleOp{ID: id, At: at} }
	cancel := func(id string) store.ScheduleOp { return store.ScheduleOp{ID: id, Cancel: true} }
	o.must(store.Commit{Schedules: []store.ScheduleOp{op("a"), op("a"), op("b"), cancel("b"), op("c"), cancel("c"), op("c")}})
	h.equal("due", fires(o.claim(10, time.Minute)), "a#2.1 c#1.1")
	// What is set in the turn of fire 2 is fire 3, and is not consumed with it.
	o.must(store.Commit{Schedules: []store.ScheduleOp{op("a")}, Finished: []store.Finished{{Schedule: "a", Fire: 2}}})
	h.equal("due", fires(o.claim(10, time.Minute)), "a#3.1")
	o.must(store.Commit{
		Finished: []store.Finished{{Schedule: "a", Fire: 3, NextAt: at}, {Schedule: "a", Fire: 4, NextAt: at}},
		Open:     []store.Open{{Schedule: "a", Fire: 5}},
	})
	due := o.claim(10, time.Minute)
	h.equal("due", fires(due), "a#5.1")
	h.equal("in doubt", due[0].Schedule.InDoubt, true)
}

func testDueRounds(h *harness) {
	o := h.actor("a")
	o.must(store.Commit{Schedules: []store.ScheduleOp{{ID: "s", At: h.clock.Now().Add(time.Nanosecond)}}})
	h.equal("early", fires(o.claim(1, time.Minute)), "")
	h.clock.Advance(time.Microsecond)
	h.equal("due", fires(o.claim(1, time.Minute)), "s#1.1")
}
