package clientjson

import (
	"fmt"
	"strconv"

	"github.com/stagedoor-dev/stagedoor/internal/wire"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Append appends the JSON form of a message: *wire.ClientCall, *wire.ClientCallResult, *wire.ClientEvent, *Unknown (as
// the Unsupported that answers it), *Unsupported, or a generated message of the client protocol. Fields at their
// default are left out. An error means that a payload or a key cannot be carried in JSON, and wraps
// payload.ErrInvalid if it is a payload; dst is returned as it was.
func Append(dst []byte, m any) ([]byte, error) {
	o := object{dst: dst}
	switch m := m.(type) {
	case *wire.ClientEvent:
		o.event(m)
	case *wire.ClientCallResult:
		o.begin("callResult")
		o.uint("id", m.ID)
		o.uint("connection", m.Connection)
		o.payload("output", m.Output, m.HasOutput)
		o.failure(m.Error)
	case *wire.ClientCall:
		o.call(m)
	case *clientv1alpha1.CancelCall:
		o.begin("cancelCall")
		o.uint("id", m.GetId())
		o.uint("connection", m.GetConnection())
	case *clientv1alpha1.Hello:
		o.hello(m)
	case *clientv1alpha1.Welcome:
		o.welcome(m)
	case *clientv1alpha1.Reject:
		o.begin("reject")
		o.failure(wire.ErrorFromProto(m.GetError()))
	case *clientv1alpha1.ProtocolError:
		o.begin("protocolError")
		o.failure(wire.ErrorFromProto(m.GetError()))
	default:
		if !o.connection(m) && !o.link(m) {
			return dst, fmt.Errorf("%T is not a message of the client protocol", m)
		}
	}
	o.end()
	if o.err != nil {
		return dst, o.err
	}
	return o.dst, nil
}

// Event is what the events of one broadcast share, encoded once for all receivers [CONN-10].
type Event []byte

// NewEvent encodes the shared part of an event.
func NewEvent(event, args []byte) (Event, error) {
	var o object
	o.eventBody(event, args)
	o.end()
	return o.dst, o.err
}

// AppendEvent appends the event as the given connection receives it; the same as Append of a ClientEvent.
func AppendEvent(dst []byte, connection uint64, unreliable bool, e Event) []byte {
	kind := `{"type":"event","connection":`
	if unreliable {
		kind = `{"type":"unreliableEvent","connection":`
	}
	dst = append(dst, kind...)
	dst = strconv.AppendUint(dst, connection, 10)
	return append(dst, e...)
}

func (o *object) event(m *wire.ClientEvent) {
	o.dst = AppendEvent(o.dst, m.Connection, m.Unreliable, nil)
	o.eventBody(m.Event, m.Args)
}

func (o *object) eventBody(event, args []byte) {
	o.name("event")
	o.quote(event)
	o.payload("args", args, len(args) > 0)
}

func (o *object) call(m *wire.ClientCall) {
	o.begin("call")
	o.uint("id", m.ID)
	o.uint("connection", m.Connection)
	o.textBytes("action", m.Action)
	o.payload("args", m.Args, len(m.Args) > 0)
	o.uint("deadlineMs", uint64(m.DeadlineMs))
	o.target(m.Target, m.TargetID)
	o.text("mode", modes[m.Mode])
	o.payload("input", m.Input, m.HasInput)
	o.key("idempotencyKey", m.IdempotencyKey)
	o.trace(m.Trace)
	o.textBytes("tracestate", m.TraceState)
	o.bool("oneway", m.Oneway)
}

func (o *object) hello(m *clientv1alpha1.Hello) {
	o.begin("hello")
	o.text("token", m.GetToken())
	o.text("namespace", m.GetNamespace())
	o.text("sdk", m.GetSdk())
	o.text("sdkVersion", m.GetSdkVersion())
	o.texts("features", m.GetFeatures())
	if r := m.GetResume(); r != nil {
		o.name("resume")
		o.open()
		o.key("token", r.GetToken())
		o.received(r.GetReceived())
		o.end()
	}
}

func (o *object) received(list []*clientv1alpha1.Received) {
	if len(list) == 0 {
		return
	}
	o.name("received")
	o.dst = append(o.dst, '[')
	for i, r := range list {
		if i > 0 {
			o.dst = append(o.dst, ',')
		}
		o.open()
		o.uint("connection", r.GetConnection())
		o.uint("frames", r.GetFrames())
		o.end()
	}
	o.dst = append(o.dst, ']')
}

func (o *object) welcome(m *clientv1alpha1.Welcome) {
	o.begin("welcome")
	o.text("session", m.GetSession())
	if l := m.GetLimits(); l != nil {
		o.name("limits")
		o.open()
		for _, field := range limitFields(l) {
			o.uint(field.name, uint64(*field.value))
		}
		o.end()
	}
	o.uint("pingMs", uint64(m.GetPingMs()))
	o.int("nowMs", m.GetNowMs())
	o.texts("features", m.GetFeatures())
	o.text("gateway", m.GetGateway())
	o.bool("development", m.GetDevelopment())
	o.key("resumeToken", m.GetResumeToken())
	o.bool("resumed", m.GetResumed())
	o.received(m.GetReceived())
	o.uint("resumeMs", uint64(m.GetResumeMs()))
}

// connection writes the messages about connections and subscriptions; false: m is none of them.
func (o *object) connection(m any) bool {
	switch m := m.(type) {
	case *clientv1alpha1.ConnectionOpen:
		o.begin("connectionOpen")
		o.uint("connection", m.GetConnection())
		o.target(m.GetTarget(), m.GetTargetId())
		o.text("mode", modes[m.GetMode()])
		o.payload("input", m.Input, m.Input != nil)
		o.payload("params", m.GetParams(), len(m.GetParams()) > 0)
		o.texts("subscriptions", m.GetSubscriptions())
	case *clientv1alpha1.ConnectionOpened:
		o.begin("connectionOpened")
		o.uint("connection", m.GetConnection())
		o.text("actorId", m.GetActorId())
		o.text("connectionId", m.GetConnectionId())
	case *clientv1alpha1.ConnectionClose:
		o.begin("connectionClose")
		o.uint("connection", m.GetConnection())
		o.text("reason", m.GetReason())
	case *clientv1alpha1.ConnectionClosed:
		o.begin("connectionClosed")
		o.uint("connection", m.GetConnection())
		o.failure(wire.ErrorFromProto(m.GetError()))
		o.text("reconnect", reconnects[m.GetReconnect()])
	case *clientv1alpha1.Subscribe:
		o.subscription("subscribe", m.GetId(), m.GetConnection())
		o.texts("events", m.GetEvents())
	case *clientv1alpha1.Unsubscribe:
		o.subscription("unsubscribe", m.GetId(), m.GetConnection())
		o.texts("events", m.GetEvents())
	case *clientv1alpha1.SubscriptionResult:
		o.subscription("subscriptionResult", m.GetId(), m.GetConnection())
		o.failure(wire.ErrorFromProto(m.GetError()))
	default:
		return false
	}
	return true
}

func (o *object) subscription(typ string, id, connection uint64) {
	o.begin(typ)
	o.uint("id", id)
	o.uint("connection", connection)
}

// link writes the messages about the session itself; false: m is none of them.
func (o *object) link(m any) bool {
	switch m := m.(type) {
	case *Unknown:
		o.unsupported(m.Type, m.ID)
	case *Unsupported:
		o.unsupported(m.Kind, m.Number)
	case *commonv1alpha1.Unsupported:
		kind := typeOf[wire.Kind(m.GetKind())]
		if kind == "" {
			kind = strconv.FormatUint(uint64(m.GetKind()), 10)
		}
		o.unsupported(kind, m.GetNumber())
	case *commonv1alpha1.Ping:
		o.begin("ping")
		o.uint("nonce", m.GetNonce())
	case *clientv1alpha1.Pong:
		o.begin("pong")
		o.uint("nonce", m.GetNonce())
		o.int("nowMs", m.GetNowMs())
	case *clientv1alpha1.Ack:
		o.begin("ack")
		o.received(m.GetReceived())
	case *commonv1alpha1.Goodbye:
		o.begin("goodbye")
		o.text("code", m.GetCode())
		o.text("message", m.GetMessage())
		o.uint("retryAfterMs", uint64(m.GetRetryAfterMs()))
		o.text("reconnect", reconnects[m.GetReconnect()])
		o.text("address", m.GetAddress())
	default:
		return false
	}
	return true
}

func (o *object) unsupported(kind string, number uint64) {
	o.begin("unsupported")
	o.text("kind", kind)
	o.uint("number", number)
}
