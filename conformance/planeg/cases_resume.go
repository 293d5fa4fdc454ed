package planeg

import (
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func resumeCases() []*Case {
	return []*Case{
		{ID: "GRES-01", Title: "calls and answers go on over another socket, and no caller notices", Requirements: needs("LINK-16:3ae039 LINK-6:1cbe03"), run: resumed},
		{ID: "GRES-02", Title: "frames that the runner did not get come again, the same and in order", Requirements: needs("LINK-16:3ae039 LINK-15:23974a"), run: sentAgain},
		{ID: "GRES-03", Title: "frames that the gateway did not get are taken once", Requirements: needs("LINK-16:3ae039"), run: takenOnce},
		{ID: "GRES-04", Title: "a runner that claims more than was sent to it has lost its session", Requirements: needs("LINK-17:1d259b CALL-7:d59040"), run: impossibleCount},
		{ID: "GRES-05", Title: "a resume of an unknown session begins a new one", Requirements: needs("LINK-17:1d259b"), run: unknownSession},
		{ID: "GRES-06", Title: "a resume while the first socket lives closes that one, and what it says then is ignored", Requirements: needs("LINK-16:3ae039"), run: superseded},
		{ID: "GRES-07", Title: "a runner whose next number leaves a gap has lost its session", Requirements: needs("LINK-17:1d259b"), run: gap},
		{ID: "GRES-08", Title: "an Ack of more than was sent ends the session", Requirements: needs("LINK-17:1d259b"), run: ackOfNothing},
		{ID: "GRES-09", Title: "the gateway acknowledges what it got", Requirements: needs("LINK-14:e8aadd"), run: acknowledges},
		{ID: "GRES-10", Title: "a session that nobody resumes is lost after its time, and its callers are told", Requirements: needs("LINK-17:1d259b CALL-7:d59040"), Slow: true, run: notResumed},
		{ID: "GRES-11", Title: "an actor of a lost session is adopted by the runner that still has it", Requirements: needs("LINK-19:554160 LEASE-4:2d2e38"), run: adopted},
		{ID: "GRES-12", Title: "an offer with another nonce is refused, and the actor is not harmed", Requirements: needs("LEASE-4:2d2e38 LINK-19:554160"), run: notAdopted},
	}
}

// resumable is a runner that was given resume, and more.
func (p *play) resumable(more ...string) *runner {
	r := p.runner(append(more, "resume")...)
	p.check(slices.Contains(r.welcome.Features, "resume"), "features", "the gateway does not give resume: %v", r.welcome.Features)
	return r
}

func resumed(p *play) {
	r, c := p.resumable(), p.client()
	c.call(1, "a", "x")
	r.begin()
	one := want[*runnerv1alpha1.Call](r)
	r.cut()
	c.call(2, "a", "y") // while the runner is away
	c.roundTrip()
	received, _ := r.counts()
	r = r.again(received)
	r.goOn(received)
	r.reply(one, "\x01")
	r.reply(want[*runnerv1alpha1.Call](r), "\x02")
	c.answered(1, "\x01")
	c.answered(2, "\x02")
	r.fence()
	none[*runnerv1alpha1.Call](r, "both calls came")
	none[*runnerv1alpha1.StopActor](r, "the actor goes on")
}

func sentAgain(p *play) {
	r, c := p.resumable(), p.client()
	c.call(1, "a", "x")
	r.begin()
	want[*runnerv1alpha1.Call](r)
	r.fence()
	r.holding.Store(true)
	before, _ := r.counts()
	for id := range uint64(5) {
		c.send(&clientv1alpha1.Call{Id: 10 + id, Action: "again", Target: p.to("a"), Args: []byte{0x81, byte(id)}})
	}
	var calls []*runnerv1alpha1.Call
	for range 5 {
		calls = append(calls, want[*runnerv1alpha1.Call](r))
	}
	r = r.resume(before) // as if none of them had come
	r.goOn(before)
	for _, first := range calls {
		again := want[*runnerv1alpha1.Call](r)
		p.check(again.Id == first.Id && again.Actor == first.Actor && string(again.Args) == string(first.Args), "same", "%s came where %s is due", show(again), show(first))
		r.reply(again, "\x01")
	}
	for id := range uint64(5) {
		c.answered(10+id, "\x01")
	}
	r.fence()
	none[*runnerv1alpha1.Call](r, "all calls came")
}

func takenOnce(p *play) {
	r, c := p.resumable(), p.client()
	ref, connection := c.connect(r, 1, "a", true)
	r.fence()
	for i := range byte(5) {
		r.send(&runnerv1alpha1.Emit{Actor: ref, Event: "tick", To: []uint64{connection}, Args: []byte{0x81, i}})
	}
	received, _ := r.counts()
	r = r.resume(received) // some of them may have come
	r.goOn(received)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"})
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
	for i := range byte(5) {
		m := want[*clientv1alpha1.Event](c)
		p.check(m.Args[1] == i, "events", "event %d came where %d is due", m.Args[1], i)
	}
	none[*clientv1alpha1.Event](c, "each was emitted once")
}

func impossibleCount(p *play) {
	r, c := p.resumable(), p.client()
	c.call(1, "a", "x")
	r.begin()
	want[*runnerv1alpha1.Call](r)
	r = r.resume(1_000)
	p.check(r.welcome.ResumedReceived == nil, "resumed", "the session goes on with a count that cannot be")
	c.refused(1, "action.outcome_unknown")
}

func unknownSession(p *play) {
	hello := p.aHello("resume")
	hello.Resume = &runnerv1alpha1.Resume{Session: []byte("never heard of"), Received: 3}
	r := p.welcomed(hello)
	p.check(r.welcome.ResumedReceived == nil && string(r.welcome.Session) != "never heard of", "resumed", "an unknown session goes on: %s", show(r.welcome))
	r.alive()
}

func superseded(p *play) {
	r, c := p.resumable(), p.client()
	c.call(1, "a", "x")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	received, _ := r.counts()
	next := r.again(received)
	next.goOn(received)
	bye := want[*commonv1alpha1.Goodbye](r)
	p.check(bye.Code == "runner.superseded", "goodbye", "the first socket gets %s", show(bye))
	r.write(r.encode(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Output: []byte("\x09")})) // it was left
	r.closes()
	next.fence()
	none[*clientv1alpha1.CallResult](c, "the socket that says so was left")
	next.reply(call, "\x01")
	c.answered(1, "\x01")
}

func gap(p *play) {
	r := p.resumable()
	r.fence()
	received, sent := r.counts()
	r = r.resume(received)
	p.check(r.welcome.ResumedReceived != nil, "resumed", "the session is lost")
	r.write(r.encode(&runnerv1alpha1.Resumed{Next: sent + 100}))
	r.lost()
}

// lost takes the end of the session.
func (r *runner) lost() {
	bye := want[*commonv1alpha1.Goodbye](r)
	r.play.check(bye.Code == "runner.session_lost", "goodbye", "the session ends with %s", show(bye))
	r.closes()
}

func ackOfNothing(p *play) {
	r := p.resumable()
	r.fence()
	r.write(r.encode(&runnerv1alpha1.Ack{Received: 1_000_000}))
	r.lost()
}

func acknowledges(p *play) {
	r := p.resumable()
	r.fence()
	_, sent := r.counts()
	want(r, func(m *runnerv1alpha1.Ack) bool { return m.Received == sent })
}

func notResumed(p *play) {
	r, c := p.resumable(), p.client()
	c.call(1, "a", "x")
	r.begin()
	want[*runnerv1alpha1.Call](r)
	wait := time.Duration(r.welcome.ResumeMs) * time.Millisecond
	p.check(wait > 0, "resume_ms", "Welcome does not say how long the session is kept")
	r.cut()
	m, why := find[*clientv1alpha1.CallResult](c.peer, wait+p.patience(5*time.Second), nil)
	p.check(why == "" && m.Error.GetCode() == "outcome_unknown", "answer", "the caller gets %s %s", show(m), why)
	r = r.again(0)
	p.check(r.welcome.ResumedReceived == nil, "resumed", "a lost session goes on")
}

// orphan is an actor whose runner has lost its session, and what the runner says of it.
func orphan(p *play) (*runner, *client, *runnerv1alpha1.HostedActor) {
	r, c := p.resumable("adopt"), p.client()
	p.check(slices.Contains(r.welcome.Features, "adopt"), "features", "the gateway does not give adopt: %v", r.welcome.Features)
	c.call(1, "a", "x")
	start := r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
	r.write(r.encode(&runnerv1alpha1.Ack{Received: 1_000_000})) // which loses the session [LINK-17]
	r.lost()
	return r, c, &runnerv1alpha1.HostedActor{Id: start.Id, Generation: start.Generation, Nonce: start.Nonce, Version: 1, Actor: start.Actor}
}

func adopted(p *play) {
	before, c, actor := orphan(p)
	before.hello.Hosting = true
	r := p.welcomed(before.hello)
	c.call(2, "a", "y")
	r.fence()
	none[*runnerv1alpha1.StartActor](r, "not all actors were offered")
	r.send(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{actor}, Last: true})
	m := want[*runnerv1alpha1.Adopted](r)
	p.check(m.Error == nil && m.Old == actor.Actor && m.Version == 1, "adopted", "the answer is %s", show(m))
	p.check(m.Generation > actor.Generation && len(m.Nonce) == 16 && string(m.Nonce) != string(actor.Nonce), "generation", "the actor is adopted as %s", show(m))
	call := want[*runnerv1alpha1.Call](r)
	p.check(call.Actor == m.Actor, "call", "the call goes to ref %d, not %d", call.Actor, m.Actor)
	r.commit(m.Actor, 2, "\x02", 1)
	r.reply(call, "\x02")
	c.answered(2, "\x02")
}

func notAdopted(p *play) {
	before, c, actor := orphan(p)
	actor.Nonce = make([]byte, 16)
	before.hello.Hosting = true
	r := p.welcomed(before.hello)
	r.send(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{actor}, Last: true})
	m := want[*runnerv1alpha1.Adopted](r)
	p.check(m.Error.GetGroup() == "actor" && m.Error.GetCode() == "fenced", "adopted", "the answer is %s", show(m))
	c.call(2, "a", "y")
	start := want[*runnerv1alpha1.StartActor](r)
	p.check(start.Version == 1 && start.Id == actor.Id, "start", "the actor begins again as %s", show(start))
}
