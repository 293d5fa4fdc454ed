package route

import (
	"crypto/sha256"
	"errors"
	"fmt"
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
	maxCalls   int

	version     uint64 // acknowledged
	gate        gate.Gate[any]
	commit      *commit // unanswered
	frozen      bool    // its outcome is unknown [COMMIT-4]
	destroyed   bool    // the store has applied a commit with destroy
	calls       map[uint64]*Call
	opens       map[uint64]*Connection
	connections map[uint64]*Connection // by ref: accepted ones and those being opened
	owed        map[string]*Connection // by id: they have left, and no commit says yet that onDisconnect ran [CONN-7]
	reads       int                    // KV reads under way
	readyAt     time.Time
	leaving     bool        // it goes because its runner does
	clock       *time.Timer // of the start, later of the stop
}

// commit is a flush group's commit as the runner sent it.
type commit struct {
	version uint64
	id      [16]byte
	changes []byte // one encoded Changes
	retries int
	decoded *runnerv1alpha1.Changes
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
		class: t.Durability, maxCalls: maxCalls,
		calls: map[uint64]*Call{}, opens: map[uint64]*Connection{}, connections: map[uint64]*Connection{},
	}
}

func (inc *incarnation) send(m proto.Message) { inc.runner.Link.SendGenerated(inc.binding, m) }

func (inc *incarnation) cancel(call uint64, reason runnerv1alpha1.CancelReason) {
	inc.send(&runnerv1alpha1.CancelCall{Actor: inc.binding.Ref, Id: call, Reason: reason})
}

// Receive implements link.Actor: frames take effect at once, or wait behind the open commit [GATE-1].
func (inc *incarnation) Receive(msg any) {
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	if inc.actor.inc != inc {
		return
	}
	if m, ok := msg.(*wire.Commit); ok {
		inc.openCommit(m)
		return
	}
	if inc.gate.Passes() {
		inc.effect(msg)
		return
	}
	kept, size, output := keep(msg)
	if err := inc.gate.Hold(kept, size, output, inc.gateLimits()); err != nil {
		inc.violation(err.Error())
		return
	}
	if output && inc.gate.Complete() && inc.commit.decoded == nil {
		inc.submit()
	}
}

// Malformed implements link.Actor.
func (inc *incarnation) Malformed(err error) {
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	if inc.actor.inc == inc {
		inc.violation(err.Error())
	}
}

func (inc *incarnation) gateLimits() gate.Limits {
	l := inc.actor.router.cfg.Limits
	return gate.Limits{GroupOutputs: l.MaxGroupOutputs, GroupBytes: l.MaxGroupBytes, HeldBytes: l.MaxHeldBytes}
}

// keep copies what is only valid during Receive, and tells how much it holds and whether it is an output [GATE-1].
func keep(msg any) (kept any, size int, output bool) {
	switch m := msg.(type) {
	case *wire.CallResult:
		c := *m
		c.Output = append([]byte(nil), m.Output...)
		return &c, m.Size(), true
	case *wire.Emit:
		c := *m
		c.Event, c.Args = append([]byte(nil), m.Event...), append([]byte(nil), m.Args...)
		return &c, m.Size(), true
	case *runnerv1alpha1.ConnectionClose, *runnerv1alpha1.ConnectionState:
		return m, proto.Size(m.(proto.Message)), true
	case proto.Message:
		return m, proto.Size(m), false
	}
	return msg, 0, false
}

// openCommit begins a flush group [GATE-2].
func (inc *incarnation) openCommit(m *wire.Commit) {
	if m.Version != inc.version+1 {
		inc.violation(fmt.Sprintf("commit %d after %d", m.Version, inc.version))
		return
	}
	if limit := inc.actor.router.cfg.Limits.MaxCommit; len(m.Changes) > limit {
		inc.refuse(wire.StateTooLarge.Newf("The commit has %d bytes, at most %d are allowed.", len(m.Changes), limit))
		return
	}
	if err := inc.gate.Open(int(m.Outputs), len(m.Changes), inc.gateLimits()); err != nil {
		inc.violation(err.Error())
		return
	}
	sum := sha256.Sum256(m.Changes)
	inc.commit = &commit{version: m.Version, id: [16]byte(sum[:16]), changes: append([]byte(nil), m.Changes...)}
	if inc.gate.Complete() {
		inc.submit()
	}
}

// submit gives the complete group's commit to the store. The answer comes by committed.
func (inc *incarnation) submit() {
	c := inc.commit
	changes, err := wire.DecodeChanges(c.changes)
	if err != nil {
		inc.violation(err.Error())
		return
	}
	c.decoded = changes
	if e := inc.checkChanges(changes); e != nil {
		inc.refuse(e)
		return
	}
	if inc.class == store.Volatile {
		inc.committedLocked(nil) // nothing is written [CLASS-1]
		return
	}
	inc.write()
}

func (inc *incarnation) write() {
	version := inc.commit.version
	inc.actor.router.cfg.Store.Commit(inc.storeCommit(), func(err error) {
		inc.actor.mu.Lock()
		defer inc.actor.mu.Unlock()
		if inc.actor.inc == inc && inc.commit != nil && inc.commit.version == version {
			inc.committedLocked(err)
		}
	})
}

// committedLocked is the store's answer: the group's outputs leave, or never will [GATE-1] [COMMIT-4] [COMMIT-5].
func (inc *incarnation) committedLocked(err error) {
	s := inc.actor.router.cfg.Stats
	switch e := refusal(err); {
	case err == nil:
		s.Commits.Inc()
		inc.acknowledged()
	case e != nil:
		inc.refuse(e)
	default:
		s.CommitsUnknown.Inc()
		inc.retry(err)
	}
}

func (inc *incarnation) acknowledged() {
	c := inc.commit
	inc.commit, inc.frozen = nil, false
	inc.version = c.version
	inc.destroyed = c.decoded.GetDestroy() && inc.class != store.Volatile
	inc.record(c.decoded)
	inc.runner.Link.Send(inc.binding, &wire.CommitResult{Actor: inc.binding.Ref, Version: c.version})
	for _, frame := range inc.gate.Release() {
		if inc.actor.inc != inc {
			return
		}
		inc.effect(frame)
	}
}

// record notes whose onDisconnect is owed from now on, and whose has run [CONN-7].
func (inc *incarnation) record(changes *runnerv1alpha1.Changes) {
	if len(changes.GetConnectionsAdded())+len(changes.GetConnectionsRemoved()) == 0 {
		return
	}
	recorded := map[string]bool{}
	for _, id := range changes.GetConnectionsAdded() {
		recorded[id] = true
	}
	for _, id := range changes.GetConnectionsRemoved() {
		recorded[id] = false
		delete(inc.owed, id)
	}
	for _, c := range inc.connections {
		if is, named := recorded[c.ID]; named {
			c.recorded = is
		}
	}
}

// owe remembers a connection that has left until its onDisconnect is committed.
func (inc *incarnation) owe(id string, c *Connection) {
	if inc.owed == nil {
		inc.owed = map[string]*Connection{}
	}
	inc.owed[id] = c
}

// refusal is what callers are told of a definite refusal; nil if the outcome is unknown [COMMIT-4].
func refusal(err error) *wire.Error {
	switch {
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrStale),
		errors.Is(err, store.ErrGap), errors.Is(err, store.ErrNotFound):
		return wire.ActorFenced.New()
	case errors.Is(err, store.ErrQuota):
		return wire.KVQuotaExceeded.New()
	case errors.Is(err, store.ErrTooLarge):
		return wire.StateTooLarge.New()
	case errors.Is(err, store.ErrInvalid):
		return wire.StoreRefused.New()
	}
	return nil
}

// The pause before a commit of unknown outcome is sent again, doubling.
const (
	retryMin = 20 * time.Millisecond
	retryMax = time.Second
)

// retry sends the same commit again until the store answers definitely; meanwhile the actor is frozen [COMMIT-4].
func (inc *incarnation) retry(err error) {
	c := inc.commit
	if !inc.frozen {
		inc.actor.router.cfg.Logger.Error("a commit's outcome is unknown; it is sent again until the store answers",
			"actor", inc.id, "version", c.version, "error", err)
	}
	inc.frozen = true
	pause := min(retryMin<<min(c.retries, 10), retryMax)
	c.retries++
	time.AfterFunc(pause, func() {
		inc.actor.mu.Lock()
		defer inc.actor.mu.Unlock()
		if inc.actor.inc == inc && inc.commit == c {
			inc.write()
		}
	})
}

// refuse ends the incarnation: nothing it sent since its last acknowledged commit leaves [COMMIT-5].
func (inc *incarnation) refuse(e *wire.Error) {
	r := inc.actor.router
	r.cfg.Stats.CommitsRefused.Inc()
	r.cfg.Logger.Warn("a commit was refused", "actor", inc.id, "generation", inc.generation, "version", inc.version+1, "code", e.Name())
	inc.runner.Link.Send(inc.binding, &wire.CommitResult{Actor: inc.binding.Ref, Version: inc.version + 1, Error: e})
	inc.fence(e)
}

// violation ends the incarnation of a runner that broke the protocol [LINK-9].
func (inc *incarnation) violation(what string) {
	r := inc.actor.router
	r.cfg.Stats.InvalidReports.Inc()
	r.cfg.Logger.Error("a runner broke the protocol; its actor is fenced", "actor", inc.id, "runner", inc.runner.ID, "what", what)
	inc.fence(wire.RunnerInvalidReport.Newf("The runner broke the protocol: %s.", what))
}

// fence stops the incarnation without hook or commit and tells everybody under way why.
func (inc *incarnation) fence(e *wire.Error) {
	a := inc.actor
	inc.send(&runnerv1alpha1.StopActor{Actor: inc.binding.Ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_FENCED})
	inc.finish(e)
	inc.failed()
	a.settleLocked(true)
}
