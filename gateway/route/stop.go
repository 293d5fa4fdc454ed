package route

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// intent is the actor's own wish. A sleep is granted only if nothing is outstanding [SLEEP-3].
func (inc *incarnation) intent(i runnerv1alpha1.Intent) {
	a := inc.actor
	if a.phase != awake {
		return
	}
	switch i {
	case runnerv1alpha1.Intent_INTENT_SLEEP:
		if len(inc.calls) == 0 && len(inc.opens) == 0 && inc.reads == 0 {
			a.stopLocked(runnerv1alpha1.StopReason_STOP_REASON_SLEEP, a.router.cfg.Timeouts.Stop)
		}
	case runnerv1alpha1.Intent_INTENT_DESTROY:
		a.stopLocked(runnerv1alpha1.StopReason_STOP_REASON_DESTROY, a.router.cfg.Timeouts.Stop)
	case runnerv1alpha1.Intent_INTENT_UNSPECIFIED:
	}
}

// stopLocked asks the runner to stop the actor; from now on work waits for the next generation.
func (a *Actor) stopLocked(reason runnerv1alpha1.StopReason, grace time.Duration) {
	inc := a.inc
	a.phase = stopping
	inc.clock.Stop()
	inc.clock = time.AfterFunc(grace, inc.stopTimedOut)
	inc.send(&runnerv1alpha1.StopActor{Actor: inc.binding.Ref, Reason: reason, GraceMs: uint32(grace.Milliseconds())})
}

// Leave implements place.Guest: the runner or the gateway is going away [LINK-10].
func (inc *incarnation) Leave(grace time.Duration) {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc || a.phase == stopping {
		return
	}
	if a.phase == starting {
		// It has nothing to hand over yet: what waits goes to the next runner.
		inc.send(&runnerv1alpha1.StopActor{Actor: inc.binding.Ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_FENCED})
		inc.end()
		a.phase = idle
		a.settleLocked(true)
		return
	}
	inc.leaving = true
	a.stopLocked(runnerv1alpha1.StopReason_STOP_REASON_DRAIN, min(grace, a.router.cfg.Timeouts.Stop))
}

// stopTimedOut closes a ref whose grace is over [SLEEP-3].
func (inc *incarnation) stopTimedOut() {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc {
		return
	}
	a.router.cfg.Logger.Warn("an actor did not stop within its grace; it is fenced", "actor", inc.id)
	inc.fence(wire.ActorCrashed.Newf("The actor did not stop within its grace."))
}

// stopped is the runner's last word on the incarnation.
func (inc *incarnation) stopped(m *runnerv1alpha1.ActorStopped) {
	a := inc.actor
	switch m.GetOutcome() {
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED:
		if a.phase == starting {
			inc.startRefused(wire.ErrorFromProto(m.GetError()))
			return
		}
		inc.violation("START_FAILED when it was not starting")
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT:
		inc.handBack()
		a.failures = 0
		inc.release()
		a.settleLocked(inc.leaving) // the connections of an actor that did not want to sleep want it back
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED:
		inc.destroyedLocked()
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED:
		inc.logCrash(wire.ErrorFromProto(m.GetError()))
		inc.handBack()
		inc.failed()
		a.settleLocked(true)
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, runnerv1alpha1.StopOutcome_STOP_OUTCOME_UNSPECIFIED:
		// A turn that did not end within its grace may be among what is unanswered.
		inc.finish(wire.ActionOutcomeUnknown.New())
		inc.failed()
		a.settleLocked(true)
	}
}

// handBack ends an incarnation that has stopped by itself. What it did not answer never reached its actor, for a runner
// answers everything else before ActorStopped: it is for the next life [LIFE-10].
func (inc *incarnation) handBack() {
	a := inc.actor
	again := inc.takeBack(func(uint64, *Call) bool { return true })
	inc.finish(wire.ActorStopping.New())
	a.waitFirst(again)
	a.destroyAgain()
}

// waitFirst lets visitors wait in front of those who came after them.
func (a *Actor) waitFirst(again []visitor) {
	a.waiting = append(again, a.waiting...)
	for _, v := range again {
		a.expireBy(v.request().Deadline)
	}
}

// logCrash writes why an actor stopped unasked. Whom it concerned has its answer from the runner already.
func (inc *incarnation) logCrash(cause *wire.Error) {
	if cause == nil {
		cause = wire.ActorCrashed.New()
	}
	inc.actor.router.cfg.Logger.Warn("an actor crashed", "actor", inc.id, "runner", inc.runner.ID, "code", cause.Name(), "message", cause.Message)
}

// release gives up the ownership, so that another gateway need not wait for the runner's lease to run out.
func (inc *incarnation) release() {
	r := inc.actor.router
	r.spawn(func() {
		err := r.cfg.Store.Release(r.ctx, inc.id, inc.generation, inc.nonce)
		if err != nil && !errors.Is(err, store.ErrFenced) && !errors.Is(err, store.ErrNotFound) && r.ctx.Err() == nil {
			r.cfg.Logger.Warn("release a sleeping actor", "actor", inc.id, "error", err)
		}
	})
}

// destroyedLocked ends the actor for good [LIFE-6].
func (inc *incarnation) destroyedLocked() {
	a := inc.actor
	e := wire.ActorDestroyed.New()
	inc.finish(e)
	a.failures = 0
	for _, c := range slices.Collect(maps.Values(a.connections)) {
		a.dropConnection(c)
		c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)
	}
	a.gone = nil
	if inc.destroyed {
		a.finishDestroyLocked(nil)
		return
	}
	// The runner has no commit that says so (a volatile actor, or a runner that leaves it to us).
	a.phase = starting // nobody starts it meanwhile
	if !a.router.spawn(func() { a.removeFromStore(inc.id) }) {
		a.finishDestroyLocked(wire.GatewayDraining.New())
	}
}

func (a *Actor) removeFromStore(id string) {
	ctx, cancel := context.WithTimeout(a.router.ctx, a.router.cfg.Timeouts.Start)
	defer cancel()
	err := a.router.cfg.Store.Destroy(ctx, id)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.finishDestroyLocked(a.router.storeError("destroy", err))
		return
	}
	a.finishDestroyLocked(nil)
}

func (a *Actor) finishDestroyLocked(e *wire.Error) {
	a.phase = idle
	for _, d := range a.destroyers {
		d.fail(e)
	}
	a.destroyers = nil
	a.settleLocked(false)
}

// Lost implements link.Actor: the runner is gone [CALL-7] [CONN-8] [LIFE-8].
func (inc *incarnation) Lost(unwritten []wire.Frame) {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc {
		return
	}
	again := inc.takeBack(inc.unsent(unwritten))
	inc.finish(wire.ActionOutcomeUnknown.New())
	inc.failed()
	a.waitFirst(again)
	a.settleLocked(true)
}

// unsent tells of which calls no byte was written.
func (inc *incarnation) unsent(unwritten []wire.Frame) func(uint64, *Call) bool {
	ids := map[uint64]bool{}
	for _, f := range unwritten {
		var m wire.Call
		if f.Kind == wire.RunnerCall && m.Unmarshal(f.Body) == nil {
			ids[m.ID] = true
		}
	}
	return func(id uint64, c *Call) bool { return c.unsent || ids[id] }
}

// takeBack takes the calls that did not run, and all unanswered opens, out of the incarnation, in the order of their
// arrival [CALL-7] [CONN-8].
func (inc *incarnation) takeBack(didNotRun func(uint64, *Call) bool) []visitor {
	byID := map[uint64]visitor{}
	for id, c := range inc.calls {
		if c.answered || !didNotRun(id, c) {
			continue
		}
		delete(inc.calls, id)
		c.unsent = false
		if c.attempt++; c.attempt >= maxAttempts {
			c.fail(wire.ActorStopping.New())
			continue
		}
		byID[id] = c
	}
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

// healthyAfter is how long a life must have lasted to count as no failure.
const healthyAfter = 10 * time.Second

// destroyAgain sends those who wait for a destruction round again: the incarnation has ended otherwise.
func (a *Actor) destroyAgain() {
	for _, d := range a.destroyers {
		a.waiting = append(a.waiting, d)
		a.expireBy(d.Deadline)
	}
	a.destroyers = nil
}

// failed counts an end that nobody wanted.
func (inc *incarnation) failed() {
	a := inc.actor
	if !inc.readyAt.IsZero() && time.Since(inc.readyAt) >= healthyAfter {
		a.failures = 0
	}
	a.failures++
	a.destroyAgain()
}

// finish ends the incarnation and everything under way with it. The actor is idle after it.
func (inc *incarnation) finish(e *wire.Error) {
	inc.end()
	inc.actor.phase = idle
	for _, c := range inc.calls {
		c.fail(e)
	}
	for _, c := range inc.opens {
		c.fail(e)
	}
	inc.calls, inc.opens = nil, nil
}

// end unties the incarnation from runner and actor. What is under way is the caller's to see to.
func (inc *incarnation) end() {
	a := inc.actor
	inc.clock.Stop()
	for _, c := range inc.opens {
		a.leaveAudience(c)
	}
	for id, c := range inc.owed {
		a.missing(id, c)
	}
	inc.runner.Link.Unbind(inc.binding)
	a.inc = nil
	a.router.cfg.Placer.Exit(inc.runner, inc)
	a.router.lives(-1)
}
