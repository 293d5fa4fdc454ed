package callers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// notUnderWay is when the call of a slot began that has none.
const notUnderWay = -1

var (
	errUnasked = errors.New("an answer to a call that is not under way")
	errText    = errors.New("a text message")
	errLong    = errors.New("a frame that is too long")
)

// caller is one socket.
type caller struct {
	protocol Protocol
	together int
	line     line
	answered Answered // answer, made into a value once

	mu     sync.Mutex
	frames []byte        // of the next message
	now    time.Duration // when the message came that is being taken
	fault  error         // why the socket ends
	ended  bool          // it has: nobody reads

	// Of the present round.
	meter *load.Meter
	began []time.Duration // by slot
	left  int             // slots that go on
	done  chan struct{}   // closed when none does
}

func newCaller(ctx context.Context, o *Options, i int) (*caller, error) {
	c := &caller{protocol: o.Protocol(i), together: o.Together}
	c.answered = c.answer
	dial := dialWebSocket
	if o.Through != nil {
		dial = dialStreams
	}
	var err error
	c.line, err = dial(ctx, o, c)
	return c, err
}

// open says what is first to be said, as the only call of a round.
func (c *caller) open() error {
	first := c.protocol.Open()
	if hello := c.protocol.Hello(); !c.line.aside(hello) {
		first = append(hello, first...) // in one write
	}
	if len(first) == 0 {
		return nil
	}
	meters := make([]load.Meter, 1) // whose window is over
	<-c.begin(&meters[0], 1, func(uint64) { c.frames = append(c.frames, first...) })
	if r := load.Sum(0, meters); r.Errors > 0 {
		return errors.New(r.Fault)
	}
	return nil
}

// begin makes the first call of each slot. done is closed when no slot goes on.
func (c *caller) begin(m *load.Meter, slots int, call func(slot uint64)) (done <-chan struct{}) {
	c.mu.Lock()
	c.meter, c.began, c.left, c.done, c.now = m, make([]time.Duration, slots), slots, make(chan struct{}), load.Now()
	done = c.done
	if c.ended {
		c.giveUp()
		slots = 0
	}
	for slot := range slots {
		c.began[slot] = c.now
		call(uint64(slot))
	}
	c.mu.Unlock()
	if err := c.line.flush(); err != nil {
		_ = c.line.Close() // which ends the reader
	}
	return done
}

// call makes the call of a slot. It is called with the lock held, as are those below without another word.
func (c *caller) call(slot uint64) {
	c.frames = c.protocol.Call(c.frames, slot)
	c.sealOver(c.together)
}

// seal makes a message of what was gathered. It is called without the lock.
func (c *caller) seal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealOver(0)
}

// sealOver makes a message of what was gathered if it is more than limit.
func (c *caller) sealOver(limit int) {
	if len(c.frames) > limit {
		c.line.write(c.frames)
		c.frames = c.frames[:0]
	}
}

// take takes a message.
func (c *caller) take(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return
	}
	c.now = load.Now()
	reply, err := c.protocol.Take(message, c.answered)
	if err != nil {
		c.fail(err)
		return
	}
	if len(reply) > 0 && !c.line.aside(reply) {
		c.frames = append(c.frames, reply...)
	}
}

// refuse ends the socket for what came.
func (c *caller) refuse(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(cause)
}

// answer is told by the protocol.
func (c *caller) answer(slot uint64, err error) {
	if slot >= uint64(len(c.began)) || c.began[slot] == notUnderWay {
		c.fail(errUnasked)
		return
	}
	if err != nil {
		c.meter.Failed(err)
	} else {
		c.meter.Done(c.now, c.now-c.began[slot])
	}
	if !c.meter.Window.Over(c.now) && !c.meter.GivesUp() {
		c.began[slot] = c.now
		c.call(slot)
		return
	}
	c.began[slot] = notUnderWay
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// fail ends the socket. The first cause counts.
func (c *caller) fail(cause error) {
	if c.fault == nil {
		c.fault = cause
	}
	_ = c.line.Close()
}

// read reads until the socket has ended.
func (c *caller) read() {
	err := c.line.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(fmt.Errorf("the socket has ended: %w", err))
	c.ended = true
	c.giveUp()
}

func (c *caller) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// giveUp counts what is under way as failed.
func (c *caller) giveUp() {
	if c.left == 0 {
		return
	}
	for ; c.left > 0; c.left-- {
		c.meter.Failed(c.fault)
	}
	close(c.done)
}
