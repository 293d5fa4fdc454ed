package embedded

import (
	"bytes"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// kvBounds are the store's bounds of a range of an actor's keys.
func kvBounds(a *actor, r store.Range) (from, until []byte) {
	from = actorKey(kindKV, a.ref, r.From)
	if len(r.Until) == 0 {
		return from, actorEnd(kindKV, a.ref)
	}
	return from, actorKey(kindKV, a.ref, r.Until)
}

// isEmpty says that no key can lie in the range. Pebble must not be asked: bounds the wrong way round are its caller's
// fault.
func isEmpty(r store.Range) bool {
	return len(r.Until) > 0 && bytes.Compare(r.From, r.Until) >= 0
}

// scanKV calls f for the entries of the range until it returns false; key and value are borrowed.
func (v view) scanKV(a *actor, r store.Range, f func(key, value []byte) bool) error {
	if a.kvBytes == 0 || isEmpty(r) {
		return nil
	}
	from, until := kvBounds(a, r)
	prefix := 4 + len(a.id)
	return v.scan(from, until, func(key, value []byte) (bool, error) { return f(key[prefix:], value), nil })
}

func foundKV(key, value []byte) store.KV {
	return store.KV{Key: bytes.Clone(key), Value: append([]byte{}, value...), Found: true}
}

// kvPlan follows what a commit's KV operations, applied in order, do to the bytes that the actor holds. The batch
// cannot be asked: nothing of the commit is in it until all of it is known to succeed.
type kvPlan struct {
	t       *tx
	a       *actor
	touched map[string]int // size of key and value after the operations so far; 0: absent
	deleted []store.Range  // ranges deleted so far; touched already knows of them
}

// applyKV adds the operations to the changes and keeps a.kvBytes exact.
func (t *tx) applyKV(a *actor, ops []store.KVOp) error {
	p := kvPlan{t: t, a: a}
	if len(ops) > 1 {
		p.touched = make(map[string]int, len(ops))
	}
	for i := range ops {
		var err error
		if op := &ops[i]; op.IsRange {
			err = p.deleteRange(store.Range{From: op.Key, Until: op.Until})
		} else {
			err = p.write(op)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *kvPlan) write(op *store.KVOp) error {
	start := len(p.t.arena)
	p.t.arena = append(appendActor(p.t.arena, kindKV, p.a.ref), op.Key...)
	key := p.t.kept(start)
	before, err := p.size(op.Key, key)
	if err != nil {
		return err
	}
	after := 0
	if op.HasValue {
		after = len(op.Key) + len(op.Value)
		p.t.set(key, nil, op.Value)
	} else if before > 0 {
		p.t.delete(key)
	}
	p.a.kvBytes += uint64(after) - uint64(before)
	if p.touched != nil {
		p.touched[string(op.Key)] = after
	}
	return nil
}

// size is what the key holds before the next operation.
func (p *kvPlan) size(name, key []byte) (int, error) {
	if size, ok := p.touched[string(name)]; ok {
		return size, nil
	}
	if p.a.kvBytes == 0 || p.isDeleted(name) {
		return 0, nil
	}
	n, found, err := p.t.size(key)
	if err != nil || !found {
		return 0, err
	}
	return len(name) + n, nil
}

// isDeleted says whether the stored value of an untouched key was deleted by an earlier range.
func (p *kvPlan) isDeleted(name []byte) bool {
	for _, r := range p.deleted {
		if inRange(r, name) {
			return true
		}
	}
	return false
}

func inRange[K string | []byte](r store.Range, name K) bool {
	return string(name) >= string(r.From) && (len(r.Until) == 0 || string(name) < string(r.Until))
}

// deleteRange has to look at every entry, to know its size, unless the range is all there is.
func (p *kvPlan) deleteRange(r store.Range) error {
	if isEmpty(r) || p.a.kvBytes == 0 {
		return nil
	}
	freed := p.a.kvBytes
	if len(r.From) > 0 || len(r.Until) > 0 {
		var err error
		if freed, err = p.stored(r); err != nil {
			return err
		}
	}
	for name, size := range p.touched {
		if inRange(r, name) {
			if len(r.From) > 0 || len(r.Until) > 0 {
				freed += uint64(size)
			}
			p.touched[name] = 0
		}
	}
	p.a.kvBytes -= freed
	p.deleted = append(p.deleted, r)
	p.t.deleteRange(kvBounds(p.a, r))
	return nil
}

// stored is the size of the entries of r that no operation of this commit has touched or deleted.
func (p *kvPlan) stored(r store.Range) (size uint64, err error) {
	err = p.t.scanKV(p.a, r, func(key, value []byte) bool {
		if _, ok := p.touched[string(key)]; !ok && !p.isDeleted(key) {
			size += uint64(len(key) + len(value))
		}
		return true
	})
	return size, err
}
