package runner

import (
	"crypto/sha256"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// ledger is what an actor owes the gateway: the commits sent and to be sent, and the outputs that wait for them.
// Under instance.mu.
type ledger struct {
	version  uint64 // of the last commit sent, or started from
	inflight bool   // it is unanswered: at most one is [COMMIT-1]
	sum      [sha256.Size]byte
	recorded bool     // sum is of the state last sent; false: none yet
	waiting  []*group // unsent, in order. Not empty only while a commit is unanswered

	pending *group // what the running turn changed since its last flush; nil: nothing but perhaps state
	held    []wire.Message
	heldAt  time.Time // of the oldest in held
	bytes   int       // of held

	unacked int           // bytes of outputs behind an unanswered commit
	acked   chan struct{} // closed at the next CommitResult; nil: nobody waits
}

// group is one flush: changes, and the outputs that depend on them [GATE-2].
type group struct {
	state   record // bytes nil: unchanged
	kv      []kvOp
	kvBytes int
	added   []string
	removed []string
	destroy bool
	outputs []wire.Message
}

// hold keeps an output of the running turn for its flush.
func (in *instance) hold(m wire.Message) {
	if len(in.held) == 0 {
		in.heldAt = time.Now()
	}
	in.held = append(in.held, m)
	in.bytes += wire.FrameSize(m)
}

// mustFlush tells whether an emission flushes: the oldest held output is old, or a group is full [FLUSH-2] [GATE-4].
func (in *instance) mustFlush() bool {
	l := in.sess.limits
	return len(in.held) >= l.MaxGroupOutputs || in.bytes >= l.MaxGroupBytes/2 || time.Since(in.heldAt) >= flushAge
}

// changes is the group that the running turn's changes go to.
func (in *instance) changes() *group {
	if in.pending == nil {
		in.pending = new(group)
	}
	return in.pending
}

// settle ends a turn: its result joins what it held, and all of it is flushed. It returns the turn's error. It is not
// called with the lock held.
func (t *turn) settle(err error, out []byte) error {
	in := t.in
	if failed := in.connStates(); failed != nil {
		t.fail(failed)
	}
	if err == nil {
		err = t.failed
	}
	if t.kind == turnCall {
		if t.oneway {
			out = nil
		}
		t.result = wire.CallResult{Actor: in.ref, ID: t.id, Output: out, HasOutput: out != nil}
		if limit := in.sess.limits.MaxOutput; err == nil && len(out) > limit {
			err = sdkError(wire.ActionResultTooLarge.Newf("The result of %s has %d bytes, at most %d are allowed.", t.action.name, len(out), limit))
		}
		if err != nil {
			t.result.Output, t.result.HasOutput, t.result.Error = nil, false, t.callError(err)
		}
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	if t.kind == turnCall {
		in.held = append(in.held, &t.result)
		in.bytes += wire.FrameSize(&t.result)
	}
	if !in.flush(state, broken, true) && err == nil {
		err = ErrStopped
	}
	in.afterTurn()
	return err
}

// flush sends what the turn has changed and held so far. It is not called with the lock held, and only on the turn's own
// goroutine. An open's outputs stay until its answer is known, which goes before them [CONN-1].
func (t *turn) flush() {
	in := t.in
	if failed := in.connStates(); failed != nil {
		t.fail(failed)
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.flush(state, broken, t.kind != turnOpen)
}

// changedState encodes the state if the turn asked for it since the last flush. It runs user code (encoders), so the lock
// is not held; the state is the turn's.
func (in *instance) changedState() (record, *wire.Error) {
	if !in.touched {
		return record{}, nil
	}
	in.touched = false
	return in.stateRecord()
}

// flush makes one group of what the turn changed and held, and sends it or lets it wait behind the unanswered commit. It
// is false when the actor cannot go on.
func (in *instance) flush(state record, broken *wire.Error, outputs bool) bool {
	if in.over || in.crashed != nil {
		in.pending, in.held, in.bytes = nil, nil, 0
		return false
	}
	if broken != nil {
		in.crash(broken)
		return false
	}
	in.intendDestroy()
	g := in.pending
	in.pending = nil
	if state.bytes != nil && (!in.recorded || state.sum != in.latestSum()) {
		if g == nil {
			g = new(group)
		}
		g.state = state
	}
	if g != nil && g.size() > in.sess.limits.MaxCommit {
		in.crash(wire.StateTooLarge.Newf("The turn's changes have more than %d bytes; they were not kept.", in.sess.limits.MaxCommit))
		return false
	}
	var held []wire.Message
	if outputs {
		held = in.held
		defer in.resetHeld()
	}
	switch last := len(in.waiting) - 1; {
	case g == nil && last < 0:
		in.push(nil, held) // nothing they were computed from is unsent [GATE-5]
		if in.inflight {
			in.unacked += in.bytes
		}
	case g == nil:
		in.waiting[last].outputs = append(in.waiting[last].outputs, held...)
		in.unacked += in.bytes
	case !in.inflight:
		g.outputs = held
		in.send(g)
	default:
		g.outputs = append([]wire.Message(nil), held...)
		in.unacked += in.bytes
		in.wait(g)
	}
	return true
}

// maxIdleHeld is how many places for outputs an actor keeps between turns.
const maxIdleHeld = 4

func (in *instance) resetHeld() {
	if cap(in.held) > maxIdleHeld {
		in.held = nil
	} else {
		clear(in.held)
		in.held = in.held[:0]
	}
	in.bytes = 0
}

// latestSum is of the newest state that was sent or waits to be.
func (in *instance) latestSum() [sha256.Size]byte {
	for i := len(in.waiting) - 1; i >= 0; i-- {
		if in.waiting[i].state.bytes != nil {
			return in.waiting[i].state.sum
		}
	}
	return in.sum
}

// wait queues a group behind the unanswered commit, as part of the last one that waits if both fit one commit: what
// accumulates goes out together, and a turn's changes are never split.
func (in *instance) wait(g *group) {
	if n := len(in.waiting); n > 0 && in.waiting[n-1].fits(g, in.sess.limits) {
		in.waiting[n-1].add(g)
		return
	}
	in.waiting = append(in.waiting, g)
}

func (g *group) fits(more *group, l wire.Limits) bool {
	size := g.size() + more.size()
	if more.state.bytes != nil {
		size -= len(g.state.bytes) // one replaces the other
	}
	return len(g.kv)+len(more.kv) <= l.MaxKVOperations && g.kvBytes+more.kvBytes <= l.MaxKVBatch && size <= l.MaxCommit
}

// size is at least that of the encoded changes, if connection ids are no longer than what gateways give.
func (g *group) size() int {
	const overhead, connection = 16, 80
	return len(g.state.bytes) + g.kvBytes + overhead*(1+len(g.kv)) + connection*(len(g.added)+len(g.removed))
}

func (g *group) add(more *group) {
	if more.state.bytes != nil {
		g.state = more.state
	}
	g.kv, g.kvBytes = append(g.kv, more.kv...), g.kvBytes+more.kvBytes
	g.added, g.removed = append(g.added, more.added...), append(g.removed, more.removed...)
	g.destroy = g.destroy || more.destroy
	g.outputs = append(g.outputs, more.outputs...)
}
