package embedded

import (
	"fmt"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Commit queues the commit; done is called by the writer's goroutine.
func (s *Store) Commit(c store.Commit, done func(error)) {
	taken := s.writer.enqueue(operation{
		commit: c,
		size:   commitSize(&c),
		sync:   syncs(c.Durability),
		done:   done,
	})
	if !taken {
		// Not on this goroutine: the caller may hold what done needs. There is nothing of the store to wait for.
		go done(store.ErrClosed)
	}
}

// commitSize estimates what the commit adds to its group.
func commitSize(c *store.Commit) int {
	size := 256 + len(c.State)
	for i := range c.KV {
		size += 64 + len(c.KV[i].Key) + len(c.KV[i].Value)
	}
	for i := range c.Finished {
		size += 64 + len(c.Finished[i].Result)
	}
	for i := range c.Schedules {
		size += 128 + len(c.Schedules[i].Spec)
	}
	return size
}

// commit applies a commit to the batch: shape, fence, version, limits, then the changes in the order of the fields.
func (t *tx) commit(c *store.Commit) error {
	if err := checkCommit(c); err != nil {
		return err
	}
	a, err := t.owned(c.ID, c.Generation, c.Nonce)
	if err != nil {
		return err
	}
	if done, err := outcome(&a, c); done || err != nil {
		return err
	}
	if c.Destroy {
		return t.destroy(&a)
	}
	if err := t.limits.CheckCommit(c); err != nil {
		return err
	}
	before := a.storage()
	if err := t.applyParts(&a, c); err != nil {
		return err
	}
	// A limit that was lowered below what the actor holds still lets it shrink.
	if a.storage() > uint64(t.limits.Storage) && a.storage() > before {
		return fmt.Errorf("%d of %d bytes: %w", a.storage(), t.limits.Storage, store.ErrQuota)
	}
	if a.hasInput {
		t.delete(t.actorKey(kindInput, a.ref, "")) // [LIFE-4]
		a.hasInput = false
	}
	a.version, a.commitID = c.Version, c.CommitID
	t.put(&a)
	return nil
}

// outcome compares the version with the record's [COMMIT-2]; done is DUPLICATE.
func outcome(a *actor, c *store.Commit) (done bool, err error) {
	switch {
	case c.Version == a.version+1:
		return false, nil
	case c.Version > a.version:
		return false, store.ErrGap
	case c.Version < a.version:
		return false, store.ErrStale
	case c.CommitID != a.commitID:
		return false, store.ErrConflict
	default:
		return true, nil
	}
}

func checkCommit(c *store.Commit) error {
	if c.Durability > store.Disk {
		return fmt.Errorf("commit in durability class %d: %w", c.Durability, store.ErrInvalid)
	}
	return c.Check()
}

func (t *tx) applyParts(a *actor, c *store.Commit) error {
	if c.HasState {
		t.applyState(a, c.State)
	}
	if len(c.KV) > 0 {
		if err := t.applyKV(a, c.KV); err != nil {
			return err
		}
	}
	if len(c.Schedules)+len(c.Finished)+len(c.Open) > 0 {
		if err := t.applyOutside(a, c); err != nil {
			return err
		}
	}
	if len(c.Connections.Added)+len(c.Connections.Removed) > 0 {
		return t.applyConnections(a, &c.Connections)
	}
	return nil
}

func (t *tx) applyState(a *actor, state []byte) {
	wasLarge := a.stateIsLarge()
	a.hasState, a.stateLen, a.inline = true, uint64(len(state)), nil
	if a.stateIsLarge() {
		t.set(t.actorKey(kindState, a.ref, ""), nil, state)
		return
	}
	a.inline = state
	if wasLarge {
		t.delete(t.actorKey(kindState, a.ref, ""))
	}
}

// applyOutside applies what others than the actor see: schedules and keyed results.
func (t *tx) applyOutside(a *actor, c *store.Commit) error {
	schedules := scheduleSet{t: t, a: a, touched: make(map[string]*touchedSchedule)}
	results := resultSet{t: t, a: a, touched: make(map[string]*touchedResult)}
	if err := schedules.applyOps(c.Schedules); err != nil {
		return err
	}
	for i := range c.Finished {
		f := &c.Finished[i]
		if err := schedules.finish(f); err != nil {
			return err
		}
		if err := results.finish(f); err != nil {
			return err
		}
	}
	for i := range c.Open {
		o := &c.Open[i]
		if err := schedules.open(o); err != nil {
			return err
		}
		if err := results.open(o); err != nil {
			return err
		}
	}
	if err := schedules.write(); err != nil {
		return err
	}
	return results.write()
}
