package session

import (
	"sync"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Streams is a Socket that has a stream for each channel [SESS-19]: Send and Backlog are those of channel 0.
type Streams interface {
	Socket
	// Datagram sends a frame, without its length, that may be lost. What would have to wait is dropped.
	Datagram(frame []byte)
	// Queued is the backlog of all its streams.
	Queued() int
}

// Stream carries the frames of one connection. Its methods never block.
type Stream interface {
	// Send queues a copy of a message. false: the queue is full or the stream has ended.
	Send(message []byte) bool
	// Backlog is how many bytes are queued and not yet written.
	Backlog() int
	// Ended tells whether nothing can be sent any more.
	Ended() bool
	// Close ends this side of the stream behind what is queued.
	Close()
	// Reset gives the stream up.
	Reset()
}

// Branch takes what a stream of a connection receives to the session that the socket's Hello has begun. Its methods belong
// to the goroutine that reads the stream.
type Branch struct {
	of  *Attachment
	out Stream
	ch  *channel // nil: the frame that says whose it is has not come
	// awaited is the connection whose open it is to bring; 0: none.
	awaited uint64
}

// Begun is closed when the socket's Hello was taken, or none ever will be: streams of connections wait for it.
func (a *Attachment) Begun() <-chan struct{} { return a.begun.done }

// Branch takes in a stream, after Begun.
func (a *Attachment) Branch(s Stream) *Branch { return &Branch{of: a, out: s} }

// Datagram takes a datagram of the socket [SESS-21]. It may be called at any time.
func (a *Attachment) Datagram(data []byte) {
	f, err := wire.ParseFrame(data)
	s := a.session.Load()
	if err != nil || s == nil {
		a.sessions.cfg.Stats.FramesMalformed.Inc()
		return
	}
	a.Heard()
	switch f.Kind {
	case wire.ClientPing:
		pong := &clientv1alpha1.Pong{Nonce: wire.NumberAt(f.Body, 1), NowMs: time.Now().UnixMilli()}
		a.streams.Datagram(a.form.append(nil, pong)[wire.HeaderLen:])
	case wire.ClientPong:
	default:
		a.sessions.cfg.Stats.FramesMalformed.Inc()
	}
}

// Garbled tells the client of a stream whose framing is broken, which is to be reset [SESS-19].
func (a *Attachment) Garbled(err error) {
	a.fault(wire.RequestInvalidFrame.Newf("Framing: %v.", err))
}

// Receive takes whole frames. false: the stream is to be reset. It keeps nothing of data.
func (b *Branch) Receive(data []byte) bool {
	a := b.of
	now := a.hear()
	s := a.session.Load()
	if s == nil {
		return false
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	defer a.spareCall()
	a.now = now
	if b.ch != nil && !b.current(s) {
		return false
	}
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, a.sessions.cfg.Limits.MaxFrame)
		if err != nil {
			a.Garbled(err)
			return false
		}
		if a.gone.Load() || !a.frame(raw, b) {
			return false
		}
		data = rest
	}
	return true
}

// current tells whether the stream is still that of its channel. It becomes another's only while nothing is read.
func (b *Branch) current(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.ch.stream == b.out
}

// Ended tells that nothing comes any more: the client has ended its side, or the stream is lost.
func (b *Branch) Ended(lost bool) {
	s := b.of.session.Load()
	if s == nil {
		return
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unawait(b)
	if b.ch == nil {
		return
	}
	switch ch := b.ch; {
	case ch.stream != b.out || s.over:
	case lost:
		s.strand(ch)
	case ch.ended:
		ch.left = true
		s.release(ch)
	default: // it leaves
		ch.left = true
		conn := ch.conn
		s.sessions.later(func() { conn.Close(nil) })
	}
}

// channel is the number of the stream's connection; otherwise, for what is no stream of a connection.
func (b *Branch) channel(otherwise uint64) uint64 {
	if b == nil || b.ch == nil {
		return otherwise
	}
	return b.ch.number
}

// handle takes one decoded message of so many bytes. false: the stream is to be reset.
func (b *Branch) handle(m any, size int) bool {
	a := b.of
	s := a.session.Load()
	a.settle(s)
	if b.ch == nil {
		return b.first(s, m, size)
	}
	if n := connectionIn(m); n != b.ch.number {
		a.fault(wire.RequestInvalidFrame.Newf("The stream of connection %d brought a frame of channel %d.", b.ch.number, n))
		return false
	}
	return s.handle(a, m, size)
}

// first takes the frame that says whose the stream is.
func (b *Branch) first(s *Session, m any, size int) bool {
	switch m := m.(type) {
	case *clientv1alpha1.ConnectionOpen:
		if !s.expected(b, m.GetConnection()) {
			return false // it was lost, the client says
		}
		b.ch = s.connectOver(b.out, m, size)
		return b.ch != nil
	case *clientv1alpha1.ConnectionResume:
		e := s.rejoin(b, m)
		if e != nil {
			s.protocolError(e)
		}
		return e == nil
	}
	b.of.fault(wire.RequestInvalidFrame.Newf("A stream begins with Hello, ConnectionOpen or ConnectionResume."))
	return false
}

// connectionIn is the connection that a client's message names; 0: none.
func connectionIn(m any) uint64 {
	switch m := m.(type) {
	case *wire.ClientCall:
		return m.Connection
	case interface{ GetConnection() uint64 }:
		return m.GetConnection()
	}
	return 0
}

// latch is something that happens once.
type latch struct {
	once sync.Once
	done chan struct{}
}

// happen has it happen. A nil latch is nobody's.
func (l *latch) happen() {
	if l != nil {
		l.once.Do(func() { close(l.done) })
	}
}
