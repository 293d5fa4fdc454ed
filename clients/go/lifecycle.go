package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// begin starts on a new socket: Hello, then, unless it asks to go on with the session, the connections and the calls
// [SESS-2]. spawn is nil if the socket has no lanes.
func (s *session) begin(spawn func(*lane), now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lapse(now)
	s.phase, s.early, s.replies, s.spawn = phaseHello, 0, 0, spawn
	s.link, s.news, s.ackNow, s.ackAlong = fifo[wire.Message]{}, nil, false, false
	s.enlist(&s.zero)
	s.rejected, s.goodbye, s.left = nil, nil, false
	select {
	case <-s.welcomed: // of the last socket
	default:
	}
	hello := &clientv1alpha1.Hello{
		Token: s.token, Namespace: s.namespace, Sdk: "stagedoor-go", SdkVersion: version,
		Features: []string{wire.FeatureClientResume, wire.FeatureClientUnreliable},
	}
	if s.resumeToken != nil {
		s.phase, hello.Resume = phaseResume, s.claim()
	}
	s.say(hello)
	if s.closed {
		s.bid("connection.closed", "The client was closed.")
		return
	}
	for _, conn := range slices.Clone(s.attached) {
		if s.phase == phaseHello && conn.phase == connectionDetached && !conn.isLarge() {
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
	resumable  bool // the session goes on
}

// rest is a batch whose write did not come to its end: the gateway may have got so many bytes of it.
type rest struct {
	lane  *lane // nil: the socket has none
	batch *batch
	wrote int
}

// end takes note that the socket is gone, and what of it was not written to the end. If the session is over, calls that the
// gateway can have seen end with session.lost; all others wait.
func (s *session) end(cause error, rests []rest, now time.Time) next {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := next{welcomed: s.phase == phaseReady}
	s.phase, s.lastFault = phaseDown, cause
	if n.welcomed {
		s.downSince, s.resumeUntil = now, now.Add(s.resumeFor)
	}
	for _, r := range rests {
		if r.lane == nil || r.lane.channel.lane == r.lane { // else it has gone again on another one
			s.takeBack(s.unsent(r))
		}
	}
	s.dropLanes()
	over := s.left || s.resumeToken == nil || !s.worthResuming()
	var final *Error
	switch {
	case s.rejected != nil:
		n.retryAfter = s.rejected.RetryAfter
		if s.resumeToken == nil {
			s.takeBack(s.inOrder()) // a rejected session runs nothing
		}
		if !s.rejected.Retryable {
			final = s.rejected.with(RanNo)
		}
	case s.goodbye != nil:
		n.retryAfter = millis(s.goodbye.GetRetryAfterMs())
		reconnect := s.goodbye.GetReconnect()
		over = over || reconnect != commonv1alpha1.Reconnect_RECONNECT_SAME // [SESS-18]
		if reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER {
			final = named(s.goodbye.GetCode(), s.goodbye.GetMessage())
		}
	}
	if !over && final == nil {
		n.resumable = true
		s.pause()
		return n
	}
	if final != nil {
		n.final = true
		s.failAll(final)
	}
	s.lose(cause, now)
	return n
}

// unsent is the calls of a batch of which no byte was written. They are kept no longer; a call that would then come behind
// a later one of its channel stays where it is.
func (s *session) unsent(r rest) []*call {
	var calls []*call
	for _, entry := range slices.Backward(r.batch.calls) {
		c := s.unanswered[entry.id]
		if c != nil && entry.offset >= r.wrote && (!s.keeping || s.retract(c)) {
			calls = append(calls, c)
		}
	}
	slices.Reverse(calls)
	return calls
}

// takeBack puts calls that certainly did not run in front of those that wait.
func (s *session) takeBack(calls []*call) {
	for _, c := range slices.Backward(calls) {
		delete(s.unanswered, c.id)
		c.state = callQueued
		s.waiting += c.weight()
		switch {
		case c.conn == nil:
			s.queue.pushFront(c)
		case c.conn.phase == connectionClosed:
			s.complete(c, c.conn.closedError())
		default:
			c.conn.queue.pushFront(c)
		}
	}
}

// dismissed takes note that the gateway closed the socket for a reason, of which the frame that says so may be lost [SESS-22].
func (s *session) dismissed(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if group, code, _ := strings.Cut(reason, "."); s.phase != phaseReady && wire.LookupCode(group, code) != nil {
		s.rejected = named(reason, "")
	}
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
