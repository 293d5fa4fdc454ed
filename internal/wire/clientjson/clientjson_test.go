package clientjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

var (
	received = []*clientv1alpha1.Received{{Frames: 3}, {Connection: 2, Frames: 1}, {Connection: 4}}
	failure  = &wire.Error{
		Group: "user", Code: "no_funds", Message: "Not \"enough\".", Metadata: []byte{0xa1, 0x61, 'n', 5},
		Retryable: true, Ran: wire.RanYes, RetryAfterMs: 250,
	}
	failureJSON = `{"group":"user","code":"no_funds","message":"Not \"enough\".","metadata":{"n":5},"retryable":true,` +
		`"ran":"yes","retryAfterMs":250}`
	trace = []byte("\xab123456789abcdef\xfeBCDEFGH\x01")
)

const traceparent = "00-ab313233343536373839616263646566-fe42434445464748-01"

// messages are one of each type with all its fields, as the spec lists them, and some with few.
var messages = []struct {
	text    string
	message any
}{
	{
		`{"type":"call","id":1,"connection":2,"action":"inc","args":[1],"deadlineMs":500,"input":null,` +
			`"idempotencyKey":"k","traceparent":"` + traceparent + `","tracestate":"a=b","oneway":true}`,
		&wire.ClientCall{
			ID: 1, Connection: 2, Action: []byte("inc"), Args: []byte{0x81, 1}, DeadlineMs: 500, Input: []byte{0xf6},
			HasInput: true, IdempotencyKey: []byte("k"), Trace: trace, TraceState: []byte("a=b"), Oneway: true,
		},
	},
	{
		`{"type":"call","id":9007199254740991,"action":"x","target":"room:a%3Ab:%2E%2E:","mode":"get"}`,
		&wire.ClientCall{
			ID: wire.MaxID, Action: []byte("x"), Mode: commonv1alpha1.Mode_MODE_GET,
			Target: &commonv1alpha1.Address{Type: "room", Key: []string{"a:b", "..", ""}},
		},
	},
	{
		`{"type":"call","id":1,"action":"x","target":{"namespace":"n","type":"t","key":["a","é"]},"mode":"getOrCreate"}`,
		&wire.ClientCall{
			ID: 1, Action: []byte("x"), Mode: commonv1alpha1.Mode_MODE_GET_OR_CREATE,
			Target: &commonv1alpha1.Address{Namespace: "n", Type: "t", Key: []string{"a", "é"}},
		},
	},
	{
		`{"type":"call","id":1,"action":"x","target":"@local-0123456789abcdefghijklmnop","mode":"create"}`,
		&wire.ClientCall{
			ID: 1, Action: []byte("x"), Mode: commonv1alpha1.Mode_MODE_CREATE, TargetID: "local-0123456789abcdefghijklmnop",
		},
	},
	{
		`{"type":"callResult","id":1,"connection":2,"output":["$Undefined",0]}`,
		&wire.ClientCallResult{ID: 1, Connection: 2, Output: []byte{0xf7}, HasOutput: true},
	},
	{`{"type":"callResult","id":1}`, &wire.ClientCallResult{ID: 1}},
	{`{"type":"callResult","id":1,"error":` + failureJSON + `}`, &wire.ClientCallResult{ID: 1, Error: failure}},
	{
		`{"type":"event","connection":3,"event":"tick","args":[1.5]}`,
		&wire.ClientEvent{Connection: 3, Event: []byte("tick"), Args: []byte{0x81, 0xf9, 0x3e, 0}},
	},
	{
		`{"type":"unreliableEvent","connection":3,"event":"at","args":[]}`,
		&wire.ClientEvent{Connection: 3, Event: []byte("at"), Args: []byte{0x80}, Unreliable: true},
	},
	{`{"type":"cancelCall","id":1,"connection":2}`, &clientv1alpha1.CancelCall{Id: 1, Connection: 2}},
	{
		`{"type":"hello","token":"t","namespace":"n","sdk":"js","sdkVersion":"1","features":["a","b"]}`,
		&clientv1alpha1.Hello{Token: "t", Namespace: "n", Sdk: "js", SdkVersion: "1", Features: []string{"a", "b"}},
	},
	{`{"type":"hello"}`, &clientv1alpha1.Hello{}},
	{
		`{"type":"welcome","session":"s","limits":{"maxMessage":1,"maxArgs":2,"maxInput":3,"maxParams":4,"maxCalls":5,` +
			`"maxConnections":6,"maxSubscriptions":7},"pingMs":15000,"nowMs":1700000000000,"features":["f"],"gateway":"g",` +
			`"development":true}`,
		&clientv1alpha1.Welcome{
			Session: "s", PingMs: 15000, NowMs: 1700000000000, Features: []string{"f"}, Gateway: "g", Development: true,
			Limits: &clientv1alpha1.Limits{
				MaxMessage: 1, MaxArgs: 2, MaxInput: 3, MaxParams: 4, MaxCalls: 5, MaxConnections: 6, MaxSubscriptions: 7,
			},
		},
	},
	{
		`{"type":"hello","resume":{"token":"g.t","received":[{"frames":3},{"connection":2,"frames":1},{"connection":4}]}}`,
		&clientv1alpha1.Hello{Resume: &clientv1alpha1.Resume{Token: []byte("g.t"), Received: received}},
	},
	{
		`{"type":"welcome","resumeToken":"g.u","resumed":true,"received":[{"frames":3},{"connection":2,"frames":1},{"connection":4}],"resumeMs":30000}`,
		&clientv1alpha1.Welcome{ResumeToken: []byte("g.u"), Resumed: true, Received: received, ResumeMs: 30000},
	},
	{`{"type":"ack","received":[{"frames":3},{"connection":2,"frames":1},{"connection":4}]}`, &clientv1alpha1.Ack{Received: received}},
	{`{"type":"reject","error":` + failureJSON + `}`, &clientv1alpha1.Reject{Error: failure.Proto()}},
	{
		`{"type":"connectionOpen","connection":1,"target":"t","mode":"get","input":{"a":null},"params":false,"subscriptions":["e"]}`,
		&clientv1alpha1.ConnectionOpen{
			Connection: 1, Target: &commonv1alpha1.Address{Type: "t"}, Mode: commonv1alpha1.Mode_MODE_GET,
			Input: []byte{0xa1, 0x61, 'a', 0xf6}, Params: []byte{0xf4}, Subscriptions: []string{"e"},
		},
	},
	{
		`{"type":"connectionOpened","connection":1,"actorId":"a","connectionId":"c"}`,
		&clientv1alpha1.ConnectionOpened{Connection: 1, ActorId: "a", ConnectionId: "c"},
	},
	{
		`{"type":"connectionClose","connection":1,"reason":"bye"}`,
		&clientv1alpha1.ConnectionClose{Connection: 1, Reason: "bye"},
	},
	{
		`{"type":"connectionClosed","connection":1,"error":` + failureJSON + `,"reconnect":"never"}`,
		&clientv1alpha1.ConnectionClosed{
			Connection: 1, Error: failure.Proto(), Reconnect: commonv1alpha1.Reconnect_RECONNECT_NEVER,
		},
	},
	{
		`{"type":"subscribe","id":1,"connection":2,"events":["a","b"]}`,
		&clientv1alpha1.Subscribe{Id: 1, Connection: 2, Events: []string{"a", "b"}},
	},
	{
		`{"type":"unsubscribe","id":1,"connection":2,"events":["a"]}`,
		&clientv1alpha1.Unsubscribe{Id: 1, Connection: 2, Events: []string{"a"}},
	},
	{
		`{"type":"subscriptionResult","id":1,"connection":2,"error":` + failureJSON + `}`,
		&clientv1alpha1.SubscriptionResult{Id: 1, Connection: 2, Error: failure.Proto()},
	},
	{`{"type":"unsupported","kind":"dance","number":7}`, &Unsupported{Kind: "dance", Number: 7}},
	{`{"type":"protocolError","error":` + failureJSON + `}`, &clientv1alpha1.ProtocolError{Error: failure.Proto()}},
	{`{"type":"ping","nonce":18446744073709551615}`, &commonv1alpha1.Ping{Nonce: 1<<64 - 1}},
	{`{"type":"pong","nonce":1,"nowMs":-5}`, &clientv1alpha1.Pong{Nonce: 1, NowMs: -5}},
	{
		`{"type":"goodbye","code":"gateway.draining","message":"m","retryAfterMs":1,"reconnect":"same","address":"wss://x"}`,
		&commonv1alpha1.Goodbye{
			Code: "gateway.draining", Message: "m", RetryAfterMs: 1, Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME,
			Address: "wss://x",
		},
	},
	{
		`{"type":"goodbye","code":"a.b","reconnect":"any"}`,
		&commonv1alpha1.Goodbye{Code: "a.b", Reconnect: commonv1alpha1.Reconnect_RECONNECT_ANY},
	},
}

// [SESS-10], with the payloads of [JSON-2] and their presence [PAY-3].
func TestEveryMessageHasAJSONForm(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range messages {
		text, err := Append([]byte("x"), tt.message)
		if err != nil || string(text) != "x"+tt.text {
			t.Errorf("Append(%T)\n got %s, %v\nwant %s", tt.message, text, err, tt.text)
		}
		message, err := Decode([]byte(tt.text))
		if err != nil || !same(message, tt.message) {
			t.Errorf("Decode(%s)\n got %+v, %v\nwant %+v", tt.text, message, err, tt.message)
		}
		var typed struct{ Type string }
		if err := json.Unmarshal([]byte(tt.text), &typed); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		seen[typed.Type] = true
	}
	for _, typ := range typeOf {
		if !seen[typ] {
			t.Errorf("no case for %s", typ)
		}
	}
}

// same compares messages by what they say on the wire.
func same(a, b any) bool {
	if m, ok := a.(proto.Message); ok {
		other, ok := b.(proto.Message)
		return ok && proto.Equal(m, other)
	}
	m, ok := a.(wire.Message)
	other, ok2 := b.(wire.Message)
	if !ok || !ok2 {
		return reflect.DeepEqual(a, b)
	}
	return m.Kind() == other.Kind() && bytes.Equal(m.AppendTo(nil), other.AppendTo(nil))
}

func TestEveryTypeHasTheKindOfTheProto(t *testing.T) {
	fields := (*clientv1alpha1.Frame)(nil).ProtoReflect().Descriptor().Fields()
	overStreams := []wire.Kind{wire.ClientConnectionResume, wire.ClientConnectionResumed} // of WebTransport, which has no JSON [SESS-19]
	for i := range fields.Len() {
		f := fields.Get(i)
		kind := wire.Kind(f.Number())
		if name, is := typeOf[kind]; is == slices.Contains(overStreams, kind) || is && name != f.JSONName() {
			t.Errorf("kind %d is %q, want %q", kind, name, f.JSONName())
		}
	}
	if len(typeOf)+len(overStreams) != fields.Len() {
		t.Errorf("%d types for %d kinds", len(typeOf), fields.Len())
	}
}

func TestWhatIsReadLeniently(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		message    any
	}{
		{"members in any order", `{"id":4,"type":"cancelCall"}`, &clientv1alpha1.CancelCall{Id: 4}},
		{"space around", "\n{ \"type\" : \"cancelCall\" }\r\n", &clientv1alpha1.CancelCall{}},
		{"escaped names", `{"\u0074ype":"cancelC\u0061ll","\u0069d":4}`, &clientv1alpha1.CancelCall{Id: 4}},
		{"unknown field", `{"type":"cancelCall","id":4,"args":["$Foo",1],"x":{"y":[]}}`, &clientv1alpha1.CancelCall{Id: 4}},
		{"unknown mode", `{"type":"call","mode":"upsert"}`, &wire.ClientCall{}},
		{"malformed traceparent", `{"type":"call","traceparent":"00-xyz"}`, &wire.ClientCall{}},
		{"traceparent of another version", `{"type":"call","traceparent":"01` + traceparent[2:] + `"}`, &wire.ClientCall{}},
		{"traceparent in capitals", `{"type":"call","traceparent":"` + strings.ToUpper(traceparent) + `"}`, &wire.ClientCall{}},
		{"traceparent of zeros", `{"type":"call","traceparent":"00-` + strings.Repeat("0", 32) + traceparent[35:] + `"}`, &wire.ClientCall{}},
		{"targetId", `{"type":"call","targetId":"a-b"}`, &wire.ClientCall{TargetID: "a-b"}},
		{"target without key", `{"type":"call","target":{"type":"t"}}`, &wire.ClientCall{Target: &commonv1alpha1.Address{Type: "t"}}},
		{"unknown ran", `{"type":"callResult","error":{"ran":"perhaps"}}`, &wire.ClientCallResult{Error: &wire.Error{}}},
		{"unknown type", `{"type":"dance","id":7}`, &Unknown{Type: "dance", ID: 7}},
		{"unknown type with connection", `{"type":"dance","connection":8,"id":"x"}`, &Unknown{Type: "dance", ID: 8}},
	} {
		message, err := Decode([]byte(tt.text))
		if err != nil || !same(message, tt.message) {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, message, err, tt.message)
		}
	}
}

// [SESS-9]: what the session needs for its answer.
func TestAFaultNamesTheRequestItBelongsTo(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       DecodeError // Err.Message: what it must contain
		code       *wire.Code
	}{
		{"nothing", ``, DecodeError{}, wire.RequestInvalidJSON},
		{"no JSON", `hello`, DecodeError{}, wire.RequestInvalidJSON},
		{"no object", `[1]`, DecodeError{}, wire.RequestInvalidJSON},
		{"two objects", `{"type":"ping"}{}`, DecodeError{Type: "ping"}, wire.RequestInvalidJSON},
		{"no type", `{"id":4}`, DecodeError{ID: 4}, wire.RequestInvalidJSON},
		{"type of no text", `{"type":1}`, DecodeError{}, wire.RequestInvalidJSON},
		{"duplicate member", `{"type":"call","id":4,"id":5}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalidJSON},
		{"duplicate in an unknown field", `{"type":"ping","x":{"a":1,"a":1}}`, DecodeError{Type: "ping"}, wire.RequestInvalidJSON},
		{"cut short", `{"type":"call","id":4,"args":[1`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalidJSON},
		{"unknown tag", `{"type":"call","args":[["$Foo",1]],"id":4,"connection":2}`, DecodeError{Type: "call", ID: 4, Connection: 2}, wire.RequestInvalidJSON},
		{"args of no array", `{"type":"call","id":4,"args":{}}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"args that are a date", `{"type":"call","id":4,"args":["$Date",0]}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"id of text", `{"type":"call","id":"4"}`, DecodeError{Type: "call"}, wire.RequestInvalid},
		{"id with a fraction", `{"type":"call","id":4.0}`, DecodeError{Type: "call"}, wire.RequestInvalid},
		{"deadline too large", `{"type":"call","id":4,"deadlineMs":4294967296}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"action null", `{"type":"call","id":4,"action":null}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"oneway of a number", `{"type":"call","id":4,"oneway":1}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"events of text", `{"type":"subscribe","id":4,"events":"a"}`, DecodeError{Type: "subscribe", ID: 4}, wire.RequestInvalid},
		{"events of numbers", `{"type":"unsubscribe","id":4,"events":["a",1]}`, DecodeError{Type: "unsubscribe", ID: 4}, wire.RequestInvalid},
		{"target of a number", `{"type":"call","id":4,"target":1}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"key of numbers", `{"type":"call","id":4,"target":{"type":"t","key":[1]}}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalid},
		{"bad percent", `{"type":"call","id":4,"target":"t:%zz"}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalidAddress},
		{"percent of no UTF-8", `{"type":"call","id":4,"target":"t:%ff"}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalidAddress},
		{"empty id", `{"type":"call","id":4,"target":"@"}`, DecodeError{Type: "call", ID: 4}, wire.RequestInvalidAddress},
		{"error of text", `{"type":"callResult","id":4,"error":"x"}`, DecodeError{Type: "callResult", ID: 4}, wire.RequestInvalid},
		{"more events than anybody has", `{"type":"subscribe","id":4,"events":["a"` + strings.Repeat(`,"a"`, maxItems) + `]}`, DecodeError{Type: "subscribe", ID: 4}, wire.RequestInvalid},
		{"more channels than anybody has", `{"type":"ack","received":[{}` + strings.Repeat(`,{}`, maxItems) + `]}`, DecodeError{Type: "ack"}, wire.RequestInvalid},
		{"limits of text", `{"type":"welcome","limits":"x"}`, DecodeError{Type: "welcome"}, wire.RequestInvalid},
	} {
		message, err := Decode([]byte(tt.text))
		got, ok := errors.AsType[*DecodeError](err)
		if !ok || message != nil {
			t.Errorf("%s: %+v, %v", tt.name, message, err)
			continue
		}
		if !errors.Is(err, tt.code) || got.Type != tt.want.Type || got.ID != tt.want.ID || got.Connection != tt.want.Connection {
			t.Errorf("%s: %+v (%v), want %v of %+v", tt.name, got, err, tt.code, tt.want)
		}
		if got.Err.Message == tt.code.Text || strings.Contains(got.Err.Message, "jsontext") {
			t.Errorf("%s: the message does not help: %s", tt.name, got.Err.Message)
		}
	}
}

func TestWhatJSONCannotCarryIsAnError(t *testing.T) {
	for name, m := range map[string]any{
		"payload": &wire.ClientCallResult{ID: 1, Output: []byte{0xd8, 0x2a, 0}, HasOutput: true},
		"absent":  &wire.ClientCallResult{ID: 1, HasOutput: true},
		"key":     &wire.ClientCall{ID: 1, IdempotencyKey: []byte{0xff}},
		"foreign": &wire.Commit{},
	} {
		text, err := Append([]byte("x"), m)
		if err == nil || string(text) != "x" {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		if errors.Is(err, payload.ErrInvalid) != (name == "payload" || name == "absent") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewEvent([]byte("e"), []byte{0xff}); !errors.Is(err, payload.ErrInvalid) {
		t.Errorf("event: %v", err)
	}
}

// [FRAME-4].
func TestAnUnknownTypeIsAnsweredUnsupported(t *testing.T) {
	for _, tt := range []struct {
		message any
		text    string
	}{
		{&Unknown{Type: "dance", ID: 7}, `{"type":"unsupported","kind":"dance","number":7}`},
		{&commonv1alpha1.Unsupported{Kind: 20, Number: 7}, `{"type":"unsupported","kind":"connectionOpen","number":7}`},
		{&commonv1alpha1.Unsupported{Kind: 99}, `{"type":"unsupported","kind":"99"}`},
	} {
		if text, err := Append(nil, tt.message); err != nil || string(text) != tt.text {
			t.Errorf("%s, %v; want %s", text, err, tt.text)
		}
	}
}

func TestABroadcastIsEncodedOnce(t *testing.T) {
	shared, err := NewEvent([]byte("tick"), []byte{0x80})
	if err != nil {
		t.Fatal(err)
	}
	for _, connection := range []uint64{1, wire.MaxID} {
		want, err := Append(nil, &wire.ClientEvent{Connection: connection, Event: []byte("tick"), Args: []byte{0x80}})
		if got := AppendEvent(nil, connection, false, shared); err != nil || string(got) != string(want) {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	v := readVectors(f)
	for _, vector := range v.Messages {
		f.Add([]byte(vector.JSON))
	}
	for _, vector := range v.Refused {
		f.Add([]byte(vector.JSON))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		message, err := Decode(src)
		if err != nil {
			if _, ok := errors.AsType[*DecodeError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		text, err := Append(nil, message)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", message, err)
		}
		if unknown, ok := message.(*Unknown); ok {
			message = &Unsupported{Kind: unknown.Type, Number: unknown.ID}
		}
		again, err := Decode(text)
		if err != nil || !same(message, again) {
			t.Fatalf("%s\n was %+v\n now %+v, %v", text, message, again, err)
		}
	})
}

func BenchmarkDecodeCall(b *testing.B) {
	src := []byte(`{"type":"call","id":17,"connection":1,"action":"increment","args":[1]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendCallResult(b *testing.B) {
	m := &wire.ClientCallResult{ID: 17, Connection: 1, Output: []byte{0x18, 42}, HasOutput: true}
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst, _ = Append(dst[:0], m)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	m := &wire.ClientEvent{Connection: 1, Event: []byte("tick"), Args: []byte{0x81, 0x18, 42}}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst, _ = Append(dst[:0], m)
		}
	})
	b.Run("shared", func(b *testing.B) {
		shared, _ := NewEvent(m.Event, m.Args)
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = AppendEvent(dst[:0], 1, false, shared)
		}
	})
}
