package redis

import (
	"fmt"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// readRecord reads what describe of library/directory.lua answers.
func readRecord(r *reply) (record store.Record, err error) {
	addr := r.text()
	record.CreatedAt = fromMicros(r.number())
	record.Generation, record.Nonce = r.number(), r.id()
	record.Version, record.CommitID = r.number(), r.id()
	record.Runner = r.text()
	record.Input, record.HasInput = r.bytes()
	record.ID = r.text()
	if err := r.finish("actor record"); err != nil {
		return store.Record{}, err
	}
	if record.Address, err = address.DecodeKey([]byte(addr)); err != nil {
		return store.Record{}, fmt.Errorf("decode actor record: %w: %w", errCorrupt, err)
	}
	return record, nil
}
