package route

import (
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// checkChanges checks again what the SDK has checked [LIMIT-7].
func (inc *incarnation) checkChanges(m *runnerv1alpha1.Changes) *wire.Error {
	l := inc.actor.router.cfg.Limits
	switch {
	case len(m.GetState()) > l.MaxState:
		return wire.StateTooLarge.Newf("The state has %d bytes, at most %d are allowed.", len(m.GetState()), l.MaxState)
	case len(m.GetKv()) > l.MaxKVOperations:
		return wire.KVBatchTooLarge.Newf("The batch has %d operations, at most %d are allowed.", len(m.GetKv()), l.MaxKVOperations)
	case len(m.GetSchedules()) > 0 || len(m.GetFinished()) > 0 || len(m.GetOpen()) > 0:
		return wire.RunnerInvalidReport.Newf("Schedules and keyed results were not negotiated.")
	}
	batch := 0
	for _, op := range m.GetKv() {
		batch += len(op.GetKey()) + len(op.GetValue())
		switch {
		case op.DeleteUntil == nil && len(op.GetKey()) == 0, len(op.GetKey()) > l.MaxKVKey, len(op.GetDeleteUntil()) > l.MaxKVKey:
			return wire.KVKeyTooLarge.Newf("A key has 1 to %d bytes.", l.MaxKVKey)
		case len(op.GetValue()) > l.MaxKVValue:
			return wire.KVValueTooLarge.Newf("A value has %d bytes, at most %d are allowed.", len(op.GetValue()), l.MaxKVValue)
		}
	}
	if batch > l.MaxKVBatch {
		return wire.KVBatchTooLarge.Newf("The batch has %d bytes, at most %d are allowed.", batch, l.MaxKVBatch)
	}
	return nil
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
