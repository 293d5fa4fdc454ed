package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
	"github.com/stagedoor-dev/stagedoor/gateway/store/storetest"
)

// repeatingCaller runs every function twice and gives the second answer, as if each first one was lost. Those that
// destroy and those that claim are left out: they find that it was done, and other fires.
type repeatingCaller struct{ *plainCaller }

func repeats(fn string, args []string) bool {
	switch fn {
	case fnDestroy, fnRevoke, fnClaim:
		return false
	case fnCommit:
		return args[6] != "D"
	default:
		return true
	}
}

func (c *repeatingCaller) call(ctx context.Context, d store.Durability, fn string, keys, args []string) (
	rueidis.RedisMessage, error,
) {
	if repeats(fn, args) {
		if m, err := c.plainCaller.call(ctx, d, fn, keys, args); errors.Is(err, store.ErrClosed) {
			return m, err
		}
	}
	return c.plainCaller.call(ctx, d, fn, keys, args)
}

func (c *repeatingCaller) send(d store.Durability, fn string, keys, args []string, done func(rueidis.RedisMessage, error)) {
	if !repeats(fn, args) {
		c.plainCaller.send(d, fn, keys, args, done)
		return
	}
	c.plainCaller.sendAll(
		queued{fn, keys, args, func(rueidis.RedisMessage, error) {}}, queued{fn, keys, args, done})
}

// TestSuiteWithLostAnswers: a function that is sent again answers as it answered the first time [COMMIT-2].
func TestSuiteWithLostAnswers(t *testing.T) {
	client := plainClient(t, redistest.Standalone(t, redistest.Options{}))
	storetest.Run(t, func(_ *testing.T, clock *storetest.Clock, limits store.Limits) store.Store {
		return open(&repeatingCaller{newPlainCaller(client)}, freshPrefix(), limits, clock.Now)
	})
}

// TestRepetitionsAreWritten: an answer that speaks of an earlier write is written itself, so that a WAIT behind it covers
// both [RDS-4].
func TestRepetitionsAreWritten(t *testing.T) {
	servers := redistest.Replicated(t, redistest.Options{}, 1)
	calls := newPlainCaller(plainClient(t, servers))
	s := open(calls, "written:", store.DefaultLimits(), nil)
	defer s.Close()
	addr := address.Address{Namespace: "default", Type: "room"}
	o := newOwner(t, s, addr)
	commit := o.prepare(store.Commit{CommitID: [16]byte{1}})
	o.must(commit)
	nonce := string(o.record.Nonce[:])
	keys := s.keys.partitions[addr.Partition()]
	for name, again := range map[string]func() error{
		"commit": func() error { return commitAndWait(s, commit) },
		"create": func() error {
			_, created, err := s.Create(t.Context(), store.Create{Address: addr, Region: "local"})
			if created {
				t.Error("created twice")
			}
			return err
		},
		"acquire": func() error {
			_, err := s.change(t.Context(), store.Fast, fnAcquire, keys, o.record.ID, "", "", nonce, "runner-1", "0")
			return err
		},
		"release": func() error {
			return s.Release(t.Context(), o.record.ID, o.record.Generation, o.record.Nonce)
		},
	} {
		before := offset(t, servers)
		if err := again(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if offset(t, servers) == before {
			t.Errorf("%s is answered again without a write", name)
		}
	}
}

func offset(t *testing.T, servers *redistest.Servers) string {
	t.Helper()
	info, err := servers.Nodes[0].Info("replication")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(info["master_repl_offset"])
}
