package runner

import (
	"context"
	"sync"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Sleep asks the gateway to put the actor to sleep when this turn, and all that is outstanding, is done. It returns at
// once; OnSleep runs later. The wish is repeated until it is granted [SLEEP-3].
func (a *Actor[S, C]) Sleep() {
	in := a.in
	in.mustTurn("Sleep")
	in.mu.Lock()
	in.wantsSleep = true
	in.mu.Unlock()
}

// Destroy asks the gateway to destroy the actor: after this turn OnDestroy runs, then state, KV and key are gone
// [LIFE-6]. It returns at once.
func (a *Actor[S, C]) Destroy() {
	in := a.in
	in.mustTurn("Destroy")
	in.mu.Lock()
	in.destroying = max(in.destroying, wished)
	if in.stop != nil { // the gateway takes no wishes any more
		in.stop.destroys = true
	}
	in.mu.Unlock()
}

// KeepAwake keeps the actor from sleeping, and a stop waiting within its grace, until release is called; more calls of
// release do nothing. It may be called from any goroutine.
func (a *Actor[S, C]) KeepAwake() (release func()) {
	in := a.in
	in.mu.Lock()
	in.holds++
	in.mu.Unlock()
	return sync.OnceFunc(func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.holds--
		if !in.over {
			in.rest()
			in.stopIfFree()
		}
	})
}

// WaitUntil runs fn in a goroutine of its own, for which a stop waits within its grace. It does not keep the actor awake:
// KeepAwake does [SLEEP-1]. fn reaches the actor through Do; its context ends with the actor. Its error is logged. If the actor
// has stopped, fn does not run.
func (a *Actor[S, C]) WaitUntil(fn func(ctx context.Context) error) {
	in := a.in
	in.mu.Lock()
	over, r := in.over, in.side()
	if !over {
		r.tasks++
		in.sess().workers.Add(1) // under the lock: nobody waits for workers before their actors have ended
	}
	in.mu.Unlock()
	if over {
		return
	}
	ctx := r.living
	go func() {
		defer in.sess().workers.Done()
		defer in.taskEnds()
		if err := guard(func() error { return fn(ctx) }); err != nil && ctx.Err() == nil {
			log := in.log().With("error", err)
			if p, panicked := asPanic(err); panicked {
				log = log.With("stack", string(p.stack))
			}
			log.Error("outside work failed")
		}
	}()
}

// taskEnds is not called with the lock held.
func (in *instance) taskEnds() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rim.tasks--
	in.stopIfFree()
}

// rest is called with the lock held when a turn or a hold has ended: if nothing else is to do, the wait for sleep begins.
// The timer is not touched by turns: when it fires, it looks how long the rest has been.
func (in *instance) rest() {
	if in.over || in.stop != nil || !in.ready || in.working {
		return
	}
	in.restedAt = steady()
	in.askSleep()
	if in.sleepTimer == nil && !in.def.options.stayAwake {
		in.sleepTimer = time.AfterFunc(in.sleepAfter(), in.tire)
	}
}

// idle tells whether nothing is to do that a sleep would cut off: the gateway ignores the wish while it holds something of
// the actor. With the lock held.
func (in *instance) idle() bool {
	return !in.working && in.head == nil && in.holds == 0 && !in.inflight && len(in.waiting) == 0 && !in.adrift
}

// runs tells whether Run goes on, during which the actor does not sleep by itself. With the lock held.
func (in *instance) runs() bool { return in.rim != nil && in.rim.runOpen }

// askSleep repeats the wish of Sleep whenever nothing is to do any more. With the lock held.
func (in *instance) askSleep() {
	if in.wantsSleep && in.ready && in.stop == nil && in.idle() && !in.over {
		in.intend(runnerv1alpha1.Intent_INTENT_SLEEP)
	}
}

// tire is the sleep timer: it asks to sleep after a whole rest, and asks again after another, since the gateway ignores
// the question while something is on its way here [SLEEP-1].
func (in *instance) tire() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || in.stop != nil {
		return
	}
	wait := in.sleepAfter()
	if in.idle() && !in.runs() {
		if rested := time.Duration(steady() - in.restedAt); rested < wait {
			wait -= rested
		} else {
			in.intend(runnerv1alpha1.Intent_INTENT_SLEEP)
		}
	}
	in.sleepTimer.Reset(max(wait, time.Millisecond))
}

func (in *instance) sleepAfter() time.Duration {
	if d := in.def.options.sleepAfter; d > 0 {
		return d
	}
	return in.sess().sleepAfter
}

// stopping is a StopActor that is being served.
type stopping struct {
	destroys bool      // the gateway has said so, or the actor itself
	until    time.Time // end of the grace
	queued   bool      // the last turn is in the mailbox
}

// stopActor is StopActor. From here on calls go back; those that came before are finished first [SLEEP-2].
func (in *instance) stopActor(m *runnerv1alpha1.StopActor) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return
	}
	if m.Reason == runnerv1alpha1.StopReason_STOP_REASON_FENCED {
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, nil)
		return
	}
	if in.adrift { // its connections have not all come: the gateway gives it up
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, nil)
		return
	}
	if in.arriving != nil { // its start has not begun, so there is nothing to finish
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED, wire.ActorStopping.New())
		return
	}
	destroys := m.Reason == runnerv1alpha1.StopReason_STOP_REASON_DESTROY
	if in.stop != nil { // a destroy may follow a sleep that has not begun
		in.stop.destroys = in.stop.destroys || destroys
		return
	}
	grace := time.Duration(m.GraceMs) * time.Millisecond
	if grace == 0 {
		grace = in.sess().stopGrace
	}
	// The actor's own wish may have crossed another stop.
	in.stop = &stopping{destroys: destroys || in.destroying != unwished, until: time.Now().Add(grace)}
	r := in.side()
	r.halt()
	// Outside work gets most of the grace; the rest is for the last turn and its commit. The gateway forgets the actor
	// when the grace is over, and so do we.
	r.graceTimer = time.AfterFunc(grace*3/4, func() { in.graceEnds(grace / 4) })
	in.stopIfFree()
}

func (in *instance) graceEnds(rest time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return
	}
	in.queueStop()
	in.rim.graceTimer = time.AfterFunc(rest, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, nil)
	})
}

// stopIfFree queues the last turn when nothing runs beside the turns any more. With the lock held.
func (in *instance) stopIfFree() {
	if in.stop != nil && !in.over && in.holds == 0 && in.rim.tasks == 0 && !in.rim.runOpen {
		in.queueStop()
	}
}

func (in *instance) queueStop() {
	if in.stop.queued || in.crashed != nil || in.ending != nil {
		return
	}
	in.stop.queued = true
	in.enqueue(&turn{in: in, kind: turnStop, deadline: in.stop.until})
}

// runStop is the last turn: a hook and the final commit.
func (in *instance) runStop(t *turn) {
	in.mu.Lock()
	if in.over || in.ending != nil || in.crashed != nil {
		in.mu.Unlock()
		return
	}
	in.closing = true
	destroy := in.stop.destroys
	in.mu.Unlock()
	if !destroy {
		if err := guard(func() error { return in.callHook(in.def.onSleep, t) }); err != nil {
			in.logFault(t, err)
		}
		in.leave(t)
		in.mu.Lock()
		destroy = in.stop.destroys // the hooks may have wished for it
		in.mu.Unlock()
	}
	end := &ending{outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT}
	if destroy {
		end.outcome = runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED
		in.destroy(t)
		in.leave(t)
	}
	failed := in.connStates()
	if failed != nil {
		in.logFault(t, failed)
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	if destroy {
		in.changes().destroy = true
		state, broken = record{}, nil
	}
	if in.flush(state, broken, true) {
		in.ending = end
		in.empty(true)
		in.afterTurn()
	}
}

// destroy runs the hooks of a destroy: onDestroy while the connections are still there, then onDisconnect for each, since
// they end with the actor [CONN-4] [LIFE-6].
func (in *instance) destroy(t *turn) {
	if err := guard(func() error { return in.callHook(in.def.onDestroy, t) }); err != nil {
		in.logFault(t, err)
	}
	if in.def.onDisconnect == nil {
		return
	}
	in.leave(t)
	for i := 0; i < len(in.conns); i++ {
		if conn := in.conns[i]; conn != nil {
			in.conceal(conn)
			in.disconnected(t, conn)
		}
	}
}

// leave runs onDisconnect for those that the last turn disconnected: no turn of theirs comes after it.
func (in *instance) leave(t *turn) {
	for {
		in.mu.Lock()
		left := in.unqueue(func(other *turn) bool { return other.kind == turnGone && other.conn != nil })
		in.mu.Unlock()
		if left == nil {
			return
		}
		in.conceal(left.conn)
		in.disconnected(t, left.conn)
	}
}
