package redis

import (
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// testOwner commits for an actor.
type testOwner struct {
	t       testing.TB
	s       *Store
	record  store.Record
	version uint64
}

func newOwner(t testing.TB, s *Store, addr address.Address) *testOwner {
	t.Helper()
	r, _, err := s.Create(t.Context(), store.Create{Address: addr, Region: "local"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Acquire(t.Context(), store.Acquire{ID: r.ID, Runner: "runner-1"})
	if err != nil {
		t.Fatal(err)
	}
	return &testOwner{t: t, s: s, record: a.Record, version: a.Record.Version}
}

func (o *testOwner) prepare(c store.Commit) store.Commit {
	c.ID, c.Generation, c.Nonce, c.Version = o.record.ID, o.record.Generation, o.record.Nonce, o.version+1
	return c
}

func (o *testOwner) must(c store.Commit) {
	o.t.Helper()
	if err := commitAndWait(o.s, o.prepare(c)); err != nil {
		o.t.Fatalf("commit %d: %v", o.version+1, err)
	}
	o.version++
}

func commitAndWait(s *Store, c store.Commit) error {
	answer := make(chan error, 1)
	s.Commit(c, func(err error) { answer <- err })
	return <-answer
}
