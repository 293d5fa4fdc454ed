package planeg

import (
	"bytes"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func fencingCases() []*Case {
	breach := func(id, title, requirements string, misbehave func(r *runner, call *runnerv1alpha1.Call)) *Case {
		return &Case{ID: id, Title: title, Requirements: needs(requirements), run: breaking(misbehave)}
	}
	return []*Case{
		breach("GFNC-01", "a commit of a wrong version costs the actor, and nothing it sent leaves", "LINK-9:418cd6 COMMIT-1:d30ffa", func(r *runner, call *runnerv1alpha1.Call) {
			r.commit(call.Actor, 7, "\x07", 1)
			r.reply(call, "\x07")
		}),
		breach("GFNC-02", "an answer to nothing costs the actor", "LINK-9:418cd6", func(r *runner, call *runnerv1alpha1.Call) {
			r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: 1 << 40, Output: []byte("\x01")})
		}),
		breach("GFNC-03", "a commit while one is open costs the actor, and neither leaves", "LINK-9:418cd6 COMMIT-1:d30ffa", func(r *runner, call *runnerv1alpha1.Call) {
			r.commit(call.Actor, 2, "\x02", 1)
			r.commit(call.Actor, 3, "\x03", 1)
			r.reply(call, "\x03")
		}),
		breach("GFNC-04", "a commit whose changes cannot be read costs the actor", "LINK-9:418cd6", func(r *runner, call *runnerv1alpha1.Call) {
			r.send(&runnerv1alpha1.Commit{Actor: call.Actor, Version: 2, Changes: []byte{0xff}, Outputs: 1})
			r.reply(call, "\x01")
		}),
		breach("GFNC-05", "a message that is damaged inside costs the actor it names, and not the link", "LINK-9:418cd6 FRAME-3:3c9b4c", func(r *runner, call *runnerv1alpha1.Call) {
			damaged := append(r.encode(&runnerv1alpha1.CallResult{Actor: call.Actor}), 0x22, 0x7f)
			damaged[1] += 2
			r.bodies(damaged)
		}),
		breach("GFNC-06", "a second ActorReady costs the actor", "LINK-9:418cd6", func(r *runner, call *runnerv1alpha1.Call) {
			r.send(&runnerv1alpha1.ActorReady{Actor: call.Actor})
		}),
		breach("GFNC-07", "parts that never end cost the actor when they pass the limit", "LIMIT-5:4edf0b LINK-9:418cd6", func(r *runner, call *runnerv1alpha1.Call) {
			data := bytes.Repeat([]byte("x"), 64<<10)
			for sent := 0; sent <= int(r.welcome.Limits.MaxMessage); sent += len(data) {
				r.write(r.encode(&runnerv1alpha1.Part{Actor: call.Actor, Data: data}))
			}
		}),
		{ID: "GFNC-08", Title: "a second answer to a call costs the actor, and the caller gets one", Requirements: needs("LINK-9:418cd6 CALL-1:01779c"), run: secondAnswer},
		{ID: "GFNC-09", Title: "what an earlier generation says reaches nobody any more", Requirements: needs("LINK-9:418cd6 FENCE-1:77a997 CONN-6:4220d3"), run: oldGeneration},
		{ID: "GFNC-10", Title: "a stop that is asked for and does not come ends with the ref fenced", Requirements: needs("SLEEP-3:224bcf"), Slow: true, run: hangingStop},
	}
}

// breaking lets one of two actors break the protocol: it is fenced, its caller gets an error, the other does not notice, and
// the next life begins with what was acknowledged.
func breaking(misbehave func(*runner, *runnerv1alpha1.Call)) func(*play) {
	return func(p *play) {
		r, c := p.runner(), p.client()
		c.call(1, "good", "x")
		r.begin()
		good := want[*runnerv1alpha1.Call](r)
		c.call(2, "bad", "x")
		first := r.begin()
		misbehave(r, want[*runnerv1alpha1.Call](r))
		c.refused(2, "runner.invalid_report")
		r.fenced(first.Actor)
		r.send(&runnerv1alpha1.ActorStopped{Actor: first.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED})
		r.reply(good, "\x05")
		c.answered(1, "\x05")
		c.call(3, "bad", "y")
		start := want[*runnerv1alpha1.StartActor](r)
		p.check(start.Id == first.Id && start.Version == 1 && string(start.State) == "\x00", "state", "the next life begins as %s", show(start))
		p.check(start.Generation > first.Generation && start.Actor != first.Actor, "generation", "the next life is %s", show(start))
	}
}

func secondAnswer(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.reply(call, "\x01")
	r.reply(call, "\x02")
	c.answered(1, "\x01")
	r.fenced(call.Actor)
	c.settle(r)
	none[*clientv1alpha1.CallResult](c, "the call was answered before")
}

func oldGeneration(p *play) {
	r, c := p.runner(), p.client()
	old, connection := c.connect(r, 1, "a", true, "tick")
	r.commit(old, 7, "\x07", 0)
	r.fenced(old)
	r.send(&runnerv1alpha1.ActorStopped{Actor: old, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED})
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"})
	start := r.begin()
	restored := want(r, func(m *runnerv1alpha1.ConnectionOpen) bool { return m.Restored })
	call := want[*runnerv1alpha1.Call](r)
	r.send(
		emit(old, "ghost", connection), &runnerv1alpha1.Emit{Actor: old, Event: "tick", Args: []byte{0x80}},
		&runnerv1alpha1.CallResult{Actor: old, Id: call.Id, Output: []byte("\x09")},
		&runnerv1alpha1.ConnectionClose{Actor: old, Connection: connection, Code: "connection.disconnected"},
	)
	r.send(emit(start.Actor, "real", restored.Connection))
	r.reply(call, "\x01")
	c.answered(1, "\x01")
	c.barrier(1)
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Event == "real", "event", "the event %s came", m.Event)
	none[*clientv1alpha1.Event](c, "its generation is over")
	none[*clientv1alpha1.ConnectionClosed](c, "its generation is over")
}

func hangingStop(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
	r.send(&runnerv1alpha1.ActorIntent{Actor: start.Actor, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
	stop := want[*runnerv1alpha1.StopActor](r)
	p.check(stop.Reason == runnerv1alpha1.StopReason_STOP_REASON_SLEEP && stop.GraceMs > 0, "stop", "the stop is %s", show(stop))
	c.call(2, "a", "y")
	grace := time.Duration(stop.GraceMs) * time.Millisecond
	again, why := find(r.peer, grace+p.patience(5*time.Second), []func(*runnerv1alpha1.StopActor) bool{func(m *runnerv1alpha1.StopActor) bool { return m.Actor == start.Actor }})
	p.check(why == "" && again.Reason == runnerv1alpha1.StopReason_STOP_REASON_FENCED, "fenced", "the ref gets %s %s", show(again), why)
	r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x02")
	c.answered(2, "\x02")
}
