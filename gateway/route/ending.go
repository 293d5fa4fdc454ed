package route

import (
	"maps"
	"slices"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// ending is how an incarnation ends that nobody asked to stop, or that did not.
type ending struct {
	unanswered *wire.Error // what those are told whom it leaves without an answer
	cause      *wire.Error // why it failed [LIFE-11]; nil: it did not
	handOver   bool        // opens, and calls of which no byte was written, are for the next life [CALL-7] [CONN-8]
}

// end ends the incarnation. Its runner is heard no more from now on, but a commit that was complete has its outcome
// first: its outputs leave, or never will, and only then is the actor acquired again [LIFE-8] [GATE-2]. An end that is
// under way stays what it is.
func (inc *incarnation) end(how ending) {
	inc.untie(how)
	if inc.atStore() {
		inc.actor.phase = closing
		return
	}
	inc.conclude()
}

// conclude is the rest of end: nothing of the incarnation is awaited any more.
func (inc *incarnation) conclude() {
	a, how := inc.actor, inc.ending
	if inc.destroyed {
		inc.destroyedLocked()
		return
	}
	var again []visitor
	if how.handOver {
		again = inc.takeBack(func(c *Call) bool { return c.unsent })
	}
	inc.finish(how.unanswered)
	if how.cause != nil {
		inc.failed(how.cause)
	}
	a.waitFirst(again)
	a.destroyAgain()
	a.settleLocked(true)
}

// untie takes the incarnation from its runner: no frame comes or goes any more, and the link has its credit back.
func (inc *incarnation) untie(how ending) {
	if inc.ending != nil {
		return
	}
	inc.ending = &how
	if inc.clock != nil {
		inc.clock.Stop()
	}
	inc.runner.Link.Unbind(inc.binding)
	inc.actor.router.cfg.Placer.Exit(inc.runner, inc)
}

// finish ends the incarnation for good, and everything under way with it. The actor is idle after it.
func (inc *incarnation) finish(e *wire.Error) {
	a := inc.actor
	inc.untie(ending{})
	inc.emptied()
	a.inc, a.phase = nil, idle
	a.router.lives(-1)
	for id, c := range inc.owed {
		a.missing(id, c)
	}
	for _, c := range inc.calls {
		if c.unsent {
			c.fail(e.With(wire.RanNo))
			continue
		}
		c.fail(e)
	}
	for _, c := range inc.opens {
		a.leaveAudience(c)
		c.fail(e)
	}
	inc.calls, inc.opens = nil, nil
}

// violation ends the incarnation of a runner that broke the protocol [LINK-9].
func (inc *incarnation) violation(what string) {
	r := inc.actor.router
	r.cfg.Stats.InvalidReports.Inc()
	r.cfg.Logger.Error("a runner broke the protocol; its actor is fenced", "actor", inc.id, "runner", inc.runner.ID, "what", what)
	inc.fence(wire.RunnerInvalidReport.Newf("The runner broke the protocol: %s.", what))
}

// fence ends the incarnation without hook or commit and tells everybody under way why.
func (inc *incarnation) fence(e *wire.Error) {
	inc.sendFenced()
	inc.end(ending{unanswered: e, cause: e})
}

func (inc *incarnation) sendFenced() {
	inc.send(&runnerv1alpha1.StopActor{Actor: inc.binding.Ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_FENCED})
}

// Lost implements link.Actor: the runner is gone [CALL-7] [CONN-8] [LIFE-8].
func (inc *incarnation) Lost(unwritten []wire.Frame) {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc || inc.ending != nil {
		return
	}
	for _, f := range unwritten {
		var m wire.Call
		if f.Kind == wire.RunnerCall && m.Unmarshal(f.Body) == nil {
			if c := inc.calls.get(m.ID); c != nil {
				c.unsent = true
			}
		}
	}
	inc.end(ending{
		unanswered: wire.ActionOutcomeUnknown.New(), handOver: true,
		cause: wire.ActorCrashed.Newf("The runner that hosted the actor was lost."),
	})
}

// handBack ends an incarnation that has stopped by itself. What it did not answer never reached its actor, for a runner
// answers everything else before ActorStopped: it is for the next life [LIFE-10].
func (inc *incarnation) handBack() {
	a := inc.actor
	again := inc.takeBack(func(*Call) bool { return true })
	inc.finish(wire.ActorStopping.New())
	a.waitFirst(again)
	a.destroyAgain()
}

// takeBack takes the calls that did not run, and all unanswered opens, out of the incarnation, in the order of their
// arrival [CALL-7] [CONN-8].
func (inc *incarnation) takeBack(didNotRun func(*Call) bool) []visitor {
	byID := map[uint64]visitor{}
	inc.calls = slices.DeleteFunc(inc.calls, func(c *Call) bool {
		if c.answered || !didNotRun(c) {
			return false
		}
		c.unsent = false
		if c.mayRunAgain(wire.ActorStopping.New()) {
			byID[c.id] = c
		}
		return true
	})
	for id, c := range inc.opens {
		inc.detach(c)
		delete(inc.opens, id)
		if c.phase == connClosed {
			continue
		}
		c.forgetState()
		if c.attempt++; c.attempt >= maxAttempts {
			c.fail(wire.ActorCrashed.New()) // it may be what its runners die of
			continue
		}
		byID[id] = c
	}
	again := make([]visitor, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		again = append(again, byID[id])
	}
	return again
}

// waitFirst lets visitors wait in front of those who came after them.
func (a *Actor) waitFirst(again []visitor) {
	a.waiting = append(again, a.waiting...)
	for _, v := range again {
		a.expireBy(v.request().Deadline)
	}
}

// destroyAgain sends those who wait for a destruction round again: the incarnation has ended otherwise. Those whose actor
// cannot be started have no other round.
func (a *Actor) destroyAgain() {
	if a.doomed {
		return
	}
	for _, d := range a.destroyers {
		a.waiting = append(a.waiting, d)
		a.expireBy(d.request().Deadline)
	}
	a.destroyers = nil
}
