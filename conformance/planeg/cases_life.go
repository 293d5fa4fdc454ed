package planeg

import (
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func lifeCases() []*Case {
	return []*Case{
		{ID: "GLIFE-01", Title: "a connection outlives its actor's sleep, and comes back with its state before any call", Requirements: needs("CONN-6:4220d3 SLEEP-2:fa32f7 SLEEP-3:224bcf"), run: sleeps},
		{ID: "GLIFE-02", Title: "a wish to sleep is not granted while a call is under way", Requirements: needs("SLEEP-3:224bcf"), run: notGranted},
		{ID: "GLIFE-03", Title: "a runner that drains is given no actor, and sent away when its last has stopped", Requirements: needs("LINK-10:2511ff"), run: drains},
		{ID: "GLIFE-04", Title: "of two creations of one key one makes the actor, and the other is told which it is", Requirements: needs("LIFE-1:cd21b6"), run: creations},
		{ID: "GLIFE-05", Title: "a destroyed actor is gone, and its key begins anew", Requirements: needs("LIFE-6:a0e62f COMMIT-6:0d6db9"), run: destroys},
		{ID: "GLIFE-06", Title: "an event reaches those who subscribed, once, and nobody behind the answer to Unsubscribe", Requirements: needs("CONN-3:a8ef08 CONN-5:6a63f5"), run: subscriptions},
	}
}

func (r *runner) stops(ref uint64, reason runnerv1alpha1.StopReason, outcome runnerv1alpha1.StopOutcome) {
	stop := want(r, func(m *runnerv1alpha1.StopActor) bool { return m.Actor == ref })
	r.play.check(stop.Reason == reason, "stop", "the actor is stopped for %v, not %v", stop.Reason, reason)
	r.send(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: outcome})
}

const slept = runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT

func sleeps(p *play) {
	r, c := p.runner(), p.client()
	ref, connection := c.connect(r, 1, "a", true, "tick")
	r.send(&runnerv1alpha1.ConnectionState{Actor: ref, Connection: connection, State: []byte("\x01")})
	r.send(&runnerv1alpha1.ActorIntent{Actor: ref, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
	r.stops(ref, runnerv1alpha1.StopReason_STOP_REASON_SLEEP, slept)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"})
	start := want[*runnerv1alpha1.StartActor](r)
	p.check(start.RestoredConnections == 1 && !start.Create && start.Actor != ref, "start", "the actor wakes as %s", show(start))
	open := want[*runnerv1alpha1.ConnectionOpen](r)
	p.check(open.Restored && string(open.State) == "\x01" && len(open.Subscriptions) == 1, "restored", "the connection comes back as %s", show(open))
	none[*runnerv1alpha1.Call](r, "the actor is not ready")
	r.send(&runnerv1alpha1.ActorReady{Actor: start.Actor})
	call := want[*runnerv1alpha1.Call](r)
	p.check(call.Connection == open.Connection, "connection", "the call is of connection %d, not %d", call.Connection, open.Connection)
	r.reply(call, "\x01")
	c.answered(1, "\x01")
	none[*clientv1alpha1.ConnectionClosed](c, "the connection stays")
	none[*clientv1alpha1.ConnectionOpened](c, "no frame tells the client")
}

func notGranted(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.ActorIntent{Actor: start.Actor, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
	r.fence()
	none[*runnerv1alpha1.StopActor](r, "a call is outstanding")
	r.reply(call, "\x01")
	c.answered(1, "\x01")
}

func drains(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
	r.send(&runnerv1alpha1.Drain{DeadlineMs: 10_000})
	stop := want[*runnerv1alpha1.StopActor](r)
	p.check(stop.Actor == start.Actor && stop.Reason == runnerv1alpha1.StopReason_STOP_REASON_DRAIN, "stop", "the actor is stopped by %s", show(stop))
	c.call(2, "b", "x") // waits for another runner
	other := p.welcomed(p.aHello())
	r.send(&runnerv1alpha1.ActorStopped{Actor: start.Actor, Outcome: slept})
	want[*commonv1alpha1.Goodbye](r)
	r.closes()
	none[*runnerv1alpha1.StartActor](r, "it drains")
	other.begin()
	other.reply(want[*runnerv1alpha1.Call](other), "\x02")
	c.answered(2, "\x02")
}

func creations(p *play) {
	r, c := p.runner(), p.client()
	for id := range uint64(2) {
		c.send(&clientv1alpha1.Call{Id: id + 1, Action: "x", Target: p.to("a"), Mode: commonv1alpha1.Mode_MODE_CREATE})
	}
	r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	first, second := want[*clientv1alpha1.CallResult](c), want[*clientv1alpha1.CallResult](c)
	if first.Error == nil {
		first, second = second, first
	}
	p.check(second.Error == nil, "one", "both creations fail: %s", show(second))
	p.check(first.Error.GetGroup() == "actor" && first.Error.GetCode() == "duplicate_key" && len(first.Error.GetMetadata()) > 0, "other", "the other creation gets %s", show(first))
	r.fence()
	none[*runnerv1alpha1.Call](r, "one call was refused")
}

func destroys(p *play) {
	r, c := p.runner(), p.client()
	c.connect(r, 1, "a", true)
	c.call(1, "a", "x")
	call := want[*runnerv1alpha1.Call](r)
	r.send(&runnerv1alpha1.Commit{Actor: call.Actor, Version: 2, Changes: changes(&runnerv1alpha1.Changes{Destroy: true}), Outputs: 1})
	r.reply(call, "\x01")
	r.acked(call.Actor, 2)
	c.answered(1, "\x01")
	r.send(&runnerv1alpha1.ActorStopped{Actor: call.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED})
	m := want[*clientv1alpha1.ConnectionClosed](c)
	p.check(m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER, "closed", "the connection gets %s", show(m))
	c.send(&clientv1alpha1.Call{Id: 2, Action: "x", Target: p.to("a"), Mode: commonv1alpha1.Mode_MODE_GET})
	c.refused(2, "actor.not_found")
	c.call(3, "a", "x")
	start := want[*runnerv1alpha1.StartActor](r)
	p.check(start.Create && start.Version == 0 && start.State == nil, "anew", "the key begins anew as %s", show(start))
}

func subscriptions(p *play) {
	r, c := p.runner(), p.client()
	ref, _ := c.connect(r, 1, "a", true, "tick")
	c.connect(r, 2, "a", false)
	tick := &runnerv1alpha1.Emit{Actor: ref, Event: "tick", Args: []byte{0x80}}
	r.send(tick)
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Connection == 1, "subscribed", "the event came on connection %d", m.Connection)
	c.barrier(1)
	c.barrier(2)
	none[*clientv1alpha1.Event](c, "the event was emitted once, and one connection subscribed")
	c.send(&clientv1alpha1.Unsubscribe{Id: 9, Connection: 1, Events: []string{"tick"}})
	want(c, func(m *clientv1alpha1.SubscriptionResult) bool { return m.Id == 9 })
	r.send(tick)
	r.fence()
	c.barrier(1)
	none[*clientv1alpha1.Event](c, "nobody is subscribed")
}
