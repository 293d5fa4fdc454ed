package runner

import (
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// outlet writes one socket: what has no number and needs no lease (Hello, Ping, Goodbye) in front, then what the link of the
// session has. It never waits for more: a write begins when there is something to write and the last one is done.
type outlet struct {
	sock socket

	mu      sync.Mutex
	front   []byte
	feed    *link // nil until Welcome
	fresh   bool  // nothing of feed was written: what it begins with goes first [LINK-16]
	closing bool  // written once empty, then the socket is closed
	dead    bool  // nothing is written any more

	wake    chan struct{} // holds one: there is something to write
	written chan struct{} // closed when the writer has ended
}

func newOutlet(sock socket) *outlet {
	return &outlet{sock: sock, wake: make(chan struct{}, 1), written: make(chan struct{})}
}

// first queues a frame in front of everything.
func (o *outlet) first(m wire.Message) {
	o.mu.Lock()
	o.front = wire.AppendMessage(o.front, m)
	o.mu.Unlock()
	o.nudge()
}

// feedFrom has the outlet write what the link has. The link holds its lock.
func (o *outlet) feedFrom(l *link) {
	o.mu.Lock()
	o.feed, o.fresh = l, true
	o.mu.Unlock()
	o.nudge()
}

// nudge tells the writer that there is something to write. A nil outlet has none.
func (o *outlet) nudge() {
	if o == nil {
		return
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close lets the writer finish what is queued and close the socket.
func (o *outlet) close() {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.nudge()
}

// kill closes the socket at once.
func (o *outlet) kill() {
	o.mu.Lock()
	o.dead = true
	o.mu.Unlock()
	o.sock.Close()
	o.nudge()
}

// closeWait is how long a peer may take to read what is written before a close.
const closeWait = time.Second

// finish closes or kills, if the peer does not read, and returns when nothing is written any more.
func (o *outlet) finish() {
	o.close()
	patience := time.NewTimer(closeWait)
	defer patience.Stop()
	select {
	case <-o.written:
	case <-patience.C:
		o.kill()
		<-o.written
	}
}

// writeLoop writes until the outlet is closed or a write fails.
func (o *outlet) writeLoop() {
	defer close(o.written)
	defer o.kill()
	buf := make([]byte, 0, 64<<10)
	before := 0 // length of the last write
	for range o.wake {
		for {
			wire.Gather(before)
			var last bool
			if buf, last = o.take(buf[:0]); last {
				return
			}
			if len(buf) == 0 {
				break
			}
			before = len(buf)
			if o.sock.Write(buf) != nil {
				return
			}
			if cap(buf) > 2*maxWrite {
				buf = make([]byte, 0, 64<<10)
			}
		}
	}
}

// take moves what is next to be written to buf; last: there is nothing and there will be nothing.
func (o *outlet) take(buf []byte) (out []byte, last bool) {
	o.mu.Lock()
	feed, fresh, closing, dead := o.feed, o.fresh, o.closing, o.dead
	o.fresh = false
	if !fresh {
		buf = o.takeFront(buf)
	}
	o.mu.Unlock()
	if feed != nil && !dead {
		buf = feed.take(o, buf)
	}
	if fresh {
		o.mu.Lock()
		buf = o.takeFront(buf)
		o.mu.Unlock()
	}
	return buf, dead || closing && len(buf) == 0
}

func (o *outlet) takeFront(buf []byte) []byte {
	buf = append(buf, o.front...)
	o.front = o.front[:0]
	return buf
}
