package runner

import (
	"crypto/sha256"
	"slices"

	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// ledger is what an actor owes the gateway: the commits sent and to be sent, and the outputs that wait for them.
// Under instance.mu.
type ledger struct {
	version  uint64 // of the last commit sent, or started from
	sum      [sha256.Size]byte
	recorded bool     // sum is of the state last sent; false: none yet
	inflight bool     // the commit last sent is unanswered: at most one is [COMMIT-1]
	inLine   bool     // for the link's credit
	flight   *group   // the unanswered commit and what was sent behind it, to be sent again; nil where nothing is adopted
	waiting  []*group // unsent, in order

	pending *group // what the running turn changed since its last flush; nil: nothing but perhaps state
	held    []wire.Message
	heldAt  int64 // when the oldest in held came, on the steady clock
	bytes   int   // of held

	events  linkstate.Allowance
	backlog int           // bytes of waiting
	unacked int           // bytes of outputs sent behind the unanswered commit
	moved   chan struct{} // closed when something was acknowledged or sent; nil: nobody waits
}

// group is one flush: changes, and the outputs that depend on them [GATE-2]. Without changes it is outputs that wait for
// something else.
type group struct {
	state   record // bytes nil: unchanged
	kv      []kvOp
	kvBytes int
	added   []string
	removed []string
	destroy bool
	sent    []byte // the changes as they were sent under a version, and are sent again [COMMIT-1]; nil: never yet
	outputs []wire.Message
	bytes   int            // of outputs
	behind  []wire.Message // of a group that was sent: outputs that were sent while it was unanswered, and it did not count
}

// hold keeps an output of the running turn for its flush.
func (in *instance) hold(m wire.Message) {
	if len(in.held) == 0 {
		in.heldAt = steady()
	}
	in.held = append(in.held, m)
	in.bytes += wire.FrameSize(m)
}

// mustFlush tells whether an emission flushes: the oldest held output is old, or a group is full [FLUSH-2] [GATE-4].
func (in *instance) mustFlush() bool {
	l := &in.sess().limits
	return len(in.held) >= l.MaxGroupOutputs || in.bytes >= l.MaxGroupBytes/2 || steady()-in.heldAt >= int64(flushAge)
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
func (t *turn) settle(err error) error {
	in := t.in
	if failed := in.connStates(); failed != nil {
		t.fail(failed)
	}
	if err == nil {
		err = t.failed
	}
	w := t.work
	if w != nil {
		err = t.conclude(w, err)
	}
	state, broken := in.changedState()
	in.mu.Lock()
	defer in.mu.Unlock()
	if w != nil && !t.lost {
		w.result.Actor = in.ref
		in.held = append(in.held, &w.result)
		in.bytes += wire.FrameSize(&w.result)
	}
	flushed := in.flush(state, broken, true)
	if !flushed && err == nil {
		err = ErrStopped
	}
	if w != nil && flushed && !in.inflight && len(in.waiting) == 0 { // what it held is encoded
		w.clear()
		t.work = nil
	}
	in.afterTurn()
	return err
}

// conclude makes the result of a call, and returns the turn's error.
func (t *turn) conclude(w *work, err error) error {
	if t.oneway {
		w.output.Reset()
	}
	size, limit := w.output.Len(), t.in.sess().limits.MaxOutput
	if err == nil && size > limit {
		err = sdkError(wire.ActionResultTooLarge.Newf("The result of %s has %d bytes, at most %d are allowed.", t.action.name, size, limit))
	}
	w.result.ID = t.id
	switch {
	case err != nil:
		w.result.Error = t.callError(err)
	case size > 0:
		w.result.Output, w.result.HasOutput = w.output.Bytes(), true
	}
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
	if limit := in.sess().limits.MaxCommit; g != nil && g.size() > limit {
		in.crash(wire.StateTooLarge.Newf("The turn's changes have more than %d bytes; they were not kept.", limit))
		return false
	}
	var held []wire.Message
	if outputs {
		held = in.held
		defer in.resetHeld()
	}
	if len(in.waiting) == 0 { // else it would overtake [GATE-1]
		n, ok, _ := in.sendPart(g, held)
		if held = held[n:]; ok {
			g = nil
		}
	}
	if g != nil || len(held) > 0 {
		in.wait(g, held)
		in.advance()
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

// wait queues a flush behind what waits already, as part of the last group if both fit one commit: what accumulates goes
// out together, and a turn's changes are never split. Nothing joins a commit that was sent before [COMMIT-1].
func (in *instance) wait(g *group, outputs []wire.Message) {
	var last *group
	if n := len(in.waiting); n > 0 && in.waiting[n-1].sent == nil {
		last = in.waiting[n-1]
	}
	if last == nil || g != nil && !(last.changes() && last.fits(g, &in.sess().limits)) {
		last = new(group)
		in.waiting = append(in.waiting, last)
	} else {
		in.backlog -= last.weight()
	}
	if g != nil {
		last.add(g)
	}
	last.hold(outputs)
	in.backlog += last.weight()
}

// changes tells whether there is anything to commit.
func (g *group) changes() bool {
	return g.sent != nil || g.state.bytes != nil || len(g.kv)+len(g.added)+len(g.removed) > 0 || g.destroy
}

func (g *group) hold(outputs []wire.Message) {
	g.outputs = append(g.outputs, outputs...)
	g.bytes += sizeOf(outputs)
}

func sizeOf(outputs []wire.Message) (n int) {
	for _, m := range outputs {
		n += wire.FrameSize(m)
	}
	return n
}

func (g *group) fits(more *group, l *wire.Limits) bool {
	size := g.size() + more.size()
	if more.state.bytes != nil {
		size -= len(g.state.bytes) // one replaces the other
	}
	return len(g.kv)+len(more.kv) <= l.MaxKVOperations && g.kvBytes+more.kvBytes <= l.MaxKVBatch && size <= l.MaxCommit
}

// size is at least that of the encoded changes, if connection ids are no longer than what gateways give.
func (g *group) size() int {
	const overhead, connection = 16, 80
	return len(g.sent) + len(g.state.bytes) + g.kvBytes + overhead*(1+len(g.kv)) + connection*(len(g.added)+len(g.removed))
}

// weight is what the group takes of memory.
func (g *group) weight() int { return g.size() + g.bytes }

func (g *group) add(more *group) {
	if more.state.bytes != nil {
		g.state = more.state
	}
	g.kv, g.kvBytes = append(g.kv, more.kv...), g.kvBytes+more.kvBytes
	for _, id := range more.added {
		g.accept(id)
	}
	g.removed = append(g.removed, more.removed...)
	g.destroy = g.destroy || more.destroy
}

// accept has a connection in the record. A commit adds before it removes, so a removal of the same id before it is void: the
// connection was opened again [CONN-8].
func (g *group) accept(id string) {
	g.added = append(g.added, id)
	g.removed = slices.DeleteFunc(g.removed, func(gone string) bool { return gone == id })
}
