package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Kinds of the client protocol, as in client.proto.
const (
	ClientCallKind           Kind = 1
	ClientCallResultKind     Kind = 2
	ClientEventKind          Kind = 3
	ClientCancelCall         Kind = 12
	ClientHello              Kind = 16
	ClientWelcome            Kind = 17
	ClientReject             Kind = 18
	ClientConnectionOpen     Kind = 20
	ClientConnectionOpened   Kind = 21
	ClientConnectionClose    Kind = 22
	ClientConnectionClosed   Kind = 23
	ClientSubscribe          Kind = 30
	ClientUnsubscribe        Kind = 31
	ClientSubscriptionResult Kind = 32
	ClientUnsupported        Kind = 62
	ClientProtocolError      Kind = 63
	ClientPing               Kind = 100
	ClientPong               Kind = 101
	ClientAck                Kind = 102
	ClientConnectionResume   Kind = 103
	ClientConnectionResumed  Kind = 104
	ClientGoodbye            Kind = 105
	ClientUnreliableEvent    Kind = 106
)

// ClientCall is client.v1alpha1.Call. Decoded, its byte fields alias the frame. Target is set for calls without
// connection only.
type ClientCall struct {
	ID             uint64
	Connection     uint64
	Action         []byte // UTF-8
	Args           []byte
	DeadlineMs     uint32
	Target         *commonv1alpha1.Address
	TargetID       string
	Mode           commonv1alpha1.Mode
	Input          []byte
	HasInput       bool
	IdempotencyKey []byte
	Trace          []byte
	TraceState     []byte // UTF-8
	Oneway         bool
}

// Kind implements Message.
func (*ClientCall) Kind() Kind { return ClientCallKind }

// Size implements Message.
func (m *ClientCall) Size() int {
	n := sizeUint(1, m.ID) + sizeUint(2, m.Connection) + sizeBytes(3, m.Action) + sizeBytes(4, m.Args) +
		sizeUint(5, uint64(m.DeadlineMs)) + sizeString(7, m.TargetID) + sizeUint(8, uint64(m.Mode)) +
		sizeBytes(10, m.IdempotencyKey) + sizeBytes(11, m.Trace) + sizeBytes(12, m.TraceState) + sizeBool(13, m.Oneway)
	if m.Target != nil {
		n += protowire.SizeTag(6) + protowire.SizeBytes(proto.Size(m.Target))
	}
	if m.HasInput {
		n += sizePresent(9, m.Input)
	}
	return n
}

// AppendTo implements Message.
func (m *ClientCall) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.ID)
	dst = appendUint(dst, 2, m.Connection)
	dst = appendBytes(dst, 3, m.Action)
	dst = appendBytes(dst, 4, m.Args)
	dst = appendUint(dst, 5, uint64(m.DeadlineMs))
	if m.Target != nil {
		dst = appendMessageField(dst, 6, m.Target)
	}
	dst = appendString(dst, 7, m.TargetID)
	dst = appendUint(dst, 8, uint64(m.Mode))
	if m.HasInput {
		dst = appendPresent(dst, 9, m.Input)
	}
	dst = appendBytes(dst, 10, m.IdempotencyKey)
	dst = appendBytes(dst, 11, m.Trace)
	dst = appendBytes(dst, 12, m.TraceState)
	return appendBool(dst, 13, m.Oneway)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *ClientCall) Unmarshal(b []byte) error {
	*m = ClientCall{}
	f := fields{what: "Call", rest: b}
	for f.next() {
		switch {
		case f.isVarint():
			m.setVarint(&f)
		case !f.isBytes():
		case f.num == 3:
			m.Action = f.text("Call.action")
		case f.num == 4:
			m.Args = f.bytes
		case f.num == 6:
			if m.Target == nil {
				m.Target = new(commonv1alpha1.Address)
			}
			f.err = unmarshalMerge("Call.target", f.bytes, m.Target)
		case f.num == 7:
			m.TargetID = string(f.text("Call.target_id"))
		case f.num == 9:
			m.Input, m.HasInput = f.bytes, true
		case f.num == 10:
			m.IdempotencyKey = f.bytes
		case f.num == 11:
			m.Trace = f.bytes
		case f.num == 12:
			m.TraceState = f.text("Call.tracestate")
		}
	}
	return f.err
}

func (m *ClientCall) setVarint(f *fields) {
	switch f.num {
	case 1:
		m.ID = f.value
	case 2:
		m.Connection = f.value
	case 5:
		m.DeadlineMs = uint32(f.value)
	case 8:
		m.Mode = commonv1alpha1.Mode(int32(f.value))
	case 13:
		m.Oneway = f.value != 0
	default: // unknown [FRAME-4]
	}
}

// ClientCallResult is client.v1alpha1.CallResult.
type ClientCallResult struct {
	ID         uint64
	Connection uint64
	Output     []byte
	HasOutput  bool
	Error      *Error
}

// Kind implements Message.
func (*ClientCallResult) Kind() Kind { return ClientCallResultKind }

// Size implements Message.
func (m *ClientCallResult) Size() int {
	n := sizeUint(1, m.ID) + sizeUint(2, m.Connection) + sizeError(4, m.Error)
	if m.HasOutput {
		n += sizePresent(3, m.Output)
	}
	return n
}

// AppendTo implements Message.
func (m *ClientCallResult) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.ID)
	dst = appendUint(dst, 2, m.Connection)
	if m.HasOutput {
		dst = appendPresent(dst, 3, m.Output)
	}
	return appendError(dst, 4, m.Error)
}

// Unmarshal decodes the body of a frame into m, replacing what it held.
func (m *ClientCallResult) Unmarshal(b []byte) error {
	*m = ClientCallResult{}
	f := fields{what: "CallResult", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.ID = f.value
		case f.num == 2 && f.isVarint():
			m.Connection = f.value
		case f.num == 3 && f.isBytes():
			m.Output, m.HasOutput = f.bytes, true
		case f.num == 4 && f.isBytes():
			f.err = mergeError(&m.Error, f.bytes)
		}
	}
	return f.err
}

// ClientEvent is client.v1alpha1.Event or UnreliableEvent.
type ClientEvent struct {
	Connection uint64
	Event      []byte // UTF-8
	Args       []byte
	Unreliable bool
}

// Kind implements Message.
func (m *ClientEvent) Kind() Kind {
	if m.Unreliable {
		return ClientUnreliableEvent
	}
	return ClientEventKind
}

// Size implements Message.
func (m *ClientEvent) Size() int {
	return sizeUint(1, m.Connection) + sizeBytes(2, m.Event) + sizeBytes(3, m.Args)
}

// AppendTo implements Message.
func (m *ClientEvent) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, m.Connection)
	dst = appendBytes(dst, 2, m.Event)
	return appendBytes(dst, 3, m.Args)
}

// Unmarshal decodes the body of a frame into m, replacing what it held but Unreliable.
func (m *ClientEvent) Unmarshal(b []byte) error {
	*m = ClientEvent{Unreliable: m.Unreliable}
	f := fields{what: "Event", rest: b}
	for f.next() {
		switch {
		case f.num == 1 && f.isVarint():
			m.Connection = f.value
		case f.num == 2 && f.isBytes():
			m.Event = f.text("Event.event")
		case f.num == 3 && f.isBytes():
			m.Args = f.bytes
		}
	}
	return f.err
}

var clientSchema = newSchema((*clientv1alpha1.Frame)(nil))

// Client makes a frame's message of a generated one of the client protocol. It panics on a foreign message: a bug.
func Client(m proto.Message) Message { return clientSchema.message(m) }

// DecodeClient decodes a frame of the client protocol: *ClientCall, *ClientCallResult, *ClientEvent or a generated
// message. nil without error: an unknown kind [FRAME-4].
func DecodeClient(f Frame) (any, error) {
	switch f.Kind {
	case ClientCallKind:
		m := new(ClientCall)
		return m, m.Unmarshal(f.Body)
	case ClientCallResultKind:
		m := new(ClientCallResult)
		return m, m.Unmarshal(f.Body)
	case ClientEventKind, ClientUnreliableEvent:
		m := &ClientEvent{Unreliable: f.Kind == ClientUnreliableEvent}
		return m, m.Unmarshal(f.Body)
	default:
		return clientSchema.decode(f)
	}
}
