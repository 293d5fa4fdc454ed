package fuzz

import (
	"bytes"
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// Mutator changes frames. The same random source makes the same changes.
type Mutator struct {
	Random *rand.Rand
}

// Mutate returns the bytes of a frame that differs from a legal one, and says how.
func (m *Mutator) Mutate(f *tap.Frame) (body []byte, how string) {
	f = tap.Clone(f)
	if m.Random.IntN(3) > 0 { // by fields, so that it is still a Frame
		if how = m.field(f.ProtoReflect()); how != "" {
			if body, err := proto.Marshal(f); err == nil {
				return body, how
			}
		}
	}
	body, err := proto.Marshal(f)
	if err != nil {
		return nil, "nothing"
	}
	return m.bytes(body)
}

// field changes one field, of the frame's message or of one within it.
func (m *Mutator) field(in protoreflect.Message) string {
	messages := within(in, nil)
	message := messages[m.Random.IntN(len(messages))]
	fields := message.Descriptor().Fields()
	if message == in || fields.Len() == 0 {
		return ""
	}
	field := fields.Get(m.Random.IntN(fields.Len()))
	name := string(message.Descriptor().Name()) + "." + string(field.Name())
	switch {
	case m.Random.IntN(5) == 0 && message.Has(field):
		message.Clear(field)
		return name + " is left out"
	case field.IsList():
		return m.list(message, field, name)
	case field.IsMap():
		return ""
	case field.Message() != nil:
		message.Set(field, message.NewField(field)) // there, but empty
		return name + " is empty"
	}
	message.Set(field, m.scalar(field))
	return name + " is something else"
}

// within is a message with all that are in it.
func within(in protoreflect.Message, all []protoreflect.Message) []protoreflect.Message {
	all = append(all, in)
	in.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for i := range v.List().Len() {
				all = within(v.List().Get(i).Message(), all)
			}
		default:
			all = within(v.Message(), all)
		}
		return true
	})
	return all
}

func (m *Mutator) list(message protoreflect.Message, field protoreflect.FieldDescriptor, name string) string {
	list := message.Mutable(field).List()
	switch {
	case list.Len() > 0 && m.Random.IntN(2) == 0:
		list.Append(list.Get(m.Random.IntN(list.Len())))
		return name + " has an entry twice"
	case field.Message() != nil:
		list.Append(list.NewElement())
		return name + " has an empty entry"
	}
	for range 1 + m.Random.IntN(3) {
		list.Append(m.scalar(field))
	}
	return name + " has more entries"
}

// Numbers where encodings and counters end.
var edges = []uint64{0, 1, 2, 127, 128, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1<<53 - 1, 1 << 53, 1<<63 - 1, 1 << 63, math.MaxUint64}

func (m *Mutator) scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	n := edges[m.Random.IntN(len(edges))]
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.StringKind:
		texts := []string{"", "a", "no such thing", "\x00", "é\u0301", "../..", string(bytes.Repeat([]byte("x"), 5000))}
		return protoreflect.ValueOfString(texts[m.Random.IntN(len(texts))])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(m.payload())
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	default:
		return protoreflect.ValueOfUint64(n)
	}
}

// payload is what is no CBOR value, or an odd one: cut short, trailing, indefinite, with a key twice, deep.
func (m *Mutator) payload() []byte {
	all := [][]byte{
		nil,
		{},
		{0xff},
		{0x80},
		{0xf6},
		{0x81},
		{0x82, 0x01},
		{0x01, 0x02},
		{0x5f},
		{0x9f, 0xff},
		{0xa1, 0x01},
		{0xa2, 0x01, 0x01, 0x01, 0x02},
		{0x61, 0xff},
		{0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0},
		{0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		{0xd9, 0xff, 0xff, 0x01},
		bytes.Repeat([]byte{0x81}, 200), bytes.Repeat([]byte{0xc1}, 200),
	}
	return all[m.Random.IntN(len(all))]
}

// bytes changes an encoded frame as if it were nothing but bytes.
func (m *Mutator) bytes(body []byte) ([]byte, string) {
	at := m.Random.IntN(len(body))
	switch m.Random.IntN(8) {
	case 0:
		if at > 0 {
			return body[:at], "the frame is cut off"
		}
	case 1:
		body[at] ^= 1 << m.Random.IntN(8)
		return body, "a bit is inverted"
	case 2:
		return append(body, 0xff, 0xff), "two bytes too many"
	case 3:
		return append(protowire.AppendTag(body, 99, protowire.BytesType), 0), "a second kind, unknown"
	case 4:
		return append(protowire.AppendTag(nil, protowire.Number(40+m.Random.IntN(60)), protowire.BytesType), 0), "a kind that nobody knows, or an empty one"
	case 5:
		return protowire.AppendVarint(protowire.AppendTag(nil, protowire.Number(1+m.Random.IntN(60)), protowire.VarintType), 1), "a number where a message is due"
	case 6:
		inner := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(1+m.Random.IntN(8)), protowire.BytesType), []byte{0xff, 0xfe})
		return protowire.AppendBytes(protowire.AppendTag(body, protowire.Number(1+m.Random.IntN(34)), protowire.BytesType), inner), "a second kind, with text that is no UTF-8"
	}
	deep := []byte{}
	for range 50 {
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), deep)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), deep), "messages within messages"
}
