package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// begin starts on a new socket: Hello, then the connections, then the calls [SESS-2].
func (s *session) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.early, s.replies = phaseHello, 0, 0
	s.control = fifo[wire.Message]{}
	s.unanswered = map[uint64]*call{}
	s.connections = map[uint64]*Connection{}
	s.changes = map[uint64]change{}
	s.rejected, s.goodbye = nil, nil
	select {
	case <-s.welcomed: // of the last socket
	default:
	}
	s.say(&clientv1alpha1.Hello{Token: s.token, Namespace: s.namespace, Sdk: "stagedoor-go", SdkVersion: version})
	if s.closed {
		s.bid("connection.closed", "The client was closed.")
		return
	}
	for _, conn := range slices.Clone(s.attached) {
		if conn.phase == connectionDetached && !conn.isLarge() {
			s.open(conn)
		}
	}
	s.stir()
}

// next is what to do after a socket.
type next struct {
	final      bool // do not come back until there is new work
	retryAfter time.Duration
	welcomed   bool // it had got as far as Welcome
}

// end takes note that the socket is gone. last is the batch that was being written, of which the gateway may have got
// wrote bytes. Calls that it can have seen end with session.lost; the others wait for the next socket.
func (s *session) end(cause error, last *batch, wrote int, now time.Time) next {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := next{welcomed: s.phase == phaseReady}
	s.lastFault = cause
	if n.welcomed {
		s.downSince = now
	}
	switch {
	case s.rejected != nil:
		s.takeBack(s.inOrder()) // a rejected session runs nothing
		n.retryAfter = s.rejected.RetryAfter
		if !s.rejected.Retryable {
			n.final = true
			s.failAll(s.rejected.with(RanNo))
		}
	case s.goodbye != nil:
		n.retryAfter = millis(s.goodbye.GetRetryAfterMs())
		s.lose(cause, last, wrote)
		if s.goodbye.GetReconnect() == commonv1alpha1.Reconnect_RECONNECT_NEVER {
			n.final = true
			s.failAll(named(s.goodbye.GetCode(), s.goodbye.GetMessage()))
		}
	default:
		s.lose(cause, last, wrote)
	}
	s.phase, s.control, s.changes = phaseDown, fifo[wire.Message]{}, nil
	s.detach(now)
	return n
}

// lose sorts the calls that were given to the socket.
func (s *session) lose(cause error, last *batch, wrote int) {
	var unsent []*call
	for _, entry := range last.calls {
		if c := s.unanswered[entry.id]; c != nil && entry.offset >= wrote {
			unsent = append(unsent, c)
			delete(s.unanswered, entry.id)
		}
	}
	err := raise(wire.SessionLost, wire.RanMaybe, "The socket was lost before the answer came: %v", cause).because(cause)
	for _, c := range s.inOrder() {
		s.complete(c, err)
	}
	s.takeBack(unsent)
}

// takeBack puts calls that certainly did not run in front of the queue again.
func (s *session) takeBack(calls []*call) {
	var queue fifo[*call]
	for _, c := range calls {
		delete(s.unanswered, c.id)
		c.state = callQueued
		s.waiting += c.weight()
		switch {
		case c.conn == nil || c.conn.phase == connectionOpen:
			queue.push(c)
		case c.conn.phase == connectionClosed:
			s.complete(c, c.conn.closedError())
		default:
			c.conn.held.push(c)
		}
	}
	for _, c := range s.queue.take() {
		queue.push(c)
	}
	s.queue = queue
}

// detach leaves the connections without socket. They open again with the next one.
func (s *session) detach(now time.Time) {
	for _, conn := range s.attached {
		if conn.phase == connectionOpening || conn.phase == connectionOpen {
			s.suspend(conn, now)
			conn.phase = connectionDetached
		}
	}
	s.connections = nil
}

// unreached takes note of an attempt that got no socket.
func (s *session) unreached(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastFault = cause
}

// The causes of a socket's end that the gateway gave.
var (
	errRejected = errors.New("the gateway rejected the session")
	errGoodbye  = errors.New("the gateway closed the session")
)

func rejection(e *Error) error { return fmt.Errorf("%w: %w", errRejected, e) }

func farewell(g *commonv1alpha1.Goodbye) error {
	return fmt.Errorf("%w: %s: %s", errGoodbye, g.GetCode(), g.GetMessage())
}
