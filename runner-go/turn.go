package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// turn is one entry of an actor's mailbox, and the context of the user code that it runs. Being the context itself, it costs
// one allocation and no timer until somebody asks for Done.
type turn struct {
	in     *instance
	next   *turn // in the mailbox
	kind   turnKind
	oneway bool // nobody gets the output
	lost   bool // its session is: nobody is answered; under instance.mu

	// A call, or the open of a connection: what its CallResult names.
	id        uint64
	action    *action
	args      []byte
	work      *work // of a call that runs, until it is answered; owned by the turn
	connRef   uint64
	principal *Principal

	conn *connection // turnGone; turnCall and turnOpen while they run
	// what is what a turn of another kind is about: *runnerv1alpha1.GoneConnection, *runnerv1alpha1.ConnectionOpen, *arriving,
	// *runnerv1alpha1.Fence, *doing, or nothing; of a call the name of an action that is not there, a string.
	what any

	failed error // the first emission that could not be held; owned by the turn

	// The context.
	deadline time.Time
	mu       sync.Mutex
	err      error
	watch    *watch // nil: nobody has asked for Done
}

// doing is what a turn of Do is about.
type doing struct {
	do     func(context.Context) error
	done   chan error      // holds one
	parent context.Context // of the turn's, for values
}

// watch is who waits for the end of a turn's context.
type watch struct {
	closed chan struct{}
	timer  *time.Timer // nil: there is no deadline
	after  map[*func()]struct{}
}

type turnKind uint8

const (
	turnStart turnKind = iota
	turnCall
	turnOpen
	turnGone // a connection has left: onDisconnect
	turnDo
	turnFence
	turnStop
)

// String names the kind in log records.
func (k turnKind) String() string {
	return [...]string{"start", "action", "connect", "disconnect", "do", "fence", "stop"}[k]
}

// answers tells a call or open that is to be answered.
func (t *turn) answers() bool { return (t.kind == turnCall || t.kind == turnOpen) && !t.lost }

type turnKey struct{}

// turnOf finds the turn whose context ctx is, or comes from.
func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

// Deadline implements context.Context.
func (t *turn) Deadline() (time.Time, bool) { return t.deadline, !t.deadline.IsZero() }

// Done implements context.Context. The first call makes the channel and arms the deadline.
func (t *turn) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watch == nil {
		t.watch = &watch{closed: make(chan struct{})}
		if t.err != nil {
			close(t.watch.closed)
		} else if !t.deadline.IsZero() {
			t.watch.timer = time.AfterFunc(time.Until(t.deadline), func() { t.cancel(context.DeadlineExceeded) })
		}
	}
	return t.watch.closed
}

// Err implements context.Context.
func (t *turn) Err() error {
	t.mu.Lock()
	err := t.err
	t.mu.Unlock()
	if err == nil && !t.deadline.IsZero() && !time.Now().Before(t.deadline) {
		t.cancel(context.DeadlineExceeded)
		return t.Err()
	}
	return err
}

// Value implements context.Context.
func (t *turn) Value(key any) any {
	if key == (turnKey{}) {
		return t
	}
	if d, ok := t.what.(*doing); ok {
		return d.parent.Value(key)
	}
	return nil
}

// AfterFunc lets package context derive from a turn without a goroutine.
func (t *turn) AfterFunc(f func()) (stop func() bool) {
	t.Done() // the deadline must be armed
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		go f()
		return func() bool { return false }
	}
	w := t.watch
	if w.after == nil {
		w.after = map[*func()]struct{}{}
	}
	w.after[&f] = struct{}{}
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, waiting := w.after[&f]
		delete(w.after, &f)
		return waiting
	}
}

// cancel ends the context. The first error stays.
func (t *turn) cancel(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return
	}
	t.err = err
	if t.watch == nil {
		return
	}
	close(t.watch.closed)
	if t.watch.timer != nil {
		t.watch.timer.Stop()
	}
	for f := range t.watch.after {
		go (*f)()
	}
	t.watch.after = nil
}

// fail keeps the first emission error: it becomes the turn's, unless the user's function fails by itself.
func (t *turn) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

// guard runs user code: a panic is its error [TURN-7].
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	return f()
}

// mustTurn is the running turn. Use outside of one is a data race: it panics before harm is done [TURN-5].
func (in *instance) mustTurn(what string) *turn {
	if in == nil {
		panic("runner: " + what + " on an actor that no runner hosts; in tests, use package runnertest") //nolint:forbidigo // a bug of the caller's, before any harm
	}
	if in.cur == nil {
		panic(fmt.Sprintf("runner: %s of %s used outside a turn; wrap it in Do", what, in.def.name)) //nolint:forbidigo // a bug of the caller's, before any harm
	}
	return in.cur
}

// callError is what the caller of a failed turn gets.
func (t *turn) callError(err error) *wire.Error {
	if before, ok := errors.AsType[*notRun](err); ok {
		e, _ := t.in.sess().faults.wire(before.err, wire.RanNo)
		return e
	}
	if e := t.ended(err); e != nil {
		return e
	}
	e, hidden := t.in.sess().faults.wire(err, wire.RanYes)
	if hidden {
		t.in.logFault(t, err)
	}
	return e
}

// ended recognises user code that gave up because its context ended; nobody waits for the answer any more.
func (t *turn) ended(err error) *wire.Error {
	t.mu.Lock()
	cause := t.err
	t.mu.Unlock()
	switch {
	case cause == nil || !errors.Is(err, cause):
		return nil
	case errors.Is(cause, context.DeadlineExceeded):
		return wire.ActionTimedOut.New().With(wire.RanYes)
	case errors.Is(cause, context.Canceled):
		return wire.ActionCanceled.New().With(wire.RanYes)
	}
	return nil
}
