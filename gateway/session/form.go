package session

import (
	"errors"

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
	// decode hands what a socket message holds to the session. false ends the session.
	decode(s *Session, data []byte) bool
	// append appends one message; nothing if it cannot be carried in this form.
	append(dst []byte, m any) []byte
}

// Proto is the binary form: length-prefixed protobuf frames [FRAME-1].
type Proto struct{}

// AppendEvent implements fanout.Form.
func (Proto) AppendEvent(dst []byte, connection uint64, e *fanout.Event) []byte {
	return wire.AppendMessage(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args})
}

func (Proto) append(dst []byte, m any) []byte {
	if m, ok := m.(wire.Message); ok {
		return wire.AppendMessage(dst, m)
	}
	return wire.AppendMessage(dst, wire.Client(m.(proto.Message)))
}

func (Proto) decode(s *Session, data []byte) bool {
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, s.cfg.Limits.MaxFrame)
		if err != nil {
			s.cfg.Stats.FramesMalformed.Inc()
			s.Goodbye(wire.RequestInvalidFrame.Newf("Framing: %v.", err), commonv1alpha1.Reconnect_RECONNECT_ANY)
			return false
		}
		data = rest
		f, err := wire.ParseFrame(raw)
		if err != nil {
			s.protocolError(wire.RequestInvalidFrame.Newf("%v.", err))
			continue
		}
		m, err := wire.DecodeClient(f)
		switch {
		case err != nil:
			s.protocolError(wire.RequestInvalidFrame.Newf("%v.", err))
		case m == nil:
			// Field 1 is the id or the connection number of every client message.
			s.send(&commonv1alpha1.Unsupported{Kind: uint32(f.Kind), Number: wire.NumberAt(f.Body, 1)})
		default:
			if !s.handle(m) {
				return false
			}
		}
	}
	return true
}

// JSON is the text form: one object per message [SESS-10].
type JSON struct{}

// AppendEvent implements fanout.Form. An event that JSON cannot carry is left out.
func (JSON) AppendEvent(dst []byte, connection uint64, e *fanout.Event) []byte {
	return JSON{}.append(dst, &wire.ClientEvent{Connection: connection, Event: e.Name, Args: e.Args})
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

func (JSON) decode(s *Session, data []byte) bool {
	m, err := clientjson.Decode(data)
	if bad, ok := errors.AsType[*clientjson.DecodeError](err); ok {
		s.undecodable(bad)
		return true
	}
	if unknown, ok := m.(*clientjson.Unknown); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sendLocked(unknown) // as the Unsupported that answers it [FRAME-4]
		return true
	}
	return s.handle(m)
}

// undecodable answers a bad text message: as the result of the request that it names, if it does [SESS-9].
func (s *Session) undecodable(bad *clientjson.DecodeError) {
	s.cfg.Stats.FramesMalformed.Inc()
	switch {
	case bad.ID != 0 && bad.Type == "call":
		s.send(&wire.ClientCallResult{ID: bad.ID, Connection: bad.Connection, Error: bad.Err})
	case bad.ID != 0 && (bad.Type == "subscribe" || bad.Type == "unsubscribe"):
		s.send(&clientv1alpha1.SubscriptionResult{Id: bad.ID, Connection: bad.Connection, Error: bad.Err.Proto()})
	default:
		s.send(&clientv1alpha1.ProtocolError{Error: bad.Err.Proto()})
	}
}
