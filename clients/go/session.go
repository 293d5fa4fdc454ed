package client

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// phase is how far the socket has come.
type phase uint8

const (
	phaseDown   phase = iota // there is none
	phaseHello               // Hello may be written, Welcome has not come
	phaseResume              // the same, and nothing but Hello: it asks to go on with the session
	phaseReady
)

// session is the client's side of the protocol: calls and connections, over one socket after the other, and over one
// session of the gateway after the other. It does no I/O: take says what to write, receive takes what was read, begin and
// end tell of sockets. A socket is one stream, or has one for each channel, its lanes: then takeLane and loseLane are for
// those. It never blocks and calls no code of the application. Safe for concurrent use.
type session struct {
	// Constant.
	options   Options
	token     string
	namespace string
	random    func() float64     // in [0, 1), for pauses
	start     func()             // a socket is needed; called with mu held, when run is false
	wake      chan struct{}      // there may be something to take; capacity 1
	welcomed  chan time.Duration // the ping interval of each Welcome; capacity 1
	pool      sync.Pool          // of *call

	mu sync.Mutex
	// Guarded by mu, of all sessions.
	run       bool // somebody sees to a socket: start was called and stopping has not said so
	closed    bool
	queue     fifo[*call] // calls without connection of which no byte was written
	waiting   int         // weight of the calls in queue and in those of all connections
	attached  []*Connection
	lastID    uint64 // of calls, subscriptions and connections
	limits    *clientv1alpha1.Limits
	lastFault error     // why there is no socket
	downSince time.Time // when the last session that got as far as Welcome was lost
	scratch   wire.ClientCall
	resultBuf wire.ClientCallResult
	eventBuf  wire.ClientEvent

	// Guarded by mu, of the present session. It outlives its socket if it has a resumeToken [SESS-15].
	resumeToken []byte
	resumeFor   time.Duration // how long it is kept without socket
	resumeUntil time.Time     // when it was lost by then, it is over
	unanswered  map[uint64]*call
	changes     map[uint64]change
	channels    map[uint64]*channel
	zero        channel // channel 0
	keeping     bool    // it can be resumed, or that is not known yet: frames are counted and kept
	kept        int     // weight of the frames kept in all channels

	// Guarded by mu, of the present socket.
	phase    phase
	spawn    func(*lane)        // has a lane written; called with mu held, for one that nobody writes. nil: there are no lanes
	link     fifo[wire.Message] // what is not counted; written first
	ready    fifo[*channel]     // with something to write
	parked   fifo[*channel]     // the same, but there is no room for it, or Welcome has to come first
	behind   bool               // what goes again may be in any of ready
	news     []*channel         // of which frames came that were not acknowledged
	ackNow   bool               // an Ack is due
	ackAlong bool               // an Ack is worth taking along
	early    int                // bytes written before Welcome
	replies  int                // of link and channel 0: what the gateway made us say
	rejected *Error
	goodbye  *commonv1alpha1.Goodbye
	left     bool // the session ends with it: we have said Goodbye, or had reason to
}

func newSession(o Options, token, namespace string) *session {
	return &session{
		options: o, token: token, namespace: namespace,
		wake:       make(chan struct{}, 1),
		welcomed:   make(chan time.Duration, 1),
		unanswered: map[uint64]*call{},
		changes:    map[uint64]change{},
		channels:   map[uint64]*channel{},
		keeping:    true,
	}
}

// submit queues a call.
func (s *session) submit(c *call) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := s.waiting + s.excess()
	switch {
	case s.closed:
		return raise(wire.ClientClosed, wire.RanNo, "")
	case queued+c.weight() > s.options.MaxQueued && queued > 0:
		return raise(wire.SessionTooManyCalls, wire.RanNo, "Calls of %d bytes wait for the gateway already.", queued)
	case c.conn != nil && c.conn.phase == connectionClosed:
		return c.conn.closedError()
	}
	s.waiting += c.weight()
	switch {
	case c.conn == nil:
		s.queue.push(c)
		s.rouse(&s.zero)
	case c.conn.phase == connectionOpen:
		c.conn.queue.push(c)
		s.rouse(c.conn.channel)
	default:
		c.conn.queue.push(c) // until it is open
		s.stir()
	}
	return nil
}

// abandon gives a call up because its context ended. nil: it had ended before, and its outcome is there.
func (s *session) abandon(c *call, ctx context.Context) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := c.state
	c.state = callDone
	switch was {
	case callQueued: // its place in a queue is passed over
		s.waiting -= c.weight()
		var why error
		if s.phase != phaseReady {
			why = s.lastFault
		}
		return interrupted(ctx, wire.RanNo, why)
	case callWritten:
		delete(s.unanswered, c.id)
		if !c.oneway {
			ch := s.outbound(c.channel)
			s.send(ch, &clientv1alpha1.CancelCall{Id: c.id, Connection: ch.number})
		}
		s.stir()
		return interrupted(ctx, wire.RanMaybe, nil)
	case callDone:
	}
	<-c.done
	return nil
}

// complete ends a call for its caller.
func (s *session) complete(c *call, err *Error) {
	switch c.state {
	case callQueued:
		s.waiting -= c.weight()
	case callWritten:
		delete(s.unanswered, c.id)
		c.reusable = true
	case callDone:
		return
	}
	c.state, c.err = callDone, err
	c.done <- struct{}{}
}

// fail ends a call that did not come to its end, saying whether it may have run.
func (s *session) fail(c *call, err *Error) {
	if c.state == callQueued {
		s.complete(c, err.with(RanNo))
		return
	}
	s.complete(c, err.with(RanMaybe))
}

// inOrder is the written calls as they were written.
func (s *session) inOrder() []*call {
	written := make([]*call, 0, len(s.unanswered))
	for _, c := range s.unanswered {
		written = append(written, c)
	}
	slices.SortFunc(written, func(a, b *call) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return written
}

// stopping tells whether nothing needs a socket. If so, the next need calls start again.
func (s *session) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && (len(s.attached) > 0 || anyIn(&s.queue) || s.resumeToken != nil) {
		return false
	}
	s.run = false
	return true
}

// anyIn tells whether a call of the queue waits.
func anyIn(queue *fifo[*call]) bool {
	for queue.len() > 0 && queue.peek().state == callDone {
		queue.pop()
	}
	return queue.len() > 0
}

// expire ends the session that has been without socket for too long, and the calls without deadline that have waited for
// WaitTimeout. It returns when the next one will have. Zero: none waits.
func (s *session) expire(now time.Time) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseReady {
		return time.Time{}
	}
	next = earlier(s.lapse(now), s.expireIn(s.queue.items[s.queue.head:], now, nil))
	for _, conn := range s.attached {
		next = earlier(next, s.expireIn(conn.queue.items[conn.queue.head:], now, nil))
	}
	return next
}

// earlier is the first of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// expireIn is expire for one queue, whose order is that of age. why nil: the gateway was not reached.
func (s *session) expireIn(queue []*call, now time.Time, why *Error) time.Time {
	for _, c := range queue {
		if c.state != callQueued || !c.deadline.IsZero() {
			continue
		}
		since := c.since
		if s.downSince.After(since) { // it waited with the session, not for one
			since = s.downSince
		}
		if at := since.Add(s.options.WaitTimeout); at.After(now) {
			return at
		}
		err := why
		if err == nil {
			err = s.unreachable()
		}
		s.complete(c, err.with(RanNo))
	}
	return time.Time{}
}

func (s *session) unreachable() *Error {
	if s.lastFault == nil {
		return raise(wire.ClientUnreachable, wire.RanNo, "")
	}
	return raise(wire.ClientUnreachable, wire.RanNo, "The gateway cannot be reached: %v", s.lastFault).because(s.lastFault)
}

// close ends everything for good. What take gives from now on ends with a Goodbye [FRAME-6].
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, conn := range s.attached {
		conn.inbox.mute()
	}
	closed := raise(wire.ClientClosed, wire.RanNo, "")
	s.failAll(closed)
	s.lose(closed, time.Time{})
	s.bid("connection.closed", "The client was closed.")
}

// ping asks the gateway for a sign of life [SESS-5].
func (s *session) ping(nonce uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(&commonv1alpha1.Ping{Nonce: nonce})
	s.stir()
}

// part ends the socket from this side, and the session with it: what take gives from now on ends with a Goodbye [FRAME-6].
func (s *session) part(code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bid(code, message)
}

// leave ends the session with its socket.
func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

// bid queues a Goodbye as the last frame of the socket.
func (s *session) bid(code, message string) {
	s.link, s.left = fifo[wire.Message]{}, true
	s.say(&commonv1alpha1.Goodbye{Code: code, Message: message})
	s.stir()
}

// failAll ends all calls and connections with err.
func (s *session) failAll(err *Error) {
	for _, c := range s.inOrder() {
		s.fail(c, err)
	}
	for _, c := range s.queue.take() {
		s.fail(c, err)
	}
	for _, conn := range slices.Clone(s.attached) {
		s.finish(conn, err)
	}
}

func (s *session) log() *slog.Logger { return s.options.Logger }
