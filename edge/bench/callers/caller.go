package callers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// notUnderWay is when the call of a slot began that has none.
const notUnderWay = -1

var (
	errUnasked = errors.New("an answer to a call that is not under way")
	errText    = errors.New("a text message")
)

// caller is one socket.
type caller struct {
	gws.BuiltinEventHandler
	protocol Protocol
	together int
	ws       *gws.Conn
	conn     *coalescing
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

func newCaller(conn net.Conn, o *Options, i int) (*caller, error) {
	c := &caller{protocol: o.Protocol(i), together: o.Together, conn: &coalescing{Conn: conn}}
	c.answered = c.answer
	header := http.Header{}
	if o.Subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", o.Subprotocol)
	}
	var response *http.Response
	var err error
	c.ws, response, err = gws.NewClientFromConn(c, &gws.ClientOption{Addr: "ws://" + o.Address + o.Path, RequestHeader: header}, c.conn)
	if err != nil && response != nil {
		err = fmt.Errorf("%w: %s", err, response.Status)
	}
	c.conn.idle = c.seal
	return c, err
}

// open says what is first to be said, as the only call of a round.
func (c *caller) open() error {
	first := c.protocol.Open()
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
	if err := c.conn.flush(); err != nil {
		_ = c.conn.Close() // which ends the reader
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
		_ = c.ws.WriteMessage(gws.OpcodeBinary, c.frames) // a fault comes to the reader, too
		c.frames = c.frames[:0]
	}
}

// OnMessage implements gws.Event.
func (c *caller) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return
	}
	reply, err := []byte(nil), errText
	if m.Opcode == gws.OpcodeBinary {
		c.now = load.Now()
		reply, err = c.protocol.Take(m.Bytes(), c.answered)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.frames = append(c.frames, reply...)
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
	_ = c.conn.Close()
}

// OnClose implements gws.Event: nobody reads any more.
func (c *caller) OnClose(_ *gws.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(fmt.Errorf("the socket has ended: %w", err))
	c.ended = true
	c.giveUp()
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

// coalescing is a connection that writes when its reader has nothing left to read.
type coalescing struct {
	net.Conn
	idle func() // nil, or what is called before that: it may have more to write

	mu      sync.Mutex
	pending []byte
}

// Write implements net.Conn.
func (c *coalescing) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, p...)
	return len(p), nil
}

// Read implements net.Conn.
func (c *coalescing) Read(p []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *coalescing) flush() error {
	if c.idle != nil {
		c.idle()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.pending)
	c.pending = c.pending[:0]
	return err
}
