package client

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

var (
	errFrame   = errors.New("the gateway sent a frame that cannot be used")
	errReplies = errors.New("the gateway asks without reading the answers")
	errEarly   = errors.New("the gateway sent frames before Welcome")
)

// receive takes whole frames, such as a WebSocket message, or what came on the lane, and keeps nothing of them. An error
// ends the socket.
func (s *session) receive(l *lane, data []byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l != nil && l.channel.lane != l {
		return nil // what it brings comes again on another one
	}
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, s.options.MaxMessage)
		if err != nil {
			return fmt.Errorf("%w: %w", errFrame, err)
		}
		size := len(data) - len(rest)
		data = rest
		frame, err := wire.ParseFrame(raw)
		if err == nil {
			err = s.handle(l, frame, size, now)
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
func (s *session) handle(l *lane, f wire.Frame, size int, now time.Time) error {
	if isCounted(f.Kind) && (s.phase == phaseResume || l != nil && l.resuming) {
		return errEarly
	}
	switch f.Kind {
	case wire.ClientCallResultKind:
		return s.onResult(l, f.Body, size)
	case wire.ClientEventKind:
		return s.onEvent(l, f.Body, size)
	case wire.ClientUnreliableEvent:
		return s.onUnreliable(f.Body)
	default: // not as hot
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		return err
	}
	if isCounted(f.Kind) {
		ch, err := s.source(l, m)
		if err != nil {
			return err
		}
		s.count(ch, size)
	} else if l != nil && l.channel != &s.zero {
		if m, ok := m.(*clientv1alpha1.ConnectionResumed); ok {
			return s.onLaneResumed(l, m)
		}
		return errLane
	}
	if m == nil || f.Kind == wire.ClientAck && !s.keeping {
		s.send(&s.zero, &commonv1alpha1.Unsupported{Kind: uint32(f.Kind)}) // [FRAME-4]
		return s.replied()
	}
	return s.onMessage(m, now)
}

// source is the channel of a counted frame.
func (s *session) source(l *lane, m any) (*channel, error) {
	about, is := m.(interface{ GetConnection() uint64 })
	switch {
	case is:
		return s.from(l, about.GetConnection())
	case l != nil:
		return l.channel, nil // also of what is not known
	}
	return &s.zero, nil
}

// from is the channel of a counted frame about the connection.
func (s *session) from(l *lane, connection uint64) (*channel, error) {
	switch {
	case l == nil:
		return s.inbound(connection), nil
	case connection != l.channel.number || l.channel.ended:
		return nil, errLane
	}
	return l.channel, nil
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

func (s *session) onResult(l *lane, body []byte, size int) error {
	r := &s.resultBuf
	if err := r.Unmarshal(body); err != nil {
		return err
	}
	ch, err := s.from(l, r.Connection)
	if err != nil {
		return err
	}
	s.count(ch, size)
	c := s.unanswered[r.ID]
	if c == nil { // it was canceled
		s.arrived(ch, func(f frame) bool { return f.call != nil && f.call.id == r.ID })
		s.makeRoom()
		return nil
	}
	s.answered(c)
	var refused *Error
	if r.Error != nil {
		refused = fromWire(r.Error)
	} else if r.HasOutput {
		c.output, c.hasOutput = append(c.output[:0], r.Output...), true
	}
	s.complete(c, refused)
	s.makeRoom()
	return nil
}

func (s *session) onEvent(l *lane, body []byte, size int) error {
	e := &s.eventBuf
	if err := e.Unmarshal(body); err != nil {
		return err
	}
	ch, err := s.from(l, e.Connection)
	if err != nil {
		return err
	}
	s.count(ch, size)
	s.deliver(ch, e)
	return nil
}

// onUnreliable takes an event that is not counted; one of a connection that is not open is passed over [CONN-11].
func (s *session) onUnreliable(body []byte) error {
	e := &s.eventBuf
	if err := e.Unmarshal(body); err != nil {
		return err
	}
	if ch := s.channels[e.Connection]; ch != nil && s.phase == phaseReady {
		s.deliver(ch, e)
	}
	return nil
}

func (s *session) deliver(ch *channel, e *wire.ClientEvent) {
	if ch.conn != nil && ch.conn.phase == connectionOpen {
		ch.conn.inbox.event(e.Event, e.Args)
	}
}

// receiveDatagram takes a datagram, one frame without its length, and returns what to answer in kind; nil: nothing. What
// cannot be used is passed over [SESS-21].
func (s *session) receiveDatagram(data []byte, now time.Time) (answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := wire.ParseFrame(data)
	if err != nil {
		return nil
	}
	switch f.Kind {
	case wire.ClientUnreliableEvent:
		_ = s.onUnreliable(f.Body)
	case wire.ClientPing:
		m, err := wire.DecodeClient(f)
		if ping, ok := m.(*commonv1alpha1.Ping); ok && err == nil {
			return datagram(&clientv1alpha1.Pong{Nonce: ping.GetNonce(), NowMs: now.UnixMilli()})
		}
	default: // Pong: that it came is all
	}
	return nil
}

func datagram(m proto.Message) []byte {
	return wire.AppendMessage(nil, wire.Client(m))[wire.HeaderLen:]
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
			s.remove(ch)
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
