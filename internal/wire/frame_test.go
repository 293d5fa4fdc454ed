package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func isError(err, target error) bool { return errors.Is(err, target) }

// protocol is one of the two, with its generated Frame.
var protocols = []struct {
	name   string
	frame  func() proto.Message
	decode func(Frame) (any, error)
}{
	{"client", func() proto.Message { return new(clientv1alpha1.Frame) }, DecodeClient},
	{"runner", func() proto.Message { return new(runnerv1alpha1.Frame) }, DecodeRunner},
}

// checkFrame reads one frame with our envelope and with the generated one.
func checkFrame(t interface{ Fatalf(string, ...any) }, which int, b []byte) {
	p := protocols[which%len(protocols)]
	want := p.frame()
	wantErr := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, want)
	f, err := ParseFrame(b)
	var m any
	if err == nil {
		m, err = p.decode(f)
	}
	kinds, wellFormed := lengthDelimited(b)
	if wantErr == nil && err != nil && len(kinds) > 0 {
		t.Fatalf("%s frame %x is refused: %v", p.name, b, err)
	}
	if !wellFormed && err == nil {
		t.Fatalf("%s frame %x is accepted", p.name, b)
	}
	if err != nil || len(kinds) > 1 && !alike(kinds) {
		return // frames of several kinds: only the last counts here, damage in earlier ones included
	}
	if wantErr != nil {
		t.Fatalf("%s frame %x is accepted; generated: %v", p.name, b, wantErr)
	}
	field := want.ProtoReflect().WhichOneof(want.ProtoReflect().Descriptor().Oneofs().Get(0))
	if (m == nil) != (field == nil) {
		t.Fatalf("%s frame %x is %v; generated: %v", p.name, b, m, want)
	}
	if field == nil {
		return
	}
	inner := want.ProtoReflect().Get(field).Message().Interface()
	if Kind(field.Number()) != f.Kind || !bytes.Equal(encode(t, m), encode(t, inner)) {
		t.Fatalf("%s frame %x is kind %d, %+v; generated: %v", p.name, b, f.Kind, m, want)
	}
}

// lengthDelimited lists the numbers of the length-delimited fields of b.
func lengthDelimited(b []byte) (kinds []protowire.Number, wellFormed bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 || num > protowire.MaxValidNumber {
			return kinds, false
		}
		if typ == protowire.BytesType {
			kinds = append(kinds, num)
		}
		b = b[n:]
	}
	return kinds, true
}

func alike(kinds []protowire.Number) bool {
	for _, k := range kinds {
		if k != kinds[0] {
			return false
		}
	}
	return true
}

// encode makes messages comparable: those of our own by the generated types.
func encode(t interface{ Fatalf(string, ...any) }, m any) []byte {
	if own, ok := m.(hotMessage); ok {
		for _, codec := range hot {
			if fresh := codec.fresh(); reflect.TypeOf(fresh) == reflect.TypeOf(own) {
				m = codec.toProto(own)
			}
		}
	}
	generated := proto.Clone(m.(proto.Message))
	normalize(generated)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(generated)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return b
}

func FuzzFrames(f *testing.F) {
	for which, p := range protocols {
		var v frameVectors
		readVectors(f, "frames-"+p.name+".json", &v)
		for _, vector := range v.Frames {
			f.Add(which, unhex(f, vector.Hex)[HeaderLen:])
		}
		for _, vector := range v.Malformed {
			if frame, _, err := NextFrame(unhex(f, vector.Hex), vector.Limit); err == nil {
				f.Add(which, frame)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		if which >= 0 {
			checkFrame(t, which, b)
		}
	})
}

// [FRAME-3] and [FRAME-4].
func TestFramesEqualTheGeneratedOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := genFields(2).Draw(t, "frame")
		checkFrame(t, 0, b)
		checkFrame(t, 1, b)
	})
}

func TestEveryKindGoesThere(t *testing.T) {
	for i, p := range protocols {
		wrap := []func(proto.Message) Message{Client, Runner}[i]
		fields := p.frame().ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			number := fields.Get(i).Number()
			inner := p.frame().ProtoReflect().NewField(fields.Get(i)).Message().Interface()
			frame, rest, err := NextFrame(AppendMessage(nil, wrap(inner)), 100)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%s %d: %x, %v", p.name, number, rest, err)
			}
			f, err := ParseFrame(frame)
			if err != nil || protoreflect.FieldNumber(f.Kind) != number || FrameSize(wrap(inner)) != len(frame) {
				t.Errorf("%s %d became %d (%v)", p.name, number, f.Kind, err)
			}
			if m, err := p.decode(f); m == nil || err != nil {
				t.Errorf("%s %d: %v, %v", p.name, number, m, err)
			}
		}
	}
}

// [FRAME-2].
func TestTheLengthIsCheckedFirst(t *testing.T) {
	frame := AppendMessage(nil, &Part{Data: []byte("data")})
	for _, tt := range []struct {
		name  string
		bytes []byte
		limit int
		want  error
	}{
		{"nothing", nil, 100, ErrIncomplete},
		{"half a header", frame[:3], 100, ErrIncomplete},
		{"only a header", frame[:4], 100, ErrIncomplete},
		{"all but a byte", frame[:len(frame)-1], 100, ErrIncomplete},
		{"at the limit", frame, len(frame), nil},
		{"over the limit by a byte of the prefix", frame, len(frame) - 1, ErrFrameTooLarge},
		{"over the limit, not there yet", []byte{0, 1, 0, 0}, 100, ErrFrameTooLarge},
		{"far over the limit", []byte{0xff, 0xff, 0xff, 0xff}, 16 << 20, ErrFrameTooLarge},
		{"empty", []byte{0, 0, 0, 0, 1}, 100, ErrEmptyFrame},
	} {
		got, rest, err := NextFrame(tt.bytes, tt.limit)
		if !isError(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && !bytes.Equal(rest, tt.bytes) || err == nil && (len(rest) > 0 || !bytes.Equal(got, frame[HeaderLen:])) {
			t.Errorf("%s: %x, rest %x", tt.name, got, rest)
		}
	}
}

// [FRAME-1].
func TestFramesFollowEachOther(t *testing.T) {
	var stream []byte
	for _, m := range sampleMessages() {
		stream = AppendMessage(stream, m)
	}
	for i, m := range sampleMessages() {
		frame, rest, err := NextFrame(stream, 1<<20)
		if err != nil || !bytes.Equal(frame, envelope(m)) || cap(frame) != len(frame) {
			t.Fatalf("frame %d: %x, %v", i, frame, err)
		}
		stream = rest
	}
	if len(stream) > 0 {
		t.Errorf("%x is left", stream)
	}
}

func TestMessagesOfTheOtherProtocolPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a message of the runner protocol went to a client")
		}
	}()
	Client(new(runnerv1alpha1.Drain))
}

// What [LINK-9] charges to the actor.
func TestTheActorIsKnownBeforeTheDamage(t *testing.T) {
	for _, tt := range []struct {
		name string
		body []byte
		want uint64
	}{
		{"whole", (&Commit{Actor: 300, Version: 1}).AppendTo(nil), 300},
		{"damaged behind", []byte{0x08, 0xac, 0x02, 0xff}, 300},
		{"damaged inside", []byte{0x08, 0xff}, 0},
		{"absent", (&Commit{Version: 1}).AppendTo(nil), 0},
		{"of another type", []byte{0x0a, 0x01, 0x05}, 0},
		{"nothing", nil, 0},
	} {
		if got := ActorRef(tt.body); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// [LINK-2].
func TestLinkKinds(t *testing.T) {
	for kind, want := range map[Kind]bool{99: false, 100: true, 127: true, 128: false, RunnerGoodbye: true, RunnerCall: false} {
		if kind.IsLink() != want {
			t.Errorf("kind %d is a link frame: %t", kind, kind.IsLink())
		}
	}
}

func TestSmallFramesTakeNoExtraBytes(t *testing.T) {
	// The worked example of the spec: Ping{nonce: 1}.
	got := AppendMessage(nil, Client(&commonv1alpha1.Ping{Nonce: 1}))
	want := append(binary.BigEndian.AppendUint32(nil, 5), 0xa2, 0x06, 2, 0x08, 1)
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
