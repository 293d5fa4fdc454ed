package runner

import (
	"context"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// arriving is what a start or an adoption needs and nobody after it.
type arriving struct {
	msg      *runnerv1alpha1.StartActor // nil: an adoption
	expected int                        // of restored
	restored []*runnerv1alpha1.ConnectionOpen
}

// newInstance makes the instance for a StartActor and queues its start, behind which everything else waits. With restored
// connections to come, the start is queued when the last of them is there [CONN-6].
func newInstance(sess *session, def *definition, m *runnerv1alpha1.StartActor) *instance {
	in := &instance{def: def, id: m.Id, namespace: m.Namespace, key: m.Key, region: m.Region}
	in.version = m.Version
	in.incarnate(sess, m.Actor, m.Generation, m.Nonce)
	in.self = def.build()
	in.self.bind(in)
	return in
}

// incarnate takes over what a StartActor or Adopted names, with the credit that it begins with [LINK-18].
func (in *instance) incarnate(sess *session, ref, generation uint64, nonce []byte) {
	in.home.Store(sess)
	in.generation.Store(generation)
	in.ref, in.lane = ref, wire.Lane{Actor: ref}
	copy(in.nonce[:], nonce)
	in.inLine = false
	in.events = linkstate.Allowance{}
	in.events.Raise(sess.eventWindow)
}

// begin queues the start once everything it needs has come.
func (in *instance) begin(m *runnerv1alpha1.StartActor) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.arriving = &arriving{msg: m, expected: int(m.RestoredConnections)}
	in.arrived()
}

// restore takes one restored connection.
func (in *instance) restore(m *runnerv1alpha1.ConnectionOpen) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.arriving == nil || in.over {
		return // more than were announced: nobody waits for an answer
	}
	in.arriving.restored = append(in.arriving.restored, m)
	in.arrived()
}

func (in *instance) arrived() {
	a := in.arriving
	if len(a.restored) < a.expected {
		return
	}
	in.arriving = nil
	if a.msg == nil {
		in.rejoin(a.restored)
		return
	}
	in.enqueue(&turn{in: in, kind: turnStart, what: a, deadline: within(time.Now(), a.msg.DeadlineMs)})
	if in.def.onDisconnect == nil {
		return
	}
	for _, gone := range a.msg.GoneConnections {
		in.enqueue(&turn{in: in, kind: turnGone, what: gone})
	}
}

// within is the deadline of what remained at that time; zero: none.
func within(at time.Time, ms uint32) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return at.Add(time.Duration(ms) * time.Millisecond)
}

func (in *instance) runStart(t *turn) {
	err := guard(func() error { return in.startHooks(t) })
	if err == nil {
		err = t.failed
	}
	if err == nil {
		err = in.flushStart(t)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || in.crashed != nil {
		return
	}
	if err != nil {
		in.startFailed(t, err)
		return
	}
	in.ready = true
	in.say(wire.Runner(&runnerv1alpha1.ActorReady{Actor: in.ref})) // [LINK-20]
	in.launch()
	in.afterTurn()
}

// startHooks brings the actor to life: state, connections, hooks, in the order of [LIFE-2].
func (in *instance) startHooks(t *turn) error {
	start := t.what.(*arriving)
	for _, m := range start.restored {
		conn, err := in.openConnection(m)
		if err != nil {
			return err
		}
		in.addConn(conn)
	}
	if err := in.firstState(t, start.msg); err != nil {
		return err
	}
	for _, hook := range []hook{in.def.createVars, in.def.onWake} {
		if err := in.callHook(hook, t); err != nil {
			return err
		}
	}
	return nil
}

// firstState makes a new actor's state and commits it, or decodes that of an old one.
func (in *instance) firstState(t *turn, m *runnerv1alpha1.StartActor) error {
	if !m.Create {
		return in.wakeState(m.State)
	}
	if in.def.createState != nil {
		if err := in.def.createState(in.self, t); err != nil {
			return err
		}
	}
	if err := in.callHook(in.def.onCreate, t); err != nil {
		return err
	}
	in.touched = true // version 1 always has a state [STATE-1]
	return in.flushStart(t)
}

func (in *instance) wakeState(state []byte) error {
	if state == nil {
		return nil
	}
	if err := in.self.decodeState(state); err != nil {
		return sdkError(wire.StateInvalid.Newf("The actor's state cannot be decoded: %v.", err))
	}
	in.sum, in.recorded = newRecord(state).sum, true
	return nil
}

// flushStart is a flush whose failure is the start's.
func (in *instance) flushStart(t *turn) error {
	if err := in.connStates(); err != nil {
		return err
	}
	state, broken := in.changedState()
	if broken != nil {
		return sdkError(broken)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.flush(state, nil, true) {
		return ErrStopped
	}
	return t.Err()
}

func (in *instance) callHook(h hook, t *turn) error {
	if h == nil {
		return nil
	}
	return h(in.self, t)
}

// startFailed reports the failure, behind the commit that may be under way [LIFE-3]. Calls that wait go back.
func (in *instance) startFailed(t *turn, err error) {
	e, hidden := in.sess().faults.wire(err, wire.RanYes)
	if hidden {
		in.logFault(t, err)
	}
	in.pending, in.held, in.bytes = nil, nil, 0
	in.closing = true
	in.ending = &ending{runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED, e}
	in.empty(true)
	in.afterTurn()
}

// launch starts what runs beside the turns: Run, and the wait for sleep. With the lock held.
func (in *instance) launch() {
	if in.def.run == nil || in.stop != nil {
		return
	}
	r := in.side()
	r.runOpen = true
	in.sess().workers.Add(1)
	go in.runBeside(r.running)
}

func (in *instance) runBeside(ctx context.Context) {
	defer in.sess().workers.Done()
	defer func() { // also when it ends by Goexit
		in.mu.Lock()
		defer in.mu.Unlock()
		in.rim.runOpen = false
		in.rest()
		in.stopIfFree()
	}()
	err := guard(func() error { return in.def.run(in.self, ctx) })
	if err != nil && ctx.Err() == nil {
		log := in.log().With("error", err)
		if p, panicked := asPanic(err); panicked {
			log = log.With("stack", string(p.stack))
		}
		log.Error("run failed")
	}
}
