package wire

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields reads an encoded message field by field, for the hand-written decoders:
//
//	f := fields{what: "Call", rest: b}
//	for f.next() { … }
//	return f.err
//
// A fault ends the loop.
type fields struct {
	what string // the message, for errors
	rest []byte
	err  error

	// The field that next has read.
	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint
	bytes []byte // of a length-delimited field
}

// next reads one field. Most have a tag of one byte, and a value or a length of one byte: they are read without a call.
func (f *fields) next() bool {
	b := f.rest
	if len(b) < 2 || b[0] >= 0x80 || b[0] < 1<<3 || b[1] >= 0x80 || f.err != nil {
		return f.nextLong()
	}
	f.num, f.typ = protowire.Number(b[0]>>3), protowire.Type(b[0]&7)
	switch end := 2 + int(b[1]); {
	case f.typ == protowire.VarintType:
		f.value, f.rest = uint64(b[1]), b[2:]
		return true
	case f.typ == protowire.BytesType && end <= len(b):
		f.bytes, f.rest = b[2:end:end], b[end:]
		return true
	}
	return f.nextLong()
}

func (f *fields) nextLong() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	num, typ, n := consumeTag(f.rest)
	if n < 0 {
		f.err = malformed(f.what, n)
		return false
	}
	f.num, f.typ, f.rest = num, typ, f.rest[n:]
	switch typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.rest)
		f.bytes = f.bytes[:len(f.bytes):len(f.bytes)]
	default:
		n = protowire.ConsumeFieldValue(num, typ, f.rest)
	}
	if n < 0 {
		f.err = malformed(f.what, n)
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// consumeTag is protowire.ConsumeTag, and refuses the numbers above the valid ones that it lets pass for MessageSet.
func consumeTag(b []byte) (num protowire.Number, typ protowire.Type, n int) {
	num, typ, n = protowire.ConsumeTag(b)
	if num > protowire.MaxValidNumber {
		n = errFieldNumber
	}
	return num, typ, n
}

// errFieldNumber is protowire's own code for a tag whose number is not valid, as 0 is not.
var _, _, errFieldNumber = protowire.ConsumeTag([]byte{0})

// isVarint and isBytes tell a known field from one that another version of the schema gave another type.
func (f *fields) isVarint() bool { return f.typ == protowire.VarintType }
func (f *fields) isBytes() bool  { return f.typ == protowire.BytesType }

// text is the field as a proto3 string [FRAME-5].
func (f *fields) text(what string) []byte {
	if !utf8.Valid(f.bytes) {
		f.err = fmt.Errorf("%w: %s is not valid UTF-8", ErrMalformed, what)
	}
	return f.bytes
}

// appendRepeated reads one occurrence of a repeated uint64: a single value or a packed run.
func (f *fields) appendRepeated(dst []uint64, what string) []uint64 {
	if f.isVarint() {
		return append(dst, f.value)
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			f.err = malformed(what, n)
			return dst
		}
		dst, b = append(dst, v), b[n:]
	}
	return dst
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
	return appendUintField(dst, num, v)
}

// appendUintField and its like stand apart so that the test for zero is inlined at the caller.
func appendUintField(dst []byte, num protowire.Number, v uint64) []byte {
	if num < 16 && v < 0x80 {
		return append(dst, byte(num)<<3|byte(protowire.VarintType), byte(v))
	}
	return protowire.AppendVarint(appendTag(dst, num, protowire.VarintType), v)
}

// appendTag is protowire.AppendTag for the numbers that our messages have.
func appendTag(dst []byte, num protowire.Number, typ protowire.Type) []byte {
	if num < 16 {
		return append(dst, byte(num)<<3|byte(typ))
	}
	return protowire.AppendTag(dst, num, typ)
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
	if num < 16 && len(v) < 0x80 {
		return append(append(dst, byte(num)<<3|byte(protowire.BytesType), byte(len(v))), v...)
	}
	return protowire.AppendBytes(appendTag(dst, num, protowire.BytesType), v)
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

// NumberAt reads a varint field of an encoded message without decoding the rest; 0 if it is not there. Damage behind it
// does not matter.
func NumberAt(body []byte, num protowire.Number) uint64 {
	var v uint64
	f := fields{rest: body}
	for f.next() {
		if f.num == num && f.isVarint() {
			v = f.value
		}
	}
	return v
}
