package session

import (
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	"github.com/stagedoor-dev/stagedoor/internal/wire/clientjson"
)

// Form is one encoding of the client protocol: Proto or JSON.
type Form interface {
	fanout.Form
	// decode hands what a socket message holds to the session. false ends the socket.
	decode(a *Attachment, data []byte) bool
	// append appends one message; nothing if it cannot be carried in this form.
	append(dst []byte, m any) []byte
	// appendLoose is AppendEvent for clients that take unreliable events as such.
	appendLoose(dst []byte, connection uint64, e *fanout.Event) []byte
}

// Proto is the binary form: length-prefixed protobuf frames [FRAME-1].
type Proto struct{}

// AppendEvent implements fanout.Form.
func (Proto) AppendEvent(dst []byte, connection uint64, e *fanout.Event) []byte {
	return wire.AppendMessage(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args})
}

// appendLoose implements Form.
func (Proto) appendLoose(dst []byte, connection uint64, e *fanout.Event) []byte {
	return wire.AppendMessage(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args, Unreliable: true})
}

func (Proto) append(dst []byte, m any) []byte {
	if m, ok := m.(wire.Message); ok {
		return wire.AppendMessage(dst, m)
	}
	return wire.AppendMessage(dst, wire.Client(m.(proto.Message)))
}

func (Proto) decode(a *Attachment, data []byte) bool {
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, a.sessions.cfg.Limits.MaxFrame)
		if err != nil {
			a.sessions.cfg.Stats.FramesMalformed.Inc()
			a.Close(wire.RequestInvalidFrame.Newf("Framing: %v.", err), commonv1alpha1.Reconnect_RECONNECT_ANY)
			return false
		}
		data = rest
		if !a.frame(raw, nil) {
			return false
		}
	}
	return true
}

// frame takes one frame of the binary form, from a stream of its own or, with nil, of the socket. false ends that.
func (a *Attachment) frame(raw []byte, from *Branch) bool {
	size := len(raw) + wire.HeaderLen
	f, err := wire.ParseFrame(raw)
	if err != nil {
		a.unreadable(from.channel(0), size)
		a.fault(wire.RequestInvalidFrame.Newf("%v.", err))
		return true
	}
	if most := a.sessions.maxListing(); (f.Kind == wire.ClientHello || f.Kind == wire.ClientAck) && len(f.Body) > most {
		a.fault(wire.RequestTooLarge.Newf("A Hello or an Ack has at most %d bytes.", most))
		return true
	}
	if f.Kind == wire.ClientCallKind {
		if a.call == nil {
			a.call = spareCalls.Get().(*wire.ClientCall)
		}
		return a.decoded(f, a.call, a.call.Unmarshal(f.Body), size, from)
	}
	m, err := wire.DecodeClient(f)
	return a.decoded(f, m, err, size, from)
}

// spareCalls are decoded into: the session keeps nothing of one.
var spareCalls = sync.Pool{New: func() any { return new(wire.ClientCall) }}

// decoded takes what a frame says; nil: its kind is not known.
func (a *Attachment) decoded(f wire.Frame, m any, err error, size int, from *Branch) bool {
	switch {
	case err != nil:
		if isCounted(f.Kind) {
			a.unreadable(from.channel(connectionOf(f)), size)
		}
		a.fault(wire.RequestInvalidFrame.Newf("%v.", err))
	case m == nil:
		if isCounted(f.Kind) {
			a.unreadable(from.channel(0), size)
		}
		// Field 1 is the id or the connection number of every client message.
		a.answer(&commonv1alpha1.Unsupported{Kind: uint32(f.Kind), Number: wire.NumberAt(f.Body, 1)})
	case from != nil:
		return from.handle(m, size)
	default:
		return a.handle(m, size)
	}
	return true
}

// isCounted tells the kinds that count on a channel when a client sends them [SESS-12].
func isCounted(k wire.Kind) bool { return k != wire.ClientHello && !k.IsLink() }

// connectionOf is the connection that a damaged frame names, as far as it can be read.
func connectionOf(f wire.Frame) uint64 {
	switch f.Kind {
	case wire.ClientConnectionOpen, wire.ClientConnectionClose:
		return wire.NumberAt(f.Body, 1)
	case wire.ClientCallKind, wire.ClientSubscribe, wire.ClientUnsubscribe, wire.ClientCancelCall:
		return wire.NumberAt(f.Body, 2)
	default:
		return 0
	}
}

// unreadable counts a frame that is not handled: on the connection that it names, or else on channel 0 [SESS-12].
func (a *Attachment) unreadable(connection uint64, size int) {
	if s := a.session.Load(); s != nil {
		a.settle(s)
		s.count(connection, size)
	}
}

// JSON is the text form: one object per message [SESS-10].
type JSON struct{}

// AppendEvent implements fanout.Form. An event that JSON cannot carry is left out.
func (JSON) AppendEvent(dst []byte, connection uint64, e *fanout.Event) []byte {
	return JSON{}.append(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args})
}

// appendLoose implements Form.
func (JSON) appendLoose(dst []byte, connection uint64, e *fanout.Event) []byte {
	return JSON{}.append(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args, Unreliable: true})
}

func (JSON) append(dst []byte, m any) []byte {
	out, err := clientjson.Append(dst, m)
	if err == nil {
		return out
	}
	result, ok := m.(*wire.ClientCallResult)
	if !ok {
		return dst
	}
	// The output is the runner's, and only its caller suffers [PAY-4].
	out, _ = clientjson.Append(dst, &wire.ClientCallResult{
		ID: result.ID, Connection: result.Connection,
		Error: wire.RequestInvalidPayload.Newf("The result cannot be carried in JSON: %v.", err).With(wire.RanYes),
	})
	return out
}

func (JSON) decode(a *Attachment, data []byte) bool {
	m, err := clientjson.Decode(data)
	if bad, ok := errors.AsType[*clientjson.DecodeError](err); ok {
		if !uncounted[bad.Type] {
			a.unreadable(bad.Connection, len(data))
		}
		a.undecodable(bad)
		return true
	}
	if unknown, ok := m.(*clientjson.Unknown); ok {
		a.unreadable(0, len(data))
		a.answer(unknown) // as the Unsupported that answers it [FRAME-4]
		return true
	}
	return a.handle(m, len(data))
}

// uncounted are the types that isCounted says no to.
var uncounted = map[string]bool{"hello": true, "ping": true, "pong": true, "ack": true, "goodbye": true, "unreliableEvent": true}

// undecodable answers a bad text message: as the result of the request that it names, if it does [SESS-9].
func (a *Attachment) undecodable(bad *clientjson.DecodeError) {
	a.sessions.cfg.Stats.FramesMalformed.Inc()
	s, request := a.session.Load(), bad.ID != 0
	switch {
	case request && bad.Type == "call" && s != nil:
		s.refuse(&wire.ClientCall{ID: bad.ID, Connection: bad.Connection}, bad.Err)
	case request && (bad.Type == "subscribe" || bad.Type == "unsubscribe") && s != nil:
		s.answerSubscription(bad.Connection, bad.ID, bad.Err)
	case request && bad.Type == "call":
		a.answer(&wire.ClientCallResult{ID: bad.ID, Connection: bad.Connection, Error: bad.Err})
	default:
		a.answer(&clientv1alpha1.ProtocolError{Error: bad.Err.Proto()})
	}
}
