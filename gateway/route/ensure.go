package route

import (
	"context"
	"errors"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Info is what the gateway knows of an actor.
type Info struct {
	store.Record
	State string // "sleeping", "starting", "running", "stopping"

	Failures    int         // in a row [LIFE-11]
	Cause       *wire.Error // of the last of them
	NextStartAt time.Time   // not started again before
}

// Ensure is a visitor without message: it wants the actor created and started, or destroyed.
type Ensure struct {
	Request
	destroy bool
	done    chan ensured // capacity 1
}

type ensured struct {
	id      string
	created bool
	err     *wire.Error
}

func (e *Ensure) request() *Request { return &e.Request }

func (e *Ensure) arrive(*Actor) {}

func (e *Ensure) deliver(a *Actor) {
	if e.destroy {
		a.destroyers = append(a.destroyers, e)
		a.expireBy(e.Deadline)
		a.stopLocked(runnerv1alpha1.StopReason_STOP_REASON_DESTROY, a.router.cfg.Timeouts.Stop)
		return
	}
	e.done <- ensured{id: a.id, created: e.created}
}

// fail answers with an error; a destruction that has been done is answered with none.
func (e *Ensure) fail(err *wire.Error) { e.done <- ensured{err: err} }

func (r *Router) ensure(req Request, destroy bool) ensured {
	e := &Ensure{Request: req, destroy: destroy, done: make(chan ensured, 1)}
	r.admit(e)
	return <-e.done // every visitor is answered by its deadline [CALL-1]
}

// Create makes an actor and waits until it has started; an actor that exists is left as it is, asleep or not. With
// MODE_CREATE it is an error [LIFE-1].
func (r *Router) Create(ctx context.Context, req Request) (info Info, created bool, refusal *wire.Error) {
	info, refusal = r.Describe(ctx, Request{Address: req.Address})
	switch {
	case refusal == nil && req.Mode == commonv1alpha1.Mode_MODE_CREATE:
		return info, false, duplicateKey(info.ID)
	case refusal == nil:
		return info, false, nil
	case !errors.Is(refusal, wire.ActorNotFound):
		return info, false, refusal
	}
	done := r.ensure(req, false)
	if done.err != nil {
		return info, false, done.err
	}
	info, refusal = r.Describe(ctx, Request{ID: done.id})
	return info, done.created, refusal
}

// Describe reads what is known of an actor, without starting it.
func (r *Router) Describe(ctx context.Context, req Request) (Info, *wire.Error) {
	var rec store.Record
	var err error
	if req.ID != "" {
		rec, err = r.cfg.Store.Describe(ctx, req.ID)
	} else {
		rec, err = r.cfg.Store.Resolve(ctx, req.Address)
	}
	if err != nil {
		return Info{}, r.storeError("describe", err)
	}
	return r.info(rec), nil
}

func (r *Router) info(rec store.Record) Info {
	info := Info{Record: rec, State: idle.String()}
	if a := r.loaded(rec.ID); a != nil {
		a.mu.Lock()
		info.State = a.phase.String()
		if a.inc != nil {
			info.Version = max(info.Version, a.inc.version)
		}
		if a.inc == nil || !a.inc.healthy() {
			info.Failures, info.Cause, info.NextStartAt = a.failures.count, a.failures.cause, a.failures.next
		}
		a.mu.Unlock()
	}
	return info
}

// List pages through the actors; state filters by Info.State, "" is all. Pages may be short [LIST-1].
func (r *Router) List(ctx context.Context, f store.Filter, state, cursor string, limit int) ([]Info, string, *wire.Error) {
	records, next, err := r.cfg.Store.List(ctx, f, cursor, limit)
	switch {
	case errors.Is(err, store.ErrInvalid):
		return nil, "", wire.RequestInvalid.Newf("The cursor is not one of this listing.")
	case err != nil:
		return nil, "", r.storeError("list", err)
	}
	infos := make([]Info, 0, len(records))
	for _, rec := range records {
		if info := r.info(rec); state == "" || info.State == state {
			infos = append(infos, info)
		}
	}
	return infos, next, nil
}

// Destroy removes an actor: with its onDestroy if a runner hosts its type now, without it otherwise [LIFE-7].
func (r *Router) Destroy(ctx context.Context, req Request) *wire.Error {
	info, refusal := r.Describe(ctx, req)
	if refusal != nil {
		return refusal
	}
	if info.State == idle.String() && !r.cfg.Placer.Available(info.Address.Type) {
		if err := r.cfg.Store.Destroy(ctx, info.ID); err != nil {
			return r.storeError("destroy", err)
		}
		if a := r.loaded(info.ID); a != nil {
			a.vanished()
		}
		return nil
	}
	req.ID, req.Mode = info.ID, commonv1alpha1.Mode_MODE_GET
	return r.ensure(req, true).err
}

// vanished tells the entry of a sleeping actor that it was destroyed: a start for its connections finds that out.
func (a *Actor) vanished() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase == idle {
		a.recovered()
		a.settleLocked(true)
	}
}
