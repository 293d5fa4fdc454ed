package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// maxGeneration keeps generations exact in languages whose numbers are doubles [FENCE-2].
const maxGeneration = 1 << 53

// Acquire takes the actor over.
func (s *Store) Acquire(ctx context.Context, a store.Acquire) (store.Acquired, error) {
	a.Preload = cloneRanges(a.Preload)
	return do(ctx, s, a.Durability, 0, func(t *tx) (store.Acquired, error) { return t.acquire(&a) })
}

func cloneRanges(ranges []store.Range) []store.Range {
	ranges = slices.Clone(ranges)
	for i := range ranges {
		ranges[i] = store.Range{From: slices.Clone(ranges[i].From), Until: slices.Clone(ranges[i].Until)}
	}
	return ranges
}

func (t *tx) acquire(q *store.Acquire) (store.Acquired, error) {
	r, ok := parseRef(q.ID)
	if !ok {
		return store.Acquired{}, store.ErrNotFound
	}
	a, found, err := t.load(r)
	if err != nil {
		return store.Acquired{}, err
	}
	if !found {
		return store.Acquired{}, store.ErrNotFound
	}
	if q.Generation != 0 && (q.Generation != a.generation || q.Nonce != a.nonce) {
		return store.Acquired{}, store.ErrFenced
	}
	owned := len(a.runner) > 0
	a.generation = max(a.generation+1, t.nowMicros()) // [FENCE-2]
	if a.generation >= maxGeneration {
		return store.Acquired{}, errors.New("the store's clock is centuries ahead: no generation is left")
	}
	_, _ = rand.Read(a.nonce[:]) // never fails: crypto/rand ends the process instead
	a.runner = []byte(q.Runner)
	t.put(&a)
	return t.acquired(&a, q, owned)
}

// acquired reads what the new owner starts from, in the same step as the take-over [COMMIT-3].
func (t *tx) acquired(a *actor, q *store.Acquire, owned bool) (out store.Acquired, err error) {
	out.PreviousOwns = owned
	if out.Record, err = t.record(a); err != nil {
		return out, err
	}
	if out.HasState = a.hasState; a.hasState {
		if out.State, err = t.state(a); err != nil {
			return out, err
		}
	}
	if a.schedules > 0 {
		err = t.eachSchedule(a.ref, func(s *schedule) { out.Schedules = append(out.Schedules, s.export()) })
	}
	if err == nil && a.connections > 0 {
		err = t.scanActor(kindConnection, a.ref, func(id, _ []byte) (bool, error) {
			out.Connections = append(out.Connections, string(id))
			return true, nil
		})
	}
	if err == nil {
		err = t.preload(a, q, &out)
	}
	return out, err
}

func (t *tx) preload(a *actor, q *store.Acquire, out *store.Acquired) error {
	budget := q.PreloadBytes
	for _, r := range q.Preload {
		var entries []store.KV
		size := 0
		err := t.scanKV(a, r, func(key, value []byte) bool {
			if size += len(key) + len(value); size > budget {
				return false
			}
			entries = append(entries, foundKV(key, value))
			return true
		})
		if err != nil {
			return err
		}
		if size > budget {
			continue // It does not fit: left out whole, the next one may.
		}
		budget -= size
		out.Preload = append(out.Preload, entries...)
		out.Preloaded = append(out.Preloaded, r)
	}
	return nil
}

// Release forgets the runner. It is acknowledged in class fast: when it is lost, the actor names a runner that is gone,
// as after a crash.
func (s *Store) Release(ctx context.Context, id string, generation uint64, nonce [16]byte) error {
	_, err := do(ctx, s, store.Fast, 0, func(t *tx) (struct{}, error) {
		a, err := t.owned(id, generation, nonce)
		if err == nil {
			a.runner = nil
			t.put(&a)
		}
		return struct{}{}, err
	})
	return err
}
