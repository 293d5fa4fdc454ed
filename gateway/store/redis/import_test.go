package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

func openToImport(t *testing.T, servers *redistest.Servers) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: servers.URL(), Importing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// everything is an actor with one thing of each kind.
func everything(a address.Address) []*store.Item {
	id := address.NewID("local", a.Partition(), time.Now())
	return []*store.Item{
		{Kind: store.ItemRecord, ID: id, Record: store.Record{Address: a, HasInput: true, Input: []byte("input")}},
		{Kind: store.ItemState, ID: id, Value: make([]byte, 100)},
		{Kind: store.ItemKV, ID: id, Key: []byte("k"), Value: []byte("v")},
		{Kind: store.ItemSchedule, ID: id, Schedule: store.Schedule{ID: "s", Fire: 1, DueAt: time.Now()}},
		{Kind: store.ItemResult, ID: id, Key: []byte("r"), Finished: true, KeptAt: time.Now()},
		{Kind: store.ItemConnection, ID: id, Key: []byte("c")},
	}
}

// [STORE-4]: after whichever command an import ends, the next one finds and removes what it left.
func TestAnImportBeginsAnewBehindEachCommand(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	s := openToImport(t, servers)
	if err := s.BeginImport(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := address.Address{Namespace: "default", Type: "room", Key: []string{"a"}}
	for last, n := false, 1; !last; n++ {
		im := s.Import(t.Context(), a.Partition()).(*importing)
		for _, it := range everything(a) {
			if err := im.Add(it); err != nil {
				t.Fatal(err)
			}
		}
		last = n == len(im.commands)
		im.commands = im.commands[:n]
		if err := errors.Join(im.flush(), s.RememberTypes(t.Context(), []string{"room"})); err != nil {
			t.Fatal(err)
		}
		if err := s.BeginImport(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, key := range servers.Nodes[0].Must("KEYS", "*").([]any) {
			if !strings.HasSuffix(fmt.Sprint(key), ":m") {
				t.Errorf("behind %d commands %s is left", n, key)
			}
		}
	}
}

// [STORE-4]: of two copies into one store only the later can end: the earlier one's was emptied.
func TestAnImportThatWasOvertakenDoesNotEnd(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	first, second := openToImport(t, servers), openToImport(t, servers)
	if err := errors.Join(first.BeginImport(t.Context()), second.BeginImport(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := first.EndImport(t.Context()); !errors.Is(err, store.ErrHalfCopied) {
		t.Errorf("the earlier: %v", err)
	}
	if _, err := Open(t.Context(), Config{URL: servers.URL()}); !errors.Is(err, store.ErrHalfCopied) {
		t.Errorf("opened meanwhile: %v", err)
	}
	if err := second.EndImport(t.Context()); err != nil {
		t.Errorf("the later: %v", err)
	}
	if err := second.EndImport(t.Context()); !errors.Is(err, store.ErrHalfCopied) {
		t.Errorf("again: %v", err)
	}
}

// [STORE-4]: where no store is, none is made by who wants to read one.
func TestNoStoreIsMadeToBeCopied(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	if _, err := Open(t.Context(), Config{URL: servers.URL(), Existing: true}); !errors.Is(err, store.ErrNothing) {
		t.Errorf("got %v", err)
	}
	if n := sizes(servers); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	fill(t, servers.URL())
	s, err := Open(t.Context(), Config{URL: servers.URL(), Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
}

// What is asked for at once is bounded, whatever an actor has.
func TestLargeThingsAreAskedForOneByOne(t *testing.T) {
	for _, c := range []struct {
		lengths []int64
		want    int
	}{
		{[]int64{0}, 1},
		{[]int64{5 * exportBytes, 0}, 1},
		{[]int64{0, 5 * exportBytes}, 1},
		{[]int64{exportBytes / 2, exportBytes / 2, 1}, 2},
		{make([]int64, exportPage), exportPage},
	} {
		if n := atOnce(c.lengths); n != c.want {
			t.Errorf("%v: %d, want %d", c.lengths, n, c.want)
		}
	}
}

// [STORE-4]: what is compared are the values and the order of their keys, of actors that have few and of others.
func TestAKeyThatLostItsPlaceIsNoticed(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{})
	s, err := Open(t.Context(), Config{URL: servers.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, size := range []int{1, 2 * littleBytes} {
		a := address.Address{Namespace: "default", Type: "room", Key: []string{fmt.Sprint(size)}}
		o := newOwner(t, s, a)
		var c store.Commit
		for i := range exportPage + 1 {
			c.KV = append(c.KV, store.KVOp{Key: fmt.Append(nil, i), Value: make([]byte, size*(1-min(i, 1))), HasValue: true})
		}
		o.must(c)
		visited := 0
		export := func() error {
			visited = 0
			return s.Export(t.Context(), a.Partition(), func(it *store.Item) error {
				if it.Kind == store.ItemKV {
					visited++
				}
				return nil
			})
		}
		if err := export(); err != nil || visited != exportPage+1 {
			t.Fatalf("%d values, %v", visited, err)
		}
		r, err := s.Resolve(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		servers.Nodes[0].Must("ZREM", s.keys.partitions[a.Partition()][0]+"l:"+r.ID, "7")
		if err := export(); !errors.Is(err, errCorrupt) {
			t.Errorf("of %d bytes: %v", size, err)
		}
	}
}
