package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
	"github.com/stagedoor-dev/stagedoor/gateway/store/transfer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// place is where a store is: it can be opened again and again.
type place func(t *testing.T, importing bool) (store.Movable, error)

func inDirectory(t *testing.T) place {
	dir := t.TempDir()
	return func(_ *testing.T, importing bool) (store.Movable, error) {
		return orNil(embedded.Open(embedded.Options{Dir: dir, Importing: importing}))
	}
}

func at(servers *redistest.Servers) place {
	return func(t *testing.T, importing bool) (store.Movable, error) {
		return orNil(redis.Open(t.Context(), redis.Config{URL: servers.URL(), Importing: importing}))
	}
}

// orNil keeps an error's nil pointer from becoming a store.
func orNil[T store.Movable](s T, err error) (store.Movable, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (p place) open(t *testing.T, importing bool) store.Movable {
	t.Helper()
	s, err := p(t, importing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // most tests have closed it
	return s
}

// owner commits for one actor.
type owner struct {
	t *testing.T
	s store.Store
	store.Acquired
}

func create(t *testing.T, s store.Store, key ...string) *owner {
	t.Helper()
	r, _, err := s.Create(t.Context(), store.Create{
		Address: address.Address{Namespace: "default", Type: "room", Key: key}, Region: "local", Input: []byte{}, HasInput: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &owner{t: t, s: s, Acquired: store.Acquired{Record: r}}
}

func (o *owner) acquire(runner string) {
	o.t.Helper()
	var err error
	if o.Acquired, err = o.s.Acquire(o.t.Context(), store.Acquire{ID: o.Record.ID, Runner: runner}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *owner) commit(c store.Commit) {
	o.t.Helper()
	o.Record.Version++
	c.ID, c.Generation, c.Nonce, c.Version = o.Record.ID, o.Record.Generation, o.Record.Nonce, o.Record.Version
	c.CommitID = [16]byte{byte(c.Version), 7}
	done := make(chan error, 1)
	o.s.Commit(c, func(err error) { done <- err })
	if err := <-done; err != nil {
		o.t.Fatal(err)
	}
}

func put(key string, value []byte) store.KVOp {
	return store.KVOp{Key: []byte(key), Value: value, HasValue: true}
}

// fill puts one of everything into a store, and some things that are large or many.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.RememberTypes(t.Context(), []string{"room", "hall"}); err != nil {
		t.Fatal(err)
	}
	for i := range 600 { // more than a page in no partition, something in nearly half of them
		create(t, s, "fresh", fmt.Sprint(i))
	}
	released := create(t, s, "released")
	released.acquire("gateway/1")
	if err := s.Release(t.Context(), released.Record.ID, released.Record.Generation, released.Record.Nonce); err != nil {
		t.Fatal(err)
	}
	o := create(t, s, "a", "", "\xc3\xa9")
	o.acquire("gateway/1")
	soon, later := time.UnixMicro(time.Now().UnixMicro()), time.UnixMicro(time.Now().Add(time.Hour).UnixMicro())
	o.commit(store.Commit{
		State: []byte("small"), HasState: true,
		KV:          []store.KVOp{put("a", nil), put("b\x00", []byte("\x00\xff")), put("\xff", []byte("last"))},
		Schedules:   []store.ScheduleOp{{ID: "due", At: soon, Spec: []byte("\x00spec with spaces ")}, {ID: "later", At: later}},
		Finished:    []store.Finished{{Key: []byte("done"), Result: []byte("result ")}, {Key: []byte{0}, Result: nil}},
		Open:        []store.Open{{Key: []byte("open")}, {Schedule: "due", Fire: 1}},
		Connections: store.ConnectionsDelta{Added: []string{"c2", "c1"}},
	})
	o.commit(store.Commit{Schedules: []store.ScheduleOp{{ID: "later", At: later, Spec: []byte("2")}}, Finished: []store.Finished{{Key: []byte("done"), Result: []byte("again")}}})
	if due, err := s.ClaimDue(t.Context(), o.Record.Address.Partition(), 10, time.Hour); err != nil || len(due) != 1 {
		t.Fatalf("claimed %v, %v", due, err)
	}
	large := create(t, s, "large")
	large.acquire("gateway/1")
	for i := range 8 {
		c := store.Commit{State: bytes.Repeat([]byte{byte(i)}, 1<<20), HasState: true}
		for j := range 100 {
			c.KV = append(c.KV, put(fmt.Sprintf("key %d %d", j, i), bytes.Repeat([]byte{byte(j)}, 10_000)))
		}
		large.commit(c)
	}
	wide := create(t, s, "wide") // more schedules and results than are read at once
	wide.acquire("gateway/1")
	for i := range 4 {
		part := bytes.Repeat([]byte{byte(i)}, 600_000)
		c := store.Commit{Schedules: []store.ScheduleOp{{ID: fmt.Sprint(3 - i), At: later, Spec: part}}}
		c.Finished = []store.Finished{{Key: fmt.Append(nil, 3-i), Result: part}}
		for j := range 150 {
			c.Schedules = append(c.Schedules, store.ScheduleOp{ID: fmt.Sprint("s", j, i), At: later})
			c.Finished = append(c.Finished, store.Finished{Key: fmt.Append(nil, "r", j, i)})
			c.Connections.Added = append(c.Connections.Added, fmt.Sprint("c", j, i))
		}
		wide.commit(c)
	}
	many := create(t, s, "many")
	many.acquire("gateway/1")
	c := store.Commit{}
	for i := range 3000 {
		c.KV = append(c.KV, put(fmt.Sprint(i), []byte{byte(i)}))
	}
	many.commit(c)
}

func silent(string, int) {}

// [STORE-4]: all that a store holds arrives in the other kind, and back, with equal checksums; and the copy works.
func TestACopyIsTheSame(t *testing.T) {
	for name, c := range map[string]struct{ from, to func(t *testing.T) place }{
		"embedded to Redis":   {inDirectory, func(t *testing.T) place { return at(redistest.Standalone(t, log)) }},
		"embedded to Cluster": {inDirectory, func(t *testing.T) place { return at(redistest.Cluster(t, log, 3, 0)) }},
		"Redis to embedded":   {func(t *testing.T) place { return at(redistest.Standalone(t, log)) }, inDirectory},
		"Cluster to embedded": {func(t *testing.T) place { return at(redistest.Cluster(t, log, 3, 0)) }, inDirectory},
		"embedded":            {inDirectory, inDirectory},
	} {
		t.Run(name, func(t *testing.T) {
			source := c.from(t).open(t, false)
			fill(t, source)
			there := c.to(t)
			target := there.open(t, true)
			rounds := map[string]int{}
			report, err := transfer.Copy(t.Context(), source, target, func(round string, n int) { rounds[round] = n })
			if err != nil {
				t.Fatal(err)
			}
			if report.Actors != 605 || report.Bytes < 14_000_000 || rounds["copied"] != 1024 || rounds["compared"] != 1024 {
				t.Errorf("%+v %v", report, rounds)
			}
			if err := target.Close(); err != nil {
				t.Fatal(err)
			}
			target = there.open(t, false)
			for p := range uint16(address.Partitions) {
				want, err1 := transfer.SumOf(t.Context(), source, p)
				got, err2 := transfer.SumOf(t.Context(), target, p)
				if err := errors.Join(err1, err2); err != nil || got != want {
					t.Fatalf("partition %d: %x, want %x, %v", p, got, want, err)
				}
			}
			goesOn(t, source, target)
		})
	}
}

var log = redistest.Options{AppendOnly: true}

// goesOn uses the copy as gateways do, and compares what they would be told with what the source tells.
func goesOn(t *testing.T, source, target store.Store) {
	t.Helper()
	known, err := target.KnownTypes(t.Context())
	if err != nil || fmt.Sprint(known) != "[hall room]" {
		t.Errorf("types %v, %v", known, err)
	}
	addr := address.Address{Namespace: "default", Type: "room", Key: []string{"a", "", "\xc3\xa9"}}
	told := func(s store.Store) string {
		t.Helper()
		r, err := s.Resolve(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprintf("%+v", r)
		result, err := s.Result(t.Context(), r.ID, r.Generation, r.Nonce, []byte("done"))
		if err != nil {
			t.Fatal(err)
		}
		next, err := s.NextDue(t.Context(), addr.Partition())
		if err != nil {
			t.Fatal(err)
		}
		o := &owner{t: t, s: s, Acquired: store.Acquired{Record: r}}
		o.acquire("gateway/2")
		a := o.Acquired
		a.Record.Generation, a.Record.Nonce = 0, [16]byte{}
		text := fmt.Sprintf("%s %+v %v %+v", before, result, next, a)
		o.commit(store.Commit{KV: []store.KVOp{{IsRange: true}, put("new", []byte("1"))}, Connections: store.ConnectionsDelta{Removed: []string{"c1"}}})
		if err := s.Destroy(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
		return text
	}
	if got, want := told(target), told(source); got != want {
		t.Errorf("the copy tells\n%s, the source\n%s", got, want)
	}
}

// [STORE-4]: a changed byte changes its partition's sum and no other one.
func TestEveryByteCounts(t *testing.T) {
	s := inDirectory(t).open(t, false)
	o := create(t, s, "a")
	o.acquire("r")
	sums := func() (all [address.Partitions]transfer.Sum) {
		t.Helper()
		for p := range all {
			var err error
			if all[p], err = transfer.SumOf(t.Context(), s, uint16(p)); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	before := sums()
	for i, c := range []store.Commit{
		{},
		{State: []byte{0}, HasState: true},
		{KV: []store.KVOp{put("k", nil)}},
		{KV: []store.KVOp{put("k", []byte{0})}},
		{Schedules: []store.ScheduleOp{{ID: "s", At: time.Now()}}},
		{Open: []store.Open{{Schedule: "s", Fire: 1}}},
		{Finished: []store.Finished{{Key: []byte("k")}}},
		{Open: []store.Open{{Key: []byte("l")}}},
		{Connections: store.ConnectionsDelta{Added: []string{"c"}}},
	} {
		o.commit(c)
		after := sums()
		for p := range after {
			if changed := after[p] != before[p]; changed != (p == int(o.Record.Address.Partition())) {
				t.Errorf("commit %d: partition %d changed: %t", i, p, changed)
			}
		}
		before = after
	}
}

// [STORE-4]: a copy that was interrupted is refused by who would use it, and can be made again.
func TestAnInterruptedCopy(t *testing.T) {
	servers := redistest.Standalone(t, log)
	for name, there := range map[string]place{"embedded": inDirectory(t), "Redis": at(servers)} {
		t.Run(name, func(t *testing.T) {
			source := inDirectory(t).open(t, false)
			fill(t, source)
			target := there.open(t, true)
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := transfer.Copy(ctx, source, target, func(_ string, n int) {
				if n == 500 {
					cancel()
				}
			}); !errors.Is(err, context.Canceled) {
				t.Errorf("interrupted: %v", err)
			}
			_ = target.Close()
			if _, err := there(t, false); !errors.Is(err, store.ErrHalfCopied) {
				t.Errorf("a half copy is opened: %v", err)
			}
			target = there.open(t, true)
			if _, err := transfer.Copy(t.Context(), source, target, silent); err != nil {
				t.Error(err)
			}
			_ = target.Close()
			_ = there.open(t, false).Close()
		})
	}
}

// [STORE-4]: neither a store with actors is copied over, nor one that is in use copied from.
func TestWhatIsNotCopied(t *testing.T) {
	servers := redistest.Standalone(t, log)
	for name, there := range map[string]place{"embedded": inDirectory(t), "Redis": at(servers)} {
		t.Run(name, func(t *testing.T) {
			s, empty := there.open(t, false), inDirectory(t).open(t, true)
			create(t, s, "a")
			if _, err := transfer.Copy(t.Context(), empty, s, silent); !errors.Is(err, store.ErrNotEmpty) {
				t.Errorf("over actors: %v", err)
			}
			if _, err := s.Grant(t.Context(), store.Lease{ID: "g/1", Kind: store.RunnerLease, Session: "s"}, time.Hour); err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Copy(t.Context(), s, empty, silent); !errors.Is(err, transfer.ErrInUse) {
				t.Errorf("in use: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_ = there.open(t, false).Close() // refused, it was left as it was
		})
	}
}

// [STORE-4]: a store that somebody begins to use while it is copied is noticed at the end.
func TestAStoreThatIsUsedMeanwhile(t *testing.T) {
	for _, used := range []string{"source", "target"} {
		t.Run(used, func(t *testing.T) {
			there := inDirectory(t)
			stores := map[string]store.Movable{"source": inDirectory(t).open(t, false), "target": there.open(t, true)}
			create(t, stores["source"], "a")
			_, err := transfer.Copy(t.Context(), stores["source"], stores["target"], func(round string, n int) {
				if round == "compared" && n == address.Partitions {
					l := store.Lease{ID: "g/1", Kind: store.RunnerLease, Session: "s"}
					if _, err := stores[used].Grant(t.Context(), l, time.Hour); err != nil {
						t.Error(err)
					}
				}
			})
			if !errors.Is(err, transfer.ErrInUse) {
				t.Errorf("got %v", err)
			}
			_ = stores["target"].Close()
			if _, err := there(t, false); !errors.Is(err, store.ErrHalfCopied) {
				t.Errorf("it is opened: %v", err)
			}
		})
	}
}

// forgetful is a store that does not remember types.
type forgetful struct{ store.Movable }

func (forgetful) RememberTypes(context.Context, []string) error { return nil }

// [STORE-4]: the known types are no actor's, and have to arrive all the same.
func TestTypesThatDoNotArrive(t *testing.T) {
	source, target := inDirectory(t).open(t, false), inDirectory(t).open(t, true)
	if err := source.RememberTypes(t.Context(), []string{"room"}); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(t.Context(), source, forgetful{target}, silent); !errors.Is(err, transfer.ErrDiffers) {
		t.Errorf("got %v", err)
	}
}

// corrupting is a store that does not keep what it is given.
type corrupting struct{ store.Movable }

func (c corrupting) Import(ctx context.Context, p uint16) store.Import {
	return corruptingImport{c.Movable.Import(ctx, p)}
}

type corruptingImport struct{ store.Import }

func (c corruptingImport) Add(it *store.Item) error {
	if it.Kind == store.ItemKV && string(it.Key) == "2999" {
		it.Value = []byte("?")
	}
	return c.Import.Add(it)
}

// [STORE-4]: what arrives changed is noticed, and stays refused.
func TestADifferenceIsNoticed(t *testing.T) {
	source, there := inDirectory(t).open(t, false), inDirectory(t)
	fill(t, source)
	target := there.open(t, true)
	many := address.Address{Namespace: "default", Type: "room", Key: []string{"many"}}
	where := fmt.Sprintf("partitions [%d]", many.Partition())
	_, err := transfer.Copy(t.Context(), source, corrupting{target}, silent)
	if !errors.Is(err, transfer.ErrDiffers) || !strings.Contains(err.Error(), where) {
		t.Errorf("got %v, want %s", err, where)
	}
	_ = target.Close()
	if _, err := there(t, false); !errors.Is(err, store.ErrHalfCopied) {
		t.Errorf("it is opened: %v", err)
	}
}
