package link

import (
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Socket is the transport of a Conn.
type Socket interface {
	// WriteFrames writes whole frames, blocking; one goroutine calls it.
	WriteFrames([]byte) error
	// Close ends both directions; a blocked read and write return.
	Close() error
	// Peer names the other side in logs.
	Peer() string
}

// Conn is one socket of a runner: its handshake, after which it serves a Link, and its end.
type Conn struct {
	cfg     Config
	socket  Socket
	link    atomic.Pointer[Link]   // nil until the handshake is done
	heard   atomic.Int64           // unix nanoseconds of the last bytes received
	last    atomic.Pointer[[]byte] // set: the writer writes it and closes the socket
	wake    chan struct{}          // capacity 1: the writer has something to do
	stopped chan struct{}          // closed when the writer has ended
	timer   *time.Timer
}

// Accept takes a socket that was just accepted, and starts its writer and its clock. The caller feeds it with Receive and
// calls Ended when the socket ends.
func Accept(cfg Config, socket Socket) *Conn {
	c := &Conn{cfg: cfg.withDefaults(), socket: socket, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	c.heard.Store(time.Now().UnixNano())
	c.timer = time.AfterFunc(c.cfg.HelloWait, c.tick)
	go c.write()
	return c
}

// Close says Goodbye with the code, and ends the link that the socket serves. It does not wait.
func (c *Conn) Close(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	if l := c.link.Load(); l != nil {
		l.closeOn(c, e, reconnect)
	}
	c.finish(goodbye(e, reconnect))
}

// farewellWait is how long a peer may take to read what is written last.
const farewellWait = 2 * time.Second

// finish has the writer write a last frame, if there is one, and close the socket. false: that was said already.
func (c *Conn) finish(last proto.Message) bool {
	var b []byte
	if last != nil {
		b = wire.AppendMessage(nil, wire.Runner(last))
	}
	if !c.last.CompareAndSwap(nil, &b) {
		return false
	}
	time.AfterFunc(farewellWait, func() { _ = c.socket.Close() }) // a peer that does not read
	c.signal()
	return true
}

// Wait returns when the writer has stopped, which it does behind the farewell. For a reader whose Receive has failed.
func (c *Conn) Wait() { <-c.stopped }

// Ended tells the Conn that its socket is not read any more. It returns when the writer has stopped and, if the link ends
// with the socket, every actor and the Host have been told. The goroutine that reads the socket calls it, once, last.
func (c *Conn) Ended() {
	c.timer.Stop()
	if c.finish(nil) {
		_ = c.socket.Close()
	}
	<-c.stopped // behind the farewell, if there is one
	_ = c.socket.Close()
	if l := c.link.Load(); l != nil {
		l.leave(c)
	}
}

// signal wakes the writer. A nil Conn has none.
func (c *Conn) signal() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what there is until the socket is to be closed. It alone writes to the socket.
func (c *Conn) write() {
	defer close(c.stopped)
	buf := make([]byte, 0, 4<<10)
	before := 0 // length of the last write
	for range c.wake {
		for {
			wire.Gather(before)
			var last bool
			buf, last = c.next(buf[:0])
			if len(buf) > 0 && c.socket.WriteFrames(buf) != nil || last {
				_ = c.socket.Close() // the reader sees it and calls Ended
				return
			}
			if len(buf) == 0 {
				break
			}
			before = len(buf)
		}
		if cap(buf) > 2*maxWrite {
			buf = make([]byte, 0, 4<<10)
		}
	}
}

// next appends what is to be written; last: nothing after it.
func (c *Conn) next(buf []byte) (out []byte, last bool) {
	if b := c.last.Load(); b != nil {
		return append(buf, *b...), true
	}
	if l := c.link.Load(); l != nil {
		return l.take(c, buf), false
	}
	return buf, false
}

// tick watches the peer: for its Hello first, then for any sign of life, and pings it [LINK-1] [LINK-7].
func (c *Conn) tick() {
	l := c.link.Load()
	switch {
	case l == nil:
		c.finish(goodbye(wire.RunnerHelloTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_ANY))
	case time.Since(time.Unix(0, c.heard.Load())) >= c.cfg.LostAfter:
		l.closeOn(c, wire.RunnerPingTimedOut.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	case l.ping(c):
		c.timer.Reset(c.cfg.PingEvery)
	}
}
