package runner

import (
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Bounds of a link, in bytes.
const (
	// maxWrite is about how much goes into one write.
	maxWrite = 256 << 10
	// maxQueued is how much may wait to be written before turns that emit events wait too. Results are bounded by the calls
	// outstanding.
	maxQueued = 64 << 20
)

// link is what this side writes: frames come in from all goroutines, one goroutine writes them out, as many at a time as are
// there. It never waits for more: a write begins when there is something to write and the last one is done.
type link struct {
	sock socket
	base wire.Lane // of frames without actor

	mu      sync.Mutex
	out     wire.Outbox
	closing bool          // written once empty, then the socket is closed
	dead    bool          // nothing is written any more
	room    chan struct{} // closed when the queue is short again; nil: nobody waits

	wake    chan struct{} // holds one: there is something to write
	written chan struct{} // closed when the writer has ended
}

func newLink(sock socket) *link {
	return &link{sock: sock, wake: make(chan struct{}, 1), written: make(chan struct{})}
}

// push queues a counted frame on a lane.
func (l *link) push(lane *wire.Lane, m wire.Message) {
	l.mu.Lock()
	if !l.dead {
		l.out.Push(lane, m)
	}
	l.mu.Unlock()
	l.nudge()
}

// pushGroup queues a commit, if there is one, and outputs, with nothing of their actor between them [GATE-2].
func (l *link) pushGroup(lane *wire.Lane, commit *wire.Commit, outputs []wire.Message) {
	if commit == nil && len(outputs) == 0 {
		return
	}
	l.mu.Lock()
	if !l.dead {
		if commit != nil {
			l.out.Push(lane, commit)
		}
		for _, m := range outputs {
			l.out.Push(lane, m)
		}
	}
	l.mu.Unlock()
	l.nudge()
}

// pushLink queues a link frame, which overtakes everything [LINK-2].
func (l *link) pushLink(m wire.Message) {
	l.mu.Lock()
	if !l.dead {
		l.out.PushLink(m)
	}
	l.mu.Unlock()
	l.nudge()
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close lets the writer finish what is queued and close the socket.
func (l *link) close() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.nudge()
}

// kill closes the socket at once.
func (l *link) kill() {
	l.mu.Lock()
	l.dead = true
	l.out = wire.Outbox{}
	l.freeRoom()
	l.mu.Unlock()
	l.sock.Close()
	l.nudge()
}

// writeLoop writes until the link is closed or a write fails.
func (l *link) writeLoop() {
	defer close(l.written)
	defer l.kill()
	buf := make([]byte, 0, 64<<10)
	for range l.wake {
		for {
			var last bool
			if buf, last = l.take(buf[:0]); last {
				return
			}
			if len(buf) == 0 {
				break
			}
			if l.sock.Write(buf) != nil {
				return
			}
			if cap(buf) > 2*maxWrite {
				buf = make([]byte, 0, 64<<10)
			}
		}
	}
}

// take moves what is next to be written to buf; last: there is nothing and there will be nothing.
func (l *link) take(buf []byte) (out []byte, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	buf = l.out.Take(buf, maxWrite)
	if l.out.Len() < maxQueued {
		l.freeRoom()
	}
	return buf, l.dead || l.closing && len(buf) == 0
}

func (l *link) freeRoom() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// awaitRoom waits while more is queued than the socket takes.
func (l *link) awaitRoom(done <-chan struct{}) {
	l.mu.Lock()
	if l.dead || l.out.Len() < maxQueued {
		l.mu.Unlock()
		return
	}
	if l.room == nil {
		l.room = make(chan struct{})
	}
	room := l.room
	l.mu.Unlock()
	select {
	case <-room:
	case <-done:
	}
}
