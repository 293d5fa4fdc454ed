package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Read serves keys by name or a page of a range, from one snapshot with the fence.
func (s *Store) Read(ctx context.Context, q store.Read) (out store.ReadResult, err error) {
	if q.Range != nil && q.Limit < 1 {
		return out, fmt.Errorf("read at most %d entries: %w", q.Limit, store.ErrInvalid)
	}
	err = s.read(ctx, func(v view) error {
		a, err := v.owned(q.ID, q.Generation, q.Nonce)
		if err != nil {
			return err
		}
		if q.Range != nil {
			out, err = v.readRange(&a, &q)
		} else {
			out.Entries, err = v.readKeys(&a, &q)
		}
		return err
	})
	if err != nil {
		return store.ReadResult{}, err
	}
	return out, nil
}

func (v view) readKeys(a *actor, q *store.Read) ([]store.KV, error) {
	entries := make([]store.KV, len(q.Keys))
	size := 0
	for i, key := range q.Keys {
		value, found, err := v.get(actorKey(kindKV, a.ref, key))
		if err != nil {
			return nil, err
		}
		if size += len(key) + len(value); q.MaxBytes > 0 && size > q.MaxBytes {
			return nil, fmt.Errorf("read %d keys: more than %d bytes: %w", len(q.Keys), q.MaxBytes, store.ErrTooLarge)
		}
		entries[i] = store.KV{Key: append([]byte{}, key...), Value: value, Found: found}
	}
	return entries, nil
}

func (v view) readRange(a *actor, q *store.Read) (out store.ReadResult, err error) {
	if a.kvBytes == 0 || isEmpty(*q.Range) {
		return out, nil
	}
	from, until := kvBounds(a, *q.Range)
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: until})
	if err != nil {
		return out, err
	}
	first, next := it.First, it.Next
	if q.Reverse {
		first, next = it.Last, it.Prev
	}
	size := 0
	for ok := first(); ok; ok = next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return out, errors.Join(err, it.Close())
		}
		key := it.Key()[4+len(a.id):]
		size += len(key) + len(value)
		if len(out.Entries) >= q.Limit || len(out.Entries) > 0 && size > q.MaxBytes {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, foundKV(key, value))
	}
	return out, it.Close()
}

// Result looks a keyed call up, from one snapshot with the fence.
func (s *Store) Result(ctx context.Context, id string, generation uint64, nonce [16]byte, key []byte) (
	out store.KeyedResult, err error,
) {
	err = s.read(ctx, func(v view) error {
		a, err := v.owned(id, generation, nonce)
		if err != nil || a.results == 0 {
			return err
		}
		kept, found, err := v.result(a.ref, key)
		if err != nil || !found || kept.expired(toMicros(s.now()), &s.limits) {
			return err
		}
		out.State = store.ResultInDoubt
		if kept.finished {
			out.State, out.Result = store.ResultFinished, kept.bytes
		}
		return nil
	})
	return out, err
}
