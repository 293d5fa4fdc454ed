// Package route takes calls and connections to the actor they are meant for, wherever it lives, and starts it if needed.
//
// A Router has an entry for each actor that runs, starts, has connections, is waited for, or has failed lately. The entry, an Actor, owns
// everything the gateway knows of it: who waits, the incarnation on a runner with its output gate and its pending calls,
// the connections and their subscriptions. One lock per Actor; no I/O is done under it, answers are only queued. Package
// session and api call it, package place finds runners, package link carries frames.
//
// Lock order: Actor.mu, then Router.mu, a session's lock, Placer.mu, Link.mu. Callbacks (Caller, Client) run under
// Actor.mu: they must queue and return, and must not call back into this package.
// Requirements: ADDR, CALL, LIFE, SLEEP, GATE, COMMIT, CONN, KV-3, READ-1, LEASE-4, LIMIT-3.
package route

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/place"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Store is what routing needs of the store.
type Store interface {
	store.Directory
	Release(ctx context.Context, id string, generation uint64, nonce [16]byte) error
	Commit(c store.Commit, done func(error))
	Read(context.Context, store.Read) (store.ReadResult, error)
}

// Timeouts of a gateway. All have defaults.
type Timeouts struct {
	Action    time.Duration // of a call that names none; default 60 s [CALL-4]
	ActionMax time.Duration // that a call may ask for; default 10 min
	Start     time.Duration // from the first message to ActorReady; default 30 s [LIFE-3]
	Stop      time.Duration // grace of StopActor; default 15 s [SLEEP-3]
}

// WithDefaults fills in what is zero.
func (t Timeouts) WithDefaults() Timeouts {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&t.Action, time.Minute}, {&t.ActionMax, 10 * time.Minute}, {&t.Start, 30 * time.Second}, {&t.Stop, 15 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	return t
}

// Config of a Router.
type Config struct {
	Store    Store
	Placer   *place.Placer
	Region   string
	Limits   wire.Limits
	Timeouts Timeouts
	Stats    *stats.Stats
	Logger   *slog.Logger
	Budget   *budget.Budget // may be nil [LIMIT-4]
	// StrictReads lets nothing leave before the store has confirmed the owner since it came [READ-2].
	StrictReads bool
}

// Router finds the entry of an actor.
type Router struct {
	cfg    Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	starts context.Context // of starts: ends with Drain
	refuse context.CancelFunc
	wg     sync.WaitGroup // goroutines of entries

	mu        sync.RWMutex
	byAddress map[string]*Actor // by key encoding
	byID      map[string]*Actor // entries whose id is known
	draining  bool
	closed    bool
	living    int           // incarnations
	kept      int           // entries that only their failures keep
	empty     chan struct{} // closed while living is 0 and the router drains
}

// New makes a Router.
func New(cfg Config) *Router {
	cfg.Timeouts = cfg.Timeouts.WithDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	starts, refuse := context.WithCancel(ctx)
	return &Router{
		cfg: cfg, ctx: ctx, cancel: cancel, starts: starts, refuse: refuse,
		byAddress: map[string]*Actor{}, byID: map[string]*Actor{}, empty: make(chan struct{}),
	}
}

// Deadline is when a request ends that came at that time and asked for d; 0: the default [CALL-4].
func (r *Router) Deadline(came time.Time, d time.Duration) time.Time {
	if d <= 0 {
		d = r.cfg.Timeouts.Action
	}
	return came.Add(min(d, r.cfg.Timeouts.ActionMax))
}

// admit brings a visitor to the entry of the actor that it asks for. It never blocks: an id that is not loaded is looked
// up beside it. A visitor that cannot be admitted is told so.
func (r *Router) admit(v visitor) {
	req := v.request()
	if req.ID == "" {
		r.admitTo(req.Address, v)
		return
	}
	if a := r.loaded(req.ID); a != nil && a.admit(v) {
		return
	}
	if !r.spawn(func() { r.admitByID(v) }) {
		v.fail(wire.GatewayDraining.New())
	}
}

func (r *Router) admitByID(v visitor) {
	ctx, cancel := context.WithDeadline(r.ctx, v.request().Deadline)
	defer cancel()
	rec, err := r.cfg.Store.Describe(ctx, v.request().ID)
	if err != nil {
		v.fail(r.storeError("describe", err))
		return
	}
	r.admitTo(rec.Address, v)
}

func (r *Router) admitTo(addr address.Address, v visitor) {
	var buf [256]byte
	key := addr.AppendKey(buf[:0])
	for {
		r.mu.RLock()
		a := r.byAddress[string(key)]
		draining := r.draining
		r.mu.RUnlock()
		if a == nil {
			if draining {
				v.fail(wire.GatewayDraining.New())
				return
			}
			a = r.enter(addr, key)
		}
		if a.admit(v) {
			return
		}
		// The entry was removed meanwhile; the next look finds none or a new one.
	}
}

func (r *Router) enter(addr address.Address, key []byte) *Actor {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.byAddress[string(key)]; a != nil {
		return a
	}
	a := &Actor{router: r, address: addr, key: string(key)}
	r.byAddress[a.key] = a
	return a
}

func (r *Router) loaded(id string) *Actor {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// identify and forget keep byID and byAddress; the actor's lock is held.
func (r *Router) identify(a *Actor, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.id != "" && r.byID[a.id] == a {
		delete(r.byID, a.id)
	}
	a.id = id
	r.byID[id] = a
}

func (r *Router) forget(a *Actor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byAddress[a.key] == a {
		delete(r.byAddress, a.key)
	}
	if r.byID[a.id] == a {
		delete(r.byID, a.id)
	}
}

// spawn runs f beside the caller, unless the router is closed. Close waits for it.
func (r *Router) spawn(f func()) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return false
	}
	r.wg.Go(f)
	return true
}

// drains tells whether no actor is to be started any more.
func (r *Router) drains() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.draining
}

// lives counts incarnations; the actor's lock is held.
func (r *Router) lives(change int) {
	r.cfg.Stats.Actors.Add(int64(change))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.living += change
	if r.draining && r.living == 0 {
		r.closeEmptyLocked()
	}
}

// remember counts the entries that only their failures keep; false: there are too many. The actor's lock is held.
func (r *Router) remember(change int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept+change > maxRemembered {
		return false
	}
	r.kept += change
	return true
}

func (r *Router) closeEmptyLocked() {
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// Drain refuses new work and what still waits for a start, asks all actors to stop, and waits until they have or ctx ends.
func (r *Router) Drain(ctx context.Context, within time.Duration) error {
	r.mu.Lock()
	r.draining = true
	if r.living == 0 {
		r.closeEmptyLocked()
	}
	r.mu.Unlock()
	r.refuse()
	r.cfg.Placer.Drain(within)
	select {
	case <-r.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all waiting for the store and for runners. The links are to be ended before.
func (r *Router) Close() {
	r.mu.Lock()
	r.closed, r.draining = true, true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// storeError is a store's error as callers see it [ERR-5]; a cause that is not theirs is logged here, once.
func (r *Router) storeError(what string, err error) *wire.Error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.ActorNotFound.New()
	case errors.Is(err, store.ErrTooLarge):
		return wire.RequestTooLarge.New()
	case errors.Is(err, context.DeadlineExceeded):
		return wire.ActionTimedOut.New().With(wire.RanNo)
	case r.ctx.Err() != nil, errors.Is(err, context.Canceled):
		return wire.GatewayDraining.New()
	}
	r.cfg.Logger.Error("store", "operation", what, "error", err)
	return wire.StoreUnavailable.New()
}
