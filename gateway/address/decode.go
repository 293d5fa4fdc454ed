package address

import (
	"encoding/binary"
	"errors"
)

// errKey is a key encoding that AppendKey did not write.
var errKey = errors.New("no key encoding of an address")

// DecodeKey reads what AppendKey wrote, and nothing else.
func DecodeKey(b []byte) (Address, error) {
	d := decoder{rest: b}
	a := Address{Namespace: d.prefixed(), Type: d.prefixed()}
	parts := d.uvarint()
	if parts > MaxKeyParts {
		return Address{}, errKey
	}
	a.Key = make([]string, 0, parts)
	for range parts {
		a.Key = append(a.Key, d.prefixed())
	}
	if d.fault || len(d.rest) > 0 {
		return Address{}, errKey
	}
	return a, nil
}

// decoder reads fields one after another; after a fault it reads empty ones.
type decoder struct {
	rest  []byte
	fault bool
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

func (d *decoder) prefixed() string {
	n := d.uvarint()
	if d.fault || n > uint64(len(d.rest)) {
		d.fault = true
		return ""
	}
	text := string(d.rest[:n])
	d.rest = d.rest[n:]
	return text
}
