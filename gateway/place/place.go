// Package place decides which runner hosts an actor and makes it the actor's owner in the store.
//
// A Placer keeps the runners that are connected to this gateway, with their types, leases and load. It does not know
// what actors do: those it places are Guests, which it can only ask to leave. It is the link.Host of every link;
// gateway/route asks it for runners, and adopts for it what they bring along. Safe for concurrent use; no method holds its
// lock across a store operation.
// Requirements: LINK-4 to LINK-6, LINK-10 to LINK-13, LINK-19, LIFE-5, COMMIT-3, FENCE-2, LEASE-0, LEASE-1, LEASE-4, LEASE-5,
// CLASS-1.
package place

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Store is what placing needs of the store.
type Store interface {
	Acquire(context.Context, store.Acquire) (store.Acquired, error)
	Supports(store.Durability) bool
	Grant(context.Context, store.Lease, time.Duration) (time.Time, error)
	Revoke(ctx context.Context, id, session string) error
	Lease(ctx context.Context, id string) (store.Lease, error)
	Interrupted() time.Time
	RememberTypes(context.Context, []string) error
	KnownTypes(context.Context) ([]string, error)
}

// Config of a Placer.
type Config struct {
	Store   Store
	Auth    *auth.Authenticator
	Gateway string // names this process; fresh for each
	Region  string
	Logger  *slog.Logger
	// Lease is how long a runner's lease lasts from the ping that renews it. Default 15 s.
	Lease time.Duration
	// Timeouts are announced to runners, by name.
	Timeouts    map[string]time.Duration
	Development bool
	// Expecting: until a first runner has joined, an unknown type may yet come.
	Expecting bool
}

// Placer knows the runners of one gateway.
type Placer struct {
	cfg     Config
	adopter Adopter // set before the first link
	wg      sync.WaitGroup

	mu       sync.Mutex
	runners  map[*link.Link]*Runner
	known    map[string]bool       // types ever announced
	types    map[string]*ActorType // as the last runner that joined described them
	joined   bool                  // some runner has joined this process
	sessions uint64
	changed  chan struct{} // closed and replaced when a runner joins
}

// leaseMargin is how much earlier than its lease a runner falls silent.
const leaseMargin = 3 * time.Second

// New makes a Placer.
func New(ctx context.Context, cfg Config) (*Placer, error) {
	if cfg.Lease <= 0 {
		cfg.Lease = 15 * time.Second
	}
	types, err := cfg.Store.KnownTypes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the known actor types: %w", err)
	}
	p := &Placer{
		cfg: cfg, runners: map[*link.Link]*Runner{},
		known: map[string]bool{}, types: map[string]*ActorType{}, changed: make(chan struct{}),
	}
	for _, t := range types {
		p.known[t] = true
	}
	return p, nil
}

// Close waits for what the Placer has started. The links are to be ended before.
func (p *Placer) Close() { p.wg.Wait() }

// Admit implements link.Host.
func (p *Placer) Admit(l *link.Link, hello *runnerv1alpha1.Hello) (*runnerv1alpha1.Welcome, *wire.Error) {
	if _, refusal := p.cfg.Auth.Authenticate(hello.GetToken(), auth.Runner); refusal != nil {
		return nil, refusal
	}
	types, refusal := p.checkTypes(hello)
	if refusal != nil {
		return nil, refusal
	}
	session := make([]byte, 16)
	_, _ = rand.Read(session)
	p.mu.Lock()
	p.sessions++
	r := &Runner{
		Link: l, ID: fmt.Sprintf("%s/%d", p.cfg.Gateway, p.sessions), session: hex.EncodeToString(session),
		types: types, version: hello.GetRunnerVersion(), guests: map[Guest]struct{}{}, lease: newLease(),
	}
	p.mu.Unlock()
	ctx, cancel := p.context()
	defer cancel()
	if err := p.cfg.Store.RememberTypes(ctx, typeNames(types)); err != nil {
		return nil, p.storeError("remember the actor types", err)
	}
	if err := p.grant(r); err != nil {
		return nil, p.storeError("grant the runner's lease", err)
	}
	p.mu.Lock()
	p.runners[l] = r
	p.mu.Unlock()
	return p.welcome(session, r), nil
}

func (p *Placer) welcome(session []byte, r *Runner) *runnerv1alpha1.Welcome {
	timeouts := map[string]uint32{}
	for name, d := range p.cfg.Timeouts {
		timeouts[name] = uint32(d.Milliseconds())
	}
	return &runnerv1alpha1.Welcome{
		Session: session, Runner: r.ID, Region: p.cfg.Region, Gateway: p.cfg.Gateway,
		LeaseMs: uint32(p.cfg.Lease.Milliseconds()), MarginMs: uint32(leaseMargin.Milliseconds()),
		BackoffMinMs: 250, BackoffMaxMs: 10_000, Development: p.cfg.Development, TimeoutsMs: timeouts,
	}
}

// Readmit implements link.Host.
func (p *Placer) Readmit(_ *link.Link, hello *runnerv1alpha1.Hello) *wire.Error {
	_, refusal := p.cfg.Auth.Authenticate(hello.GetToken(), auth.Runner)
	return refusal
}

// Joined implements link.Host: the runner takes actors from now on, and replaces an older link of its instance.
func (p *Placer) Joined(l *link.Link) {
	hello := l.Hello()
	var replaced []*Runner
	p.mu.Lock()
	r := p.runners[l]
	r.ready = true
	if hello.GetHosting() && l.Has(wire.FeatureAdopt) {
		p.expectOffersLocked(r)
	}
	p.joined = true
	for _, t := range r.types {
		p.known[t.Name] = true
		p.types[t.Name] = t
	}
	for other, o := range p.runners {
		if other != l && hello.GetInstance() != "" &&
			other.Hello().GetInstance() == hello.GetInstance() && other.Hello().GetPool() == hello.GetPool() {
			o.ready = false
			replaced = append(replaced, o)
		}
	}
	p.announceLocked()
	p.mu.Unlock()
	for _, o := range replaced {
		o.Link.Close(wire.RunnerReplaced.New(), never)
	}
	p.cfg.Logger.Info("runner joined", "runner", r.ID, "peer", l.Peer(), "pool", hello.GetPool(),
		"instance", hello.GetInstance(), "version", hello.GetRunnerVersion(), "types", typeNames(r.types))
}

// announceLocked wakes up those who look for a runner.
func (p *Placer) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Ending implements link.Host: the runner takes no more actors, and its lease is revoked before they are given away.
//
// Where the store does not answer in time they are given away all the same. The session's outputs end with its link, the
// generation fences its writes, and whoever takes an actor over does so in the store by one atomic step; what remains of the
// lease only keeps other gateways away until it runs out [LEASE-5].
func (p *Placer) Ending(l *link.Link) {
	p.mu.Lock()
	r := p.runners[l]
	if r == nil {
		p.mu.Unlock()
		return
	}
	r.ready = false
	r.noOffersLocked()
	p.mu.Unlock()
	p.revoke(r)
}

// Gone implements link.Host.
func (p *Placer) Gone(l *link.Link) {
	p.mu.Lock()
	r := p.runners[l]
	delete(p.runners, l)
	p.mu.Unlock()
	if r != nil {
		p.cfg.Logger.Info("runner left", "runner", r.ID, "peer", l.Peer())
	}
}

// Find returns the best runner for the type, waiting for one until ctx ends [LIFE-5] [LINK-12].
func (p *Placer) Find(ctx context.Context, typ string) (*Runner, *wire.Error) {
	for {
		p.mu.Lock()
		best := p.bestLocked(typ)
		hopeless := best == nil && !p.known[typ] && (p.joined || !p.cfg.Expecting)
		changed := p.changed
		p.mu.Unlock()
		switch {
		case best != nil:
			return best, nil
		case hopeless:
			return nil, wire.ActorTypeNotFound.Newf("No runner has ever announced the actor type %q.", typ)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, wire.RunnerUnavailable.Newf("No runner that hosts the actor type %q is connected.", typ)
		}
	}
}

// Knows tells whether some runner has ever announced the type, or one may yet come.
func (p *Placer) Knows(typ string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[typ] || p.cfg.Expecting && !p.joined
}

// Type is how the last runner that joined with the type described it; nil if none has since this process began.
func (p *Placer) Type(name string) *ActorType {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types[name]
}

// Available tells whether a runner for the type is connected now.
func (p *Placer) Available(typ string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bestLocked(typ) != nil
}

func (p *Placer) bestLocked(typ string) *Runner {
	var best *Runner
	for _, r := range p.runners {
		if !r.ready || r.settling || r.types[typ] == nil {
			continue
		}
		if best == nil || r.version > best.version || r.version == best.version && len(r.guests) < len(best.guests) {
			best = r
		}
	}
	return best
}

// Runners is how many runners may take actors now.
func (p *Placer) Runners() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.runners {
		if r.ready {
			n++
		}
	}
	return n
}

// Acquire makes the runner the owner of the actor, with a new generation and nonce [COMMIT-3]. An actor whose owner
// lives at another gateway is actor.elsewhere.
func (p *Placer) Acquire(ctx context.Context, rec store.Record, r *Runner) (store.Acquired, *wire.Error) {
	if refusal := p.ownedElsewhere(ctx, rec); refusal != nil {
		return store.Acquired{}, refusal
	}
	t := r.types[rec.Address.Type]
	return p.acquire(ctx, store.Acquire{
		ID: rec.ID, Runner: r.ID, Preload: t.Preload, PreloadBytes: preloadBytes, Durability: t.Durability,
	})
}

func (p *Placer) acquire(ctx context.Context, a store.Acquire) (store.Acquired, *wire.Error) {
	acquired, err := p.cfg.Store.Acquire(ctx, a)
	if err != nil {
		return store.Acquired{}, p.storeError("acquire actor "+a.ID, err)
	}
	return acquired, nil
}

// preloadBytes bounds the KV entries that come with StartActor.
const preloadBytes = 256 << 10

// Owned tells whether the actor's last owner was a runner of this gateway.
func (p *Placer) Owned(rec store.Record) bool {
	return strings.HasPrefix(rec.Runner, p.cfg.Gateway+"/")
}

// ownedElsewhere keeps actors with the runners of other gateways that may be alive [PLACE-9] [PLACE-10].
func (p *Placer) ownedElsewhere(ctx context.Context, rec store.Record) *wire.Error {
	if rec.Runner == "" || p.Owned(rec) {
		return nil
	}
	lease, err := p.cfg.Store.Lease(ctx, rec.Runner)
	if err != nil && !isNotFound(err) {
		return p.storeError("read the owner's lease", err)
	}
	until := lease.Until
	if back := p.cfg.Store.Interrupted(); !back.IsZero() {
		until = later(until, back.Add(p.cfg.Lease+leaseMargin))
	}
	left := time.Until(until)
	if left <= 0 {
		return nil
	}
	e := wire.ActorElsewhere.Newf("The actor is hosted through another gateway until %s at least.", until.UTC().Format(time.RFC3339))
	e.RetryAfterMs = uint32(left.Milliseconds()) + 1
	return e
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
