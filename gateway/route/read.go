package route

import (
	"context"
	"errors"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The page of a KV read that names no limit, in entries and bytes, and the most bytes that it may ask for.
const (
	readPage     = 1000
	readBytes    = 1 << 20
	readMaxBytes = 4 << 20
)

// read serves a KV read. The frame has passed the gate, so every earlier commit is acknowledged [KV-3].
func (inc *incarnation) read(m *runnerv1alpha1.KvRead) {
	r := inc.actor.router
	l := r.cfg.Limits
	switch {
	case int(inc.reads) >= l.MaxReadsPerActor:
		r.cfg.Stats.Limit(stats.MaxReadsPerActor)
		inc.violation("more KV reads at once than announced")
		return
	case len(m.GetKeys()) > l.MaxKVOperations:
		r.cfg.Stats.Limit(stats.MaxKVOperations)
		inc.answerRead(m.GetId(), store.ReadResult{},
			wire.KVBatchTooLarge.Newf("A read takes at most %d keys.", l.MaxKVOperations))
		return
	case inc.runner.Link.Full():
		if inc.unheard() {
			inc.answerRead(m.GetId(), store.ReadResult{}, wire.RunnerOverloaded.New())
		}
		return
	}
	inc.unread = 0
	q := inc.query(m)
	inc.reads++
	if !r.spawn(func() { inc.serveRead(m.GetId(), q) }) {
		inc.reads--
	}
}

func (inc *incarnation) query(m *runnerv1alpha1.KvRead) store.Read {
	l := inc.actor.router.cfg.Limits
	q := store.Read{
		ID: inc.id, Generation: inc.generation, Nonce: inc.nonce, Keys: m.GetKeys(), Reverse: m.GetReverse(),
		Limit: clamp(int(m.GetLimit()), readPage), MaxBytes: l.MaxKVBatch + l.MaxKVValue,
	}
	if rng := m.GetRange(); rng != nil {
		q.Range = &store.Range{From: rng.GetFrom(), Until: rng.GetUntil()}
		q.MaxBytes = readBytes
		if m.GetMaxBytes() > 0 {
			q.MaxBytes = min(int(m.GetMaxBytes()), readMaxBytes)
		}
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
	if inc.actor.inc != inc || inc.ending != nil {
		return
	}
	inc.reads--
	switch {
	case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound):
		inc.fence(wire.ActorFenced.New()) // a stale owner must not go on [FENCE-1]
	case errors.Is(err, store.ErrTooLarge):
		r.cfg.Stats.Limit(stats.MaxKVBatch)
		inc.answerRead(id, store.ReadResult{}, wire.KVBatchTooLarge.Newf("The values of a read have at most %d bytes together.", q.MaxBytes))
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
