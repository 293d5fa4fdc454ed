package route

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// destroyedLocked ends the actor for good [LIFE-6].
func (inc *incarnation) destroyedLocked() {
	a := inc.actor
	inc.finish(wire.ActorDestroyed.New())
	a.endConnections()
	if inc.destroyed {
		a.finishDestroyLocked(nil)
		return
	}
	// The runner has no commit that says so (a volatile actor, or a runner that leaves it to us).
	a.removeLocked(inc.id)
}

// removeLocked removes an actor that nobody hosts from the store; nobody starts it meanwhile.
func (a *Actor) removeLocked(id string) {
	a.phase = starting
	a.stirLocked()
	if !a.router.spawn(func() { a.removeFromStore(id) }) {
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
	a.endConnections()
	a.finishDestroyLocked(nil)
}

func (a *Actor) finishDestroyLocked(e *wire.Error) {
	a.phase, a.doomed = idle, false
	for _, d := range a.destroyers {
		d.fail(e)
	}
	a.destroyers = nil
	a.settleLocked(e != nil) // what is still there goes on
}

// endConnections ends what an actor leaves behind that is no more: its connections, the calls on them that waited for its
// next life, which would make another actor of its key, and its failures [LIFE-6].
func (a *Actor) endConnections() {
	e := wire.ActorDestroyed.New()
	for _, v := range a.takeWaiting() {
		if c, ok := v.(*Call); ok && c.Connection != nil {
			c.fail(e.With(wire.RanNo))
			continue
		}
		a.waiting = append(a.waiting, v)
	}
	for _, c := range slices.Collect(maps.Values(a.connections)) {
		a.dropConnection(c)
		c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)
	}
	a.gone = nil
	a.recovered()
}

// refuseWaiting ends all visitors that wait, because the actor cannot be started.
func (a *Actor) refuseWaiting(e *wire.Error) {
	for _, v := range a.takeWaiting() {
		a.refuse(v, e)
	}
}

// refuse ends a visitor of an actor that cannot be started. One that wants it destroyed gets that without onDestroy, as soon
// as the entry settles [LIFE-7].
func (a *Actor) refuse(v visitor, e *wire.Error) {
	if d, ok := v.(*Ensure); ok && d.destroy && d.ID == a.id {
		a.destroyers = append(a.destroyers, d)
		a.expireBy(d.Deadline)
		a.doomed = true
		return
	}
	v.fail(e)
}
