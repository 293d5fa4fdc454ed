package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// TestSuiteOnCluster: no command crosses slots, which rueidis would answer with a panic, and all means the same.
func TestSuiteOnCluster(t *testing.T) { suite(t, redistest.Cluster(t, durable, 3, 0)) }

// TestMovingSlotIsNotServedByHalves: while a slot is moved key by key, no function finds an actor that is gone or half
// there, and afterwards all of it is there.
func TestMovingSlotIsNotServedByHalves(t *testing.T) {
	servers := redistest.Cluster(t, redistest.Options{}, 3, 0)
	s := open(newPlainCaller(plainClient(t, servers)), "moved:", store.DefaultLimits(), nil)
	defer s.Close()
	addr := address.Address{Namespace: "default", Type: "room", Key: []string{"a"}}
	o := newOwner(t, s, addr)
	o.must(store.Commit{
		State: make([]byte, 100), HasState: true, KV: []store.KVOp{{Key: []byte("k"), Value: []byte("v"), HasValue: true}},
	})

	base := s.keys.partitions[addr.Partition()][0]
	from := servers.MasterOf(base)
	to := servers.Nodes[0]
	if to == from {
		to = servers.Nodes[1]
	}
	slot := fmt.Sprint(from.Must("CLUSTER", "KEYSLOT", base))
	fromID, toID := fmt.Sprint(from.Must("CLUSTER", "MYID")), fmt.Sprint(to.Must("CLUSTER", "MYID"))
	to.Must("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Must("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	host, port, _ := strings.Cut(to.Addr, ":")
	for {
		// The servers are asked past the client, which would wait for the end of the move.
		for _, node := range []*redistest.Node{from, to} {
			for _, question := range [][]string{
				{"FCALL", fnDescribe, "2", base, base + "-", "", o.record.ID},
				{"FCALL", fnCommit, "2", base, base + "-", "", o.record.ID, "1", "nonce", "1", "id", "", "0"},
			} {
				_, _ = node.Do("ASKING")
				if _, err := node.Do(question...); err == nil || !isRedirection(err) {
					t.Fatalf("%s answers %v while the slot is moved", node.Addr, err)
				}
			}
		}
		keys, ok := from.Must("CLUSTER", "GETKEYSINSLOT", slot, "1").([]any)
		if !ok || len(keys) == 0 {
			break
		}
		from.Must("MIGRATE", host, port, fmt.Sprint(keys[0]), "0", "5000")
	}
	for _, node := range append([]*redistest.Node{to, from}, servers.Nodes...) {
		node.Must("CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	o.must(store.Commit{KV: []store.KVOp{{Key: []byte("l"), Value: []byte("w"), HasValue: true}}})
	again, err := s.Acquire(t.Context(), store.Acquire{
		ID: o.record.ID, Preload: []store.Range{{}}, PreloadBytes: 100,
	})
	if err != nil || len(again.State) != 100 || len(again.Preload) != 2 || again.Record.Version != 2 {
		t.Errorf("after the move: %+v, %v", again, err)
	}
}

func isRedirection(err error) bool {
	var e redistest.Error
	if !errors.As(err, &e) {
		return false
	}
	code, _, _ := strings.Cut(string(e), " ")
	return code == "TRYAGAIN" || code == "ASK" || code == "MOVED"
}
