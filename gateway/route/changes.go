package route

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The fields of Changes that hold lists.
const (
	changesKV        protowire.Number = 2
	changesSchedules protowire.Number = 3
	changesFinished  protowire.Number = 4
	changesOpen      protowire.Number = 5
	changesAdded     protowire.Number = 6
	changesRemoved   protowire.Number = 7
)

// maxConnectionID is more than the ids have that a gateway gives to connections.
const maxConnectionID = 64

// checkCounts checks how many entries encoded changes have, before they are decoded: the memory for them is many times
// their bytes. It returns the limit that they exceed, and what to say of it; what is malformed is for the decoder to find.
func (inc *incarnation) checkCounts(changes []byte) (limit string, e *wire.Error) {
	l := inc.actor.router.cfg.Limits
	kv, connections := 0, 0
	for len(changes) > 0 {
		num, _, n := protowire.ConsumeField(changes)
		if n < 0 {
			break
		}
		changes = changes[n:]
		switch {
		case num == changesKV:
			kv++
		case num == changesSchedules, num == changesFinished, num == changesOpen:
			return "", wire.RunnerInvalidReport.Newf("Schedules and keyed results were not negotiated.")
		case num == changesAdded, num == changesRemoved:
			connections++
		}
	}
	switch {
	case kv > l.MaxKVOperations:
		return stats.MaxKVOperations, wire.KVBatchTooLarge.Newf("The batch has %d operations, at most %d are allowed.", kv, l.MaxKVOperations)
	case connections > 2*l.MaxConnectionsPerActor: // each may have come and gone
		return stats.MaxConnectionsPerActor, wire.ActorTooManyConnections.Newf("A commit names %d connections.", connections)
	}
	return "", nil
}

// checkChanges checks again what the SDK has checked [LIMIT-7].
func (inc *incarnation) checkChanges(m *runnerv1alpha1.Changes) (limit string, e *wire.Error) {
	l := inc.actor.router.cfg.Limits
	if len(m.GetState()) > l.MaxState {
		return stats.MaxState, wire.StateTooLarge.Newf("The state has %d bytes, at most %d are allowed.", len(m.GetState()), l.MaxState)
	}
	for _, ids := range [][]string{m.GetConnectionsAdded(), m.GetConnectionsRemoved()} {
		for _, id := range ids {
			if id == "" || len(id) > maxConnectionID {
				return "", wire.RunnerInvalidReport.Newf("A commit names a connection that cannot exist.")
			}
		}
	}
	batch := 0
	for _, op := range m.GetKv() {
		batch += len(op.GetKey()) + len(op.GetValue())
		switch {
		case op.DeleteUntil == nil && len(op.GetKey()) == 0, len(op.GetKey()) > l.MaxKVKey, len(op.GetDeleteUntil()) > l.MaxKVKey:
			return stats.MaxKVKey, wire.KVKeyTooLarge.Newf("A key has 1 to %d bytes.", l.MaxKVKey)
		case len(op.GetValue()) > l.MaxKVValue:
			return stats.MaxKVValue, wire.KVValueTooLarge.Newf("A value has %d bytes, at most %d are allowed.", len(op.GetValue()), l.MaxKVValue)
		}
	}
	if batch > l.MaxKVBatch {
		return stats.MaxKVBatch, wire.KVBatchTooLarge.Newf("The batch has %d bytes, at most %d are allowed.", batch, l.MaxKVBatch)
	}
	return "", nil
}

// storeCommit is the open commit as the store takes it.
func (inc *incarnation) storeCommit() store.Commit {
	m := inc.commit.decoded
	c := store.Commit{
		ID: inc.id, Generation: inc.generation, Nonce: inc.nonce, Version: inc.commit.version, CommitID: inc.commit.id,
		Durability: inc.class, State: m.GetState(), HasState: m.State != nil, Destroy: m.GetDestroy(),
		Connections: store.ConnectionsDelta{Added: m.GetConnectionsAdded(), Removed: m.GetConnectionsRemoved()},
	}
	for _, op := range m.GetKv() {
		c.KV = append(c.KV, store.KVOp{
			Key: op.GetKey(), Value: op.GetValue(), HasValue: op.Value != nil, Until: op.GetDeleteUntil(), IsRange: op.DeleteUntil != nil,
		})
	}
	return c
}
