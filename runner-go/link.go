package runner

import (
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Bounds of a link, in bytes where no other unit is named.
const (
	// maxWrite is about how much goes into one write.
	maxWrite = 256 << 10
	// maxQueued is how much may wait to be written before turns that emit events wait too. Results are bounded by the calls
	// outstanding.
	maxQueued = 64 << 20
	// maxPongs is how many Pongs wait to be written: a peer that pings and does not read gets no more.
	maxPongs = 64
)

// link is what this side of a session writes, on one socket after another: frames come in from all goroutines, the writer of
// the socket takes as many at a time as are there. While there is no socket they wait for the next one.
type link struct {
	lease *lease
	base  wire.Lane // of frames without actor

	mu       sync.Mutex
	state    linkstate.State
	resume   bool          // of state
	out      *outlet       // nil: no socket
	dead     bool          // the session is over: nothing is taken any more
	pongs    int           // since the last write
	room     chan struct{} // closed when the queue is short again; nil: nobody waits
	ackTimer *time.Timer   // nil until something is to be acknowledged
}

// push queues a counted frame on a lane.
func (l *link) push(lane *wire.Lane, m wire.Message) {
	l.mu.Lock()
	out := l.out
	if !l.dead {
		l.state.Push(lane, m)
	}
	l.mu.Unlock()
	out.nudge()
}

// pushGroup queues a commit, if there is one, and outputs, with nothing of their actor between them [GATE-2].
func (l *link) pushGroup(lane *wire.Lane, commit *wire.Commit, outputs []wire.Message) {
	l.mu.Lock()
	out := l.out
	if !l.dead {
		if commit != nil {
			l.state.Push(lane, commit)
		}
		for _, m := range outputs {
			l.state.Push(lane, m)
		}
	}
	l.mu.Unlock()
	out.nudge()
}

// pushPong queues the answer to a Ping, which overtakes everything [LINK-2].
func (l *link) pushPong(m wire.Message) {
	l.mu.Lock()
	out := l.out
	if l.pongs++; !l.dead && l.pongs <= maxPongs {
		l.state.PushLink(m)
	}
	l.mu.Unlock()
	out.nudge()
}

// receive takes note of a frame that came at that time, of the given length. mine: it was for the link alone [LINK-14].
func (l *link) receive(f wire.Frame, size int, at time.Time) (mine bool, err error) {
	if !l.resume {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	settled := l.state.AckAt().IsZero()
	if mine, err = l.state.Receive(f, size, at); mine {
		l.out.nudge() // an Ack makes room for more
		return mine, err
	}
	switch due := l.state.AckAt(); {
	case due.IsZero():
	case !due.After(at):
		l.out.nudge()
	case settled && l.ackTimer == nil:
		l.ackTimer = time.AfterFunc(due.Sub(at), l.nudge)
	case settled:
		l.ackTimer.Reset(due.Sub(at))
	}
	return false, err
}

// first takes the session's first socket.
func (l *link) first(out *outlet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = out
	out.feedFrom(l)
}

// attach goes on over another socket, whose peer has received that many frames [LINK-16].
func (l *link) attach(out *outlet, peerReceived uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.state.Attach(peerReceived); err != nil {
		return err
	}
	l.out = out
	out.feedFrom(l)
	return nil
}

// detach leaves the socket. What is pushed from now on waits for another one.
func (l *link) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Detach()
	l.out = nil
	l.pongs = 0
}

// kill forgets everything: the session is over.
func (l *link) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	l.out = nil
	l.state = linkstate.State{}
	if l.ackTimer != nil {
		l.ackTimer.Stop()
	}
	l.freeRoom()
}

func (l *link) nudge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.nudge()
}

func (l *link) received() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Received()
}

// take moves what is next to be written to buf. Without a lease that is nothing [LEASE-2].
func (l *link) take(out *outlet, buf []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()
	if l.out != out || !l.lease.holdsAt(instantOf(at)) {
		return buf
	}
	buf = l.state.Take(buf, maxWrite, at)
	l.pongs = 0
	if l.state.Queued() < maxQueued {
		l.freeRoom()
	}
	return buf
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
	if l.dead || l.state.Queued() < maxQueued {
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
