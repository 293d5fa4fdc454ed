package api

import (
	"errors"
	"net"
	"sync"
	"time"
)

// outgoing makes one write of whatever is queued when the socket is free, without a goroutine while nothing is. It is
// the net.Conn that the WebSocket library writes to, so that its control frames and our messages share one order.
// Safe for concurrent use.
type outgoing struct {
	net.Conn
	limit int

	mu      sync.Mutex
	queue   []byte
	writing bool // the drain goroutine runs
	last    bool // nothing may follow; the connection is closed behind the queue
	err     error
	drained sync.WaitGroup
}

var (
	errQueueFull = errors.New("the client does not read")
	errLast      = errors.New("the socket is being closed")
)

// Write queues p whole, or nothing of it. It never blocks.
func (o *outgoing) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return 0, o.err
	case o.last:
		return 0, errLast
	case len(o.queue)+len(p) > o.limit:
		return 0, errQueueFull
	}
	o.queue = append(o.queue, p...)
	o.startLocked()
	return len(p), nil
}

// message queues one WebSocket message as a single unmasked frame.
func (o *outgoing) message(opcode byte, p []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || o.last || len(o.queue)+len(p)+maxHeader > o.limit {
		return false
	}
	o.queue = append(appendHeader(o.queue, opcode, len(p)), p...)
	o.startLocked()
	return true
}

// finish queues p whatever is queued already, and closes the connection behind it, or after farewellWait.
func (o *outgoing) finish(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last || o.err != nil {
		return
	}
	o.last = true
	o.queue = append(o.queue, p...)
	o.startLocked()
	time.AfterFunc(farewellWait, func() { _ = o.Conn.Close() })
}

// Close implements net.Conn: what is queued is still written.
func (o *outgoing) Close() error {
	o.finish(nil)
	return nil
}

// farewellWait is how long a client may take to read the last of it.
const farewellWait = 2 * time.Second

func (o *outgoing) startLocked() {
	if o.writing {
		return
	}
	o.writing = true
	o.drained.Go(o.drain)
}

// keepQueue bounds the buffer kept while nothing is queued; an idle client keeps none.
const keepQueue = 32 << 10

func (o *outgoing) drain() {
	var batch []byte
	for {
		o.mu.Lock()
		batch, o.queue = o.queue, batch[:0]
		if len(batch) == 0 {
			o.writing, o.queue = false, nil
			last := o.last
			o.mu.Unlock()
			if last {
				_ = o.Conn.Close()
			}
			return
		}
		o.mu.Unlock()
		if _, err := o.Conn.Write(batch); err != nil {
			o.mu.Lock()
			o.err, o.writing, o.queue = err, false, nil
			o.mu.Unlock()
			_ = o.Conn.Close()
			return
		}
		if cap(batch) > keepQueue {
			batch = nil
		}
	}
}

// wait returns when nothing is being written; the connection was closed before.
func (o *outgoing) wait() { o.drained.Wait() }

// Opcodes of WebSocket messages, RFC 6455 section 5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
)

// maxHeader is the longest header of an unmasked frame.
const maxHeader = 10

// appendHeader appends the header of a final, unmasked frame.
func appendHeader(dst []byte, opcode byte, n int) []byte {
	const fin = 0x80
	dst = append(dst, fin|opcode)
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return append(dst, 126, byte(n>>8), byte(n))
	}
	return append(dst, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// appendClose appends a close frame. The reason is cut to what a control frame holds.
func appendClose(dst []byte, code int, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	dst = appendHeader(dst, opClose, 2+len(reason))
	return append(append(dst, byte(code>>8), byte(code)), reason...)
}
