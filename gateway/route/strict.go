package route

import (
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// frameState says how far a frame has come on its way through the gate.
type frameState uint8

const (
	fresh   frameState = iota // it comes from the runner
	waited                    // it was in the gate
	checked                   // the owner was confirmed since it came
)

// startCheck closes the gate until the store has confirmed the owner [READ-2]. One check answers for all frames that have come by
// the time it begins.
func (inc *incarnation) startCheck() {
	r := inc.actor.router
	if err := inc.gate.Open(0, 0, inc.gateLimits()); err != nil {
		inc.violation(err.Error())
		return
	}
	inc.checking = true
	r.spawn(inc.check) // not if the router is closed: then nothing leaves
}

func (inc *incarnation) check() {
	a, r := inc.actor, inc.actor.router
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		a.mu.Lock()
		covered := inc.gate.Frames()
		a.mu.Unlock()
		_, err := r.cfg.Store.Read(r.ctx, store.Read{ID: inc.id, Generation: inc.generation, Nonce: inc.nonce})
		if inc.confirm(covered, err) {
			return
		}
		select {
		case <-time.After(pause):
		case <-r.ctx.Done():
			return
		}
	}
}

// confirm takes the store's answer. false: it has to be asked again; meanwhile the actor is frozen.
func (inc *incarnation) confirm(covered int, err error) (done bool) {
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	switch e := refusal(err); {
	case inc.over():
	case err == nil:
		inc.confirmed(covered)
	case e != nil:
		inc.fence(e)
	default:
		if !inc.frozen {
			inc.actor.router.cfg.Logger.Error("the store does not say who owns an actor; it is asked again", "actor", inc.id, "error", err)
		}
		inc.frozen = true
		return false
	}
	return true
}

func (inc *incarnation) confirmed(covered int) {
	inc.checking, inc.frozen = false, false
	_, frames := inc.gate.Release()
	for i, frame := range frames {
		if inc.over() {
			return
		}
		if i < covered {
			inc.take(frame, checked)
		} else {
			inc.take(frame, waited)
		}
	}
}

// over tells whether the runner is heard no more.
func (inc *incarnation) over() bool { return inc.actor.inc != inc || inc.ending != nil }

// releaseStrictly lets out what waited for a commit. That it was applied says nothing of when: what came behind its group has
// to be checked.
func (inc *incarnation) releaseStrictly(c *commit, group, behind []any) {
	inc.weigh(-len(c.changes))
	for _, frame := range group {
		switch {
		case inc.over():
			return
		case c.spoken:
			inc.lift(frame, waited)
		default:
			inc.take(frame, checked)
		}
	}
	for _, frame := range behind {
		if inc.over() {
			return
		}
		inc.take(frame, waited)
	}
}

// lift gives back what a frame held in the gate that it leaves now.
func (inc *incarnation) lift(msg any, state frameState) {
	if state == fresh {
		return
	}
	inc.weigh(-sizeOf(msg))
	if m, ok := msg.(*wire.Emit); ok {
		inc.held -= m.Cost()
		inc.runner.Link.Release(inc.binding, m.Cost())
	}
}
