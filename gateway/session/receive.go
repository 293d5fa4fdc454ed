package session

import (
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	"github.com/stagedoor-dev/stagedoor/internal/wire/clientjson"
)

// handle takes one decoded message of so many bytes. false ends the socket.
func (a *Attachment) handle(m any, size int) bool {
	s := a.session.Load()
	if hello, ok := m.(*clientv1alpha1.Hello); ok {
		if s != nil {
			a.fault(wire.RequestInvalid.Newf("A session has one Hello, and it comes first."))
			return true
		}
		a.said.Store(true)
		return a.hello(hello)
	}
	if s == nil {
		if !a.hello(&clientv1alpha1.Hello{}) {
			return false
		}
		s = a.session.Load()
	}
	a.settle(s)
	if n := connectionIn(m); n != 0 && a.streams != nil {
		a.Close(wire.RequestInvalidFrame.Newf("Channel 0 brought a frame of connection %d, which has its own stream.", n), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return false
	}
	return s.handle(a, m, size)
}

// settle notes that the client has sent something behind its Hello.
func (a *Attachment) settle(s *Session) {
	if a.graced {
		a.graced = false
		s.confirm()
	}
}

func (s *Session) handle(a *Attachment, m any, size int) bool {
	switch m := m.(type) {
	case *wire.ClientCall:
		s.call(m, size, a.now)
	case *clientv1alpha1.ConnectionOpen:
		s.connect(m, size)
	case *clientv1alpha1.ConnectionClose:
		s.count(m.GetConnection(), size)
		s.disconnect(m.GetConnection())
	case *clientv1alpha1.Subscribe:
		s.count(m.GetConnection(), size)
		s.subscribe(m)
	case *clientv1alpha1.Unsubscribe:
		s.count(m.GetConnection(), size)
		s.unsubscribe(m)
	case *clientv1alpha1.Ack:
		s.takeAck(m)
	case *commonv1alpha1.Ping:
		s.send(nil, &clientv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: time.Now().UnixMilli()})
	case *clientv1alpha1.Pong:
	case *commonv1alpha1.Goodbye:
		a.out.Finish(nil, nil)
		s.end()
		return false
	case *clientv1alpha1.CancelCall:
		s.count(m.GetConnection(), size)
		s.cancel(m.GetId())
	default:
		if !isLink(m) {
			s.count(0, size)
		}
		s.handleOther(m)
	}
	return !a.gone.Load()
}

// isLink tells the link frames that a client does not send, or not here [SESS-12].
func isLink(m any) bool {
	switch m := m.(type) {
	case *clientv1alpha1.ConnectionResume, *clientv1alpha1.ConnectionResumed:
		return true
	case *wire.ClientEvent:
		return m.Unreliable
	}
	return false
}

// handleOther takes what is about no connection.
func (s *Session) handleOther(m any) {
	switch m := m.(type) {
	case *commonv1alpha1.Unsupported, *clientjson.Unsupported: // not answered [FRAME-4]
	case proto.Message:
		s.protocolError(wire.RequestUnsupported.Newf("A client does not send %s.", m.ProtoReflect().Descriptor().Name()))
	default:
		s.protocolError(wire.RequestUnsupported.Newf("A client does not send this message."))
	}
}

// takeAck takes an Ack, of a session that has them.
func (s *Session) takeAck(m *clientv1alpha1.Ack) {
	if !s.resumable {
		s.send(&s.own, &commonv1alpha1.Unsupported{Kind: uint32(wire.ClientAck)}) // [FRAME-4]
		return
	}
	if e := s.acknowledged(m); e != nil {
		s.protocolError(e)
	}
}
