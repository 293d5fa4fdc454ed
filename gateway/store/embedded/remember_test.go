package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// What is remembered is what is stored, whatever was made, taken over, committed, refused, released and destroyed, and
// also when it was forgotten in between [FENCE-1].
func TestRememberedIsStored(t *testing.T) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	s := mustOpen(t, Options{Dir: "data", FS: vfs.NewMem()})
	defer s.Close()
	owners := make([]store.Commit, 8)
	for range 2000 {
		i := random.IntN(len(owners))
		o := &owners[i]
		switch p := random.IntN(100); {
		case p < 5:
			inWriter(t, s, func(tx *tx) { tx.records.size = rememberedBytes })
		case o.ID == "" || p < 15:
			addr := address.Address{Namespace: "default", Type: "room", Key: []string{fmt.Sprint(i)}}
			r, _, err := s.Create(ctx, store.Create{Address: addr, Region: "local", Durability: store.Fast})
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.Acquire(ctx, store.Acquire{ID: r.ID, Runner: "r", Durability: store.Fast})
			if err != nil || a.Record.Version != o.Version && o.ID == r.ID {
				t.Fatalf("version %d, committed %d (%v)", a.Record.Version, o.Version, err)
			}
			*o = store.Commit{
				ID: r.ID, Generation: a.Record.Generation, Nonce: a.Record.Nonce, Version: a.Record.Version, Durability: store.Fast,
			}
		case p < 20:
			if err := s.Release(ctx, o.ID, o.Generation, o.Nonce); err != nil {
				t.Fatal(err)
			}
		case p < 25:
			if err := s.Destroy(ctx, o.ID); err != nil {
				t.Fatal(err)
			}
			*o = store.Commit{}
		case p < 35:
			stranger := *o
			stranger.Version++
			stranger.Nonce[0]++
			if err := commitNow(s, stranger); !errors.Is(err, store.ErrFenced) {
				t.Fatalf("a stranger's commit: %v", err)
			}
		default:
			o.Version++
			o.State, o.HasState = make([]byte, random.IntN(2*inlineState)), true
			if err := commitNow(s, *o); err != nil {
				t.Fatal(err)
			}
		}
		inWriter(t, s, func(tx *tx) { checkRemembered(t, tx) })
	}
}

func commitNow(s *Store, c store.Commit) error {
	done := make(chan error, 1)
	s.Commit(c, func(err error) { done <- err })
	return <-done
}

func inWriter(t *testing.T, s *Store, f func(*tx)) {
	t.Helper()
	_, err := do(context.Background(), s, store.Fast, 0, func(tx *tx) (struct{}, error) { f(tx); return struct{}{}, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func checkRemembered(t *testing.T, tx *tx) {
	for _, half := range []map[string][]byte{tx.records.recent, tx.records.old} {
		for id := range half {
			got, _ := tx.records.get(id)
			r, _ := parseRef(id)
			want, found, err := tx.get(actorKey(kindRecord, r, nil))
			if err != nil || !found || !bytes.Equal(got, want) {
				t.Errorf("actor %q: remembered as %x, stored as %x (%v)", id, got, want, err)
			}
		}
	}
}

// It is bounded, and those that keep being written stay.
func TestRememberedIsBounded(t *testing.T) {
	const most = rememberedBytes + 8<<10
	var m remembered
	for i := range 100_000 {
		m.put(fmt.Sprint(i), make([]byte, i%1500))
		m.put("busy", []byte{byte(i)})
		if record, found := m.get("busy"); !found || record[0] != byte(i) {
			t.Fatalf("after %d actors the busy one is %x", i, record)
		}
		if i%100 != 0 {
			continue
		}
		if size := heldBytes(m.recent); size != m.size || size > most || heldBytes(m.old) > most {
			t.Fatalf("after %d actors: %d bytes, counted %d, and %d old ones", i, size, m.size, heldBytes(m.old))
		}
	}
	m.forget("busy")
	if record, found := m.get("busy"); found {
		t.Errorf("a forgotten one: %x", record)
	}
}

func heldBytes(half map[string][]byte) (size int) {
	for id, record := range half {
		size += len(id) + cap(record)
	}
	return size
}
