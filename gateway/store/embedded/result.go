package embedded

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// result is what is kept of an idempotency key [ONCE-1].
type result struct {
	finished bool
	number   uint64 // its place in the order of keeping
	keptAt   uint64 // µs
	bytes    []byte
}

func (r *result) appendTo(dst []byte) []byte {
	dst = append(dst, recordVersion, 0)
	if r.finished {
		dst[len(dst)-1] = 1
	}
	dst = binary.AppendUvarint(dst, r.number)
	dst = binary.AppendUvarint(dst, r.keptAt)
	return append(dst, r.bytes...)
}

// decodeResult reads a result; its bytes borrow from b.
func decodeResult(b []byte) (result, error) {
	d := newDecoder(b)
	r := result{finished: d.byte() == 1, number: d.uvarint(), keptAt: d.uvarint()}
	r.bytes = d.remainder()
	return r, d.finish("keyed result")
}

func (v view) result(r ref, key []byte) (kept result, found bool, err error) {
	b, found, err := v.get(actorKey(kindResult, r, key))
	if err != nil || !found {
		return result{}, false, err
	}
	kept, err = decodeResult(b)
	return kept, true, err
}

// expired says that nobody may see it any more.
func (r *result) expired(now uint64, limits *store.Limits) bool {
	return now >= r.keptAt+uint64(limits.ResultTTL.Microseconds())
}

// resultSet holds the keyed results that a commit touches.
type resultSet struct {
	t       *tx
	a       *actor
	touched map[string]*touchedResult
}

type touchedResult struct {
	result
	key []byte
	was uint64 // the number under which it is stored; 0: it is not
	put bool   // it is kept anew
}

func (set *resultSet) get(key []byte) (*touchedResult, error) {
	if r, ok := set.touched[string(key)]; ok {
		return r, nil
	}
	r := &touchedResult{key: key}
	if set.a.results > 0 {
		kept, found, err := set.t.result(set.a.ref, key)
		if err != nil {
			return nil, err
		}
		if found {
			r.result, r.was = kept, kept.number
		}
	}
	set.touched[string(key)] = r
	return r, nil
}

// finish keeps a result as the newest.
func (set *resultSet) finish(f *store.Finished) error {
	if len(f.Key) == 0 {
		return nil
	}
	r, err := set.get(f.Key)
	if err == nil {
		set.keep(r, true, f.Result)
	}
	return err
}

// open marks a key in doubt, unless something is known of it: a mark stays as old as the first commit that made it.
func (set *resultSet) open(o *store.Open) error {
	if len(o.Key) == 0 {
		return nil
	}
	r, err := set.get(o.Key)
	if err == nil && (r.number == 0 || r.expired(set.t.nowMicros(), &set.t.limits)) {
		set.keep(r, false, nil)
	}
	return err
}

func (set *resultSet) keep(r *touchedResult, finished bool, b []byte) {
	set.a.resultSeq++
	r.result = result{finished: finished, number: set.a.resultSeq, keptAt: set.t.nowMicros(), bytes: b}
	r.put = true
}

// write adds the results to the changes, and removes the oldest beyond the limit.
func (set *resultSet) write() error {
	for _, r := range set.touched {
		if !r.put {
			continue
		}
		if r.was != 0 {
			set.t.delete(set.t.orderKey(set.a.ref, r.was))
		} else {
			set.a.results++
		}
		start := len(set.t.arena)
		set.t.arena = r.result.appendTo(set.t.arena)
		value := set.t.kept(start)
		set.t.set(set.t.actorKey(kindResult, set.a.ref, string(r.key)), value, nil)
		set.t.set(set.t.orderKey(set.a.ref, r.number), nil, r.key)
	}
	return set.evict()
}

func appendOrder(dst []byte, r ref, number uint64) []byte {
	return binary.BigEndian.AppendUint64(appendActor(dst, kindOrder, r), number)
}

func (t *tx) orderKey(r ref, number uint64) []byte {
	start := len(t.arena)
	t.arena = appendOrder(t.arena, r, number)
	return t.kept(start)
}

// maxPruned bounds how many results that ran out one commit removes on its way.
const maxPruned = 16

// evict removes the oldest: all beyond the limit, and a few that ran out. What this commit keeps comes last.
func (set *resultSet) evict() error {
	if set.a.results == 0 {
		return nil
	}
	over := max(int64(set.a.results)-int64(set.t.limits.Results), 0)
	pruned := 0
	err := set.t.scanActor(kindOrder, set.a.ref, func(_, key []byte) (bool, error) {
		if over == 0 && pruned >= maxPruned {
			return false, nil
		}
		if set.isKeptAnew(key) {
			return true, nil
		}
		old, found, err := set.t.result(set.a.ref, key)
		if err != nil {
			return false, err
		}
		if !found {
			return false, fmt.Errorf("result %x of actor %q: %w", key, set.a.id, errCorrupt)
		}
		if over == 0 && !old.expired(set.t.nowMicros(), &set.t.limits) {
			return false, nil
		}
		over = max(over-1, 0)
		pruned++
		set.remove(key, old.number)
		return true, nil
	})
	if err == nil {
		set.evictNew(over)
	}
	return err
}

// evictNew lets a single commit with more results than the limit keep the last of them.
func (set *resultSet) evictNew(over int64) {
	if over == 0 {
		return
	}
	var kept []*touchedResult
	for _, r := range set.touched {
		if r.put {
			kept = append(kept, r)
		}
	}
	slices.SortFunc(kept, func(a, b *touchedResult) int { return cmp.Compare(a.number, b.number) })
	for _, r := range kept[:over] {
		set.remove(r.key, r.number)
	}
}

func (set *resultSet) remove(key []byte, number uint64) {
	set.a.results--
	set.t.delete(set.t.actorKey(kindResult, set.a.ref, string(key)))
	set.t.delete(set.t.orderKey(set.a.ref, number))
}

func (set *resultSet) isKeptAnew(key []byte) bool {
	r, ok := set.touched[string(key)]
	return ok && r.put
}
