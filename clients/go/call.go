package client

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxAction bounds the name of an action, in bytes.
const maxAction = 128

// callOverhead is what a frame that waits or is kept counts beyond its arguments.
const callOverhead = 256

// Caller is what actions can be called on: a *Handle or a *Connection.
type Caller interface {
	Call(ctx context.Context, action string, result any, args ...any) error
}

// Call calls an action and returns its result as a T. An action that returns nothing gives the zero T. The errors are
// those of Handle.Call.
func Call[T any](ctx context.Context, on Caller, action string, args ...any) (T, error) {
	var result T
	err := on.Call(ctx, action, &result, args...)
	return result, err
}

// callState is how far a call has come. Guarded by session.mu.
type callState uint8

const (
	// callQueued: no byte of it was written; it may wait for any number of sockets.
	callQueued callState = iota
	// callWritten: it was given to a socket of the present session.
	callWritten
	// callDone: the caller has its outcome, or has given up.
	callDone
)

// call is an action on its way.
type call struct {
	// Set by the caller before submit; read-only after it.
	target   *target
	conn     *Connection // nil: a call without connection
	action   []byte
	args     []byte
	oneway   bool
	deadline time.Time // zero: the gateway's default
	since    time.Time

	// Guarded by session.mu.
	state   callState
	id      uint64 // of the last session that it was written in, like the next two
	channel *channel
	kept    bool // it is in channel.kept

	// Set before done is sent to; the caller's after it.
	output    []byte
	hasOutput bool
	err       *Error
	reusable  bool // it is in no queue

	holders int32         // atomic: the caller, and channel.kept
	done    chan struct{} // capacity 1
}

// newCall takes a used call, if there is one. The pool is the session's: a channel that was made in a synctest bubble may
// not leave it.
func (s *session) newCall() *call {
	if c, ok := s.pool.Get().(*call); ok {
		return c
	}
	return &call{done: make(chan struct{}, 1), holders: 1}
}

// recycle takes back a call that is done from one who held it; the last one leaves it to be used again.
func (s *session) recycle(c *call) {
	if atomic.AddInt32(&c.holders, -1) > 0 || !c.reusable {
		return
	}
	if cap(c.output) > 64<<10 {
		c.output = nil
	}
	*c = call{done: c.done, holders: 1, output: c.output[:0], action: c.action[:0]}
	s.pool.Put(c)
}

func (c *call) weight() int { return len(c.args) + callOverhead }

// request is one use of an action by the application.
type request struct {
	target *target
	conn   *Connection
	action string
	args   []any
	oneway bool
}

// do makes the request on the session and waits for its end. result is a pointer, or nil.
func (s *session) do(ctx context.Context, r request, result any) error {
	c, fault := s.prepare(ctx, r)
	if fault == nil {
		fault = s.submit(c)
	}
	if fault != nil {
		return fault
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if fault := s.abandon(c, ctx); fault != nil {
			return fault
		}
	}
	defer s.recycle(c)
	return c.decode(result)
}

func (s *session) prepare(ctx context.Context, r request) (*call, *Error) {
	if r.target.invalid != nil {
		return nil, r.target.invalid
	}
	if r.action == "" || len(r.action) > maxAction || !utf8.ValidString(r.action) {
		return nil, raise(wire.RequestInvalid, wire.RanNo, "The name of an action is 1 to %d bytes of UTF-8.", maxAction)
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx, wire.RanNo, nil)
	}
	var args []byte
	if len(r.args) > 0 {
		var err error
		if args, err = payload.MarshalArgs(r.args...); err != nil {
			return nil, raise(wire.RequestInvalidPayload, wire.RanNo, "The arguments cannot be encoded: %v", err).because(err)
		}
	}
	c := s.newCall()
	c.target, c.conn, c.args, c.oneway = r.target, r.conn, args, r.oneway
	c.action = append(c.action, r.action...)
	c.deadline, _ = ctx.Deadline()
	c.since = time.Now()
	return c, nil
}

// decode gives the caller what the call has come to.
func (c *call) decode(result any) error {
	if c.err != nil {
		return c.err
	}
	if result == nil || !c.hasOutput {
		return nil
	}
	if err := payload.Unmarshal(c.output, result); err != nil {
		return raise(wire.ClientInvalidResponse, wire.RanYes, "The result of %s does not fit a %T.", c.action, result).because(err)
	}
	return nil
}

// interrupted is the error of a request whose context ended. unreachable, if any, is why no session was there for it.
func interrupted(ctx context.Context, ran wire.Ran, unreachable error) *Error {
	err := context.Cause(ctx)
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return raise(wire.ActionCanceled, ran, "").because(joined(ctx.Err(), err))
	case unreachable != nil && ran == wire.RanNo:
		return raise(wire.ClientUnreachable, ran, "The gateway could not be reached in time: %v", unreachable).
			because(errors.Join(ctx.Err(), unreachable))
	}
	return raise(wire.ActionTimedOut, ran, "").because(joined(ctx.Err(), err))
}

// joined keeps both the context's error and a cause that the application gave.
func joined(err, cause error) error {
	if cause == nil || errors.Is(cause, err) {
		return err
	}
	return errors.Join(err, cause)
}
