package embedded

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// stored is the number of keys, and of bytes of keys and values, in the store.
func stored(t *testing.T, s *Store) (keys, size int) {
	t.Helper()
	err := s.read(context.Background(), func(v view) error {
		return v.scan([]byte{0}, []byte{0xff, 0xff}, func(key, value []byte) (bool, error) {
			keys++
			size += len(key) + len(value)
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, size
}

func TestSleepingActorIsSmall(t *testing.T) {
	const actors, most = 200, 400
	ctx := context.Background()
	s := mustOpen(t, Options{Dir: "data", FS: vfs.NewMem()})
	defer s.Close()
	for i := range actors {
		addr := address.Address{Namespace: "default", Type: "chat-room", Key: []string{"tenant-17", fmt.Sprint("room-", i)}}
		r, _, err := s.Create(ctx, store.Create{Address: addr, Region: "eu-west-1", Durability: store.Fast})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Acquire(ctx, store.Acquire{ID: r.ID, Runner: "runner-0123456789", Durability: store.Fast})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		s.Commit(store.Commit{
			ID: r.ID, Generation: a.Record.Generation, Nonce: a.Record.Nonce, Version: 1, CommitID: [16]byte{1},
			State: bytes.Repeat([]byte("s"), 100), HasState: true, Durability: store.Fast,
		}, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := s.Release(ctx, r.ID, a.Record.Generation, a.Record.Nonce); err != nil {
			t.Fatal(err)
		}
	}
	_, size := stored(t, s)
	t.Logf("%d bytes per actor with 100 bytes of state", size/actors)
	if size/actors > most {
		t.Errorf("%d bytes per actor, at most %d are allowed", size/actors, most)
	}
}

func TestDestroyLeavesNothing(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, Options{Dir: "data", FS: vfs.NewMem()})
	defer s.Close()
	c := (&crashes{t: t, s: s}).actor(0)
	c.Version = 1
	c.State, c.HasState = make([]byte, 5000), true
	c.KV = []store.KVOp{{Key: []byte("a"), HasValue: true}, {Key: []byte("\xff"), HasValue: true}}
	c.Schedules = []store.ScheduleOp{{ID: "s", At: time.Now()}, {ID: "t", At: time.Now().Add(time.Hour)}}
	c.Finished = []store.Finished{{Key: []byte("k")}}
	c.Open = []store.Open{{Key: []byte("o")}, {Schedule: "s", Fire: 1}}
	c.Connections.Added = []string{"c"}
	done := make(chan error, 1)
	s.Commit(c, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if keys, _ := stored(t, s); keys != 14 {
		t.Errorf("%d keys for a full actor", keys)
	}
	if err := s.Destroy(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	if keys, size := stored(t, s); keys != 0 {
		t.Errorf("%d keys of %d bytes are left", keys, size)
	}
}

func TestOpenIsFast(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	for _, what := range []string{"empty", "small"} {
		began := time.Now()
		s := mustOpen(t, o)
		t.Logf("%s: opened in %v", what, time.Since(began))
		for i := range 100 {
			(&crashes{t: t, s: s}).actor(i)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
