package route

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/place"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// offer is an actor that a runner still has of a lost session, on its way to be adopted [LINK-19]. The goroutine that
// brings it waits for its turn; then the entry is starting, and it alone goes on with it.
type offer struct {
	*runnerv1alpha1.HostedActor
	runner *place.Runner
	turn   chan struct{} // closed when it has its turn
	spoken bool          // what was committed was committed through this gateway, so its outputs have left
}

// Adopt implements place.Adopter: it makes the runner the owner of an actor again, if it still is the last one that was,
// and tells it so [LEASE-4]. Else nobody is bound, and the error is the runner's answer. stuck is called whenever the store has not
// answered.
func (r *Router) Adopt(runner *place.Runner, hosted *runnerv1alpha1.HostedActor, stuck func()) *wire.Error {
	ctx, cancel := context.WithTimeout(r.starts, r.cfg.Timeouts.Start)
	defer cancel()
	var info Info
	refusal := insist(ctx, stuck, func() (e *wire.Error) { info, e = r.Describe(ctx, Request{ID: hosted.GetId()}); return e })
	rec := info.Record
	o := &offer{HostedActor: hosted, runner: runner, turn: make(chan struct{}), spoken: r.cfg.Placer.Owned(rec)}
	if refusal != nil || !o.owns(rec.Generation, rec.Nonce) || runner.Type(rec.Address.Type) == nil || r.drains() {
		return wire.ActorFenced.New()
	}
	a := r.offered(rec, o)
	if a == nil {
		return wire.ActorFenced.New()
	}
	select {
	case <-o.turn:
	case <-ctx.Done():
		if a.withdrawOffer(o) {
			return wire.ActorFenced.New()
		}
	}
	a.resolved(rec)
	var acquired store.Acquired
	refusal = insist(ctx, stuck, func() (e *wire.Error) {
		acquired, e = r.cfg.Placer.Adopt(ctx, rec, runner)
		if e != nil {
			a.tellWaiting(e)
		}
		return e
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal != nil || !o.knows(acquired.Record) || r.drains() || !a.adoptedLocked(o, acquired) {
		a.phase = idle
		a.settleLocked(true)
		return wire.ActorFenced.New()
	}
	return nil
}

// insist repeats what the store does not answer until it does, or ctx ends: what the runner has in memory is worth more than
// a quick refusal, which would make it drop the actor. Of an Acquire that was applied unseen, the repetition is refused.
func insist(ctx context.Context, stuck func(), try func() *wire.Error) *wire.Error {
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		e := try()
		if e == nil || !errors.Is(e, wire.StoreUnavailable) {
			return e
		}
		stuck()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return e
		}
	}
}

// tellWaiting ends all visitors that wait if the store is away [READ-1].
func (a *Actor) tellWaiting(e *wire.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(e, wire.StoreUnavailable) {
		a.failWaiting(e)
	}
}

// owns tells whether the runner was told this generation and nonce.
func (o *offer) owns(generation uint64, nonce [16]byte) bool {
	return generation > 0 && o.GetGeneration() == generation && bytes.Equal(o.GetNonce(), nonce[:])
}

// knows tells whether the runner's memory is the record's: of its last acknowledged commit, or of the one that was not
// answered. An actor that was never committed does not exist yet.
func (o *offer) knows(rec store.Record) bool {
	return rec.Version > 0 && (rec.Version == o.GetVersion() || o.applied(rec))
}

// applied tells whether the commit that was not answered has been applied.
func (o *offer) applied(rec store.Record) bool {
	return rec.Version == o.GetVersion()+1 && bytes.Equal(o.GetPending(), rec.CommitID[:])
}

// offered brings an offer to the actor's entry; nil: the actor has another owner or taker.
func (r *Router) offered(rec store.Record, o *offer) *Actor {
	key := rec.Address.AppendKey(nil)
	for {
		a := r.enter(rec.Address, key)
		if gone, taken := a.takeOffer(o); taken {
			return a
		} else if !gone {
			return nil
		}
	}
}

// takeOffer lets an offer wait for its turn. It has it at once if the actor is idle, it stops a start that is still looking
// for a runner, and it waits for the end of the very incarnation that is offered: that one's link is about to be found lost.
func (a *Actor) takeOffer(o *offer) (gone, taken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.removed:
		return true, false
	case a.offer != nil:
		return false, false
	case a.phase == idle:
		a.offer = o
		a.adoptLocked()
	case a.search != nil:
		a.offer = o
		a.search()
		a.search = nil
	case a.inc != nil && a.inc.runner != o.runner && o.owns(a.inc.generation, a.inc.nonce):
		a.offer = o
	default:
		return false, false
	}
	return false, true
}

// adoptLocked gives the offer that waits its turn. The actor is idle.
func (a *Actor) adoptLocked() {
	a.phase = starting
	a.stirLocked()
	close(a.offer.turn)
	a.offer = nil
}

// withdrawOffer ends the waiting of an offer; false: it has its turn.
func (a *Actor) withdrawOffer(o *offer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.offer != o {
		return false
	}
	a.offer = nil
	return true
}

// adoptedLocked begins the life of an adopted actor with those who wait for it. false: the runner has left.
func (a *Actor) adoptedLocked(o *offer, acquired store.Acquired) bool {
	rec := acquired.Record
	inc := newIncarnation(a, o.runner, acquired)
	if o.applied(rec) {
		inc.repeat = &repeat{id: rec.CommitID, spoken: o.spoken}
	}
	if !inc.bind() {
		return false
	}
	a.recovered() // it did not end after all
	a.router.cfg.Stats.Adopted.Inc()
	// In the actor's own order, for what follows belongs behind it.
	inc.send(&runnerv1alpha1.Adopted{
		Old: o.GetActor(), Actor: inc.binding.Ref, Generation: rec.Generation, Nonce: rec.Nonce[:], Version: rec.Version,
		RestoredConnections: uint32(len(a.connections)),
	})
	inc.oweGone(acquired.Connections) // the runner knows them itself; a later life has to be told
	for _, c := range a.connections {
		inc.restore(c)
	}
	a.readyLocked()
	return true
}
