// Package clientjson is the JSON form of the client protocol: one object per message, payloads as JSON values.
//
// Append and Decode translate between that form and the Go types of package wire and the generated messages; the
// payloads in those are CBOR on both sides. The package checks the form, not the meaning: the gateway's session
// validates addresses, numbers and sizes, the same for both forms. It does no I/O; its functions are safe for
// concurrent use. Callers: gateway/session, and the tests of clients. Requirements: SESS-9, SESS-10, JSON-1 to JSON-4.
package clientjson

import (
	"github.com/stagedoor-dev/stagedoor/internal/wire"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
)

// Unknown is a message whose type is not known. The session answers it with Unsupported [FRAME-4].
type Unknown struct {
	// Type is as the peer wrote it.
	Type string
	// ID is the message's id, or its connection where it has no id; 0 where it has neither.
	ID uint64
}

// Unsupported is common.v1alpha1.Unsupported in its JSON form, where a kind is named by its type. It answers an Unknown
// of the same content.
type Unsupported struct {
	Kind   string
	Number uint64
}

// DecodeError is every error of Decode.
type DecodeError struct {
	// Type, ID and Connection are of the message, as far as they could be read; empty or 0 where they could not.
	Type       string
	ID         uint64
	Connection uint64
	// Err is what to answer: request.invalid_json, request.invalid, or request.invalid_address for a target whose text
	// cannot be read [SESS-9].
	Err *wire.Error
}

// Error implements error.
func (e *DecodeError) Error() string {
	if e.Type == "" {
		return e.Err.Error()
	}
	return e.Type + ": " + e.Err.Error()
}

// Unwrap gives the public error.
func (e *DecodeError) Unwrap() error { return e.Err }

// The enums as text. Their first value, UNSPECIFIED, is the empty text; so is any other that is not listed [FRAME-4].
var (
	modes = enum[commonv1alpha1.Mode]{
		commonv1alpha1.Mode_MODE_GET:           "get",
		commonv1alpha1.Mode_MODE_GET_OR_CREATE: "getOrCreate",
		commonv1alpha1.Mode_MODE_CREATE:        "create",
	}
	reconnects = enum[commonv1alpha1.Reconnect]{
		commonv1alpha1.Reconnect_RECONNECT_SAME:  "same",
		commonv1alpha1.Reconnect_RECONNECT_ANY:   "any",
		commonv1alpha1.Reconnect_RECONNECT_NEVER: "never",
	}
)

type enum[E ~int32] map[E]string

func (e enum[E]) parse(text string) E {
	for value, name := range e {
		if name == text {
			return value
		}
	}
	return 0
}

// typeOf names the type of a kind by its number, for an Unsupported that came as the generated message.
var typeOf = map[wire.Kind]string{
	wire.ClientCallKind:           "call",
	wire.ClientCallResultKind:     "callResult",
	wire.ClientEventKind:          "event",
	wire.ClientCancelCall:         "cancelCall",
	wire.ClientHello:              "hello",
	wire.ClientWelcome:            "welcome",
	wire.ClientReject:             "reject",
	wire.ClientConnectionOpen:     "connectionOpen",
	wire.ClientConnectionOpened:   "connectionOpened",
	wire.ClientConnectionClose:    "connectionClose",
	wire.ClientConnectionClosed:   "connectionClosed",
	wire.ClientSubscribe:          "subscribe",
	wire.ClientUnsubscribe:        "unsubscribe",
	wire.ClientSubscriptionResult: "subscriptionResult",
	wire.ClientUnsupported:        "unsupported",
	wire.ClientProtocolError:      "protocolError",
	wire.ClientPing:               "ping",
	wire.ClientPong:               "pong",
	wire.ClientAck:                "ack",
	wire.ClientGoodbye:            "goodbye",
	wire.ClientUnreliableEvent:    "unreliableEvent",
}

// limitFields are the fields of Limits in the order of the proto.
func limitFields(l *clientv1alpha1.Limits) []limitField {
	return []limitField{
		{"maxMessage", &l.MaxMessage},
		{"maxArgs", &l.MaxArgs},
		{"maxInput", &l.MaxInput},
		{"maxParams", &l.MaxParams},
		{"maxCalls", &l.MaxCalls},
		{"maxConnections", &l.MaxConnections},
		{"maxSubscriptions", &l.MaxSubscriptions},
	}
}

type limitField struct {
	name  string
	value *uint32
}
