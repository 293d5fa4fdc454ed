package wire

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of an encoded message, as the hand-written decoders see it.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint
	bytes []byte // of a length-delimited field
}

// fields calls visit for each field of an encoded message, in order. Fields of other wire types are skipped.
func fields(what string, b []byte, visit func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed(what, n)
		}
		b = b[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
			n = protowire.ConsumeFieldValue(num, typ, b)
		default:
			return fmt.Errorf("%w: %s: wire type %d", ErrMalformed, what, typ)
		}
		if n < 0 {
			return malformed(what, n)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// isVarint and isBytes tell a known field from one that another version of the schema gave another type.
func (f field) isVarint() bool { return f.typ == protowire.VarintType }
func (f field) isBytes() bool  { return f.typ == protowire.BytesType }

// text checks that the field may be a proto3 string [FRAME-5].
func (f field) text(what string) ([]byte, error) {
	if !utf8.Valid(f.bytes) {
		return nil, fmt.Errorf("%w: %s is not valid UTF-8", ErrMalformed, what)
	}
	return f.bytes, nil
}

// appendRepeated reads one occurrence of a repeated uint64: a single value or a packed run.
func (f field) appendRepeated(dst []uint64, what string) ([]uint64, error) {
	if f.isVarint() {
		return append(dst, f.value), nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, malformed(what, n)
		}
		dst, b = append(dst, v), b[n:]
	}
	return dst, nil
}

// The size and append pairs write nothing for a zero value, as proto3 does.

func sizeUint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func sizeBool(num protowire.Number, v bool) int { return sizeUint(num, protowire.EncodeBool(v)) }

func appendBool(dst []byte, num protowire.Number, v bool) []byte {
	return appendUint(dst, num, protowire.EncodeBool(v))
}

func sizeBytes(num protowire.Number, v []byte) int {
	if len(v) == 0 {
		return 0
	}
	return sizePresent(num, v)
}

func appendBytes(dst []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return appendPresent(dst, num, v)
}

// sizePresent and appendPresent write an optional field that is present, even if it is empty.
func sizePresent(num protowire.Number, v []byte) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(len(v))
}

func appendPresent(dst []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

func sizeString(num protowire.Number, v string) int {
	if v == "" {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(len(v))
}

func appendString(dst []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

func packedLen(v []uint64) int {
	n := 0
	for _, x := range v {
		n += protowire.SizeVarint(x)
	}
	return n
}

func sizePacked(num protowire.Number, v []uint64) int {
	if len(v) == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(packedLen(v))
}

func appendPacked(dst []byte, num protowire.Number, v []uint64) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(packedLen(v)))
	for _, x := range v {
		dst = protowire.AppendVarint(dst, x)
	}
	return dst
}
