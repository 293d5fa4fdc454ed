package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// defaultPing is the interval where Welcome names none [SESS-5].
const defaultPing = 15 * time.Second

var (
	errFrame   = errors.New("the gateway sent a frame that cannot be used")
	errReplies = errors.New("the gateway asks without reading the answers")
)

// receive takes one WebSocket message, whole frames, of which it keeps nothing. An error ends the socket.
func (s *session) receive(data []byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, s.options.MaxMessage)
		if err != nil {
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		data = rest
		frame, err := wire.ParseFrame(raw)
		if err == nil {
			err = s.handle(frame, now)
		}
		if errors.Is(err, wire.ErrMalformed) {
			// Whom it was for is not known, and that one would wait: all are told.
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) handle(f wire.Frame, now time.Time) error {
	switch f.Kind {
	case wire.ClientCallResultKind:
		return s.onResult(f.Body)
	case wire.ClientEventKind:
		return s.onEvent(f.Body)
	default: // not as hot
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		return err
	}
	if m == nil {
		return s.replyOrEnd(&commonv1alpha1.Unsupported{Kind: uint32(f.Kind)}) // [FRAME-4]
	}
	return s.onMessage(m, now)
}

func (s *session) onMessage(m any, now time.Time) error {
	switch m := m.(type) {
	case *clientv1alpha1.Welcome:
		s.onWelcome(m)
	case *clientv1alpha1.Reject:
		s.rejected = receivedError(m.GetError())
		return rejection(s.rejected)
	case *clientv1alpha1.ConnectionOpened:
		s.opened(m, now)
	case *clientv1alpha1.ConnectionClosed:
		s.onClosed(m, now)
	case *clientv1alpha1.SubscriptionResult:
		var err *Error
		if m.GetError() != nil {
			err = receivedError(m.GetError())
		}
		s.onChanged(m.GetId(), err)
	case *commonv1alpha1.Unsupported:
		s.onUnsupported(m)
	case *clientv1alpha1.ProtocolError:
		s.log().Error("the gateway could not use a frame", "error", receivedError(m.GetError()))
	case *commonv1alpha1.Ping:
		return s.replyOrEnd(&clientv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: now.UnixMilli()})
	case *commonv1alpha1.Goodbye:
		s.goodbye = m
		return farewell(m)
	}
	return nil // Pong: that it came is all; the rest only a client sends
}

func (s *session) replyOrEnd(m proto.Message) error {
	defer s.stir()
	if !s.reply(m) {
		return errReplies
	}
	return nil
}

func (s *session) onWelcome(m *clientv1alpha1.Welcome) {
	if s.phase == phaseReady {
		s.log().Error("the gateway sent a second Welcome")
		return
	}
	s.phase, s.limits, s.lastFault = phaseReady, m.GetLimits(), nil
	ping := millis(m.GetPingMs())
	if ping <= 0 {
		ping = defaultPing
	}
	s.welcomed <- ping
	for _, conn := range slices.Clone(s.attached) {
		if conn.phase == connectionDetached {
			s.open(conn)
		}
	}
	s.log().Debug("session open", "session", m.GetSession(), "gateway", m.GetGateway())
	s.stir()
}

func (s *session) onResult(body []byte) error {
	r := &s.resultBuf
	if err := r.Unmarshal(body); err != nil {
		return err
	}
	c := s.unanswered[r.ID]
	if c == nil {
		return nil // canceled, or one-way: nobody waits
	}
	var err *Error
	if r.Error != nil {
		err = fromWire(r.Error)
	} else if r.HasOutput {
		c.output, c.hasOutput = append(c.output[:0], r.Output...), true
	}
	s.complete(c, err)
	if s.queue.len() > 0 {
		s.stir() // there may be room now
	}
	return nil
}

func (s *session) onEvent(body []byte) error {
	e := &s.eventBuf
	if err := e.Unmarshal(body); err != nil {
		return err
	}
	if conn := s.connections[e.Connection]; conn != nil && conn.phase == connectionOpen {
		conn.inbox.event(e.Event, e.Args)
	}
	return nil
}

// onUnsupported ends what the gateway does not know, or nobody would hear of it again.
func (s *session) onUnsupported(m *commonv1alpha1.Unsupported) {
	s.log().Warn("the gateway does not support a frame", "kind", m.GetKind())
	err := raise(wire.RequestUnsupported, wire.RanNo, "The gateway does not support frames of kind %d.", m.GetKind())
	switch wire.Kind(m.GetKind()) {
	case wire.ClientCallKind:
		if c := s.unanswered[m.GetNumber()]; c != nil {
			s.complete(c, err)
		}
	case wire.ClientConnectionOpen:
		if conn := s.connections[m.GetNumber()]; conn != nil {
			s.finish(conn, err)
		}
	case wire.ClientSubscribe, wire.ClientUnsubscribe:
		s.onChanged(m.GetNumber(), err)
	default: // nobody waits for an answer
	}
}

func receivedError(e *commonv1alpha1.Error) *Error {
	if e == nil {
		return raise(wire.InternalError, wire.RanUnspecified, "")
	}
	return fromWire(wire.ErrorFromProto(e))
}
