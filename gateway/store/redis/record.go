package redis

import (
	"encoding/binary"
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
	record.Address, err = decodeAddress([]byte(addr))
	return record, err
}

// decodeAddress reads what address.AppendKey wrote.
func decodeAddress(b []byte) (address.Address, error) {
	d := addressDecoder{rest: b}
	a := address.Address{Namespace: d.prefixed(), Type: d.prefixed()}
	parts := d.uvarint()
	if parts > address.MaxKeyParts {
		d.fault = true
		parts = 0
	}
	a.Key = make([]string, 0, parts)
	for range parts {
		a.Key = append(a.Key, d.prefixed())
	}
	if d.fault || len(d.rest) > 0 {
		return address.Address{}, fmt.Errorf("decode address %x: %w", b, errCorrupt)
	}
	return a, nil
}

type addressDecoder struct {
	rest  []byte
	fault bool
}

func (d *addressDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.fault || n <= 0 {
		d.fault = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *addressDecoder) prefixed() string {
	n := d.uvarint()
	if d.fault || n > uint64(len(d.rest)) {
		d.fault = true
		return ""
	}
	text := string(d.rest[:n])
	d.rest = d.rest[n:]
	return text
}
