package embedded

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// tx is one operation on its way into the batch of its group. It reads through the batch, so it sees the operations
// before it, and keeps its own changes back until it is known to succeed: one that is refused leaves no trace. It
// therefore does not see its own changes. The writer owns it and uses it for one operation after another.
type tx struct {
	view
	batch  *pebble.Batch
	limits store.Limits
	now    time.Time

	arena   []byte // backs keys and heads
	changes []change

	records remembered
	changed string // the actor whose record the operation changes; empty: none
	encoded []byte // that record, in the arena; nil: it is gone
}

// change is one write. A value is head and tail together, so that large values are copied once.
type change struct {
	kind       changeKind
	key        []byte // or the start of a range
	head, tail []byte // or the end of a range in head
}

type changeKind byte

const (
	changeSet changeKind = iota
	changeDelete
	changeDeleteRange
)

// maxArena is how much of a large operation's memory is kept for the next.
const maxArena = 1 << 20

// begin forgets the operation before.
func (t *tx) begin() {
	if cap(t.arena) > maxArena {
		t.arena = nil
	}
	t.arena = t.arena[:0]
	clear(t.changes) // lets go of the callers' values
	t.changes = t.changes[:0]
	t.changed, t.encoded = "", nil
}

// apply moves the operation's changes into the batch.
func (t *tx) apply() error {
	for i := range t.changes {
		if err := t.changes[i].apply(t.batch); err != nil {
			return err
		}
	}
	switch {
	case t.encoded != nil:
		t.records.put(t.changed, t.encoded)
	case t.changed != "":
		t.records.forget(t.changed)
	}
	return nil
}

func (c *change) apply(b *pebble.Batch) error {
	switch c.kind {
	case changeDelete:
		return b.Delete(c.key, nil)
	case changeDeleteRange:
		return b.DeleteRange(c.key, c.head, nil)
	default:
		op := b.SetDeferred(len(c.key), len(c.head)+len(c.tail))
		copy(op.Key, c.key)
		copy(op.Value[copy(op.Value, c.head):], c.tail)
		return op.Finish()
	}
}

// kept returns what was appended to the arena behind start.
func (t *tx) kept(start int) []byte { return t.arena[start:len(t.arena):len(t.arena)] }

func (t *tx) actorKey(k kind, r ref, suffix string) []byte {
	start := len(t.arena)
	t.arena = append(appendActor(t.arena, k, r), suffix...)
	return t.kept(start)
}

func (t *tx) timerKey(r ref, at uint64, schedule string) []byte {
	start := len(t.arena)
	t.arena = appendTimer(t.arena, r, at, schedule)
	return t.kept(start)
}

func (t *tx) set(key, head, tail []byte) {
	t.changes = append(t.changes, change{kind: changeSet, key: key, head: head, tail: tail})
}

func (t *tx) delete(key []byte) {
	t.changes = append(t.changes, change{kind: changeDelete, key: key})
}

func (t *tx) deleteRange(from, until []byte) {
	t.changes = append(t.changes, change{kind: changeDeleteRange, key: from, head: until})
}

// deleteAll removes what the actor has of a kind.
func (t *tx) deleteAll(k kind, r ref) {
	t.deleteRange(t.actorKey(k, r, ""), t.actorEnd(k, r))
}

func (t *tx) actorEnd(k kind, r ref) []byte {
	start := len(t.arena)
	t.arena = appendActorEnd(t.arena, k, r)
	return t.kept(start)
}

// put writes the record.
func (t *tx) put(a *actor) {
	start := len(t.arena)
	t.arena = a.appendTo(t.arena)
	t.changed, t.encoded = a.id, t.kept(start)
	t.set(t.actorKey(kindRecord, a.ref, ""), t.encoded, nil)
}

// remove deletes the record.
func (t *tx) remove(a *actor) {
	t.changed, t.encoded = a.id, nil
	t.delete(t.actorKey(kindRecord, a.ref, ""))
}

// load reads a record, which is borrowed until the operation is applied.
func (t *tx) load(r ref) (a actor, found bool, err error) {
	if record, found := t.records.get(r.id); found {
		a, err = decodeActor(r, record)
		return a, true, err
	}
	key := t.actorKey(kindRecord, r, "")
	start := len(t.arena)
	t.arena, found, err = t.appendGet(t.arena, key)
	if err != nil || !found {
		return actor{}, false, err
	}
	a, err = decodeActor(r, t.kept(start))
	return a, true, err
}

// owned loads the record and checks the fence.
func (t *tx) owned(id string, generation uint64, nonce [16]byte) (actor, error) {
	r, ok := parseRef(id)
	if !ok {
		return actor{}, store.ErrGone
	}
	a, found, err := t.load(r)
	if err != nil {
		return actor{}, err
	}
	return a, fence(&a, found, generation, nonce)
}
