package storetest

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Commit applies at once; only the answer comes on another goroutine, as from any store.
func (m *Model) Commit(c store.Commit, done func(error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		go done(store.ErrClosed)
		return
	}
	err := m.commit(&c)
	m.wg.Go(func() { done(err) })
}

func (m *Model) commit(c *store.Commit) error {
	if c.Version == 0 || c.Durability > store.Disk || c.Durability == store.Volatile || !c.Destroy && malformed(c) {
		return store.ErrInvalid
	}
	a, err := m.owned(c.ID, c.Generation, c.Nonce)
	if err != nil {
		return err
	}
	switch current := a.record.Version; {
	case c.Version > current+1:
		return store.ErrGap
	case c.Version < current:
		return store.ErrStale
	case c.Version == current && c.CommitID != a.record.CommitID:
		return store.ErrConflict
	case c.Version == current:
		return nil
	}
	if c.Destroy {
		delete(m.actors, c.ID)
		return nil
	}
	next := a.clone()
	if err := m.apply(next, c); err != nil {
		return err
	}
	if n := len(next.schedules); n > m.limits.Schedules && n > len(a.schedules) {
		return store.ErrTooLarge
	}
	if n := next.storage(); n > m.limits.Storage && n > a.storage() {
		return store.ErrQuota
	}
	m.actors[c.ID] = next
	return nil
}

func malformed(c *store.Commit) bool {
	return slices.ContainsFunc(c.KV, func(op store.KVOp) bool {
		return op.IsRange && op.HasValue || !op.IsRange && len(op.Key) == 0
	}) || slices.ContainsFunc(c.Schedules, func(op store.ScheduleOp) bool {
		return op.ID == "" || !op.Cancel && op.After == nil && op.At.UnixMicro() <= 0 || op.After != nil && *op.After < 0
	}) || slices.ContainsFunc(c.Finished, func(f store.Finished) bool {
		return f.Schedule == "" && len(f.Key) == 0 || !f.NextAt.IsZero() && f.NextAt.UnixMicro() <= 0
	}) || slices.ContainsFunc(c.Open, func(o store.Open) bool {
		return o.Schedule == "" && len(o.Key) == 0
	}) || slices.Contains(c.Connections.Added, "") || slices.Contains(c.Connections.Removed, "")
}

func (a *modelActor) clone() *modelActor {
	next := *a
	next.kv, next.schedules = maps.Clone(a.kv), maps.Clone(a.schedules)
	next.connections, next.results = maps.Clone(a.connections), slices.Clone(a.results)
	return &next
}

func (a *modelActor) storage() int64 {
	n := int64(len(a.state))
	for key, value := range a.kv {
		n += int64(len(key) + len(value))
	}
	return n
}

func (m *Model) apply(a *modelActor, c *store.Commit) error {
	if len(c.State) > m.limits.State {
		return store.ErrTooLarge
	}
	for _, op := range c.KV {
		if !op.IsRange && len(op.Key) > m.limits.KVKey || len(op.Value) > m.limits.KVValue {
			return store.ErrTooLarge
		}
	}
	if c.HasState {
		a.state, a.hasState = bytes.Clone(c.State), true
	}
	for _, op := range c.KV {
		a.applyKV(op)
	}
	for _, op := range c.Schedules {
		a.applySchedule(op, m.now())
	}
	for _, f := range c.Finished {
		a.finish(f, m.now())
	}
	for _, o := range c.Open {
		a.open(o, m.now(), m.limits.ResultTTL)
	}
	a.results = a.results[max(0, len(a.results)-m.limits.Results):]
	for _, id := range c.Connections.Added {
		a.connections[id] = true
	}
	for _, id := range c.Connections.Removed {
		delete(a.connections, id)
	}
	a.record.Input, a.record.HasInput = nil, false
	a.record.Version, a.record.CommitID = c.Version, c.CommitID
	return nil
}

func (a *modelActor) applyKV(op store.KVOp) {
	switch {
	case op.IsRange:
		maps.DeleteFunc(a.kv, func(key string, _ []byte) bool {
			return within(store.Range{From: op.Key, Until: op.Until}, key)
		})
	case op.HasValue:
		a.kv[string(op.Key)] = bytes.Clone(op.Value)
	default:
		delete(a.kv, string(op.Key))
	}
}

func (a *modelActor) applySchedule(op store.ScheduleOp, now time.Time) {
	if op.Cancel {
		delete(a.schedules, op.ID)
		return
	}
	due := op.At
	if op.After != nil {
		due = now.Add(*op.After)
	}
	a.schedules[op.ID] = store.Schedule{
		ID: op.ID, Fire: a.schedules[op.ID].Fire + 1, DueAt: ceilMicro(due), Spec: bytes.Clone(op.Spec),
	}
}

func (a *modelActor) finish(f store.Finished, now time.Time) {
	if s, ok := a.schedules[f.Schedule]; ok && s.Fire == f.Fire {
		if f.NextAt.IsZero() {
			delete(a.schedules, s.ID)
		} else {
			a.schedules[s.ID] = store.Schedule{ID: s.ID, Fire: s.Fire + 1, DueAt: ceilMicro(f.NextAt), Spec: s.Spec}
		}
	}
	if len(f.Key) > 0 {
		a.keep(f.Key, store.KeyedResult{State: store.ResultFinished, Result: bytes.Clone(f.Result)}, now)
	}
}

func (a *modelActor) open(o store.Open, now time.Time, ttl time.Duration) {
	if s, ok := a.schedules[o.Schedule]; ok && s.Fire == o.Fire {
		s.InDoubt = true
		a.schedules[s.ID] = s
	}
	if len(o.Key) > 0 && a.known(string(o.Key), now, ttl).State == store.ResultUnknown {
		a.keep(o.Key, store.KeyedResult{State: store.ResultInDoubt}, now)
	}
}

func (a *modelActor) keep(key []byte, known store.KeyedResult, now time.Time) {
	a.results = slices.DeleteFunc(a.results, func(r modelResult) bool { return r.key == string(key) })
	a.results = append(a.results, modelResult{string(key), known, now})
}
