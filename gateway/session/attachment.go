package session

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Socket carries the messages of one client. Its methods never block.
type Socket interface {
	// Send queues a copy of a message. false: the queue is full or the socket has ended.
	Send(message []byte) bool
	// Backlog is how many bytes are queued and not yet written.
	Backlog() int
	// Ended tells whether nothing can be sent any more.
	Ended() bool
	// Finish queues the farewell even if the queue is full, and closes the socket behind it with the error's name.
	Finish(farewell []byte, e *wire.Error)
	// Cut is Finish, and forgets what is queued.
	Cut(farewell []byte, e *wire.Error)
	// Ping sends the transport's own ping; its answer is to be reported by Attachment.Heard.
	Ping()
	// Transport is the name that actors see.
	Transport() string
	// Peer names the other side in logs.
	Peer() string
}

// Attachment is one socket of a client: it takes what the socket receives to the session that its Hello has begun, or
// goes on with. Receive, OpenFirst and Ended belong to the goroutine that reads the socket.
type Attachment struct {
	sessions  *Sessions
	out       Socket
	streams   Streams // out, if each channel has a stream of its own; nil: they share it
	form      Form
	token     string // from the transport
	namespace string
	from      netip.Addr
	timer     *time.Timer

	graced bool // a resume has taken a token, and no frame has come since; owned by the reading goroutine

	// Of the message that is being taken; whoever takes it holds Session.reading, where there is a session.
	now  time.Time        // when it came
	call *wire.ClientCall // calls are decoded into it; nil: there was none

	session atomic.Pointer[Session] // nil: no Hello was taken yet
	heard   atomic.Int64            // unix nanoseconds of the last message
	said    atomic.Bool             // the client has sent a Hello, so it understands pings
	gone    atomic.Bool             // the session has left it: what it still reads is ignored
	behind  atomic.Bool             // the session keeps something that this socket has not got
	begun   *latch                  // with streams: a Hello was taken, or none ever will be
}

// Heard notes a sign of life.
func (a *Attachment) Heard() { a.hear() }

// hear is Heard, and returns the time.
func (a *Attachment) hear() time.Time {
	now := time.Now()
	a.heard.Store(now.UnixNano())
	return now
}

// Drained says that the socket has written all that was queued. The session may have more for it.
func (a *Attachment) Drained() {
	if !a.behind.Load() {
		return
	}
	s := a.session.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == a {
		s.pump()
	}
}

// Receive takes one message of the socket. false ends the reading. It keeps nothing of data.
func (a *Attachment) Receive(data []byte) bool {
	now := a.hear()
	if s := a.session.Load(); s != nil {
		s.reading.Lock()
	}
	defer a.read()
	a.now = now
	return !a.gone.Load() && a.form.decode(a, data)
}

// read ends the reading of a message. The lock is there since it began, or since its Hello was taken.
func (a *Attachment) read() {
	a.spareCall()
	if s := a.session.Load(); s != nil {
		s.reading.Unlock()
	}
}

// spareCall gives back what calls were decoded into.
func (a *Attachment) spareCall() {
	if a.call != nil {
		spareCalls.Put(a.call)
		a.call = nil
	}
}

// OpenFirst opens connection 1 of a session whose Hello is implied by its URL [SESS-7]. false ends the session.
func (a *Attachment) OpenFirst(m *clientv1alpha1.ConnectionOpen) bool {
	defer a.read()
	if !a.hello(&clientv1alpha1.Hello{}) {
		return false
	}
	m.Connection = 1
	a.session.Load().connect(m, 0)
	return true
}

// Ended tells that the socket is gone. A session that cannot be resumed ends with it [SESS-8].
func (a *Attachment) Ended() {
	a.gone.Store(true)
	a.timer.Stop()
	a.begun.happen()
	if s := a.session.Load(); s != nil {
		s.detached(a)
	}
}

// Close ends the session from this side, and the socket if it has none [FRAME-6].
func (a *Attachment) Close(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	if s := a.session.Load(); s != nil && !a.gone.Load() {
		s.close(e, reconnect)
		return
	}
	a.out.Finish(goodbye(a.form, e, reconnect), e)
}

// Leave closes the socket in a way that the client may come back from [SESS-18].
func (a *Attachment) Leave(e *wire.Error) {
	if s := a.session.Load(); s != nil {
		s.leave(a, e)
		return
	}
	a.out.Finish(goodbye(a.form, e, commonv1alpha1.Reconnect_RECONNECT_SAME), e)
}

// tick watches for the first message, then for signs of life [SESS-4] [SESS-5].
func (a *Attachment) tick() {
	if a.gone.Load() {
		return
	}
	every := a.sessions.cfg.PingEvery
	quiet := time.Since(time.Unix(0, a.heard.Load()))
	s := a.session.Load()
	switch {
	case s == nil:
		a.Leave(wire.SessionHelloTimedOut.New())
		return
	case quiet >= 3*every:
		a.Leave(wire.SessionPingTimedOut.New())
		return
	case quiet >= every:
		s.ping(a, quiet < 2*every)
	}
	a.timer.Reset(every - quiet%every) // a path may forget a client that is silent for two intervals
}

// hello takes the client's Hello, or an empty one in its place [SESS-2]. false ends the socket.
func (a *Attachment) hello(m *clientv1alpha1.Hello) bool {
	token := m.GetToken()
	if token == "" {
		token = a.token
	}
	principal, refusal := a.sessions.cfg.Auth.Authenticate(token, auth.Client)
	if refusal != nil {
		return a.reject(refusal)
	}
	if m.GetNamespace() != "" {
		a.namespace = m.GetNamespace()
	}
	resumed := false
	if r := m.GetResume(); r != nil {
		s := a.sessions.find(string(r.GetToken()))
		switch {
		case s == nil:
		case s.form != a.form && s.principal == principal:
			// What is kept is encoded. A new session instead would hide the fault from whoever can mend it.
			return a.reject(wire.RequestInvalid.Newf("A session is resumed in the form that it began in, proto or JSON."))
		default:
			resumed = s.goOn(a, principal, string(r.GetToken()), r.GetReceived())
		}
	}
	a.graced = resumed
	if !resumed && !a.begin(principal, m) {
		return false
	}
	a.timer.Reset(a.sessions.cfg.PingEvery)
	a.begun.happen()
	return true
}

// begin begins a session.
func (a *Attachment) begin(p auth.Principal, m *clientv1alpha1.Hello) bool {
	s, refusal := a.sessions.begin(a, p, featuresOf(m))
	switch {
	case refusal == nil:
	case refusal.Is(wire.GatewayDraining):
		a.Close(refusal, commonv1alpha1.Reconnect_RECONNECT_ANY)
		return false
	default:
		return a.reject(refusal)
	}
	s.reading.Lock()
	a.session.Store(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(nil, s.welcome())
	return true
}

// features are those of the client protocol that a Hello asks for.
type features struct{ resume, unreliable bool }

func featuresOf(m *clientv1alpha1.Hello) features {
	asked := m.GetFeatures()
	return features{
		resume:     m.GetResume() != nil || slices.Contains(asked, wire.FeatureClientResume),
		unreliable: slices.Contains(asked, wire.FeatureClientUnreliable),
	}
}

func (a *Attachment) reject(e *wire.Error) bool {
	a.out.Finish(a.form.append(nil, &clientv1alpha1.Reject{Error: e.Proto()}), e)
	return false
}

// welcome is what every Welcome of the session says.
func (s *Session) welcome() *clientv1alpha1.Welcome {
	w := &clientv1alpha1.Welcome{
		Session: s.id, Limits: s.cfg.Limits.Client(), PingMs: uint32(s.cfg.PingEvery.Milliseconds()),
		NowMs: time.Now().UnixMilli(), Features: []string{}, Gateway: s.cfg.Gateway, Development: s.cfg.Development,
	}
	if s.loose {
		w.Features = append(w.Features, wire.FeatureClientUnreliable)
	}
	if s.resumable {
		w.Features = append(w.Features, wire.FeatureClientResume)
		w.ResumeToken, w.ResumeMs = []byte(s.resume.token), uint32(s.cfg.ResumeWait.Milliseconds())
	}
	return w
}

// answer says something that is about no session: before there is one, or of a frame that could not be read.
func (a *Attachment) answer(m any) {
	if s := a.session.Load(); s != nil {
		s.send(&s.own, m)
		return
	}
	a.out.Send(a.form.append(nil, m))
}

// fault answers a frame that cannot be used [FRAME-3].
func (a *Attachment) fault(e *wire.Error) {
	a.sessions.cfg.Stats.FramesMalformed.Inc()
	a.answer(&clientv1alpha1.ProtocolError{Error: e.Proto()})
}
