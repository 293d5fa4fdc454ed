package embedded

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// view reads: from a snapshot on a caller's goroutine, or from the batch of the group that the writer is building.
type view struct{ r pebble.Reader }

// appendGet appends the value of key to dst.
func (v view) appendGet(dst, key []byte) (value []byte, found bool, err error) {
	stored, closer, err := v.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, stored...)
	return dst, true, closer.Close()
}

// get returns a copy of the value; never nil if found.
func (v view) get(key []byte) (value []byte, found bool, err error) {
	value, found, err = v.appendGet(nil, key)
	if found && value == nil {
		value = []byte{}
	}
	return value, found, err
}

// size returns the length of the value.
func (v view) size(key []byte) (n int, found bool, err error) {
	stored, closer, err := v.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n = len(stored)
	return n, true, closer.Close()
}

// scan calls f for each entry of [from, until) until it returns false. key and value are borrowed.
func (v view) scan(from, until []byte, f func(key, value []byte) (bool, error)) error {
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: until})
	if err != nil {
		return err
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			more, err = f(it.Key(), value)
		}
	}
	return errors.Join(err, it.Close())
}

// scanActor is scan over what the actor has of a kind; f gets the keys without their prefix.
func (v view) scanActor(k kind, r ref, f func(suffix, value []byte) (bool, error)) error {
	prefix := actorKey(k, r, nil)
	return v.scan(prefix, actorEnd(k, r), func(key, value []byte) (bool, error) {
		return f(key[len(prefix):], value)
	})
}

// load reads the record of an actor.
func (v view) load(r ref) (a actor, found bool, err error) {
	b, found, err := v.get(actorKey(kindRecord, r, nil))
	if err != nil || !found {
		return actor{}, false, err
	}
	a, err = decodeActor(r, b)
	return a, true, err
}

// owned loads the record and checks the fence.
func (v view) owned(id string, generation uint64, nonce [16]byte) (actor, error) {
	r, ok := parseRef(id)
	if !ok {
		return actor{}, store.ErrGone
	}
	a, found, err := v.load(r)
	if err != nil {
		return actor{}, err
	}
	return a, fence(&a, found, generation, nonce)
}

// fence checks who asks [FENCE-1].
func fence(a *actor, found bool, generation uint64, nonce [16]byte) error {
	switch {
	case !found:
		return store.ErrGone
	case a.generation == 0 || a.generation != generation || a.nonce != nonce:
		return store.ErrFenced
	}
	return nil
}

// find looks up the id of an address.
func (v view) find(addr address.Address) (r ref, found bool, err error) {
	id, found, err := v.get(nameKey(addr))
	if err != nil || !found {
		return ref{}, false, err
	}
	r, ok := parseRef(string(id))
	if !ok {
		return ref{}, false, fmt.Errorf("key entry of %v: %w", addr, errCorrupt)
	}
	return r, true, nil
}

// record is the record for callers, with the input.
func (v view) record(a *actor) (store.Record, error) {
	record, err := a.record()
	if err != nil || !a.hasInput {
		return record, err
	}
	input, found, err := v.get(actorKey(kindInput, a.ref, nil))
	if err == nil && !found {
		err = fmt.Errorf("input of actor %q: %w", a.id, errCorrupt)
	}
	record.Input, record.HasInput = input, true
	return record, err
}

// state returns a copy of the state.
func (v view) state(a *actor) ([]byte, error) {
	if !a.stateIsLarge() {
		return append([]byte(nil), a.inline...), nil
	}
	state, found, err := v.get(actorKey(kindState, a.ref, nil))
	if err == nil && (!found || uint64(len(state)) != a.stateLen) {
		err = fmt.Errorf("state of actor %q: %w", a.id, errCorrupt)
	}
	return state, err
}
