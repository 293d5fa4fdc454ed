package place

import (
	"context"
	"errors"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// lease is a runner's lease in the store. Operations on it take turns, so that none overtakes another.
type lease struct {
	turn  chan struct{} // capacity 1; the rest belongs to who has put something in
	until time.Time
	over  bool // revoked
}

func newLease() lease { return lease{turn: make(chan struct{}, 1)} }

func (l *lease) lock() { l.turn <- struct{}{} }

func (l *lease) unlock() { <-l.turn }

// Renew implements link.Host.
func (p *Placer) Renew(l *link.Link, done func(time.Duration)) {
	p.mu.Lock()
	r := p.runners[l]
	p.mu.Unlock()
	if r == nil {
		done(0)
		return
	}
	p.wg.Go(func() {
		err := p.grant(r)
		switch {
		case err == nil:
			done(p.cfg.Lease)
			return
		case errors.Is(err, errLapsed):
			l.Close(wire.RunnerSessionLost.Newf("The runner's lease has run out."), commonv1alpha1.Reconnect_RECONNECT_ANY)
		default:
			p.cfg.Logger.Warn("a runner's lease could not be renewed", "runner", r.ID, "error", err)
		}
		done(0)
	})
}

var (
	errRevoked = errors.New("the lease was revoked")
	// errLapsed: the lease has ended, and the session with it [LEASE-3].
	errLapsed = errors.New("the lease has ended")
)

// grant makes or renews the lease.
func (p *Placer) grant(r *Runner) error {
	r.lease.lock()
	defer r.lease.unlock()
	switch {
	case r.lease.over:
		return errRevoked
	case !r.lease.until.IsZero() && time.Now().After(r.lease.until):
		return errLapsed
	}
	ctx, cancel := p.context()
	defer cancel()
	_, err := p.cfg.Store.Grant(ctx, store.Lease{ID: r.ID, Kind: store.RunnerLease, Session: r.session}, p.cfg.Lease)
	if err == nil {
		r.lease.until = time.Now().Add(p.cfg.Lease)
	}
	return err
}

// revoke ends the lease for good; it does not wait longer than a store operation may take, or two if a renewal is under way.
func (p *Placer) revoke(r *Runner) {
	r.lease.lock()
	defer r.lease.unlock()
	r.lease.over = true
	ctx, cancel := p.context()
	defer cancel()
	if err := p.cfg.Store.Revoke(ctx, r.ID, r.session); err != nil && !isNotFound(err) {
		p.cfg.Logger.Warn("the lease of a lost runner runs out by itself", "runner", r.ID, "error", err)
	}
}

// storeWait bounds a store operation that nobody's deadline covers.
const storeWait = 5 * time.Second

func (p *Placer) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), storeWait)
}
