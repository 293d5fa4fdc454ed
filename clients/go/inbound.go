package client

import (
	"errors"
	"fmt"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var (
	errFrame   = errors.New("the gateway sent a frame that cannot be used")
	errReplies = errors.New("the gateway asks without reading the answers")
	errEarly   = errors.New("the gateway sent frames before Welcome")
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
		size := len(data) - len(rest)
		data = rest
		frame, err := wire.ParseFrame(raw)
		if err == nil {
			err = s.handle(frame, size, now)
		}
		if errors.Is(err, wire.ErrMalformed) {
			// Whom it was for is not known, and that one would wait: all are told.
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		if err != nil {
			return err
		}
	}
	if s.ackNow {
		s.stir()
	}
	return nil
}

// handle takes a frame of size bytes. It is counted before it takes effect: the end of a channel still belongs to it.
func (s *session) handle(f wire.Frame, size int, now time.Time) error {
	if s.phase == phaseResume && isCounted(f.Kind) {
		return errEarly
	}
	switch f.Kind {
	case wire.ClientCallResultKind:
		return s.onResult(f.Body, size)
	case wire.ClientEventKind:
		return s.onEvent(f.Body, size)
	default: // not as hot
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		return err
	}
	if isCounted(f.Kind) {
		about, _ := m.(interface{ GetConnection() uint64 })
		if about == nil {
			s.count(&s.zero, size)
		} else {
			s.count(s.inbound(about.GetConnection()), size)
		}
	}
	if m == nil || f.Kind == wire.ClientAck && !s.keeping {
		s.send(&s.zero, &commonv1alpha1.Unsupported{Kind: uint32(f.Kind)}) // [FRAME-4]
		return s.replied()
	}
	return s.onMessage(m, now)
}

// isCounted tells whether frames of the kind have a number [SESS-12].
func isCounted(k wire.Kind) bool {
	return !k.IsLink() && k != wire.ClientHello && k != wire.ClientWelcome && k != wire.ClientReject
}

func (s *session) onMessage(m any, now time.Time) error {
	switch m := m.(type) {
	case *clientv1alpha1.Welcome:
		return s.onWelcome(m, now)
	case *clientv1alpha1.Ack:
		return s.onAck(m)
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
		s.say(&clientv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: now.UnixMilli()})
		return s.replied()
	case *commonv1alpha1.Goodbye:
		s.goodbye = m
		return farewell(m)
	}
	return nil // Pong: that it came is all; the rest only a client sends
}

// replied bounds what the gateway makes us say while it does not read, or does not acknowledge.
func (s *session) replied() error {
	s.stir()
	s.replies++
	if s.replies > maxReplies || s.excess() > s.options.MaxQueued {
		return errReplies
	}
	return nil
}

func (s *session) onResult(body []byte, size int) error {
	r := &s.resultBuf
	if err := r.Unmarshal(body); err != nil {
		return err
	}
	s.count(s.inbound(r.Connection), size)
	c := s.unanswered[r.ID]
	if c == nil {
		return nil // canceled, or one-way: nobody waits
	}
	s.answered(c)
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

func (s *session) onEvent(body []byte, size int) error {
	e := &s.eventBuf
	if err := e.Unmarshal(body); err != nil {
		return err
	}
	ch := s.inbound(e.Connection)
	s.count(ch, size)
	if ch.conn != nil && ch.conn.phase == connectionOpen {
		ch.conn.inbox.event(e.Event, e.Args)
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
		if ch := s.channels[m.GetNumber()]; ch != nil && ch.conn != nil {
			s.finish(ch.conn, err)
			s.dropKept(ch)
			delete(s.channels, ch.number)
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
