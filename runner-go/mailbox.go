package runner

import (
	"context"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The mailbox is a list of turns in arrival order [TURN-1]. A goroutine works on it only while it is not empty, so that an
// idle actor costs none. All functions here are called with instance.mu held, except where they say otherwise.

func (in *instance) enqueue(t *turn) {
	if in.tail == nil {
		in.head = t
	} else {
		in.tail.next = t
	}
	in.tail = t
	in.wakeWorker()
}

// leaves queues onDisconnect for a connection, once: before all turns that wait, behind the connections that left earlier.
func (in *instance) leaves(conn *connection) {
	if conn.leaving {
		return
	}
	conn.leaving = true
	at := &in.head
	for *at != nil && (*at).kind == turnGone && (*at).conn != nil {
		at = &(*at).next
	}
	t := &turn{in: in, kind: turnGone, conn: conn, next: *at}
	*at = t
	if t.next == nil {
		in.tail = t
	}
	in.wakeWorker()
}

func (in *instance) wakeWorker() {
	if !in.working && in.head != nil && !in.adrift && !in.overfull() {
		in.working = true
		in.sess().crew.Run(in)
	}
}

// mayBegin tells whether a turn may begin at that time: the actor is this runner's by its lease [LEASE-2], and what earlier turns left
// behind is not too much.
func (in *instance) mayBegin(at time.Time) bool {
	return !in.adrift && !in.overfull() && in.sess().lease.holdsAt(instantOf(at))
}

func (in *instance) dequeue() *turn {
	t := in.head
	if t == nil {
		return nil
	}
	in.head, t.next = t.next, nil
	if in.head == nil {
		in.tail = nil
	}
	return t
}

// unqueue takes out the first waiting turn that match accepts.
func (in *instance) unqueue(match func(*turn) bool) *turn {
	var before *turn
	for t := in.head; t != nil; before, t = t, t.next {
		if !match(t) {
			continue
		}
		if before == nil {
			in.head = t.next
		} else {
			before.next = t.next
		}
		if in.tail == t {
			in.tail = before
		}
		t.next = nil
		return t
	}
	return nil
}

// work runs turns until none waits, or none may begin. It is not called with the lock held.
func (in *instance) work() {
	finished := false
	defer func() {
		if !finished { // user code called runtime.Goexit: this goroutine is lost, and the turn with it
			in.mu.Lock()
			in.crash(wire.ActorCrashed.Newf("The actor's code ended its goroutine."))
			in.cur, in.working = nil, false
			in.mu.Unlock()
		}
	}()
	w := newWork()
	in.mu.Lock()
	for in.head != nil {
		at := in.sess().lease.clock()
		if !in.mayBegin(at) {
			break
		}
		t := in.dequeue()
		in.cur = t
		if !in.refuse(t, at) {
			in.mu.Unlock()
			if t.kind == turnCall {
				t.work = w
			}
			in.execute(t)
			if t.work != nil { // it is still held
				w = newWork()
			}
			in.mu.Lock()
		}
		in.cur = nil
		t.cancel(context.Canceled) // as with a request's context: it ends with the turn
	}
	in.working = false
	in.rest()
	in.mu.Unlock()
	w.spare()
	finished = true
}

// execute runs one turn to its flush. It is not called with the lock held.
func (in *instance) execute(t *turn) {
	switch t.kind {
	case turnStart:
		in.runStart(t)
	case turnCall:
		in.runCall(t)
	case turnOpen:
		in.runOpen(t)
	case turnGone:
		in.runGone(t)
	case turnDo:
		in.runDo(t)
	case turnFence:
		in.mu.Lock()
		if !t.lost {
			in.say(wire.Runner(&runnerv1alpha1.FenceReached{Nonce: t.what.(*runnerv1alpha1.Fence).Nonce, Actor: in.ref}))
		}
		in.mu.Unlock()
	case turnStop:
		in.runStop(t)
	}
}

// cancelCall is CancelCall: a call that has not begun never runs, one that has sees its context end [CALL-5].
func (in *instance) cancelCall(id uint64, reason runnerv1alpha1.CancelReason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	names := func(t *turn) bool { return t.answers() && t.id == id }
	late := reason == runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE
	if t := in.cur; t != nil && names(t) {
		t.cancel(cancelCause(late))
		return
	}
	if t := in.unqueue(names); t != nil {
		in.answerUnrun(t, canceledUnrun(late))
	}
}

func cancelCause(late bool) error {
	if late {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

func canceledUnrun(late bool) *wire.Error {
	if late {
		return wire.ActionTimedOut.New().With(wire.RanNo)
	}
	return wire.ActionCanceled.New().With(wire.RanNo)
}

// answerUnrun answers a call or open that never began.
func (in *instance) answerUnrun(t *turn, e *wire.Error) { in.answer(t, e, false) }

// answer sends what no change stands behind, in the order of the actor's outputs: behind those that wait [SESS-3].
func (in *instance) answer(t *turn, e *wire.Error, notRun bool) {
	if t.lost {
		return
	}
	result := &wire.CallResult{Actor: in.ref, ID: t.id, Error: e, NotRun: notRun}
	if len(in.waiting) > 0 {
		in.wait(nil, []wire.Message{result})
		return
	}
	in.push(result)
}

// say sends what is no output, behind the outputs that wait.
func (in *instance) say(m wire.Message) {
	if len(in.waiting) == 0 {
		in.push(m)
		return
	}
	g := new(group)
	g.hold([]wire.Message{m})
	in.waiting = append(in.waiting, g)
	in.backlog += g.weight()
}

// bounce gives a call back: another runner, or the next generation, may take it [CALL-9].
func (in *instance) bounce(t *turn) { in.answer(t, wire.ActorStopping.New(), true) }

// empty ends every turn that still waits: calls go back, Do returns ErrStopped.
func (in *instance) empty(answer bool) {
	for t := in.dequeue(); t != nil; t = in.dequeue() {
		if d, ok := t.what.(*doing); ok {
			d.done <- ErrStopped
		} else if answer && t.answers() {
			in.bounce(t)
		}
	}
}

// Do runs fn in a turn of its own, after those that wait already, and returns its error; what fn changed and sent is
// flushed as with an action [TURN-5]. It is how Run and other goroutines reach the actor. ctx bounds the wait: when it ends
// before the turn began, fn never runs; after, the context given to fn ends and Do returns when fn has.
func (a *Actor[S, C]) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	in := a.in
	if t := turnOf(ctx); t != nil && t.in == in && t.Err() == nil {
		return ErrInTurn
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d := &doing{do: fn, done: make(chan error, 1), parent: ctx}
	t := &turn{in: in, kind: turnDo, what: d}
	t.deadline, _ = ctx.Deadline()
	in.mu.Lock()
	if in.over || in.closing {
		in.mu.Unlock()
		return ErrStopped
	}
	in.enqueue(t)
	in.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		if in.abandon(t, ctx.Err()) {
			d.done <- ctx.Err()
		}
	})
	defer stop()
	return <-d.done
}

// abandon is the end of a Do's own context; true: the turn never begins. It is not called with the lock held.
func (in *instance) abandon(t *turn, err error) bool {
	in.mu.Lock()
	waiting := in.unqueue(func(other *turn) bool { return other == t })
	in.mu.Unlock()
	if waiting == nil {
		t.cancel(err)
	}
	return waiting != nil
}

func (in *instance) runDo(t *turn) {
	d := t.what.(*doing)
	err := guard(func() error { return d.do(t) })
	if _, panicked := asPanic(err); panicked {
		in.logFault(t, err)
	}
	d.done <- t.settle(err)
}

func (in *instance) runCall(t *turn) {
	if limit := in.def.options.actionTimeout; limit > 0 {
		if end := time.Now().Add(limit); t.deadline.IsZero() || end.Before(t.deadline) {
			t.deadline = end
		}
	}
	w := t.work
	w.args = arguments{t.action.name, t.args}
	_ = t.settle(guard(func() error { return t.action.call(in.self, t, &w.args, &w.output) })) // the caller has the error
}

// refuse answers a call or open that has come to its turn and does not run after all.
func (in *instance) refuse(t *turn, at time.Time) bool {
	switch {
	case t.kind != turnCall && t.kind != turnOpen:
		return false
	case t.lost: // by now nobody waits for it
		return true
	case t.kind == turnCall && t.action == nil:
		in.answerUnrun(t, wire.ActorActionNotFound.Newf("The actor type %s has no action %q.", in.def.name, clip(t.what.(string), maxName)))
		return true
	case !t.deadline.IsZero() && !at.Before(t.deadline):
		in.answerUnrun(t, wire.ActionTimedOut.New().With(wire.RanNo))
		return true
	case t.connRef == 0:
		return false
	}
	// The gateway names accepted connections only [CALL-8]; it is gone if the client left while the call waited.
	if t.conn = in.byRef[t.connRef]; t.conn == nil {
		in.answerUnrun(t, wire.ActionCanceled.New().With(wire.RanNo))
		return true
	}
	return false
}
