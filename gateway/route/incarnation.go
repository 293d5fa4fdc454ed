package route

import (
	"bytes"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/gate"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/place"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// incarnation is one life of an actor on one runner: what its ref stands for. It is the link.Actor and the place.Guest;
// all its state is guarded by the actor's lock.
type incarnation struct {
	actor      *Actor
	runner     *place.Runner
	binding    *link.Binding
	id         string
	generation uint64
	nonce      [16]byte
	class      store.Durability
	frozen     bool // the commit's outcome is unknown [COMMIT-4]
	destroyed  bool // the store has applied a commit with destroy
	leaving    bool // it goes because its runner does
	maxCalls   int32

	version     uint64 // acknowledged
	gate        gate.Gate[any]
	held        uint64  // cost of the events in the gate [LINK-18]
	weight      int     // of all that the gate holds, the commit included [LIMIT-4]
	commit      *commit // unanswered
	checking    bool    // the gate waits for a check of the owner, not for a commit [READ-2]
	repeat      *repeat // of an adopted actor [LEASE-4]
	calls       calls
	opens       map[uint64]*Connection
	connections map[uint64]*Connection // by ref: accepted ones and those being opened
	owed        map[string]*Connection // by id: they have left, and no commit says yet that onDisconnect ran [CONN-7]
	reads       int32                  // KV reads under way
	unread      int32                  // answers queued since the link was full
	readyAt     time.Time
	ending      *ending     // set: the runner is heard no more; the rest waits for the commit's outcome
	clock       *time.Timer // of the start, later of the stop; nil: none
}

func newIncarnation(a *Actor, r *place.Runner, acquired store.Acquired) *incarnation {
	t := r.Type(a.address.Type)
	maxCalls := a.router.cfg.Limits.MaxCallsPerActor
	if t.MaxCalls > 0 {
		maxCalls = min(maxCalls, t.MaxCalls)
	}
	return &incarnation{
		actor: a, runner: r, id: acquired.Record.ID,
		generation: acquired.Record.Generation, nonce: acquired.Record.Nonce, version: acquired.Record.Version,
		class: t.Durability, maxCalls: int32(min(maxCalls, math.MaxInt32)),
	}
}

// bind ties the incarnation to its runner and makes it the actor's. false: the runner has left.
func (inc *incarnation) bind() bool {
	a := inc.actor
	if !a.router.cfg.Placer.Enter(inc.runner, inc) {
		return false
	}
	if inc.binding = inc.runner.Link.Bind(inc); inc.binding == nil {
		a.router.cfg.Placer.Exit(inc.runner, inc)
		return false
	}
	a.inc, a.missed = inc, 0
	a.router.lives(1)
	return true
}

// push queues a frame for the runner, unless it is heard no more.
func (inc *incarnation) push(m wire.Message) {
	if inc.ending == nil {
		inc.runner.Link.Send(inc.binding, m)
	}
}

func (inc *incarnation) send(m proto.Message) { inc.push(wire.Runner(m)) }

func (inc *incarnation) cancel(call uint64, reason runnerv1alpha1.CancelReason) {
	inc.send(&runnerv1alpha1.CancelCall{Actor: inc.binding.Ref, Id: call, Reason: reason})
}

// Receive implements link.Actor.
func (inc *incarnation) Receive(msg any) (kept bool) {
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	if inc.actor.inc != inc || inc.ending != nil {
		return false
	}
	return inc.take(msg, fresh)
}

// take lets a frame take effect at once, or keeps it behind the open commit [GATE-1] or check [READ-2].
func (inc *incarnation) take(msg any, state frameState) (kept bool) {
	if inc.gate.Passes() && state != checked && inc.actor.router.cfg.StrictReads && isOutput(msg) {
		inc.startCheck()
	}
	m, ok := msg.(*wire.Commit)
	switch {
	case ok && !inc.checking:
		inc.lift(msg, state)
		inc.openCommit(m)
		return false
	case inc.gate.Passes():
		inc.lift(msg, state)
		inc.effect(msg)
		return false
	case state == fresh:
		msg = keep(msg)
	}
	size, output := sizeOf(msg), isOutput(msg)
	if err := inc.gate.Hold(msg, size, output, inc.gateLimits()); err != nil {
		inc.tooMuch(err)
		return false
	}
	if state == fresh {
		kept = inc.count(msg, size)
	}
	if output && inc.gate.Complete() && inc.commit != nil && !inc.commit.atStore {
		inc.submit()
	}
	return kept
}

// count notes what a frame in the gate holds; kept is an event's credit.
func (inc *incarnation) count(msg any, size int) (kept bool) {
	inc.weigh(size)
	m, ok := msg.(*wire.Emit)
	if ok {
		inc.held += m.Cost()
	}
	return ok
}

// Malformed implements link.Actor.
func (inc *incarnation) Malformed(err error) {
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	if inc.actor.inc == inc && inc.ending == nil {
		inc.violation(err.Error())
	}
}

// weigh says that the gate holds so much more.
func (inc *incarnation) weigh(bytes int) {
	inc.weight += bytes
	inc.actor.router.cfg.Budget.Add(bytes)
}

// emptied says that the gate holds nothing any more, and gives the credit of the events that it held back to the link, if
// that has not taken it already with the ref [LINK-18].
func (inc *incarnation) emptied() {
	inc.weigh(-inc.weight)
	if inc.held > 0 {
		inc.runner.Link.Release(inc.binding, inc.held)
		inc.held = 0
	}
}

func (inc *incarnation) gateLimits() gate.Limits {
	l := inc.actor.router.cfg.Limits
	return gate.Limits{GroupOutputs: l.MaxGroupOutputs, GroupBytes: l.MaxGroupBytes, HeldBytes: l.MaxHeldBytes}
}

// isOutput tells whether a frame is one of those that belong to a flush group [GATE-1].
func isOutput(msg any) bool {
	switch msg.(type) {
	case *wire.CallResult, *wire.Emit, *runnerv1alpha1.ConnectionClose, *runnerv1alpha1.ConnectionState:
		return true
	}
	return false
}

// keep copies what is only valid during Receive.
func keep(msg any) any {
	switch m := msg.(type) {
	case *wire.CallResult:
		c := *m
		c.Output = bytes.Clone(m.Output)
		if m.Error != nil {
			e := *m.Error
			e.Metadata = bytes.Clone(e.Metadata)
			c.Error = &e
		}
		return &c
	case *wire.Emit:
		c := *m
		c.Event, c.Args = bytes.Clone(m.Event), bytes.Clone(m.Args)
		c.To, c.Except = slices.Clone(m.To), slices.Clone(m.Except)
		return &c
	case *wire.Commit:
		c := *m
		c.Changes = bytes.Clone(m.Changes)
		return &c
	}
	return msg
}

// sizeOf is how much a frame holds.
func sizeOf(msg any) int {
	switch m := msg.(type) {
	case wire.Message:
		return m.Size()
	case proto.Message:
		return proto.Size(m)
	}
	return 0
}
