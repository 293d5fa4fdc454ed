package redis

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

func largeActor(t *testing.T) (*testOwner, *redistest.Node) {
	t.Helper()
	servers := redistest.Standalone(t, redistest.Options{})
	s := open(newPlainCaller(plainClient(t, servers)), "large:", store.DefaultLimits(), nil)
	t.Cleanup(func() { _ = s.Close() })
	return newOwner(t, s, address.Address{Namespace: "default", Type: "room", Key: []string{"a"}}), servers.Nodes[0]
}

func number(i int) []byte { return fmt.Appendf(nil, "%05d", i) }

func puts(n int) (ops []store.KVOp) {
	for i := range n {
		ops = append(ops, store.KVOp{Key: number(i), Value: []byte("value"), HasValue: true})
	}
	return ops
}

// TestMoreThanLuaUnpacks: Lua can give a command some thousands of arguments; an actor may hold more of everything.
func TestMoreThanLuaUnpacks(t *testing.T) {
	const n = 12_000
	o, node := largeActor(t)
	c := store.Commit{KV: puts(n)}
	for i := range n {
		c.Finished = append(c.Finished, store.Finished{Key: number(i)})
		c.Connections.Added = append(c.Connections.Added, string(number(i)))
	}
	o.must(c)
	o.holds(n, n*10)
	a, err := o.s.Acquire(t.Context(), store.Acquire{ID: o.record.ID, Preload: []store.Range{{}}, PreloadBytes: n * 10})
	if err != nil || len(a.Preload) != n || len(a.Connections) != n {
		t.Fatalf("acquired %d entries and %d connections, %v", len(a.Preload), len(a.Connections), err)
	}
	o.record = a.Record

	o.must(store.Commit{
		KV:          []store.KVOp{{Key: number(1000), Until: number(n - 1000), IsRange: true}},
		Connections: store.ConnectionsDelta{Removed: c.Connections.Added[1:]},
	})
	o.holds(2000, 20_000)
	known := 0
	for i := range n {
		r, err := o.s.Result(t.Context(), o.record.ID, o.record.Generation, o.record.Nonce, number(i))
		if err != nil {
			t.Fatal(err)
		}
		if r.State == store.ResultFinished {
			known++
		}
	}
	if most := store.DefaultLimits().Results; known != most {
		t.Errorf("%d results are kept, of at most %d", known, most)
	}
	o.must(store.Commit{KV: []store.KVOp{{IsRange: true}}})
	o.holds(0, 0)
	if err := o.s.Destroy(t.Context(), o.record.ID); err != nil {
		t.Fatal(err)
	}
	if left := keysOf(node); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// holds compares the entries read in pages of both directions, and what the record says they take.
func (o *testOwner) holds(entries, size int) {
	o.t.Helper()
	var forth, back []string
	for _, reverse := range []bool{false, true} {
		q := store.Read{
			ID: o.record.ID, Generation: o.record.Generation, Nonce: o.record.Nonce,
			Range: &store.Range{}, Reverse: reverse, Limit: 999, MaxBytes: 1 << 20,
		}
		for more := true; more; {
			page, err := o.s.Read(o.t.Context(), q)
			if err != nil {
				o.t.Fatal(err)
			}
			for _, e := range page.Entries {
				if reverse {
					back = append(back, string(e.Key))
					q.Range.Until = e.Key
				} else {
					forth = append(forth, string(e.Key))
					q.Range.From = append(bytes.Clone(e.Key), 0)
				}
			}
			more = page.More
		}
	}
	slices.Reverse(back)
	if len(forth) != entries || !slices.IsSorted(forth) || !slices.Equal(forth, back) {
		o.t.Fatalf("%d entries forth, %d back, want %d", len(forth), len(back), entries)
	}
	// What the record says is seen by how much still fits.
	limits := o.s.limits
	defer func() { o.s.limits = limits }()
	o.s.limits.Storage = int64(size) + 9
	c := o.prepare(store.Commit{KV: []store.KVOp{{Key: []byte("more"), Value: make([]byte, 6), HasValue: true}}})
	if err := commitAndWait(o.s, c); err == nil {
		o.t.Fatalf("10 bytes fit beside %d into %d", size, o.s.limits.Storage)
	}
	c.KV[0].Value = c.KV[0].Value[1:]
	o.must(c)
	o.must(store.Commit{KV: []store.KVOp{{Key: []byte("more")}}})
}

func keysOf(node *redistest.Node) (names []string) {
	all, _ := node.Must("KEYS", "*").([]any)
	for _, name := range all {
		names = append(names, fmt.Sprint(name))
	}
	return names
}

func TestDestroyLeavesNothing(t *testing.T) {
	o, node := largeActor(t)
	full := store.Commit{
		State: make([]byte, 5000), HasState: true, KV: puts(2),
		Schedules:   []store.ScheduleOp{{ID: "s", At: time.Now()}, {ID: "t", At: time.Now().Add(time.Hour)}},
		Finished:    []store.Finished{{Key: []byte("k")}},
		Open:        []store.Open{{Key: []byte("o")}, {Schedule: "s", Fire: 1}},
		Connections: store.ConnectionsDelta{Added: []string{"c"}},
	}
	o.must(full)
	if keys := keysOf(node); len(keys) != 11 {
		t.Errorf("a full actor has the keys %q", keys)
	}
	o.must(store.Commit{Destroy: true})
	if left := keysOf(node); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// TestEmptiedActorKeepsOnlyItsRecord: what was taken back leaves no key behind.
func TestEmptiedActorKeepsOnlyItsRecord(t *testing.T) {
	o, node := largeActor(t)
	o.must(store.Commit{
		State: make([]byte, 5000), HasState: true, KV: puts(2), Schedules: []store.ScheduleOp{{ID: "s", At: time.Now()}},
		Connections: store.ConnectionsDelta{Added: []string{"c"}},
	})
	o.must(store.Commit{
		HasState: true, KV: []store.KVOp{{Key: number(0)}, {Key: number(1)}},
		Schedules:   []store.ScheduleOp{{ID: "s", Cancel: true}},
		Connections: store.ConnectionsDelta{Removed: []string{"c"}},
	})
	if left := keysOf(node); len(left) != 3 {
		t.Errorf("%q are left of an actor without anything", left)
	}
}

func TestLeaseIsForgottenAWeekAfterItRanOut(t *testing.T) {
	now := time.UnixMicro(time.Now().UnixMicro())
	servers := redistest.Standalone(t, redistest.Options{})
	calls := newPlainCaller(plainClient(t, servers))
	s := open(calls, "leases:", store.DefaultLimits(), func() time.Time { return now })
	defer s.Close()
	grant := func(id string) {
		t.Helper()
		l := store.Lease{ID: id, Kind: store.RunnerLease, Session: "s"}
		if _, err := s.Grant(t.Context(), l, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	grant("old")
	for _, step := range []struct {
		later time.Duration
		found bool
	}{{7 * 24 * time.Hour, true}, {time.Second, true}, {time.Microsecond, false}} {
		now = now.Add(step.later)
		grant("new")
		if _, err := s.Lease(t.Context(), "old"); (err == nil) != step.found {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

// TestFullMemory: a server without room refuses what needs some, and lets what frees it or keeps runners alive go on.
func TestFullMemory(t *testing.T) {
	o, node := largeActor(t)
	node.Must("CONFIG", "SET", "maxmemory", "1")
	if err := commitAndWait(o.s, o.prepare(store.Commit{HasState: true})); err == nil {
		t.Error("a commit went on")
	}
	l := store.Lease{ID: "r", Kind: store.RunnerLease, Session: "s"}
	if _, err := o.s.Grant(t.Context(), l, time.Minute); err != nil {
		t.Error(err)
	}
	if err := o.s.Release(t.Context(), o.record.ID, o.record.Generation, o.record.Nonce); err != nil {
		t.Error(err)
	}
	if err := o.s.Destroy(t.Context(), o.record.ID); err != nil {
		t.Error(err)
	}
}
