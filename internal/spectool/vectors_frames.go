package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

type frameVector struct {
	Name    string          `json:"name"`
	Rules   rules           `json:"rules"`
	Hex     hexBytes        `json:"hex"`
	Encode  *bool           `json:"encode,omitempty"`
	Message json.RawMessage `json:"message"`
}

// malformedFrame says what is wrong with bytes: failure is framing, frame, message or unknown.
type malformedFrame struct {
	Name    string   `json:"name"`
	Rules   rules    `json:"rules"`
	Hex     hexBytes `json:"hex"`
	Limit   int      `json:"limit"`
	Failure string   `json:"failure"`
	Kind    int      `json:"kind,omitempty"`
}

// sample is a message of which a frame is made.
type sample struct {
	name    string
	rules   rules
	message proto.Message
}

// frameVectors are the frames of some messages, as the generated code encodes them.
func frameVectors(newFrame func() proto.Message, samples []sample) ([]frameVector, error) {
	var vectors []frameVector
	for _, s := range samples {
		frame, err := frameOf(newFrame(), s.message)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(frame)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		text, err := stableJSON(frame)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		vectors = append(vectors, frameVector{Name: s.name, Rules: s.rules, Hex: prefixed(encoded), Message: text})
	}
	return vectors, nil
}

// frameOf sets the kind of a Frame that has the type of the message.
func frameOf(frame, message proto.Message) (proto.Message, error) {
	fields, name := frame.ProtoReflect().Descriptor().Fields(), message.ProtoReflect().Descriptor().FullName()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Message().FullName() == name {
			frame.ProtoReflect().Set(f, protoreflect.ValueOfMessage(message.ProtoReflect()))
			return frame, nil
		}
	}
	return nil, fmt.Errorf("%s is no kind of %s", name, frame.ProtoReflect().Descriptor().FullName())
}

// stableJSON is the JSON mapping without the spaces that protojson varies on purpose.
func stableJSON(m proto.Message) (json.RawMessage, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text)
	return b.Bytes(), err
}

func prefixed(frame []byte) hexBytes {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// oddFrames are valid frames that no writer makes. call is a number of a kind that has the same fields 1 and 2 in
// both protocols, which makes one list serve both.
func oddFrames(newFrame func() proto.Message) ([]frameVector, error) {
	kind := func(num protowire.Number, body ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
	}
	list := []struct {
		name  string
		rules rules
		frame []byte
	}{
		{"unknown fields are ignored", rules{"FRAME-4"}, append([]byte{0xf8, 0x3f, 1}, kind(100, 0x08, 1, 0x7a, 1, 'x')...)},
		{"fields in any order, the last one counts", rules{"FRAME-1"}, kind(1, 0x10, 2, 0x08, 1, 0x10, 3)},
		{"a number that takes more bytes than it needs", rules{"FRAME-1"}, kind(100, 0x08, 0x81, 0x00)},
		{"one kind twice is one message", rules{"FRAME-1"}, append(kind(1, 0x08, 1), kind(1, 0x10, 2)...)},
		{"a field of another wire type is unknown", rules{"FRAME-4"}, kind(100, 0x0a, 1, 'x')},
	}
	var vectors []frameVector
	for _, odd := range list {
		frame := newFrame()
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(odd.frame, frame); err != nil {
			return nil, fmt.Errorf("%s: %w", odd.name, err)
		}
		text, err := stableJSON(frame)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", odd.name, err)
		}
		vectors = append(vectors, frameVector{Name: odd.name, Rules: odd.rules, Hex: prefixed(odd.frame), Encode: no, Message: text})
	}
	return vectors, nil
}

// malformedFrames are the faults that both protocols know.
func malformedFrames() []malformedFrame {
	list := []malformedFrame{
		{Name: "length 0", Rules: rules{"FRAME-2"}, Hex: hexBytes{0, 0, 0, 0}, Failure: "framing"},
		{Name: "over the limit", Rules: rules{"FRAME-2"}, Hex: append(hexBytes{0, 0, 3, 0xfd}, make([]byte, 1021)...), Failure: "framing"}, // by its prefix
		{Name: "far over the limit", Rules: rules{"FRAME-2"}, Hex: hexBytes{0xff, 0xff, 0xff, 0xff}, Failure: "framing"},
		{Name: "cut off in the length", Rules: rules{"FRAME-2"}, Hex: hexBytes{0, 0, 0}, Failure: "framing"},
		{Name: "cut off in the frame", Rules: rules{"FRAME-2"}, Hex: hexBytes{0, 0, 0, 5, 0xa2, 0x06, 2, 8}, Failure: "framing"},
		{Name: "no protobuf", Rules: rules{"FRAME-3"}, Hex: prefixed([]byte{0xff}), Failure: "frame"},
		{Name: "a length beyond the frame", Rules: rules{"FRAME-3"}, Hex: prefixed([]byte{0x0a, 5, 8}), Failure: "frame"},
		{Name: "field number 0", Rules: rules{"FRAME-3"}, Hex: prefixed([]byte{0x02, 0}), Failure: "frame"},
		{Name: "no kind", Rules: rules{"FRAME-3"}, Hex: prefixed([]byte{0xf8, 0x3f, 1}), Failure: "frame"},
		{Name: "damage inside the message", Rules: rules{"FRAME-3"}, Hex: prefixed([]byte{0x0a, 2, 0x08, 0x80}), Failure: "message", Kind: 1},
		{Name: "text that is not UTF-8", Rules: rules{"FRAME-5"}, Hex: prefixed([]byte{0x0a, 5, 0x08, 1, 0x1a, 1, 0xff}), Failure: "message", Kind: 1},
		{Name: "unknown kind", Rules: rules{"FRAME-4"}, Hex: prefixed([]byte{0xda, 0x06, 2, 0x08, 7}), Failure: "unknown", Kind: 107},
	}
	for i := range list {
		list[i].Limit = 1024
	}
	return list
}
