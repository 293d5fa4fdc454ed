package redis

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Resolve looks an address up.
func (s *Store) Resolve(ctx context.Context, addr address.Address) (store.Record, error) {
	if err := addr.Validate(); err != nil {
		return store.Record{}, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	keys := s.keys.partitions[addr.Partition()]
	return recordOf(s.ask(ctx, fnResolve, keys, string(addr.AppendKey(nil))))
}

// Describe looks an id up.
func (s *Store) Describe(ctx context.Context, id string) (store.Record, error) {
	keys, ok := s.keys.of(id)
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	return recordOf(s.ask(ctx, fnDescribe, keys, id))
}

func recordOf(m rueidis.RedisMessage, err error) (store.Record, error) {
	if err != nil {
		return store.Record{}, err
	}
	return readRecord(newReply(m))
}

// Create makes the actor, or finds the one that has the address. The id is chosen here, so that a repetition whose first
// answer was lost finds its own actor and says that it was created.
func (s *Store) Create(ctx context.Context, c store.Create) (store.Record, bool, error) {
	if err := c.Address.Validate(); err != nil {
		return store.Record{}, false, fmt.Errorf("create: %w: %w", store.ErrInvalid, err)
	}
	if err := address.ValidateRegion(c.Region); err != nil {
		return store.Record{}, false, fmt.Errorf("create: %w: %w", store.ErrInvalid, err)
	}
	d, err := s.class(c.Durability)
	if err != nil {
		return store.Record{}, false, fmt.Errorf("create: %w", err)
	}
	partition := c.Address.Partition()
	id := address.NewID(c.Region, partition, s.localTime())
	m, err := s.change(ctx, d, fnCreate, s.keys.partitions[partition],
		string(c.Address.AppendKey(nil)), id, flag(c.HasInput), string(c.Input))
	if err != nil {
		return store.Record{}, false, err
	}
	r := newReply(m)
	created := r.number() == 1
	list, _ := r.list()
	if err := r.finish("creation"); err != nil {
		return store.Record{}, false, err
	}
	record, err := readRecord(list)
	return record, created, err
}

// Destroy removes an actor from outside. Where an attempt without answer may have done so already, an actor that is not there
// was removed.
func (s *Store) Destroy(ctx context.Context, id string) error {
	keys, ok := s.keys.of(id)
	if !ok {
		return store.ErrNotFound
	}
	_, err := s.change(ctx, s.strongest(), fnDestroy, keys, id)
	if gone(err) {
		return nil
	}
	return err
}

// flag is how a yes is told to the library.
func flag(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}
