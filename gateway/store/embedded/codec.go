package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errCorrupt is wrapped where stored bytes are not what this package wrote. It is an unknown outcome to callers.
var errCorrupt = errors.New("corrupt data")

// recordVersion begins every record.
const recordVersion = 1

// decoder reads a record. After the first fault it returns zero values; finish reports it.
type decoder struct {
	rest  []byte
	fault bool
}

func newDecoder(b []byte) *decoder {
	d := &decoder{rest: b}
	d.fault = d.byte() != recordVersion
	return d
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.fault || n <= 0 {
		d.fault = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// bytes borrows the next n bytes.
func (d *decoder) bytes(n uint64) []byte {
	if d.fault || n > uint64(len(d.rest)) {
		d.fault = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) prefixed() []byte { return d.bytes(d.uvarint()) }

// remainder borrows all that is left.
func (d *decoder) remainder() []byte { return d.bytes(uint64(len(d.rest))) }

// finish reports a fault, or bytes left over.
func (d *decoder) finish(what string) error {
	if d.fault || len(d.rest) > 0 {
		return fmt.Errorf("decode %s: %w", what, errCorrupt)
	}
	return nil
}

func appendPrefixed(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
