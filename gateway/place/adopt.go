package place

import (
	"context"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Adopter takes over actors that runners still have of lost sessions.
type Adopter interface {
	// Adopt makes the runner the actor's owner again and tells it so, or returns why it is not. It blocks, and calls stuck when
	// the store does not answer, perhaps more than once [LEASE-4].
	Adopt(r *Runner, offered *runnerv1alpha1.HostedActor, stuck func()) *wire.Error
}

// SetAdopter names who adopts. It is called once, before the first link.
func (p *Placer) SetAdopter(a Adopter) { p.adopter = a }

const (
	// adopters is how many actors of a runner are adopted at the same time.
	adopters = 64
	// maxOffers bounds the offers of a runner that wait for that; more are refused.
	maxOffers = 256 << 10
	// maxStuck bounds the offers that wait for a store, or the part of one, without holding up others.
	maxStuck = 4 << 10
)

// offers are the actors that a runner still has of a lost session. Guarded by Placer.mu.
type offers struct {
	offering bool // more of them may come
	settling bool // the runner takes no new actors meanwhile [LINK-19]
	waiting  []*runnerv1alpha1.HostedActor
	adopting int // goroutines
	stuck    int // of these, such as wait for the store: nobody waits for them
	patience *time.Timer
}

// expectOffersLocked keeps new actors from the runner until what it offers is adopted, or a start would not wait longer.
func (p *Placer) expectOffersLocked(r *Runner) {
	r.offering, r.settling = true, true
	r.patience = time.AfterFunc(p.cfg.Timeouts["start"], func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.settledLocked(r)
	})
}

func (p *Placer) settledLocked(r *Runner) {
	if r.settling {
		r.settling = false
		r.patience.Stop()
		p.announceLocked()
	}
}

// noOffersLocked forgets what a runner has offered that is gone.
func (o *offers) noOffersLocked() {
	o.offering, o.settling, o.waiting = false, false, nil
	if o.patience != nil {
		o.patience.Stop()
	}
}

// Offered implements link.Host.
func (p *Placer) Offered(l *link.Link, actors []*runnerv1alpha1.HostedActor, last bool) {
	for _, a := range p.accept(l, actors, last) {
		p.refuse(l, a, wire.ActorFenced.New())
	}
}

// accept queues offers and returns those that are too many.
func (p *Placer) accept(l *link.Link, actors []*runnerv1alpha1.HostedActor, last bool) (refused []*runnerv1alpha1.HostedActor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.runners[l]
	if r == nil || !r.offering {
		return actors
	}
	room := min(len(actors), maxOffers-len(r.waiting))
	r.waiting = append(r.waiting, actors[:room]...)
	r.offering = !last
	p.adoptMoreLocked(r)
	return actors[room:]
}

// adoptMoreLocked sees to it that offers are seen to, and notes when all have been.
func (p *Placer) adoptMoreLocked(r *Runner) {
	for range min(adopters+r.stuck-r.adopting, len(r.waiting)) {
		r.adopting++
		p.wg.Go(func() { p.adopt(r) })
	}
	if !r.offering && r.adopting == r.stuck && len(r.waiting) == 0 {
		p.settledLocked(r)
	}
}

// adopt sees to one offer after another. Once one is stuck, others see to the rest.
func (p *Placer) adopt(r *Runner) {
	for stuck := false; !stuck; {
		p.mu.Lock()
		if len(r.waiting) == 0 {
			r.adopting--
			p.adoptMoreLocked(r)
			p.mu.Unlock()
			return
		}
		offered := r.waiting[0]
		r.waiting[0] = nil
		r.waiting = r.waiting[1:]
		p.mu.Unlock()
		refusal := p.adopter.Adopt(r, offered, func() { stuck = stuck || p.stuck(r) })
		if refusal != nil {
			p.refuse(r.Link, offered, refusal)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.adopting--
	r.stuck--
	p.adoptMoreLocked(r)
}

// stuck lets others go on while an offer waits for the store; false: too many do.
func (p *Placer) stuck(r *Runner) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.stuck == maxStuck {
		return false
	}
	r.stuck++
	p.adoptMoreLocked(r)
	return true
}

// refuse answers an offer. A runner that offers and does not read is let go.
func (p *Placer) refuse(l *link.Link, offered *runnerv1alpha1.HostedActor, e *wire.Error) {
	if l.Full() {
		l.Close(wire.RunnerOverloaded.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return
	}
	l.SendGeneral(&runnerv1alpha1.Adopted{Old: offered.GetActor(), Error: e.Proto()})
}

// Adopt makes the runner the owner of an actor again, if the record still is as it was read.
func (p *Placer) Adopt(ctx context.Context, rec store.Record, r *Runner) (store.Acquired, *wire.Error) {
	return p.acquire(ctx, store.Acquire{
		ID: rec.ID, Runner: r.ID, Generation: rec.Generation, Nonce: rec.Nonce, Durability: r.types[rec.Address.Type].Durability,
	})
}
