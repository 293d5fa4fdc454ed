package route

import (
	"context"
	"errors"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The page of a KV read that names no limit, and its bytes.
const (
	readPage  = 1000
	readBytes = 4 << 20
)

// read serves a KV read. The frame has passed the gate, so every earlier commit is acknowledged [KV-3].
func (inc *incarnation) read(m *runnerv1alpha1.KvRead) {
	r := inc.actor.router
	if inc.reads >= r.cfg.Limits.MaxReadsPerActor {
		inc.violation("more KV reads at once than announced")
		return
	}
	if len(m.GetKeys()) > readPage {
		inc.answerRead(m.GetId(), store.ReadResult{}, wire.KVInvalidRange.Newf("A read takes at most %d keys.", readPage))
		return
	}
	q := inc.query(m)
	inc.reads++
	if !r.spawn(func() { inc.serveRead(m.GetId(), q) }) {
		inc.reads--
	}
}

func (inc *incarnation) query(m *runnerv1alpha1.KvRead) store.Read {
	q := store.Read{
		ID: inc.id, Generation: inc.generation, Nonce: inc.nonce, Keys: m.GetKeys(), Reverse: m.GetReverse(),
		Limit: clamp(int(m.GetLimit()), readPage), MaxBytes: clamp(int(m.GetMaxBytes()), readBytes),
	}
	if rng := m.GetRange(); rng != nil {
		q.Range = &store.Range{From: rng.GetFrom(), Until: rng.GetUntil()}
	}
	return q
}

// clamp is n, but for 0 or too much the most.
func clamp(n, most int) int {
	if n <= 0 || n > most {
		return most
	}
	return n
}

func (inc *incarnation) serveRead(id uint64, q store.Read) {
	r := inc.actor.router
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.Timeouts.Start)
	defer cancel()
	result, err := r.cfg.Store.Read(ctx, q)
	inc.actor.mu.Lock()
	defer inc.actor.mu.Unlock()
	if inc.actor.inc != inc {
		return
	}
	inc.reads--
	switch {
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound):
		inc.fence(wire.ActorFenced.New()) // a stale owner must not go on [FENCE-1]
	case err != nil:
		inc.answerRead(id, result, r.storeError("read", err))
	default:
		inc.answerRead(id, result, nil)
	}
}

func (inc *incarnation) answerRead(id uint64, result store.ReadResult, e *wire.Error) {
	m := &runnerv1alpha1.KvResult{Actor: inc.binding.Ref, Id: id, More: result.More, Error: e.Proto()}
	for _, kv := range result.Entries {
		entry := &runnerv1alpha1.KvEntry{Key: kv.Key}
		if kv.Found {
			entry.Value = present(kv.Value)
		}
		m.Entries = append(m.Entries, entry)
	}
	inc.send(m)
}
