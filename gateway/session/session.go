// Package session is the gateway's side of the client protocol: it turns what clients say into calls and connections.
//
// A Session is one client. It knows channels, numbers and limits, neither transports nor how actors are found. An Attachment
// is one socket of a client; its Hello begins a Session or goes on with one. A Session that was given resume outlives its
// sockets: it keeps what it sent until that is acknowledged. Sessions is all of a gateway. gateway/api brings the sockets;
// gateway/route takes the calls.
//
// What an Attachment reads belongs to the goroutine that reads the socket; everything else is safe for concurrent use.
// Lock order: Session.reading, an actor's lock, Session.mu, then Sessions.mu, a socket's own locks, those of quotas and
// budget. Answers come under an actor's lock.
// Requirements: SESS, CALL-1, CALL-2, CALL-5, CONN-1, CONN-5, FRAME, ONCE-0, LIMIT-2, LIMIT-4.
package session

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/fanout"
	"github.com/stagedoor-dev/stagedoor/gateway/quota"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Session is one client.
type Session struct {
	sessions  *Sessions
	cfg       *Config
	form      Form
	id        string
	principal auth.Principal
	namespace string        // default for addresses
	quota     *quota.Client // of the address that it began from, wherever the client goes
	resumable bool
	// apart: channels have an order each, and what is said of a connection that has ended goes on channel 0 [SESS-12].
	apart bool
	loose bool // the client takes unreliable events as such [CONN-11]

	// reading is held while a message of the socket is taken, so that a resume reads counts that no frame is between.
	reading sync.Mutex
	numbers numbers // of connections; guarded by reading

	mu       sync.Mutex
	over     bool
	socket   *Attachment // nil: there is none
	buf      []byte      // for encoding
	result   wire.ClientCallResult
	calls    map[uint64]*call
	pending  int // calls whose Reply is to come, those of no interest to the client any more among them
	own      channel
	channels map[uint64]*channel // of connections
	open     int                 // of these, not ended
	held     int                 // bytes held for the client, but for what its socket has queued
	charged  int                 // of these, the budget knows

	resume  resume
	awaited map[uint64]*Branch // streams that are to bring the opens of connections that others did not
}

var lastID atomic.Uint64

func newSession(all *Sessions, a *Attachment, p auth.Principal, q *quota.Client, features features) *Session {
	s := &Session{
		sessions: all, cfg: &all.cfg, form: a.form, principal: p, namespace: a.namespace, quota: q,
		resumable: features.resume, loose: features.unreliable, apart: features.resume || a.streams != nil,
		id:    all.cfg.Gateway + "-" + strconv.FormatUint(lastID.Add(1), 36),
		calls: map[uint64]*call{}, channels: map[uint64]*channel{}, socket: a,
	}
	s.own.session = s
	return s
}

// send queues a frame of a channel; nil: a frame that is about the socket only, and is lost with it.
func (s *Session) send(ch *channel, m any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(ch, m)
}

// maxScratch bounds the encoding buffer that a session keeps between messages.
const maxScratch = 8 << 10

func (s *Session) sendLocked(ch *channel, m any) {
	if s.over || s.socket == nil && (ch == nil || !s.resumable) {
		return
	}
	s.buf = s.form.append(s.buf[:0], m)
	if len(s.buf) > 0 { // else the form cannot carry it
		s.pass(ch, s.buf, nil)
	}
	if cap(s.buf) > maxScratch {
		s.buf = nil
	}
}

// pass lets an encoded frame out; shared is set if others get the same one.
func (s *Session) pass(ch *channel, frame []byte, shared *fanout.Frame) {
	if ch != nil && s.resumable && !s.keep(ch, frame, shared) {
		return // it is kept, and its turn comes
	}
	to := s.lane(ch)
	switch {
	case to == nil: // its stream was lost, and it ends with that
		return
	case !to.Send(frame):
		s.refused(ch)
		return
	}
	if ch != nil && ch.received.frames-ch.told.frames >= alongFrames {
		s.ack(ch)
	}
}

// answerOn is the channel on which something is said of connection n, and the number to name there: the session's own and
// none where the channel has ended or never was [SESS-12].
func (s *Session) answerOn(n uint64) (*channel, uint64) {
	if !s.apart {
		return &s.own, n
	}
	if ch := s.channels[n]; ch != nil && !ch.ended {
		return ch, n
	}
	return &s.own, 0
}

// protocolError answers a frame that cannot be used; the session goes on [FRAME-3].
func (s *Session) protocolError(e *wire.Error) {
	s.cfg.Stats.FramesMalformed.Inc()
	s.send(&s.own, &clientv1alpha1.ProtocolError{Error: e.Proto()})
}

// refused deals with a socket that did not take a message of a channel: it has ended, or its client does not read.
func (s *Session) refused(ch *channel) {
	if s.socket.out.Ended() {
		s.detachLocked()
		return
	}
	if ch != nil && ch.stream != nil && ch.stream.Ended() {
		s.strand(ch)
		return
	}
	s.cfg.Stats.Limit(stats.MaxSessionQueue)
	s.slow(s.resumable)
}

// slow parts from a client that does not read, or does not acknowledge [SESS-6]. drop: see leaveLocked.
func (s *Session) slow(drop bool) {
	s.cfg.Stats.SlowReaders.Inc()
	s.cfg.Logger.Info("session closed: slow reader", "session", s.id, "peer", s.socket.out.Peer())
	s.leaveLocked(wire.SessionSlowReader.New(), drop)
}

// leaveLocked closes the socket in a way that the client may come back from [SESS-18]. drop: what is queued is dropped,
// because it is kept or because its memory is needed.
func (s *Session) leaveLocked(e *wire.Error, drop bool) {
	a := s.socket
	s.detachLocked()
	farewell := goodbye(s.form, e, commonv1alpha1.Reconnect_RECONNECT_SAME)
	if drop {
		a.out.Cut(farewell, e)
		return
	}
	a.out.Finish(farewell, e)
}

// leave is leaveLocked if the socket is still the session's.
func (s *Session) leave(a *Attachment, e *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == a {
		s.leaveLocked(e, s.resumable)
	}
}

// close ends the session from this side, for good [FRAME-6] [SESS-18].
func (s *Session) close(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s.mu.Lock()
	a := s.socket
	s.mu.Unlock()
	if a != nil {
		a.out.Finish(goodbye(s.form, e, reconnect), e)
	}
	s.end()
}

// end ends the session: its calls are canceled, its connections end, and nothing of it is kept [SESS-8]. Not under the
// lock of an actor. freed is the memory that it held.
func (s *Session) end() (freed int) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return 0
	}
	s.over = true
	if s.socket != nil {
		s.socket.gone.Store(true)
		s.leaveStreams()
		s.socket = nil
	}
	s.returned()
	before := s.held
	s.freeAll()
	calls, idle := slices.Collect(maps.Values(s.calls)), s.pending == 0
	var open []*route.Connection
	for _, ch := range s.channels {
		if !ch.ended {
			open = append(open, ch.conn)
		}
	}
	s.calls, s.channels = nil, nil
	s.mu.Unlock()
	s.sessions.remove(s)
	s.quota.Leave()
	if idle {
		s.quota.Drop()
	}
	s.cfg.Stats.Sessions.Add(-1)
	s.cancelAll(calls)
	for _, c := range open {
		c.Close(wire.ConnectionClosed.New())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return before - s.held
}

// hold counts memory that is held for the client. The budget is told of larger changes, and of the end.
func (s *Session) hold(n int) {
	const step = 1 << 10
	s.held += n
	if change := s.held - s.charged; change >= step || change <= -step || s.held == 0 {
		s.cfg.Budget.Add(change)
		s.charged = s.held
	}
}

// ping asks for a sign of life. A session that cannot be sure of being understood uses the transport's own ping [SESS-5]. first
// is of its silence [SESS-21].
func (s *Session) ping(a *Attachment, first bool) {
	if !a.said.Load() {
		a.out.Ping()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != a {
		return
	}
	m := &commonv1alpha1.Ping{Nonce: uint64(time.Now().UnixMilli())}
	if first && a.streams != nil {
		a.streams.Datagram(s.form.append(nil, m)[wire.HeaderLen:])
		return
	}
	s.sendLocked(nil, m)
}

func goodbye(f Form, e *wire.Error, reconnect commonv1alpha1.Reconnect) []byte {
	return f.append(nil, &commonv1alpha1.Goodbye{
		Code: e.Name(), Message: e.Message, RetryAfterMs: e.RetryAfterMs, Reconnect: reconnect,
	})
}
