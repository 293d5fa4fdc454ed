package embedded

import (
	"context"
	"fmt"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Resolve looks an address up.
func (s *Store) Resolve(ctx context.Context, addr address.Address) (r store.Record, err error) {
	if err := addr.Validate(); err != nil {
		return r, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	err = s.read(ctx, func(v view) error {
		place, found, err := v.find(addr)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		r, err = v.describe(place)
		return err
	})
	return r, err
}

// Describe looks an id up.
func (s *Store) Describe(ctx context.Context, id string) (r store.Record, err error) {
	err = s.read(ctx, func(v view) error {
		place, ok := parseRef(id)
		if !ok {
			return store.ErrNotFound
		}
		r, err = v.describe(place)
		return err
	})
	return r, err
}

func (v view) describe(r ref) (store.Record, error) {
	a, found, err := v.load(r)
	if err != nil {
		return store.Record{}, err
	}
	if !found {
		return store.Record{}, store.ErrNotFound
	}
	return v.record(&a)
}

type creation struct {
	record  store.Record
	created bool
}

// Create makes the actor, or finds the one that has the address.
func (s *Store) Create(ctx context.Context, c store.Create) (store.Record, bool, error) {
	if err := c.Address.Validate(); err != nil {
		return store.Record{}, false, fmt.Errorf("create: %w: %w", store.ErrInvalid, err)
	}
	if err := address.ValidateRegion(c.Region); err != nil {
		return store.Record{}, false, fmt.Errorf("create: %w: %w", store.ErrInvalid, err)
	}
	c.Address.Key = slices.Clone(c.Address.Key)
	c.Input = slices.Clone(c.Input)
	result, err := do(ctx, s, c.Durability, len(c.Input), func(t *tx) (creation, error) { return t.create(c) })
	return result.record, result.created, err
}

func (t *tx) create(c store.Create) (creation, error) {
	existing, found, err := t.find(c.Address)
	if err != nil {
		return creation{}, err
	}
	if found {
		record, err := t.describe(existing)
		return creation{record, false}, err
	}
	partition := c.Address.Partition()
	a := actor{
		ref:       ref{partition, address.NewID(c.Region, partition, t.now)},
		addr:      c.Address.AppendKey(nil),
		createdAt: t.nowMicros(),
		hasInput:  c.HasInput,
	}
	t.put(&a)
	t.set(nameKey(c.Address), []byte(a.id), nil)
	record, err := a.record()
	if c.HasInput {
		t.set(t.actorKey(kindInput, a.ref, ""), nil, c.Input)
		// The answer is the caller's; the batch copies c.Input before it is given.
		record.Input, record.HasInput = c.Input, true
	}
	return creation{record, true}, err
}

// Destroy removes an actor from outside, on the disk before it answers.
func (s *Store) Destroy(ctx context.Context, id string) error {
	_, err := do(ctx, s, store.Disk, 0, func(t *tx) (struct{}, error) {
		r, ok := parseRef(id)
		if !ok {
			return struct{}{}, store.ErrNotFound
		}
		a, found, err := t.load(r)
		if err != nil {
			return struct{}{}, err
		}
		if !found {
			return struct{}{}, store.ErrNotFound
		}
		return struct{}{}, t.destroy(&a)
	})
	return err
}

// destroy removes all that the actor holds, and its key [LIFE-6]. Range deletions only where there is something: they
// are dear to reads until they are compacted away.
func (t *tx) destroy(a *actor) error {
	t.remove(a)
	start := len(t.arena)
	t.arena = append(appendPartition(t.arena, a.partition, kindName), a.addr...)
	t.delete(t.kept(start))
	if a.hasInput {
		t.delete(t.actorKey(kindInput, a.ref, ""))
	}
	if a.stateIsLarge() {
		t.delete(t.actorKey(kindState, a.ref, ""))
	}
	if a.kvBytes > 0 {
		t.deleteAll(kindKV, a.ref)
	}
	if a.connections > 0 {
		t.deleteAll(kindConnection, a.ref)
	}
	if a.results > 0 {
		t.deleteAll(kindResult, a.ref)
		t.deleteAll(kindOrder, a.ref)
	}
	if a.schedules == 0 {
		return nil
	}
	t.deleteAll(kindSchedule, a.ref)
	return t.eachSchedule(a.ref, func(s *schedule) {
		t.delete(t.timerKey(a.ref, s.visibleAt(), s.id))
	})
}
