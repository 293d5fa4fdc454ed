package route

import (
	"errors"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
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
	if inc.clock != nil {
		inc.clock.Stop()
	}
	inc.clock = time.AfterFunc(grace, inc.stopTimedOut)
	inc.send(&runnerv1alpha1.StopActor{Actor: inc.binding.Ref, Reason: reason, GraceMs: uint32(grace.Milliseconds())})
}

// Leave implements place.Guest: the runner or the gateway is going away [LINK-10].
func (inc *incarnation) Leave(grace time.Duration) {
	a := inc.actor
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inc != inc || inc.ending != nil || a.phase == stopping {
		return
	}
	if a.phase == starting {
		// It has nothing to hand over yet: what waits goes to the next runner.
		inc.sendFenced()
		inc.end(ending{unanswered: wire.ActorStopping.New(), handOver: true})
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
	if a.inc != inc || inc.ending != nil {
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
		a.recovered()
		inc.release()
		a.settleLocked(inc.leaving) // the connections of an actor that did not want to sleep want it back
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED:
		inc.destroyedLocked()
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED:
		cause := inc.crashed(m)
		inc.handBack()
		inc.failed(cause)
		a.settleLocked(true)
	case runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, runnerv1alpha1.StopOutcome_STOP_OUTCOME_UNSPECIFIED:
		// A turn that did not end within its grace may be among what is unanswered.
		inc.end(ending{unanswered: wire.ActionOutcomeUnknown.New(), cause: inc.crashed(m)})
	}
}

// crashed is why an actor stopped unasked; it is logged here. Whom it concerned has its answer from the runner already.
func (inc *incarnation) crashed(m *runnerv1alpha1.ActorStopped) *wire.Error {
	cause := wire.ActorCrashed.New()
	if e := wire.ErrorFromProto(m.GetError()); e != nil {
		cause = inc.accept(e)
	}
	inc.actor.router.cfg.Logger.Warn("an actor crashed", "actor", inc.id, "runner", inc.runner.ID, "code", cause.Name(), "message", cause.Message)
	return cause
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
