// Package session speaks the client protocol with as little work as a client can that keeps to it.
//
// A Session opens one connection to an actor and calls one action of it, with the same arguments each time. It asks for
// resume, so that the gateway counts, keeps and acknowledges frames as it does for every client of the SDK; it counts and
// acknowledges, too. What it would send again after a resume is the calls that are under way, which it can make anew:
// therefore it keeps none. It does not resume, does not ping, and takes what it did not expect for the end.
//
// It does no I/O and is not safe for concurrent use: package callers carries it. Requirements: SESS-2, SESS-5, SESS-12 to
// SESS-14, CALL-1.
package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Where, and as what, a Session speaks.
const (
	Path        = "/v1/connect"
	Subprotocol = wire.SubprotocolClientProto
	// Together is how much the Go SDK sends as one message.
	Together = 64 << 10
)

// connection is the number of the only connection, and so of the only channel on which anything is counted.
const connection = 1

// When the frames of a channel are acknowledged [SESS-14].
const (
	ackFrames = 64
	ackBytes  = 256 << 10
)

// maxFrame is far over what the bench lets actors send.
const maxFrame = 16 << 20

var (
	errOutput   = errors.New("the output of a call is not what it should be")
	errNoOutput = errors.New("a call has no output")
	errNoResume = errors.New("the gateway does not let the session be resumed")
	errAck      = errors.New("the gateway acknowledges what was not sent")
)

// Options say what is called.
type Options struct {
	// The actor, which is created if it is missing.
	Type string
	Key  []string
	// The action, and its arguments as an array in CBOR.
	Action string
	Args   []byte
	// Output is what each call has to give, in CBOR; nil: anything.
	Output []byte
}

// Session implements callers.Protocol.
type Session struct {
	// Asked is how many calls were made, Answered how many of them without error.
	Asked, Answered int

	options          Options
	call             wire.ClientCall       // serves for all
	result           wire.ClientCallResult // likewise
	reply            []byte
	welcomed, opened bool

	// Of the connection's channel.
	sent     uint64 // frames
	received uint64
	told     uint64 // of these, acknowledged
	fresh    int    // bytes of the others
}

var _ callers.Protocol = (*Session)(nil)

// New makes a session that has said nothing yet.
func New(o Options) *Session {
	return &Session{options: o, call: wire.ClientCall{Connection: connection, Action: []byte(o.Action), Args: o.Args}}
}

// Hello implements callers.Protocol.
func (s *Session) Hello() []byte {
	hello := &clientv1alpha1.Hello{Sdk: "bench", Features: []string{wire.FeatureClientResume}}
	return wire.AppendMessage(nil, wire.Client(hello))
}

// Open implements callers.Protocol: the actor's acceptance of the connection is the answer.
func (s *Session) Open() []byte {
	s.sent++
	open := &clientv1alpha1.ConnectionOpen{
		Connection: connection,
		Target:     &commonv1alpha1.Address{Type: s.options.Type, Key: s.options.Key},
		Mode:       commonv1alpha1.Mode_MODE_GET_OR_CREATE,
	}
	return wire.AppendMessage(nil, wire.Client(open))
}

// Call implements callers.Protocol.
func (s *Session) Call(dst []byte, slot uint64) []byte {
	s.sent++
	s.Asked++
	s.call.ID = slot + 1
	return wire.AppendMessage(dst, &s.call)
}

// Take implements callers.Protocol.
func (s *Session) Take(message []byte, answered callers.Answered) ([]byte, error) {
	s.reply = s.reply[:0]
	for len(message) > 0 {
		raw, rest, err := wire.NextFrame(message, maxFrame)
		if err != nil {
			return nil, err
		}
		frame, err := wire.ParseFrame(raw)
		if err != nil {
			return nil, err
		}
		size := len(message) - len(rest)
		message = rest
		if frame.Kind == wire.ClientCallResultKind {
			s.count(size)
			err = s.onResult(frame.Body, answered)
		} else {
			err = s.onOther(frame, size, answered)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.reply, nil
}

// count takes note of a frame of the connection, and acknowledges when it is time [SESS-14].
func (s *Session) count(size int) {
	s.received++
	s.fresh += size
	if s.received-s.told >= ackFrames || s.fresh >= ackBytes {
		s.told, s.fresh = s.received, 0
		s.say(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: connection, Frames: s.received}}})
	}
}

func (s *Session) onResult(body []byte, answered callers.Answered) error {
	r := &s.result
	if err := r.Unmarshal(body); err != nil {
		return err
	}
	var fault error
	switch {
	case r.Connection != connection || !s.opened:
		return unexpected(wire.ClientCallResultKind, r)
	case r.Error != nil:
		fault = r.Error
	case !r.HasOutput:
		fault = errNoOutput
	case s.options.Output != nil && !bytes.Equal(r.Output, s.options.Output):
		fault = errOutput
	default:
		s.Answered++
	}
	answered(r.ID-1, fault)
	return nil
}

func (s *Session) onOther(f wire.Frame, size int, answered callers.Answered) error {
	m, err := wire.DecodeClient(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *clientv1alpha1.Welcome:
		if err := s.onWelcome(m); err != nil {
			return err
		}
		s.begun(answered)
	case *clientv1alpha1.ConnectionOpened:
		if s.opened || m.GetConnection() != connection {
			return unexpected(f.Kind, m)
		}
		s.opened = true
		s.count(size)
		s.begun(answered)
	case *clientv1alpha1.Ack:
		return s.onAck(m)
	case *commonv1alpha1.Ping:
		s.say(&clientv1alpha1.Pong{Nonce: m.GetNonce()})
	default: // nothing else has to come
		return unexpected(f.Kind, m)
	}
	return nil
}

// onWelcome: a token is acknowledged at once [SESS-14]. Nothing has come on channel 0, nor will.
func (s *Session) onWelcome(m *clientv1alpha1.Welcome) error {
	if s.welcomed {
		return unexpected(wire.ClientWelcome, m)
	}
	s.welcomed = true
	if !slices.Contains(m.GetFeatures(), wire.FeatureClientResume) || len(m.GetResumeToken()) == 0 {
		return errNoResume
	}
	s.say(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{}}})
	return nil
}

// begun answers the open, which over WebTransport may come before the Welcome.
func (s *Session) begun(answered callers.Answered) {
	if s.welcomed && s.opened {
		answered(0, nil)
	}
}

// onAck: there is nothing to forget, but the two sides have to count alike.
func (s *Session) onAck(m *clientv1alpha1.Ack) error {
	for _, r := range m.GetReceived() {
		switch {
		case r.GetConnection() == connection && r.GetFrames() <= s.sent:
		case r.GetConnection() == 0 && r.GetFrames() == 0:
		default:
			return errAck
		}
	}
	return nil
}

// unexpected is what a message says that ends the socket.
func unexpected(kind wire.Kind, m any) error {
	switch m := m.(type) {
	case interface{ GetError() *commonv1alpha1.Error }: // Reject, ConnectionClosed, ProtocolError
		e := m.GetError()
		return fmt.Errorf("a frame of kind %d: %s.%s: %s", kind, e.GetGroup(), e.GetCode(), e.GetMessage())
	case *commonv1alpha1.Goodbye:
		return fmt.Errorf("the gateway said goodbye: %s: %s", m.GetCode(), m.GetMessage())
	default:
		return fmt.Errorf("a frame of kind %d", kind)
	}
}

func (s *Session) say(m proto.Message) { s.reply = wire.AppendMessage(s.reply, wire.Client(m)) }
