package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// schema is what a protocol's Frame says: which kind each of its messages has. It serves the generated messages; the
// hand-written ones know their kind.
type schema struct {
	kinds map[protoreflect.FullName]Kind
	types map[Kind]protoreflect.MessageType
}

func newSchema(frame proto.Message) schema {
	s := schema{kinds: map[protoreflect.FullName]Kind{}, types: map[Kind]protoreflect.MessageType{}}
	fields := frame.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		kind, name := Kind(fields.Get(i).Number()), fields.Get(i).Message().FullName()
		t, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			panic(fmt.Sprintf("wire: message %s of %s: %v", name, frame.ProtoReflect().Descriptor().FullName(), err)) //nolint:forbidigo // the generated code contradicts itself
		}
		s.kinds[name], s.types[kind] = kind, t
	}
	return s
}

func (s schema) message(m proto.Message) Message {
	name := m.ProtoReflect().Descriptor().FullName()
	kind, ok := s.kinds[name]
	if !ok {
		panic(fmt.Sprintf("wire: %s is not a message of this protocol", name)) //nolint:forbidigo // a bug of the caller
	}
	return cold{kind: kind, msg: m}
}

func (s schema) decode(f Frame) (any, error) {
	t, known := s.types[f.Kind]
	if !known {
		return nil, nil
	}
	m := t.New().Interface()
	return m, unmarshalMerge(string(t.Descriptor().Name()), f.Body, m)
}

// cold is a generated message as a Message.
type cold struct {
	kind Kind
	msg  proto.Message
}

func (c cold) Kind() Kind { return c.kind }
func (c cold) Size() int  { return proto.Size(c.msg) }

func (c cold) AppendTo(dst []byte) []byte {
	out, err := proto.MarshalOptions{}.MarshalAppend(dst, c.msg)
	if err != nil {
		// Only a string that is not UTF-8 can do this, and every string is checked where it comes in [FRAME-5].
		panic(fmt.Sprintf("wire: encode %s: %v", c.msg.ProtoReflect().Descriptor().FullName(), err)) //nolint:forbidigo // a bug, see above
	}
	return out
}

func appendMessageField(dst []byte, num protowire.Number, m proto.Message) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(proto.Size(m)))
	return cold{msg: m}.AppendTo(dst)
}
