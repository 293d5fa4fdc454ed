package planeg

import (
	"bytes"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func callCases() []*Case {
	return []*Case{
		{ID: "GCALL-01", Title: "a call starts its actor, runs once it is ready, and is answered", Requirements: needs("CALL-1:01779c LIFE-2:d074d4 COMMIT-3:555c84"), run: firstCall},
		{ID: "GCALL-02", Title: "the calls of a connection reach the actor in the order they were sent", Requirements: needs("CALL-3:5588c9"), run: callOrder},
		{ID: "GCALL-03", Title: "a call that the runner does not answer ends at its deadline, and its late result goes nowhere", Requirements: needs("CALL-1:01779c CALL-4:6508b7"), run: deadline},
		{ID: "GCALL-04", Title: "a call to an actor that does not get ready ends at its deadline, and did not run", Requirements: needs("CALL-4:6508b7 ERR-4:c3e7dd"), run: neverReady},
		{ID: "GCALL-05", Title: "a cancellation reaches the runner, and the call is still answered", Requirements: needs("CALL-5:8893f0 CALL-1:01779c"), run: cancel},
		{ID: "GCALL-06", Title: "the loss of a runner that had the call leaves its outcome unknown", Requirements: needs("CALL-7:d59040 LINK-6:1cbe03"), run: lostRunner},
		{ID: "GCALL-07", Title: "a call that came back not run is given again", Requirements: needs("CALL-7:d59040"), run: notRun},
		{ID: "GCALL-08", Title: "a one-way call has no answer", Requirements: needs("CALL-1:01779c"), run: oneWay},
		{ID: "GCALL-09", Title: "an output over the limit is an error of that call alone", Requirements: needs("CALL-10:c303e8 LINK-3:9d075a"), run: longOutput},
		{ID: "GCALL-10", Title: "a long call goes to the runner in parts", Requirements: needs("LINK-3:9d075a"), run: longCall},
		{ID: "GCALL-11", Title: "a call to a type that no runner ever announced fails at once", Requirements: needs("LIFE-5:8e831e"), run: unknownType},
		{ID: "GCALL-12", Title: "a runner that answers no Ping is lost, and its callers are told", Requirements: needs("LINK-7:45b57a CALL-7:d59040"), Slow: true, run: deafRunner},
		{ID: "GCALL-13", Title: "a call that its runner never answers ends the life, and the next one answers", Requirements: needs("LIFE-12:0fdb32 CALL-1:01779c"), Slow: true, run: hungCall},
	}
}

// reply answers a call without change.
func (r *runner) reply(call *runnerv1alpha1.Call, output string) {
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Output: []byte(output)})
}

func firstCall(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "get")
	start := want[*runnerv1alpha1.StartActor](r)
	p.check(start.Create && start.Version == 0 && start.Type == p.kind && len(start.Key) == 1 && start.Key[0] == "a", "start", "StartActor is %s", show(start))
	p.check(start.Generation > 0 && len(start.Nonce) == 16, "generation", "generation %d, nonce %x", start.Generation, start.Nonce)
	r.commit(start.Actor, 1, "\x00", 0)
	r.acked(start.Actor, 1)
	none[*runnerv1alpha1.Call](r, "the actor is not ready")
	r.send(&runnerv1alpha1.ActorReady{Actor: start.Actor})
	call := want[*runnerv1alpha1.Call](r)
	p.check(call.Action == "get" && bytes.Equal(call.Args, []byte{0x80}), "call", "the call is %s", show(call))
	none[*clientv1alpha1.CallResult](c, "the runner has not answered")
	r.reply(call, "\x07")
	c.answered(1, "\x07")
}

func callOrder(p *play) {
	r, c := p.runner(), p.client()
	c.connect(r, 1, "a", true)
	for id := range uint64(50) {
		c.send(&clientv1alpha1.Call{Id: id + 1, Connection: 1, Action: "x", Args: []byte{0x81, byte(id % 24)}})
	}
	for id := range uint64(50) {
		call := want[*runnerv1alpha1.Call](r)
		p.check(call.Args[1] == byte(id%24), "order", "call %d has the arguments %x", id, call.Args)
		r.reply(call, "\x00")
	}
	for id := range uint64(50) {
		c.answered(id+1, "\x00")
	}
}

func deadline(p *play) {
	r, c := p.runner(), p.client()
	c.send(&clientv1alpha1.Call{Id: 1, Action: "slow", Target: p.to("a"), DeadlineMs: 400})
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	e := c.refused(1, "action.timed_out")
	p.check(e.Ran != commonv1alpha1.Ran_RAN_NO, "ran", "the call was given to the runner, but is said not to have run")
	m := want(r, func(m *runnerv1alpha1.CancelCall) bool { return m.Id == call.Id })
	p.check(m.Reason == runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE, "reason", "the call is canceled for %v", m.Reason)
	r.reply(call, "\x01")
	r.alive()
	c.call(2, "a", "next")
	r.reply(want[*runnerv1alpha1.Call](r), "\x02")
	c.answered(2, "\x02")
	none(c, "the call was answered before", func(m *clientv1alpha1.CallResult) bool { return m.Id == 1 })
}

func neverReady(p *play) {
	r, c := p.runner(), p.client()
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a"), DeadlineMs: 400})
	want[*runnerv1alpha1.StartActor](r)
	e := c.refused(1, "action.timed_out", "actor.start_timed_out")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_NO, "ran", "the call was never given to the runner, but ran is %v", e.Ran)
	none[*runnerv1alpha1.Call](r, "the actor is not ready")
}

func cancel(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "slow")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	c.send(&clientv1alpha1.CancelCall{Id: 1})
	m := want(r, func(m *runnerv1alpha1.CancelCall) bool { return m.Id == call.Id })
	p.check(m.Reason == runnerv1alpha1.CancelReason_CANCEL_REASON_CALLER, "reason", "the call is canceled for %v", m.Reason)
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{Group: "action", Code: "canceled", Message: "canceled", Ran: commonv1alpha1.Ran_RAN_YES}})
	c.refused(1, "action.canceled")
}

func lostRunner(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	want[*runnerv1alpha1.Call](r)
	r.cut()
	e := c.refused(1, "action.outcome_unknown")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_MAYBE, "ran", "ran is %v", e.Ran)
}

func notRun(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, NotRun: true})
	again := want[*runnerv1alpha1.Call](r)
	p.check(again.Attempt > 0, "attempt", "the second delivery says attempt %d", again.Attempt)
	r.reply(again, "\x01")
	c.answered(1, "\x01")
}

func oneWay(p *play) {
	r, c := p.runner(), p.client()
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a"), Oneway: true})
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	p.check(call.Oneway, "oneway", "the runner is not told: %s", show(call))
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id})
	c.settle(r)
	none[*clientv1alpha1.CallResult](c, "nobody waits for it")
}

func longOutput(p *play) {
	r, c := p.runner(), p.client()
	c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"}, &clientv1alpha1.Call{Id: 2, Connection: 1, Action: "y"})
	one, two := want[*runnerv1alpha1.Call](r), want[*runnerv1alpha1.Call](r)
	n := int(r.welcome.Limits.MaxOutput) + 1
	r.reply(one, string(text(n)))
	c.refused(1, "action.result_too_large")
	r.reply(two, "\x02")
	c.answered(2, "\x02")
	none[*clientv1alpha1.ConnectionClosed](c, "the connection is not affected")
}

// text is a CBOR text of so many bytes.
func text(n int) []byte {
	head := []byte{0x7a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(head, bytes.Repeat([]byte("x"), n)...)
}

func longCall(p *play) {
	r, c := p.runner(), p.client()
	args := append([]byte{0x81}, text(300_000)...)
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a"), Args: args})
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	p.check(bytes.Equal(call.Args, args), "args", "%d bytes came of %d", len(call.Args), len(args))
	r.reply(call, string(text(200_000)))
	c.answered(1, string(text(200_000)))
}

func unknownType(p *play) {
	c := p.client()
	c.call(1, "a", "x")
	e := c.refused(1, "actor.type_not_found")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_NO, "ran", "ran is %v", e.Ran)
}

func deafRunner(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	want[*runnerv1alpha1.Call](r)
	r.silent.Store(true)
	lost := time.Duration(r.welcome.LostMs) * time.Millisecond
	bye, why := find[*commonv1alpha1.Goodbye](r.peer, lost+p.patience(10*time.Second), nil)
	p.check(why == "" && bye.Code == "runner.ping_timed_out", "goodbye", "the runner gets %s %s", show(bye), why)
	c.refused(1, "action.outcome_unknown")
}

func hungCall(p *play) {
	r, c := p.runner(), p.client()
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a"), DeadlineMs: 300})
	first := r.begin()
	want[*runnerv1alpha1.Call](r)
	c.refused(1, "action.timed_out")
	c.send(&clientv1alpha1.Call{Id: 2, Action: "y", Target: p.to("a"), DeadlineMs: 60_000})
	want(r, func(m *runnerv1alpha1.Call) bool { return m.Action == "y" })
	grace := 15 * time.Second // the default of timeouts_ms["stop"]
	if ms := r.welcome.TimeoutsMs["stop"]; ms > 0 {
		grace = time.Duration(ms) * time.Millisecond
	}
	stop, why := find[*runnerv1alpha1.StopActor](r.peer, grace+p.patience(10*time.Second), nil)
	p.check(why == "" && stop.Actor == first.Actor && stop.Reason == runnerv1alpha1.StopReason_STOP_REASON_FENCED, "fenced", "the runner gets %s %s", show(stop), why)
	c.refused(2, "actor.crashed")
	c.call(3, "a", "z")
	r.begin()
	r.reply(want(r, func(m *runnerv1alpha1.Call) bool { return m.Action == "z" }), "\x03")
	c.answered(3, "\x03")
}
