package runner

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// statefulPointer is satisfied by a struct that embeds Actor with the state S.
type statefulPointer[A, S any] interface {
	*A
	hosted
	State() *S
	setState(S)
}

// connectedPointer is satisfied by a struct that embeds Actor with the connection state C.
type connectedPointer[A, C any] interface {
	*A
	hosted
	Conn(ctx context.Context) *Conn[C]
}

// CreateState registers what makes a new actor's state, once, from the input it is created with; an absent input is the
// zero I (Input tells them apart). Without it the zero state is the initial one. The order of a creation is CreateState,
// OnCreate, the first commit, CreateVars, OnWake, Run [LIFE-2]; an error from any hook before Run fails the start.
func CreateState[A, I, S any, P statefulPointer[A, S]](t *Type[A], fn func(*A, context.Context, I) (S, error)) {
	once("CreateState", t.def, t.def.createState != nil)
	t.def.createState = func(self hosted, ctx context.Context) error {
		input, _, err := Input[I](ctx)
		if err != nil {
			return err
		}
		state, err := fn(any(self).(*A), ctx, input)
		if err == nil {
			any(self).(P).setState(state)
		}
		return err
	}
}

// OnCreate registers a hook that runs once in an actor's life, before its first commit.
func OnCreate[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("OnCreate", t.def, &t.def.onCreate, fn)
}

// CreateVars registers a hook that runs at every start, before OnWake: it sets the receiver's own fields, which live in
// memory only.
func CreateVars[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("CreateVars", t.def, &t.def.createVars, fn)
}

// OnWake registers a hook that runs at every start, after the state is there and before any call.
func OnWake[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("OnWake", t.def, &t.def.onWake, fn)
}

// OnSleep registers a hook that runs as the actor's last turn before it leaves memory; what it changes is committed.
// Its error is logged and changes nothing [SLEEP-2].
func OnSleep[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("OnSleep", t.def, &t.def.onSleep, fn)
}

// OnDestroy registers a hook that runs before the actor is removed for good. Its error is logged and changes nothing
// [LIFE-6]. OnDisconnect of the connections that are still open runs after it.
func OnDestroy[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("OnDestroy", t.def, &t.def.onDestroy, fn)
}

// Run registers a function that runs beside the actor's turns, in a goroutine of its own, from each start to the stop that
// cancels its context. It reaches the actor only through Actor.Do [TURN-5]. Until it returns, or fails, which is logged, the
// actor does not sleep by itself [SLEEP-1]; Sleep asks for it all the same.
func Run[A any](t *Type[A], fn func(*A, context.Context) error) {
	setHook("Run", t.def, &t.def.run, fn)
}

// BeforeConnect registers a check of a new connection: an error refuses it. Absent params are the zero P [CONN-1].
func BeforeConnect[A, P any](t *Type[A], fn func(*A, context.Context, P) error) {
	once("BeforeConnect", t.def, t.def.beforeConnect != nil)
	t.def.beforeConnect = func(self hosted, ctx context.Context, params []byte) error {
		p, err := decodeParams[P](params)
		if err != nil {
			return err
		}
		return fn(any(self).(*A), ctx, p)
	}
}

// CreateConnState registers what makes a new connection's state, from its params. Without it the zero C is.
func CreateConnState[A, P, C any, Q connectedPointer[A, C]](t *Type[A], fn func(*A, context.Context, P) (C, error)) {
	once("CreateConnState", t.def, t.def.createConnState != nil)
	t.def.createConnState = func(self hosted, ctx context.Context, conn *connection) error {
		p, err := decodeParams[P](conn.params)
		if err != nil {
			return err
		}
		state, err := fn(any(self).(*A), ctx, p)
		if err == nil {
			conn.outer.(*Conn[C]).state, conn.touched = state, true
		}
		return err
	}
}

// OnConnect registers a hook that runs when a connection was accepted and is visible; an error refuses it after all.
// It does not run for connections that came back with a later start [CONN-6].
func OnConnect[A, C any, Q connectedPointer[A, C]](t *Type[A], fn func(*A, context.Context, *Conn[C]) error) {
	once("OnConnect", t.def, t.def.onConnect != nil)
	t.def.onConnect = typedConnHook(fn)
}

// OnDisconnect registers a hook that runs exactly once per accepted connection, whoever closed it, also for those that
// ended while the actor slept [CONN-4] [CONN-7]. The connection is no longer in Conns. Its error is logged.
func OnDisconnect[A, C any, Q connectedPointer[A, C]](t *Type[A], fn func(*A, context.Context, *Conn[C]) error) {
	once("OnDisconnect", t.def, t.def.onDisconnect != nil)
	t.def.onDisconnect = typedConnHook(fn)
}

func typedConnHook[A, C any](fn func(*A, context.Context, *Conn[C]) error) connHook {
	return func(self hosted, ctx context.Context, conn *connection) error {
		return fn(any(self).(*A), ctx, conn.outer.(*Conn[C]))
	}
}

func setHook[A any](what string, d *definition, at *hook, fn func(*A, context.Context) error) {
	once(what, d, *at != nil)
	*at = func(self hosted, ctx context.Context) error { return fn(any(self).(*A), ctx) }
}

func once(what string, d *definition, set bool) {
	if set {
		panic(fmt.Sprintf("runner: %s is registered twice for %s", what, d.name)) //nolint:forbidigo // a definition is wrong when the program begins, or never
	}
}

// Input is what the actor was created with, inside CreateState and OnCreate; present tells an absent input from null,
// zero and the empty string [PAY-3].
func Input[I any](ctx context.Context) (input I, present bool, err error) {
	t := turnOf(ctx)
	if t == nil {
		return input, false, nil
	}
	start, ok := t.what.(*arriving)
	if !ok || start.msg.Input == nil {
		return input, false, nil
	}
	if err := payload.Unmarshal(start.msg.Input, &input); err != nil {
		return input, true, sdkError(wire.RequestInvalidPayload.Newf("The input does not fit the actor: %v.", err))
	}
	return input, true, nil
}
