package wire

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// hotMessage is a message with a hand-written codec.
type hotMessage interface {
	Message
	Unmarshal([]byte) error
}

// hot pairs each hand-written codec with the generated one that it must equal.
var hot = []struct {
	name      string
	fresh     func() hotMessage
	generated func() proto.Message
	toProto   func(hotMessage) proto.Message
}{
	{
		"Call",
		func() hotMessage { return new(Call) },
		func() proto.Message { return new(runnerv1alpha1.Call) },
		func(m hotMessage) proto.Message {
			c := m.(*Call)
			p := &runnerv1alpha1.Call{
				Actor: c.Actor, Id: c.ID, Action: string(c.Action), Args: c.Args, Connection: c.Connection,
				DeadlineMs: c.DeadlineMs, Principal: c.Principal, IdempotencyKey: c.IdempotencyKey, Attempt: c.Attempt,
				Trace: c.Trace, Tracestate: string(c.TraceState), Oneway: c.Oneway, NowMs: c.NowMs,
			}
			if c.HasAlarm {
				p.Alarm, _ = DecodeAlarm(c.Alarm)
			}
			return p
		},
	},
	{
		"CallResult",
		func() hotMessage { return new(CallResult) },
		func() proto.Message { return new(runnerv1alpha1.CallResult) },
		func(m hotMessage) proto.Message {
			r := m.(*CallResult)
			return &runnerv1alpha1.CallResult{
				Actor: r.Actor, Id: r.ID, Output: optional(r.Output, r.HasOutput), Error: r.Error.Proto(), NotRun: r.NotRun,
			}
		},
	},
	{
		"Commit",
		func() hotMessage { return new(Commit) },
		func() proto.Message { return new(runnerv1alpha1.Commit) },
		func(m hotMessage) proto.Message {
			c := m.(*Commit)
			return &runnerv1alpha1.Commit{Actor: c.Actor, Version: c.Version, Changes: c.Changes, Outputs: c.Outputs}
		},
	},
	{
		"CommitResult",
		func() hotMessage { return new(CommitResult) },
		func() proto.Message { return new(runnerv1alpha1.CommitResult) },
		func(m hotMessage) proto.Message {
			r := m.(*CommitResult)
			return &runnerv1alpha1.CommitResult{Actor: r.Actor, Version: r.Version, Error: r.Error.Proto()}
		},
	},
	{
		"Emit",
		func() hotMessage { return new(Emit) },
		func() proto.Message { return new(runnerv1alpha1.Emit) },
		func(m hotMessage) proto.Message {
			e := m.(*Emit)
			return &runnerv1alpha1.Emit{
				Actor: e.Actor, Event: string(e.Event), To: e.To, Args: e.Args, Except: e.Except, All: e.All,
				Unreliable: e.Unreliable,
			}
		},
	},
	{
		"Part",
		func() hotMessage { return new(Part) },
		func() proto.Message { return new(runnerv1alpha1.Part) },
		func(m hotMessage) proto.Message {
			p := m.(*Part)
			return &runnerv1alpha1.Part{Actor: p.Actor, Data: p.Data, Last: p.Last}
		},
	},
	{
		"ClientCall",
		func() hotMessage { return new(ClientCall) },
		func() proto.Message { return new(clientv1alpha1.Call) },
		func(m hotMessage) proto.Message {
			c := m.(*ClientCall)
			return &clientv1alpha1.Call{
				Id: c.ID, Connection: c.Connection, Action: string(c.Action), Args: c.Args, DeadlineMs: c.DeadlineMs,
				Target: c.Target, TargetId: c.TargetID, Mode: c.Mode, Input: optional(c.Input, c.HasInput),
				IdempotencyKey: c.IdempotencyKey, Trace: c.Trace, Tracestate: string(c.TraceState), Oneway: c.Oneway,
			}
		},
	},
	{
		"ClientCallResult",
		func() hotMessage { return new(ClientCallResult) },
		func() proto.Message { return new(clientv1alpha1.CallResult) },
		func(m hotMessage) proto.Message {
			r := m.(*ClientCallResult)
			return &clientv1alpha1.CallResult{
				Id: r.ID, Connection: r.Connection, Output: optional(r.Output, r.HasOutput), Error: r.Error.Proto(),
			}
		},
	},
	{
		"ClientEvent",
		func() hotMessage { return new(ClientEvent) },
		func() proto.Message { return new(clientv1alpha1.Event) },
		func(m hotMessage) proto.Message {
			e := m.(*ClientEvent)
			return &clientv1alpha1.Event{Connection: e.Connection, Event: string(e.Event), Args: e.Args}
		},
	},
}

func optional(b []byte, present bool) []byte {
	if !present {
		return nil
	}
	return append([]byte{}, b...)
}

// checkHot decodes arbitrary bytes with both codecs of a message, and encodes what came out with both again.
func checkHot(t interface{ Fatalf(string, ...any) }, which int, data []byte) {
	codec := hot[which%len(hot)]
	want := codec.generated()
	wantErr := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, want)
	m := codec.fresh()
	err := m.Unmarshal(data)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%s of %x: %v; generated: %v", codec.name, data, err, wantErr)
	}
	if err != nil {
		return
	}
	normalize(want)
	got := codec.toProto(m)
	if !proto.Equal(got, want) {
		t.Fatalf("%s of %x:\n got %v\nwant %v", codec.name, data, got, want)
	}
	if c, ok := m.(*Call); ok && c.HasAlarm { // it travels as it came; only its own encoding can be compared
		c.Alarm = c.Alarm[:0:0]
		want.(*runnerv1alpha1.Call).Alarm = new(runnerv1alpha1.Alarm)
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
	if err != nil {
		t.Fatalf("marshal %v: %v", want, err)
	}
	if out := m.AppendTo(nil); !bytes.Equal(out, encoded) || m.Size() != len(encoded) {
		t.Fatalf("%s encodes as %x of size %d, generated %x of size %d", codec.name, out, m.Size(), encoded, len(encoded))
	}
}

// normalize does what our codec does beyond the generated one: an unknown ran is UNSPECIFIED [FRAME-4].
func normalize(m proto.Message) {
	withError, ok := m.(interface{ GetError() *commonv1alpha1.Error })
	if !ok || withError.GetError() == nil {
		return
	}
	if e := withError.GetError(); e.Ran < 0 || e.Ran > commonv1alpha1.Ran_RAN_MAYBE {
		e.Ran = 0
	}
}

// genFields draws an encoded message: fields of any number and wire type, repeated, and out of order.
func genFields(depth int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		var b []byte
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			num := protowire.Number(rapid.OneOf(rapid.Int32Range(1, 16), rapid.Just(int32(protowire.MaxValidNumber))).Draw(t, "number"))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2:
				b = protowire.AppendTag(b, num, protowire.VarintType)
				b = protowire.AppendVarint(b, rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64()).Draw(t, "varint"))
			case 3:
				b = protowire.AppendTag(b, num, protowire.Fixed32Type)
				b = protowire.AppendFixed32(b, 7)
			case 4:
				b = protowire.AppendTag(b, num, protowire.Fixed64Type)
				b = protowire.AppendFixed64(b, 7)
			case 5:
				b = protowire.AppendTag(b, num, protowire.StartGroupType)
				b = protowire.AppendTag(b, num, protowire.EndGroupType)
			case 6:
				b = protowire.AppendTag(b, num, protowire.BytesType)
				b = protowire.AppendString(b, rapid.SampledFrom([]string{"", "text", "\xff", "\x01\x02\xff\x01"}).Draw(t, "text"))
			default:
				b = protowire.AppendTag(b, num, protowire.BytesType)
				var inner []byte
				if depth > 0 {
					inner = genFields(depth-1).Draw(t, "inner")
				}
				b = protowire.AppendBytes(b, inner)
			}
		}
		return b
	})
}

// Unknown fields and enum values included [FRAME-4], and text that is not UTF-8 [FRAME-5].
func TestHotCodecsEqualTheGeneratedOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := genFields(2).Draw(t, "message")
		for which := range hot {
			checkHot(t, which, data)
		}
	})
}

func FuzzHotCodecs(f *testing.F) {
	for which, m := range sampleMessages() {
		f.Add(which, m.AppendTo(nil))
	}
	f.Add(0, []byte("\x62\x02\x0a\x00\x62\x02\x10\x07"))                       // alarm twice
	f.Add(1, []byte("\x2a\x03\x0a\x01a\x2a\x03\x12\x01b"))                     // error twice
	f.Add(4, []byte("\x18\x05\x1a\x02\x06\x07\x1a\x01\x80"))                   // to: single, packed, damaged
	f.Add(6, []byte("\x32\x03\x12\x01t\x32\x03\x1a\x01k\x40\xff\xff\xff\x7f")) // target twice, unknown mode
	f.Add(8, []byte("\x80\x80\x80\x80\x10\x00"))                               // field number above the valid ones
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		if which < 0 {
			return
		}
		checkHot(t, which, data)
	})
}

// sampleMessages has one of each hot message with every field, in the order of hot.
func sampleMessages() []hotMessage {
	e := &Error{
		Group: "user", Code: "no_funds", Message: "é", Metadata: []byte{0xa0}, Retryable: true, Ran: RanYes, RetryAfterMs: 300,
	}
	return []hotMessage{
		&Call{
			Actor: 7, ID: 1 << 40, Action: []byte("increment"), Args: []byte{0x81, 1}, Connection: 3, DeadlineMs: 60000,
			Principal: 9, IdempotencyKey: []byte("k"), Attempt: 2, Trace: make([]byte, 25), TraceState: []byte("a=b"),
			Alarm: []byte{0x0a, 1, 's'}, HasAlarm: true, Oneway: true, NowMs: -1,
		},
		&CallResult{Actor: 7, ID: 9, Output: []byte{}, HasOutput: true, Error: e, NotRun: true},
		&Commit{Actor: 7, Version: 9, Changes: []byte{0x0a, 1, 0xf6}, Outputs: 3},
		&CommitResult{Actor: 7, Version: 9, Error: e},
		&Emit{
			Actor: 7, Event: []byte("tick"), To: []uint64{1, 300, MaxID}, Args: []byte{0x80}, Except: []uint64{0}, All: true,
			Unreliable: true,
		},
		&Part{Actor: 7, Data: []byte("data"), Last: true},
		&ClientCall{
			ID: 1, Connection: 2, Action: []byte("a"), Args: []byte{0x80}, DeadlineMs: 5,
			Target: &commonv1alpha1.Address{Namespace: "n", Type: "t", Key: []string{"", "k"}}, TargetID: "i",
			Mode: commonv1alpha1.Mode_MODE_CREATE, Input: []byte{0xf6}, HasInput: true, IdempotencyKey: []byte("k"),
			Trace: make([]byte, 25), TraceState: []byte("a=b"), Oneway: true,
		},
		&ClientCallResult{ID: 1, Connection: 2, Output: []byte{0xf6}, HasOutput: true, Error: e},
		&ClientEvent{Connection: 2, Event: []byte("tick"), Args: []byte{0x80}},
	}
}

func TestUnmarshalReplacesWhatAMessageHeld(t *testing.T) {
	for i, m := range sampleMessages() {
		if err := m.Unmarshal(nil); err != nil || len(m.AppendTo(nil)) != 0 {
			t.Errorf("%s keeps %x (%v)", hot[i].name, m.AppendTo(nil), err)
		}
	}
}

func TestDecodedFieldsCannotGrowIntoTheFrame(t *testing.T) {
	frame := (&ClientEvent{Connection: 2, Event: []byte("tick"), Args: []byte{0x80}}).AppendTo(nil)
	before := bytes.Clone(frame)
	var m ClientEvent
	if err := m.Unmarshal(frame); err != nil {
		t.Fatal(err)
	}
	_ = append(m.Event, "overwritten"...)
	if !bytes.Equal(frame, before) {
		t.Errorf("appending to a field changed the frame")
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = AppendMessage(dst[:0], m)
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			data := m.AppendTo(nil)
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Unmarshal(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchMessages are as the hot path has them.
func benchMessages() map[string]hotMessage {
	args := []byte{0x82, 1, 0x64, 't', 'e', 'x', 't'}
	return map[string]hotMessage{
		"Call":             &Call{Actor: 1234, ID: 56789, Action: []byte("increment"), Args: args, Connection: 42, DeadlineMs: 60000},
		"CallResult":       &CallResult{Actor: 1234, ID: 56789, Output: []byte{0x18, 42}, HasOutput: true},
		"ClientCall":       &ClientCall{ID: 56789, Connection: 42, Action: []byte("increment"), Args: args},
		"ClientCallResult": &ClientCallResult{ID: 56789, Connection: 42, Output: []byte{0x18, 42}, HasOutput: true},
		"ClientEvent":      &ClientEvent{Connection: 42, Event: []byte("tick"), Args: args},
	}
}
