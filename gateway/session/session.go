// Package session is one client's session: it speaks the client protocol and turns it into calls and connections.
//
// A Session is fed with the messages of one socket and queues its answers on it; it knows frames, numbers and limits,
// neither transports nor how actors are found. gateway/api brings the sockets; gateway/route takes the calls. Receive
// and Ended belong to the goroutine that reads the socket; everything else is safe for concurrent use. Answers come
// under an actor's lock; then Session.mu is taken, never the other way round.
// Requirements: SESS, CALL-1, CALL-2, CALL-5, CONN-1, CONN-5, FRAME, ONCE-0.
package session

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Socket carries the messages of one client. Its methods never block.
type Socket interface {
	// Send queues a copy of a message. false: the queue is full or the socket has ended.
	Send(message []byte) bool
	// Finish queues the farewell even if the queue is full, and closes the socket behind it with the error's name.
	Finish(farewell []byte, e *wire.Error)
	// Ping sends the transport's own ping; its answer is to be reported by Session.Heard.
	Ping()
	// Transport is the name that actors see.
	Transport() string
	// Peer names the other side in logs.
	Peer() string
}

// Config is what every session of a gateway shares.
type Config struct {
	Router      *route.Router
	Auth        *auth.Authenticator
	Limits      wire.Limits
	Stats       *stats.Stats
	Logger      *slog.Logger
	Gateway     string
	Development bool
	HelloWait   time.Duration // default 10 s [SESS-4]
	PingEvery   time.Duration // default 15 s [SESS-5]
}

// Session is one client on one socket.
type Session struct {
	cfg       Config
	socket    Socket
	form      Form
	id        string
	token     string // from the transport
	principal auth.Principal

	// Owned by the reading goroutine.
	open      bool   // Hello was taken, or implied
	namespace string // default for addresses
	lastConn  uint64 // highest connection number used

	heard atomic.Int64 // unix nanoseconds of the last message
	said  atomic.Bool  // the client has sent a Hello, so it understands pings
	ready atomic.Bool  // open, for the timer

	timer *time.Timer

	mu          sync.Mutex
	ended       bool
	buf         []byte // for encoding
	calls       map[uint64]*route.Call
	connections map[uint64]*route.Connection
}

var sessions atomic.Uint64

// New makes the session of a socket that was just accepted. namespace is the default for its addresses, token what the
// transport carried; both may be empty.
func New(cfg Config, socket Socket, form Form, namespace, token string) *Session {
	if cfg.HelloWait <= 0 {
		cfg.HelloWait = 10 * time.Second
	}
	if cfg.PingEvery <= 0 {
		cfg.PingEvery = 15 * time.Second
	}
	s := &Session{
		cfg: cfg, socket: socket, form: form, token: token, namespace: namespace,
		id:    cfg.Gateway + "-" + strconv.FormatUint(sessions.Add(1), 36),
		calls: map[uint64]*route.Call{}, connections: map[uint64]*route.Connection{},
	}
	cfg.Stats.Sessions.Add(1)
	s.Heard()
	s.timer = time.AfterFunc(cfg.HelloWait, s.tick)
	return s
}

// Heard notes a sign of life.
func (s *Session) Heard() { s.heard.Store(time.Now().UnixNano()) }

// Receive takes one message of the socket. false ends the reading. It keeps nothing of data.
func (s *Session) Receive(data []byte) bool {
	s.Heard()
	return s.form.decode(s, data)
}

// Ended tells the session that its socket is gone: its calls are canceled and its connections end [SESS-8].
func (s *Session) Ended() {
	s.timer.Stop()
	s.cfg.Stats.Sessions.Add(-1)
	s.mu.Lock()
	s.ended = true
	calls, connections := s.calls, s.connections
	s.calls, s.connections = nil, nil
	s.mu.Unlock()
	for _, c := range calls {
		s.cfg.Router.Cancel(c, runnerv1alpha1.CancelReason_CANCEL_REASON_DISCONNECTED)
	}
	for _, c := range connections {
		c.Close(wire.ConnectionClosed.New())
	}
}

// Goodbye ends the session from this side [FRAME-6].
func (s *Session) Goodbye(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	farewell := s.form.append(nil, &commonv1alpha1.Goodbye{
		Code: e.Name(), Message: e.Message, RetryAfterMs: e.RetryAfterMs, Reconnect: reconnect,
	})
	s.socket.Finish(farewell, e)
}

// tick watches for the first message, then for signs of life [SESS-4] [SESS-5].
func (s *Session) tick() {
	quiet := time.Since(time.Unix(0, s.heard.Load()))
	switch {
	case !s.ready.Load():
		s.Goodbye(wire.SessionHelloTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_SAME)
		return
	case quiet >= 3*s.cfg.PingEvery:
		s.Goodbye(wire.SessionPingTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_SAME)
		return
	case quiet < s.cfg.PingEvery:
	case s.said.Load():
		s.send(&commonv1alpha1.Ping{Nonce: uint64(time.Now().UnixMilli())})
	default:
		s.socket.Ping()
	}
	s.timer.Reset(s.cfg.PingEvery)
}

// send queues a message for the client. A client that does not read is let go [SESS-6].
func (s *Session) send(m any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(m)
}

// maxScratch bounds the encoding buffer that a session keeps between messages.
const maxScratch = 8 << 10

func (s *Session) sendLocked(m any) {
	if s.ended {
		return
	}
	s.buf = s.form.append(s.buf[:0], m)
	s.queueLocked(s.buf)
	if cap(s.buf) > maxScratch {
		s.buf = nil
	}
}

func (s *Session) queueLocked(message []byte) {
	if len(message) == 0 || s.socket.Send(message) || s.ended {
		return
	}
	s.ended = true
	s.cfg.Stats.SlowReaders.Inc()
	s.cfg.Logger.Info("session closed: slow reader", "session", s.id, "peer", s.socket.Peer())
	s.Goodbye(wire.SessionSlowReader.New(), commonv1alpha1.Reconnect_RECONNECT_SAME)
}

// protocolError answers a frame that cannot be used; the session goes on [FRAME-3].
func (s *Session) protocolError(e *wire.Error) {
	s.cfg.Stats.FramesMalformed.Inc()
	s.send(&clientv1alpha1.ProtocolError{Error: e.Proto()})
}

// hello takes the client's Hello, or an empty one in its place [SESS-2]. false ends the session.
func (s *Session) hello(m *clientv1alpha1.Hello) bool {
	token := m.GetToken()
	if token == "" {
		token = s.token
	}
	principal, refusal := s.cfg.Auth.Authenticate(token, auth.Client)
	if refusal != nil {
		s.socket.Finish(s.form.append(nil, &clientv1alpha1.Reject{Error: refusal.Proto()}), refusal)
		return false
	}
	s.principal, s.open = principal, true
	if m.GetNamespace() != "" {
		s.namespace = m.GetNamespace()
	}
	s.ready.Store(true)
	s.timer.Reset(s.cfg.PingEvery)
	s.send(&clientv1alpha1.Welcome{
		Session: s.id, Limits: s.cfg.Limits.Client(), PingMs: uint32(s.cfg.PingEvery.Milliseconds()),
		NowMs: time.Now().UnixMilli(), Features: []string{}, Gateway: s.cfg.Gateway, Development: s.cfg.Development,
	})
	return true
}

// handle takes one decoded message. false ends the session.
func (s *Session) handle(m any) bool {
	if hello, ok := m.(*clientv1alpha1.Hello); ok {
		if s.open {
			s.protocolError(wire.RequestInvalid.Newf("A session has one Hello, and it comes first."))
			return true
		}
		s.said.Store(true)
		return s.hello(hello)
	}
	if !s.open && !s.hello(&clientv1alpha1.Hello{}) {
		return false
	}
	switch m := m.(type) {
	case *wire.ClientCall:
		s.call(m)
	case *clientv1alpha1.CancelCall:
		s.cancel(m.GetId())
	case *clientv1alpha1.ConnectionOpen:
		s.connect(m)
	case *clientv1alpha1.ConnectionClose:
		s.disconnect(m.GetConnection())
	case *clientv1alpha1.Subscribe:
		s.subscribe(m)
	case *clientv1alpha1.Unsubscribe:
		s.unsubscribe(m)
	case *commonv1alpha1.Ping:
		s.send(&clientv1alpha1.Pong{Nonce: m.GetNonce(), NowMs: time.Now().UnixMilli()})
	case *clientv1alpha1.Pong, *commonv1alpha1.Unsupported:
	case *commonv1alpha1.Goodbye:
		s.socket.Finish(nil, nil)
		return false
	case proto.Message:
		s.protocolError(wire.RequestUnsupported.Newf("A client does not send %s.", m.ProtoReflect().Descriptor().Name()))
	default:
		s.protocolError(wire.RequestUnsupported.Newf("A client does not send this message."))
	}
	return true
}

// OpenFirst opens connection 1 of a session whose Hello is implied by its URL [SESS-7]. false ends the session.
func (s *Session) OpenFirst(m *clientv1alpha1.ConnectionOpen) bool {
	if !s.hello(&clientv1alpha1.Hello{}) {
		return false
	}
	m.Connection = 1
	s.connect(m)
	return true
}
