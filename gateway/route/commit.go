package route

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/gate"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// commit is a flush group's commit as the runner sent it.
type commit struct {
	version uint64
	id      [16]byte
	changes []byte // one encoded Changes
	decoded *runnerv1alpha1.Changes
	atStore bool // given to the store, which has not answered definitely
	spoken  bool // its outputs have left in the life before [LEASE-4]
	retries int
}

// repeat is a commit that was applied before the actor was adopted; its runner does not know, and sends it once more.
type repeat struct {
	id     [16]byte
	spoken bool // its outputs have left
}

// openCommit begins a flush group [GATE-2].
func (inc *incarnation) openCommit(m *wire.Commit) {
	if !inc.gate.Passes() {
		inc.violation(gate.ErrOpen.Error())
		return
	}
	sum := sha256.Sum256(m.Changes)
	c := &commit{version: m.Version, id: [16]byte(sum[:16])}
	repeated := inc.repeat != nil && m.Version == inc.version && c.id == inc.repeat.id
	if m.Version != inc.version+1 && !repeated {
		inc.violation(fmt.Sprintf("commit %d after %d", m.Version, inc.version))
		return
	}
	c.spoken = repeated && inc.repeat.spoken
	inc.repeat = nil
	if limit := inc.actor.router.cfg.Limits.MaxCommit; len(m.Changes) > limit {
		inc.overLimit(stats.MaxCommit, wire.StateTooLarge.Newf("The commit has %d bytes, at most %d are allowed.", len(m.Changes), limit))
		return
	}
	if err := inc.gate.Open(int(m.Outputs), len(m.Changes), inc.gateLimits()); err != nil {
		inc.tooMuch(err)
		return
	}
	c.changes = append([]byte(nil), m.Changes...)
	inc.commit = c
	inc.weigh(len(c.changes))
	if inc.gate.Complete() {
		inc.submit()
	}
}

// tooMuch is a runner that sends more than the gate may hold.
func (inc *incarnation) tooMuch(err error) {
	s := inc.actor.router.cfg.Stats
	switch {
	case errors.Is(err, gate.ErrGroupOutputs):
		s.Limit(stats.MaxGroupOutputs)
	case errors.Is(err, gate.ErrGroupBytes):
		s.Limit(stats.MaxGroupBytes)
	case errors.Is(err, gate.ErrHeldBytes):
		s.Limit(stats.MaxHeldBytes)
	}
	inc.violation(err.Error())
}

// overLimit refuses a commit that exceeds a limit of the gateway [LIMIT-7].
func (inc *incarnation) overLimit(limit string, e *wire.Error) {
	inc.actor.router.cfg.Stats.Limit(limit)
	inc.refuse(e)
}

// submit gives the complete group's commit to the store. The answer comes by committed.
func (inc *incarnation) submit() {
	c := inc.commit
	if limit, e := inc.checkCounts(c.changes); e != nil {
		inc.overLimit(limit, e)
		return
	}
	changes, err := wire.DecodeChanges(c.changes)
	if err != nil {
		inc.violation(err.Error())
		return
	}
	c.decoded = changes
	if limit, e := inc.checkChanges(changes); e != nil {
		inc.overLimit(limit, e)
		return
	}
	c.atStore = true
	if inc.class == store.Volatile {
		inc.committedLocked(nil) // nothing is written [CLASS-1]
		return
	}
	inc.write()
}

// atStore tells whether a commit's outcome is awaited from the store.
func (inc *incarnation) atStore() bool { return inc.commit != nil && inc.commit.atStore }

func (inc *incarnation) write() {
	c := inc.commit
	inc.actor.router.cfg.Store.Commit(inc.storeCommit(), func(err error) {
		inc.actor.mu.Lock()
		defer inc.actor.mu.Unlock()
		if inc.actor.inc == inc && inc.commit == c {
			inc.committedLocked(err)
		}
	})
}

// committedLocked is the store's answer: the group's outputs leave, or never will [GATE-1] [COMMIT-4] [COMMIT-5].
func (inc *incarnation) committedLocked(err error) {
	s, c := inc.actor.router.cfg.Stats, inc.commit
	switch e := refusal(err); {
	case err == nil, c.retries > 0 && c.decoded.GetDestroy() && errors.Is(err, store.ErrGone):
		s.Commits.Inc()
		inc.acknowledged()
	case e != nil:
		inc.refuse(e)
	default:
		s.CommitsUnknown.Inc()
		inc.retry(err)
	}
}

// acknowledged lets out what waited for the commit. Of what came behind the group, an incarnation that ends sends only the
// outputs: everything else was for a life that is over.
func (inc *incarnation) acknowledged() {
	c := inc.commit
	inc.commit, inc.frozen = nil, false
	inc.version = c.version
	inc.destroyed = c.decoded.GetDestroy() && inc.class != store.Volatile
	inc.record(c.decoded)
	inc.push(&wire.CommitResult{Actor: inc.binding.Ref, Version: c.version})
	group, behind := inc.gate.Release()
	if inc.actor.router.cfg.StrictReads {
		if inc.ending == nil {
			inc.releaseStrictly(c, group, behind)
			return
		}
		behind = nil // nobody is left to check them for
	}
	defer inc.emptied()
	if c.spoken {
		group = nil
	}
	for _, frames := range [][]any{group, behind} {
		for _, frame := range frames {
			if inc.actor.inc != inc {
				return // one of them has ended it
			}
			if inc.ending == nil || isOutput(frame) {
				inc.effect(frame)
			}
		}
	}
	if inc.actor.inc == inc && inc.ending != nil {
		inc.conclude()
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
	c, r := inc.commit, inc.actor.router
	if !inc.frozen {
		r.cfg.Logger.Error("a commit's outcome is unknown; it is sent again until the store answers",
			"actor", inc.id, "version", c.version, "error", err)
	}
	inc.frozen = true
	pause := min(retryMin<<min(c.retries, 10), retryMax)
	c.retries++
	time.AfterFunc(pause, func() {
		inc.actor.mu.Lock()
		defer inc.actor.mu.Unlock()
		if inc.actor.inc == inc && inc.commit == c && r.ctx.Err() == nil {
			inc.write()
		}
	})
}

// refuse ends the incarnation: nothing it sent since its last acknowledged commit leaves [COMMIT-5].
func (inc *incarnation) refuse(e *wire.Error) {
	r := inc.actor.router
	r.cfg.Stats.CommitsRefused.Inc()
	r.cfg.Logger.Warn("a commit was refused", "actor", inc.id, "generation", inc.generation, "version", inc.version+1, "code", e.Name())
	inc.push(&wire.CommitResult{Actor: inc.binding.Ref, Version: inc.version + 1, Error: e})
	unanswered := e
	if inc.commit != nil && inc.commit.retries > 0 && errors.Is(e, wire.ActorFenced) {
		unanswered = wire.ActionOutcomeUnknown.New() // an earlier attempt may have been applied [COMMIT-4]
	}
	inc.commit = nil
	if inc.ending != nil {
		inc.ending.unanswered = unanswered
	}
	inc.sendFenced()
	inc.end(ending{unanswered: unanswered, cause: e})
}
