package redis

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// TestSleepingActorIsSmall measures what the server uses, all that an actor costs it included.
func TestSleepingActorIsSmall(t *testing.T) {
	const actors = 4000
	for state, most := range map[int]int{32: 600, 100: 850} {
		servers := redistest.Standalone(t, redistest.Options{})
		s := open(newPlainCaller(plainClient(t, servers)), "stagedoor:", store.DefaultLimits(), nil)
		before := used(t, servers.Nodes[0])
		for i := range actors {
			o := newOwner(t, s, address.Address{
				Namespace: "default", Type: "chat-room", Key: []string{"tenant-17", fmt.Sprint("room-", i)},
			})
			o.must(store.Commit{State: make([]byte, state), HasState: true})
			if err := s.Release(t.Context(), o.record.ID, o.record.Generation, o.record.Nonce); err != nil {
				t.Fatal(err)
			}
		}
		each := (used(t, servers.Nodes[0]) - before) / actors
		t.Logf("%d bytes per actor with %d bytes of state", each, state)
		if each > most {
			t.Errorf("%d bytes per actor with %d bytes of state, at most %d are allowed", each, state, most)
		}
		_ = s.Close()
	}
}

func used(t *testing.T, node *redistest.Node) int {
	t.Helper()
	info, err := node.Info("memory")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(fmt.Sprint(info["used_memory_dataset"]))
	if err != nil {
		t.Fatal(err)
	}
	overhead, err := strconv.Atoi(fmt.Sprint(info["used_memory_overhead"]))
	if err != nil {
		t.Fatal(err)
	}
	return n + overhead
}
