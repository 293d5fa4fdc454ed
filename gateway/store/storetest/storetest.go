// Package storetest is the test suite of every store.Store: each sentence of the interface as a test, a random walk
// against a model (machine.go, model.go), and invariants under concurrency.
//
// An implementation's tests call Run. Nothing here knows an implementation; what only one of them promises (files,
// crashes, the network) is tested beside it. Tests elsewhere may use Model where they need a store that cannot fail.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Open makes an empty store whose clock is clock. The suite closes it.
type Open func(t *testing.T, clock *Clock, limits store.Limits) store.Store

// Clock is the store's clock, moved by tests only. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed time of whole microseconds.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)}
}

// Now is what the store is told.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; backwards with a negative duration, as clocks do.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	groups := []struct {
		name  string
		tests map[string]func(*harness)
	}{
		{"Directory", directoryTests},
		{"List", listTests},
		{"Types", typeTests},
		{"Owner", ownerTests},
		{"Commit", commitTests},
		{"KV", kvTests},
		{"Schedules", scheduleTests},
		{"Results", resultTests},
		{"Leases", leaseTests},
		{"Destroy", destroyTests},
		{"Closing", closingTests},
		{"Concurrent", concurrentTests},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(newHarness(t, open, store.DefaultLimits())) })
			}
		})
	}
	t.Run("Limits", func(t *testing.T) {
		for name, test := range limitTests {
			t.Run(name, func(t *testing.T) { test(newHarness(t, open, smallLimits())) })
		}
	})
	t.Run("Model", func(t *testing.T) { testAgainstModel(t, open) })
}

// smallLimits are easy to reach.
func smallLimits() store.Limits {
	return store.Limits{
		State: 64, KVKey: 8, KVValue: 32, Storage: 100,
		Schedules: 3, Results: 4, ResultTTL: time.Hour,
	}
}

// harness is a store and short words for what tests do with it.
type harness struct {
	*testing.T
	ctx   context.Context
	s     store.Store
	clock *Clock
}

func newHarness(t *testing.T, open Open, limits store.Limits) *harness {
	clock := NewClock()
	h := &harness{T: t, ctx: t.Context(), clock: clock, s: open(t, clock, limits)}
	t.Cleanup(func() {
		if err := h.s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func (h *harness) noError(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *harness) is(err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Fatalf("got error %v, want %v", err, want)
	}
}

// equal compares by what %+v prints, to which nil and empty slices are the same.
func (h *harness) equal(what string, got, want any) {
	h.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		h.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func room(key ...string) address.Address {
	return address.Address{Namespace: "default", Type: "room", Key: key}
}

func (h *harness) create(key ...string) store.Record {
	h.Helper()
	r, created, err := h.s.Create(h.ctx, store.Create{Address: room(key...), Region: "local"})
	h.noError(err)
	if !created {
		h.Fatalf("%q existed already", key)
	}
	return r
}

// owner is an acquired actor and its next version.
type owner struct {
	h *harness
	store.Acquired
	version uint64
}

func (h *harness) acquire(id string) *owner {
	h.Helper()
	a, err := h.s.Acquire(h.ctx, store.Acquire{ID: id, Runner: "runner-1"})
	h.noError(err)
	return &owner{h: h, Acquired: a, version: a.Record.Version}
}

// actor is a new actor with an owner.
func (h *harness) actor(key ...string) *owner {
	h.Helper()
	return h.acquire(h.create(key...).ID)
}

// prepare makes c the owner's next commit.
func (o *owner) prepare(c store.Commit) store.Commit {
	c.ID, c.Generation, c.Nonce = o.Record.ID, o.Record.Generation, o.Record.Nonce
	if c.Version == 0 {
		c.Version = o.version + 1
	}
	if c.CommitID == [16]byte{} {
		c.CommitID = [16]byte{1, byte(c.Version), byte(c.Version >> 8), byte(c.Version >> 16)}
	}
	return c
}

// commit makes the next commit and waits for the answer.
func (o *owner) commit(c store.Commit) error {
	err := commitAndWait(o.h.s, o.prepare(c))
	if err == nil {
		o.version++
	}
	return err
}

func (o *owner) must(c store.Commit) {
	o.h.Helper()
	if err := o.commit(c); err != nil {
		o.h.Fatalf("commit %d: %v", o.version+1, err)
	}
}

func commitAndWait(s store.Store, c store.Commit) error {
	answer := make(chan error, 2) // A second answer must not block the store; exactlyOnce looks for it.
	s.Commit(c, func(err error) { answer <- err })
	return <-answer
}

func (o *owner) read(keys ...string) []store.KV {
	o.h.Helper()
	q := o.readOf()
	for _, key := range keys {
		q.Keys = append(q.Keys, []byte(key))
	}
	result, err := o.h.s.Read(o.h.ctx, q)
	o.h.noError(err)
	return result.Entries
}

func (o *owner) readOf() store.Read {
	return store.Read{ID: o.Record.ID, Generation: o.Record.Generation, Nonce: o.Record.Nonce}
}

// all reads the whole key space as "key=value" words.
func (o *owner) all() []string {
	o.h.Helper()
	q := o.readOf()
	q.Range, q.Limit, q.MaxBytes = &store.Range{}, 1<<20, 1<<30
	result, err := o.h.s.Read(o.h.ctx, q)
	o.h.noError(err)
	return words(result.Entries)
}

func words(entries []store.KV) (out []string) {
	for _, e := range entries {
		out = append(out, string(e.Key)+"="+string(e.Value))
	}
	return out
}

func (o *owner) result(key string) store.KeyedResult {
	o.h.Helper()
	r, err := o.h.s.Result(o.h.ctx, o.Record.ID, o.Record.Generation, o.Record.Nonce, []byte(key))
	o.h.noError(err)
	return r
}

func put(key, value string) store.KVOp {
	return store.KVOp{Key: []byte(key), Value: []byte(value), HasValue: true}
}

func del(key string) store.KVOp { return store.KVOp{Key: []byte(key)} }

func delRange(from, until string) store.KVOp {
	return store.KVOp{Key: []byte(from), Until: []byte(until), IsRange: true}
}
