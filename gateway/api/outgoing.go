package api

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/internal/crew"
)

// outgoing makes one write of whatever is queued when its turn comes, without a goroutine while nothing is. It is
// the net.Conn that the WebSocket library writes to, so that its control frames and our messages share one order.
// Safe for concurrent use.
type outgoing struct {
	net.Conn
	limit   int
	shared  *atomic.Int64 // what all streams of a session have queued together, which limit bounds; nil: it is alone
	budget  *budget.Budget
	waiting *crew.Crew[writing] // does writes that may wait
	flusher *flusher            // with ready
	ready   syscall.RawConn     // nil: every write may wait

	mu      sync.Mutex
	queue   *buffer // nil: empty
	batch   int     // bytes that are being written
	charged int     // of all these, the budget knows
	refill  func()  // may queue more; called when nothing is left
	writing bool    // the flusher or a goroutine sees to it
	last    bool    // nothing may follow; the connection is closed behind the queue
	err     error
	drained sync.WaitGroup
}

// writing is a write that may wait: what is left of a batch, and all that is queued behind it.
type writing struct {
	on    *outgoing
	batch *buffer // nil: nothing
	rest  []byte
}

// buffer is bytes to be written. An idle socket has none.
type buffer struct{ b []byte }

// buffers holds those that are not in use.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2<<10)} }}

// keepQueue bounds the buffers that are used again.
const keepQueue = 32 << 10

func (b *buffer) recycle() {
	if b != nil && cap(b.b) <= keepQueue {
		b.b = b.b[:0]
		buffers.Put(b)
	}
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
	case o.load()+len(p) > o.limit:
		return 0, errQueueFull
	}
	q := o.place()
	q.b = append(q.b, p...)
	o.share(len(p))
	o.queuedLocked()
	return len(p), nil
}

// message queues one WebSocket message as a single unmasked frame.
func (o *outgoing) message(opcode byte, p []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || o.last || o.queued()+len(p)+maxHeader > o.limit {
		return false
	}
	q := o.place()
	q.b = append(appendHeader(q.b, opcode, len(p)), p...)
	o.queuedLocked()
	return true
}

// place is where more is queued.
func (o *outgoing) place() *buffer {
	if o.queue == nil {
		o.queue = buffers.Get().(*buffer)
	}
	return o.queue
}

// load is what counts for the limit.
func (o *outgoing) load() int {
	if o.shared != nil {
		return int(o.shared.Load())
	}
	return o.queued()
}

// share counts what is queued for the session.
func (o *outgoing) share(n int) {
	if o.shared != nil {
		o.shared.Add(int64(n))
	}
}

// queued is how much waits for the present write to end.
func (o *outgoing) queued() int {
	if o.queue == nil {
		return 0
	}
	return len(o.queue.b)
}

// backlog is how much is not written yet.
func (o *outgoing) backlog() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued() + o.batch
}

// ended tells whether nothing can be queued any more.
func (o *outgoing) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last || o.err != nil
}

// finish queues p whatever is queued already, and closes the connection behind it, or after farewellWait.
func (o *outgoing) finish(p []byte) { o.end(p, false) }

// cut is finish, but what is queued, and not being written already, is forgotten. The budget has its bytes back at once:
// what a write holds that does not come to its end is gone after farewellWait.
func (o *outgoing) cut(p []byte) { o.end(p, true) }

func (o *outgoing) end(p []byte, forget bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last || o.err != nil {
		return
	}
	if forget {
		o.forget()
	}
	o.last = true
	q := o.place()
	q.b = append(q.b, p...)
	o.share(len(p))
	o.startLocked()
	time.AfterFunc(farewellWait, func() { _ = o.Conn.Close() })
}

// drainedTo sets what is called when everything queued was written.
func (o *outgoing) drainedTo(refill func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refill = refill
}

// Close implements net.Conn: what is queued is still written.
func (o *outgoing) Close() error {
	o.finish(nil)
	return nil
}

// farewellWait is how long a client may take to read the last of it.
const farewellWait = 2 * time.Second

// queuedLocked sees to what was just queued.
func (o *outgoing) queuedLocked() {
	if now := o.queued() + o.batch; now > o.charged {
		const step = 4 << 10 // not for each message
		o.charge((now + step - 1) / step * step)
	}
	o.startLocked()
}

// charge tells the budget what is held now.
func (o *outgoing) charge(n int) {
	o.budget.Add(n - o.charged)
	o.charged = n
}

func (o *outgoing) startLocked() {
	if o.writing {
		return
	}
	o.writing = true
	o.drained.Add(1)
	if o.ready != nil {
		o.flusher.add(o)
		return
	}
	o.waiting.Run(writing{on: o})
}

// drain waits for the socket as long as it takes.
func (w writing) drain() {
	o, batch, rest := w.on, w.batch, w.rest
	defer o.drained.Done()
	for {
		if batch == nil {
			if batch = o.take(); batch == nil {
				return
			}
			rest = batch.b
		}
		if _, err := o.Conn.Write(rest); err != nil {
			o.broke(err)
			return
		}
		batch.recycle()
		batch = nil
	}
}

// take takes all that is queued, to be written; nil: there is nothing, and what comes next starts anew.
func (o *outgoing) take() *buffer {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batch = 0
	if refill := o.refill; o.queued() == 0 && refill != nil && !o.last {
		o.mu.Unlock()
		refill()
		o.mu.Lock()
	}
	if o.queued() == 0 {
		o.writing = false
		o.forget()
		if o.last {
			_ = o.Conn.Close()
		}
		return nil
	}
	batch := o.queue
	o.queue, o.batch = nil, len(batch.b)
	o.share(-len(batch.b))
	if o.charged > 2*len(batch.b)+keepQueue {
		o.charge(len(batch.b))
	}
	return batch
}

// broke ends the socket, which could not be written.
func (o *outgoing) broke(err error) {
	o.mu.Lock()
	o.err, o.writing, o.batch = err, false, 0
	o.forget()
	o.mu.Unlock()
	_ = o.Conn.Close()
}

// abort ends the socket from outside: what is being written may still fail.
func (o *outgoing) abort(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.forget()
}

// forget drops what is queued.
func (o *outgoing) forget() {
	o.share(-o.queued())
	o.queue.recycle()
	o.queue = nil
	o.charge(0)
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
