package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// KV is the actor's durable key-value store: byte keys of 1 byte to 2 KiB, ordered bytewise, values of up to 1 MiB, by
// default. Writes join the turn's commit, so they are durable with its state and its answers, or not at all; they take no
// round trip. Reads see the actor's own writes at once [KV-3]. Writes are for turns; reads may also be made outside. They fail with
// store.unavailable while the store is away, which the caller of an action that lets it through gets as internal.error [ERR-6].
type KV struct{ in *instance }

// KV is the actor's key-value store.
func (a *Actor[S, C]) KV() KV { return KV{a.in} }

// Entry is a key and its value.
type Entry struct{ Key, Value []byte }

// Op is one write of a batch: PutOp, DeleteOp or DeleteRangeOp makes it.
type Op struct{ op kvOp }

// kvOp is one write, as KvOp has it.
type kvOp struct {
	key, value, until []byte
	kind              kvKind
}

type kvKind uint8

const (
	kvPut kvKind = iota
	kvDelete
	kvDeleteRange
)

// PutOp is a Put in a batch.
func PutOp(key, value []byte) Op {
	return Op{kvOp{kind: kvPut, key: bytes.Clone(key), value: present(bytes.Clone(value))}}
}

// DeleteOp is a Delete in a batch.
func DeleteOp(key []byte) Op { return Op{kvOp{kind: kvDelete, key: bytes.Clone(key)}} }

// DeleteRangeOp is a DeleteRange in a batch.
func DeleteRangeOp(from, until []byte) Op {
	return Op{kvOp{kind: kvDeleteRange, key: bytes.Clone(from), until: bytes.Clone(until)}}
}

// Put sets a key. Errors: kv.key_too_large, kv.value_too_large, kv.batch_too_large when the turn writes more than one
// commit takes (4 MiB or 1,024 operations by default; Flush begins another) [LIMIT-7].
func (kv KV) Put(key, value []byte) error { return kv.Batch(PutOp(key, value)) }

// Delete removes a key; removing one that is not there is no error.
func (kv KV) Delete(key []byte) error { return kv.Batch(DeleteOp(key)) }

// DeleteRange removes the keys in [from, until). An empty from is the first key, an empty until the end.
func (kv KV) DeleteRange(from, until []byte) error { return kv.Batch(DeleteRangeOp(from, until)) }

// PutText is Put for text.
func (kv KV) PutText(key, value string) error { return kv.Put([]byte(key), []byte(value)) }

// DeleteText is Delete for a key that is text.
func (kv KV) DeleteText(key string) error { return kv.Delete([]byte(key)) }

// Batch writes all of the operations or none, in order [KV-2]. On an error nothing of it is written.
func (kv KV) Batch(ops ...Op) error {
	in := kv.in
	in.mustTurn("KV")
	if !wire.Negotiated(wire.RunnerKvRead, in.sess().features) {
		return errNoKV
	}
	size := 0
	for _, o := range ops {
		if err := in.checkOp(o.op); err != nil {
			return err
		}
		size += len(o.op.key) + len(o.op.value) + len(o.op.until)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return ErrStopped
	}
	if len(ops) == 0 {
		return nil
	}
	var none group
	g := cmp.Or(in.pending, &none)
	if l := in.sess().limits; len(g.kv)+len(ops) > l.MaxKVOperations || g.kvBytes+size > l.MaxKVBatch {
		return sdkError(wire.KVBatchTooLarge.Newf(
			"One commit takes at most %d KV operations of %d bytes together; call Flush between batches.", l.MaxKVOperations, l.MaxKVBatch))
	}
	g = in.changes()
	for _, o := range ops {
		g.kv = append(g.kv, o.op)
	}
	g.kvBytes += size
	return nil
}

var errNoKV = errors.New("runner: the gateway does not offer KV")

func (in *instance) checkOp(op kvOp) error {
	if op.kind == kvDeleteRange {
		if len(op.key) > in.sess().limits.MaxKVKey || len(op.until) > in.sess().limits.MaxKVKey {
			return in.keyError(op.key)
		}
		if len(op.until) > 0 && bytes.Compare(op.key, op.until) > 0 {
			return sdkError(wire.KVInvalidRange.Newf("The range ends before it begins."))
		}
		return nil
	}
	if err := in.checkKey(op.key); err != nil {
		return err
	}
	if limit := in.sess().limits.MaxKVValue; len(op.value) > limit {
		return sdkError(wire.KVValueTooLarge.Newf("The value has %d bytes, at most %d are allowed.", len(op.value), limit))
	}
	return nil
}

func (in *instance) checkKey(key []byte) error {
	if len(key) == 0 || len(key) > in.sess().limits.MaxKVKey {
		return in.keyError(key)
	}
	return nil
}

func (in *instance) keyError(key []byte) error {
	return sdkError(wire.KVKeyTooLarge.Newf("A key has 1 to %d bytes, this one %d.", in.sess().limits.MaxKVKey, len(key)))
}

func (op kvOp) message() *runnerv1alpha1.KvOp {
	switch op.kind {
	case kvPut:
		return &runnerv1alpha1.KvOp{Key: op.key, Value: present(op.value)}
	case kvDeleteRange:
		return &runnerv1alpha1.KvOp{Key: op.key, DeleteUntil: present(op.until)}
	case kvDelete:
	}
	return &runnerv1alpha1.KvOp{Key: op.key}
}

// present is b, never nil: an optional field that is there.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Get reads one key. ok is false where there is none.
func (kv KV) Get(ctx context.Context, key []byte) (value []byte, ok bool, err error) {
	values, err := kv.GetMany(ctx, key)
	if err != nil {
		return nil, false, err
	}
	return values[0], values[0] != nil, nil
}

// GetText is Get for text.
func (kv KV) GetText(ctx context.Context, key string) (value string, ok bool, err error) {
	b, ok, err := kv.Get(ctx, []byte(key))
	return string(b), ok, err
}

// GetMany reads several keys at once, as they are together. The values stand in the order of the keys, nil where there is
// none.
func (kv KV) GetMany(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	in := kv.in
	for _, key := range keys {
		if err := in.checkKey(key); err != nil {
			return nil, err
		}
	}
	values := make([][]byte, len(keys))
	overlay, missing, answers, err := in.readMany(keys, values)
	if err != nil {
		return nil, err
	}
	for i, answer := range answers {
		m, err := in.awaitRead(ctx, answer)
		if err != nil {
			return nil, err
		}
		from := i * overlay.keysPerRead
		if len(m.Entries) != min(overlay.keysPerRead, len(missing)-from) {
			return nil, fmt.Errorf("runner: the gateway answered a read of %d keys with %d entries", len(missing)-from, len(m.Entries))
		}
		for j, entry := range m.Entries {
			values[missing[from+j]] = entry.Value
		}
	}
	return values, nil
}

// ListOptions say what List returns. The zero value is everything.
type ListOptions struct {
	// Prefix limits the list to keys that begin with it; From and Until must be empty then.
	Prefix []byte
	// From and Until are the range [From, Until) in byte order; empty: from the first, to the last key.
	From, Until []byte
	// Reverse lists from the end of the range.
	Reverse bool
	// Limit bounds the number of entries; 0: no bound.
	Limit int
}

// List reads a range in byte order. Errors: kv.invalid_range. It asks page by page, so a list of everything may take
// several round trips and all the memory that it needs.
func (kv KV) List(ctx context.Context, opts ListOptions) ([]Entry, error) {
	r, err := opts.keyRange()
	if err != nil {
		return nil, err
	}
	l := listing{in: kv.in, span: r, reverse: opts.Reverse, limit: opts.Limit, overlay: kv.in.snapshot()}
	return l.read(ctx)
}

func (o ListOptions) keyRange() (span, error) {
	if len(o.Prefix) > 0 {
		if len(o.From) > 0 || len(o.Until) > 0 {
			return span{}, sdkError(wire.KVInvalidRange.Newf("A list takes a prefix or a range, not both."))
		}
		return span{from: o.Prefix, until: prefixEnd(o.Prefix)}, nil
	}
	if o.Limit < 0 || len(o.Until) > 0 && bytes.Compare(o.From, o.Until) > 0 {
		return span{}, sdkError(wire.KVInvalidRange.Newf("The range ends before it begins, or the limit is negative."))
	}
	return span{from: o.From, until: o.Until}, nil
}

// prefixEnd is the first key behind all that begin with prefix; nil: there is none.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
