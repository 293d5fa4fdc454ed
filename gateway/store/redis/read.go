package redis

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Read serves keys by name or a page of a range, in one step with the fence.
func (s *Store) Read(ctx context.Context, q store.Read) (store.ReadResult, error) {
	if q.Range != nil && q.Limit < 1 {
		return store.ReadResult{}, fmt.Errorf("read at most %d entries: %w", q.Limit, store.ErrInvalid)
	}
	keys, ok := s.keys.of(q.ID)
	if !ok {
		return store.ReadResult{}, store.ErrGone
	}
	owner := append(make([]string, 0, 8+len(q.Keys)), q.ID, decimal(q.Generation), string(q.Nonce[:]))
	if q.Range != nil {
		return s.readRange(ctx, &q, keys, owner)
	}
	return s.readKeys(ctx, &q, keys, owner)
}

func (s *Store) readRange(ctx context.Context, q *store.Read, keys, owner []string) (out store.ReadResult, err error) {
	m, err := s.ask(ctx, fnReadRange, keys, append(owner,
		string(q.Range.From), string(q.Range.Until), flag(q.Reverse), strconv.Itoa(q.Limit), strconv.Itoa(q.MaxBytes))...)
	if err != nil {
		return out, err
	}
	r := newReply(m)
	out.More = r.number() == 1
	entries, _ := r.list()
	out.Entries = readEntries(entries)
	if err := entries.finish("page"); err != nil {
		return store.ReadResult{}, err
	}
	return out, nil
}

func (s *Store) readKeys(ctx context.Context, q *store.Read, keys, owner []string) (out store.ReadResult, err error) {
	args := append(owner, strconv.Itoa(q.MaxBytes))
	for _, key := range q.Keys {
		args = append(args, string(key))
	}
	m, err := s.ask(ctx, fnReadKeys, keys, args...)
	if err != nil {
		return out, err
	}
	r := newReply(m)
	out.Entries = make([]store.KV, len(q.Keys))
	for i, key := range q.Keys {
		value, found := r.bytes()
		out.Entries[i] = store.KV{Key: bytes.Clone(key), Value: value, Found: found}
	}
	if err := r.finish("values"); err != nil {
		return store.ReadResult{}, err
	}
	return out, nil
}

// readEntries reads key, value, ...
func readEntries(r *reply) (entries []store.KV) {
	for r.more() {
		key, _ := r.bytes()
		value, _ := r.bytes()
		entries = append(entries, store.KV{Key: key, Value: value, Found: true})
	}
	return entries
}

// Result looks a keyed call up, in one step with the fence.
func (s *Store) Result(ctx context.Context, id string, generation uint64, nonce [16]byte, key []byte) (
	out store.KeyedResult, err error,
) {
	keys, ok := s.keys.of(id)
	if !ok {
		return out, store.ErrGone
	}
	m, err := s.ask(ctx, fnResult, keys,
		id, decimal(generation), string(nonce[:]), s.resultTTL(), string(key))
	if err != nil || m.IsNil() {
		return out, err
	}
	kept, err := m.ToString()
	head, result, cut := strings.Cut(kept, " ")
	switch {
	case err != nil || !cut:
		return out, fmt.Errorf("decode keyed result: %w", errCorrupt)
	case head[0] == 'F':
		return store.KeyedResult{State: store.ResultFinished, Result: []byte(result)}, nil
	default:
		return store.KeyedResult{State: store.ResultInDoubt}, nil
	}
}

func (s *Store) resultTTL() string { return strconv.FormatInt(s.limits.ResultTTL.Microseconds(), 10) }
