package runner

import (
	"context"
	"log/slog"
	"slices"
)

// Actor is what an actor's struct embeds: its durable state S, the state C of each connection, and the methods through which
// its code reaches the gateway. All methods are for the running turn, except Do, Context, KeepAwake, Log and those that say
// who the actor is.
type Actor[S, C any] struct {
	in    *instance
	state S
}

func (a *Actor[S, C]) bind(in *instance) { a.in = in }

func (a *Actor[S, C]) setState(s S) { a.state = s }

// ID is the actor's id, its own for ever [ADDR-4].
func (a *Actor[S, C]) ID() string { return a.in.id }

// Type is the name of the actor's type.
func (a *Actor[S, C]) Type() string { return a.in.def.name }

// Namespace is the namespace of the actor's address.
func (a *Actor[S, C]) Namespace() string { return a.in.namespace }

// Key is the key of the actor's address: a copy, 0 to 16 parts.
func (a *Actor[S, C]) Key() []string { return slices.Clone(a.in.key) }

// Generation grows each time the actor is started or adopted [FENCE-2].
func (a *Actor[S, C]) Generation() uint64 { return a.in.generation.Load() }

// Region is the region in which the actor runs; may be empty.
func (a *Actor[S, C]) Region() string { return a.in.region }

// Conn is the connection on which the running call came; nil for a call without one. ctx is the action's.
func (a *Actor[S, C]) Conn(ctx context.Context) *Conn[C] {
	if t := turnOf(ctx); t != nil && t.in == a.in && t.conn != nil {
		return t.conn.outer.(*Conn[C])
	}
	return nil
}

// Caller is the authenticated caller of the running action or connection hook; nil: anonymous.
func Caller(ctx context.Context) *Principal {
	if t := turnOf(ctx); t != nil {
		return t.principal
	}
	return nil
}

// Flush sends what the turn has changed and emitted so far as a group of its own, and does not wait. A turn that is about to
// wait for something outside calls it so that others are not kept waiting [FLUSH-1].
func (a *Actor[S, C]) Flush() { a.in.mustTurn("Flush").flush() }

// SaveState flushes and waits until everything flushed so far is durable [FLUSH-1]. It returns ErrStopped when the actor
// lost its right to write, and the context's error.
func (a *Actor[S, C]) SaveState(ctx context.Context) error {
	a.in.mustTurn("SaveState").flush()
	return a.in.awaitCommits(ctx.Done(), ctx.Err)
}

// Log is a logger that names the actor.
func (a *Actor[S, C]) Log() *slog.Logger { return a.in.log() }

// Context ends when the actor begins to stop. Goroutines of the actor live by it.
func (a *Actor[S, C]) Context() context.Context {
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	return a.in.side().running
}
