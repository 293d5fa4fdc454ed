package clientjson

import (
	"strconv"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/wire"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Decode reads one message: *wire.ClientCall, *wire.ClientCallResult, *wire.ClientEvent, *Unsupported, a generated
// message of the client protocol, or *Unknown for a type that is not known. Byte fields may alias src. Every error is a
// *DecodeError [SESS-9].
func Decode(src []byte) (any, error) {
	m := tops.Get().(*members)
	defer m.release()
	m.readMembers(src)
	typ, typed := m.find("type"), ""
	if len(typ) > 0 && typ[0] == '"' {
		typed = string(unquote(typ))
	}
	if m.err == nil && typed == "" {
		m.fail(wire.RequestInvalidJSON.Newf(`a message has a member "type" that names it, such as {"type":"call"}`))
	}
	if m.err != nil {
		return nil, m.decodeError(typed)
	}
	message := m.message(typed)
	if m.err != nil {
		return nil, m.decodeError(typed)
	}
	return message, nil
}

// tops are the members of whole messages, kept for reuse.
var tops = sync.Pool{New: func() any { return &members{list: make([]member, 0, 16)} }}

func (m *members) release() {
	clear(m.list)
	m.list, m.err = m.list[:0], nil
	tops.Put(m)
}

func (m *members) decodeError(typ string) error {
	return &DecodeError{Type: typ, ID: m.peekUint("id"), Connection: m.peekUint("connection"), Err: m.err}
}

// peekUint reads a number if it is one; a fault is not noted.
func (m *members) peekUint(name string) uint64 {
	v, err := strconv.ParseUint(string(m.find(name)), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

func (m *members) message(typ string) any {
	switch typ {
	case "call":
		return m.call()
	case "callResult":
		r := &wire.ClientCallResult{ID: m.uint("id"), Connection: m.uint("connection"), Error: m.failure()}
		r.Output, r.HasOutput = m.payload("output")
		return r
	case "event", "unreliableEvent":
		e := &wire.ClientEvent{Connection: m.uint("connection"), Event: m.textBytes("event"), Args: m.args("args")}
		e.Unreliable = typ == "unreliableEvent"
		return e
	case "cancelCall":
		return &clientv1alpha1.CancelCall{Id: m.uint("id"), Connection: m.uint("connection")}
	case "hello":
		return m.hello()
	case "welcome":
		return m.welcome()
	case "reject":
		return &clientv1alpha1.Reject{Error: m.failure().Proto()}
	case "protocolError":
		return &clientv1alpha1.ProtocolError{Error: m.failure().Proto()}
	}
	if message := m.connectionMessage(typ); message != nil {
		return message
	}
	if message := m.linkMessage(typ); message != nil {
		return message
	}
	id := m.peekUint("id")
	if id == 0 {
		id = m.peekUint("connection")
	}
	return &Unknown{Type: typ, ID: id}
}

func (m *members) call() any {
	c := &wire.ClientCall{
		ID:         m.uint("id"),
		Connection: m.uint("connection"),
		Action:     m.textBytes("action"),
		Args:       m.args("args"),
		DeadlineMs: m.uint32("deadlineMs"),
		Mode:       modes.parse(m.text("mode")),
		Trace:      ParseTraceparent(m.text("traceparent")),
		TraceState: m.textBytes("tracestate"),
		Oneway:     m.bool("oneway"),
	}
	c.IdempotencyKey = m.textBytes("idempotencyKey")
	c.Target, c.TargetID = m.target()
	c.Input, c.HasInput = m.payload("input")
	return c
}

func (m *members) hello() any {
	h := &clientv1alpha1.Hello{
		Token: m.text("token"), Namespace: m.text("namespace"), Sdk: m.text("sdk"),
		SdkVersion: m.text("sdkVersion"), Features: m.texts("features"),
	}
	if m.find("resume") != nil {
		fields := m.nested("resume")
		h.Resume = &clientv1alpha1.Resume{Token: fields.textBytes("token"), Received: fields.received()}
		m.fail(fields.err)
	}
	return h
}

func (m *members) received() (list []*clientv1alpha1.Received) {
	m.objects("received", func(fields *members) {
		list = append(list, &clientv1alpha1.Received{Connection: fields.uint("connection"), Frames: fields.uint("frames")})
	})
	return list
}

func (m *members) welcome() any {
	w := &clientv1alpha1.Welcome{
		Session: m.text("session"), PingMs: m.uint32("pingMs"), NowMs: m.int64("nowMs"), Features: m.texts("features"),
		Gateway: m.text("gateway"), Development: m.bool("development"), ResumeToken: m.textBytes("resumeToken"),
		Resumed: m.bool("resumed"), Received: m.received(), ResumeMs: m.uint32("resumeMs"),
	}
	if m.find("limits") != nil {
		fields := m.nested("limits")
		w.Limits = new(clientv1alpha1.Limits)
		for _, field := range limitFields(w.Limits) {
			*field.value = fields.uint32(field.name)
		}
		m.fail(fields.err)
	}
	return w
}

// connectionMessage reads the messages about connections and subscriptions; nil: the type is none of them.
func (m *members) connectionMessage(typ string) any {
	switch typ {
	case "connectionOpen":
		open := &clientv1alpha1.ConnectionOpen{
			Connection: m.uint("connection"), Mode: modes.parse(m.text("mode")), Params: m.value("params"),
			Subscriptions: m.texts("subscriptions"),
		}
		open.Target, open.TargetId = m.target()
		open.Input, _ = m.payload("input")
		return open
	case "connectionOpened":
		return &clientv1alpha1.ConnectionOpened{
			Connection: m.uint("connection"), ActorId: m.text("actorId"), ConnectionId: m.text("connectionId"),
		}
	case "connectionClose":
		return &clientv1alpha1.ConnectionClose{Connection: m.uint("connection"), Reason: m.text("reason")}
	case "connectionClosed":
		return &clientv1alpha1.ConnectionClosed{
			Connection: m.uint("connection"), Error: m.failure().Proto(), Reconnect: reconnects.parse(m.text("reconnect")),
		}
	case "subscribe":
		return &clientv1alpha1.Subscribe{Id: m.uint("id"), Connection: m.uint("connection"), Events: m.texts("events")}
	case "unsubscribe":
		return &clientv1alpha1.Unsubscribe{Id: m.uint("id"), Connection: m.uint("connection"), Events: m.texts("events")}
	case "subscriptionResult":
		return &clientv1alpha1.SubscriptionResult{
			Id: m.uint("id"), Connection: m.uint("connection"), Error: m.failure().Proto(),
		}
	}
	return nil
}

// linkMessage reads the messages about the session itself; nil: the type is none of them.
func (m *members) linkMessage(typ string) any {
	switch typ {
	case "unsupported":
		return &Unsupported{Kind: m.text("kind"), Number: m.uint("number")}
	case "ping":
		return &commonv1alpha1.Ping{Nonce: m.uint("nonce")}
	case "pong":
		return &clientv1alpha1.Pong{Nonce: m.uint("nonce"), NowMs: m.int64("nowMs")}
	case "ack":
		return &clientv1alpha1.Ack{Received: m.received()}
	case "goodbye":
		return &commonv1alpha1.Goodbye{
			Code: m.text("code"), Message: m.text("message"), RetryAfterMs: m.uint32("retryAfterMs"),
			Reconnect: reconnects.parse(m.text("reconnect")), Address: m.text("address"),
		}
	}
	return nil
}
