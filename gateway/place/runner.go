package place

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Runner is a runner that is connected to this gateway.
type Runner struct {
	Link *link.Link
	// ID is that of its lease, and the owner in the records of its actors.
	ID string

	session string
	types   map[string]*ActorType
	version uint64

	lease lease

	// Guarded by Placer.mu.
	ready  bool // may be given actors
	guests map[Guest]struct{}
	offers
}

// ActorType is what a runner said of a type that it hosts.
type ActorType struct {
	Name       string
	Durability store.Durability
	MaxCalls   int // 0: the gateway's limit
	Preload    []store.Range
	Events     map[string]bool // nil: any
}

// Guest is an actor on a runner.
type Guest interface {
	// Leave asks the actor to go: it stops, keeps its connections, and starts elsewhere when it is needed.
	Leave(grace time.Duration)
}

// Type is what the runner said of a type, or nil.
func (r *Runner) Type(name string) *ActorType { return r.types[name] }

// Enter counts an actor on the runner. false: the runner takes none any more.
func (p *Placer) Enter(r *Runner, g Guest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.ready {
		return false
	}
	r.guests[g] = struct{}{}
	return true
}

// Exit undoes Enter. A draining runner whose last actor has left is told Goodbye.
func (p *Placer) Exit(r *Runner, g Guest) {
	p.mu.Lock()
	delete(r.guests, g)
	empty := len(r.guests) == 0 && !r.ready
	p.mu.Unlock()
	if empty {
		r.goodbye()
	}
}

// Leaving implements link.Host: the runner's actors are asked to go [LINK-10].
func (p *Placer) Leaving(l *link.Link, within time.Duration) {
	p.mu.Lock()
	r := p.runners[l]
	if r == nil || !r.ready {
		p.mu.Unlock()
		return
	}
	r.ready = false
	guests := slices.Collect(maps.Keys(r.guests))
	p.mu.Unlock()
	p.cfg.Logger.Info("runner drains", "runner", r.ID, "actors", len(guests), "within", within)
	if len(guests) == 0 {
		r.goodbye()
		return
	}
	for _, g := range guests {
		g.Leave(within)
	}
	time.AfterFunc(within, r.goodbye)
}

// Drain asks all actors of all runners to go, because the gateway is going away.
func (p *Placer) Drain(within time.Duration) {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.runners))
	p.mu.Unlock()
	for _, l := range links {
		p.Leaving(l, within)
	}
}

// goodbye ends the link of a drained runner. Repeating it does nothing.
func (r *Runner) goodbye() {
	r.Link.Close(wire.GatewayDraining.Newf("The runner's actors have been handed over."),
		commonv1alpha1.Reconnect_RECONNECT_ANY)
}

const never = commonv1alpha1.Reconnect_RECONNECT_NEVER

// checkTypes reads the types of a Hello [LINK-13] [CLASS-1].
func (p *Placer) checkTypes(hello *runnerv1alpha1.Hello) (map[string]*ActorType, *wire.Error) {
	types := make(map[string]*ActorType, len(hello.GetTypes()))
	for _, t := range hello.GetTypes() {
		if err := address.ValidateName("actor type", t.GetName()); err != nil {
			return nil, wire.RunnerInvalidHello.Newf("%v.", err)
		}
		if types[t.GetName()] != nil {
			return nil, wire.RunnerInvalidHello.Newf("The actor type %q is named twice.", t.GetName())
		}
		class := durability(t.GetDurability())
		if !p.cfg.Store.Supports(class) {
			return nil, wire.RunnerDurabilityUnsupported.Newf(
				"The store cannot give the durability class that the actor type %q asks for; choose another or another store.", t.GetName())
		}
		types[t.GetName()] = &ActorType{
			Name: t.GetName(), Durability: class, MaxCalls: int(t.GetMaxCalls()),
			Preload: ranges(t.GetPreload()), Events: set(t.GetEvents()),
		}
	}
	if len(types) == 0 {
		return nil, wire.RunnerInvalidHello.Newf("The runner hosts no actor type.")
	}
	return types, nil
}

func durability(d runnerv1alpha1.Durability) store.Durability {
	switch d {
	case runnerv1alpha1.Durability_DURABILITY_VOLATILE:
		return store.Volatile
	case runnerv1alpha1.Durability_DURABILITY_FAST:
		return store.Fast
	case runnerv1alpha1.Durability_DURABILITY_DISK:
		return store.Disk
	case runnerv1alpha1.Durability_DURABILITY_REPLICATED:
		return store.Replicated
	case runnerv1alpha1.Durability_DURABILITY_UNSPECIFIED:
	}
	return store.DurabilityDefault
}

func ranges(in []*runnerv1alpha1.KvRange) []store.Range {
	var out []store.Range
	for _, r := range in {
		out = append(out, store.Range{From: r.GetFrom(), Until: r.GetUntil()})
	}
	return out
}

func set(names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func typeNames(types map[string]*ActorType) []string { return slices.Sorted(maps.Keys(types)) }

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// storeError is a store's error as callers see it [ERR-5]; the cause is logged here, once.
func (p *Placer) storeError(what string, err error) *wire.Error {
	switch {
	case isNotFound(err):
		return wire.ActorNotFound.New()
	case errors.Is(err, store.ErrFenced):
		return wire.ActorFenced.New().With(wire.RanNo)
	}
	p.cfg.Logger.Error("store", "operation", what, "error", err)
	return wire.StoreUnavailable.New()
}
