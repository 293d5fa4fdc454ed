package embedded

import (
	"bytes"
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Export visits the actors of a partition in a snapshot.
func (s *Store) Export(ctx context.Context, partition uint16, visit func(*store.Item) error) error {
	return s.read(ctx, func(v view) error {
		from, until := appendPartition(nil, partition, kindRecord), appendPartition(nil, partition, kindRecord+1)
		return v.scan(from, until, func(key, value []byte) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			id := string(key[len(from) : len(key)-1])
			a, err := decodeActor(ref{partition, id}, bytes.Clone(value))
			if err != nil {
				return false, err
			}
			return true, v.exportActor(&a, visit)
		})
	})
}

func (v view) exportActor(a *actor, visit func(*store.Item) error) error {
	record, err := v.record(a)
	if err == nil {
		err = visit(&store.Item{Kind: store.ItemRecord, ID: a.id, Record: record})
	}
	if err == nil && a.hasState {
		var state []byte
		if state, err = v.state(a); err == nil {
			err = visit(&store.Item{Kind: store.ItemState, ID: a.id, Value: state})
		}
	}
	if err == nil && a.kvBytes > 0 {
		err = v.scanActor(kindKV, a.ref, func(key, value []byte) (bool, error) {
			return true, visit(&store.Item{Kind: store.ItemKV, ID: a.id, Key: key, Value: value})
		})
	}
	if err == nil && a.schedules > 0 {
		err = v.scanActor(kindSchedule, a.ref, func(id, value []byte) (bool, error) {
			s, err := decodeSchedule(string(id), value)
			if err != nil {
				return false, err
			}
			return true, visit(&store.Item{Kind: store.ItemSchedule, ID: a.id, Schedule: s.export()})
		})
	}
	if err == nil && a.results > 0 {
		err = v.scanActor(kindOrder, a.ref, func(_, key []byte) (bool, error) { return true, v.exportResult(a, key, visit) })
	}
	if err == nil && a.connections > 0 {
		err = v.scanActor(kindConnection, a.ref, func(id, _ []byte) (bool, error) {
			return true, visit(&store.Item{Kind: store.ItemConnection, ID: a.id, Key: id})
		})
	}
	return err
}

func (v view) exportResult(a *actor, key []byte, visit func(*store.Item) error) error {
	r, found, err := v.result(a.ref, key)
	if err == nil && !found {
		err = fmt.Errorf("result %x of actor %q: %w", key, a.id, errCorrupt)
	}
	if err != nil {
		return err
	}
	return visit(&store.Item{
		Kind: store.ItemResult, ID: a.id, Key: key, Value: r.bytes, Finished: r.finished, KeptAt: fromMicros(r.keptAt),
	})
}
