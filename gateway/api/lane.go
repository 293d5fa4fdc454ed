package api

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lane is one stream of a WebTransport session as session.Stream.
type lane struct {
	stream WebTransportStream
	out    *outgoing
	frames frames
}

// firstFrameWait is how long a stream may take to say what it is.
const firstFrameWait = 10 * time.Second

var errReset = errors.New("the stream was reset")

// newLane makes the stream one of the session's.
func newLane(s *streamed, stream WebTransportStream) *lane {
	h := s.handler
	l := &lane{stream: stream}
	l.out = &outgoing{
		Conn: &streamConn{WebTransportStream: stream, session: s.conn}, limit: h.limits.MaxSessionQueue, shared: &s.queuedAll, budget: h.cfg.Session.Budget, waiting: h.waiting,
		refill: s.a.Drained,
	}
	l.frames = frames{from: stream, limit: h.limits.MaxFrame, wait: h.sessions.MessageWait(), budget: h.cfg.Session.Budget}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes == nil {
		s.lanes = map[*lane]struct{}{}
	}
	s.lanes[l] = struct{}{}
	return l
}

// first reads the frames that say what the stream is.
func (l *lane) first() ([]byte, error) {
	if err := l.frames.first(firstFrameWait); err != nil {
		return nil, err
	}
	return l.frames.next()
}

// Send implements session.Stream.
func (l *lane) Send(message []byte) bool {
	_, err := l.out.Write(message)
	return err == nil
}

// Backlog implements session.Stream.
func (l *lane) Backlog() int { return l.out.backlog() }

// Ended implements session.Stream.
func (l *lane) Ended() bool { return l.out.ended() }

// Close implements session.Stream.
func (l *lane) Close() { l.out.finish(nil) }

// Reset implements session.Stream.
func (l *lane) Reset() {
	l.stream.CancelRead()
	l.stream.CancelWrite()
	l.out.abort(errReset)
}

// streamConn is a stream as the net.Conn that outgoing writes to.
type streamConn struct {
	WebTransportStream
	session WebTransport
	writing atomic.Bool
}

// Write implements net.Conn.
func (c *streamConn) Write(p []byte) (int, error) {
	c.writing.Store(true)
	defer c.writing.Store(false)
	return c.WebTransportStream.Write(p)
}

// Close implements net.Conn: it ends our side, behind what was written; where a write does not come to its end, at once.
func (c *streamConn) Close() error {
	if c.writing.Load() {
		c.CancelWrite()
		return nil
	}
	return c.WebTransportStream.Close()
}

// SetDeadline implements net.Conn; a write has none.
func (c *streamConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn; a write has none.
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr { return c.session.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *streamConn) RemoteAddr() net.Addr { return c.session.RemoteAddr() }

// datagrams are those that wait for the network, the newest ones. Safe for concurrent use.
type datagrams struct {
	mu      sync.Mutex
	queue   [][]byte
	sending sync.WaitGroup
	active  bool
}

const (
	// maxDatagram is what browsers and networks carry [SESS-21].
	maxDatagram = 1024
	// maxDatagrams is how many wait.
	maxDatagrams = 32
)

// send queues a copy. false: one was dropped for it, or it is too large.
func (d *datagrams) send(conn WebTransport, frame []byte) bool {
	if len(frame) > maxDatagram {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	room := len(d.queue) < maxDatagrams
	if !room {
		d.queue = slices.Delete(d.queue, 0, 1)
	}
	d.queue = append(d.queue, slices.Clone(frame))
	if !d.active {
		d.active = true
		d.sending.Go(func() { d.drain(conn) })
	}
	return room
}

// drain sends what waits, and waits for the network meanwhile.
func (d *datagrams) drain(conn WebTransport) {
	for {
		d.mu.Lock()
		if len(d.queue) == 0 {
			d.active, d.queue = false, nil
			d.mu.Unlock()
			return
		}
		frame := d.queue[0]
		d.queue = d.queue[1:]
		d.mu.Unlock()
		_ = conn.SendDatagram(frame) // it may be lost
	}
}

// wait returns when nothing is being sent; the session has ended before.
func (d *datagrams) wait() { d.sending.Wait() }
