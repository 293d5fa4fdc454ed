package bare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// callHead is the slot that a call stands for, before its bytes.
const callHead = 8

// Callers are WebSocket clients of a relay. Dial makes them, Close ends them.
type Callers struct {
	all     []*caller
	reading sync.WaitGroup
}

// caller is one of them. Its goroutine reads answers, answers each with the next call, and writes these when it has read
// all there is.
type caller struct {
	gws.BuiltinEventHandler
	ws   *gws.Conn
	conn *coalescing
	lost chan struct{} // closed when the socket has ended
	done chan struct{} // capacity 1: the last call of a round was answered

	mu    sync.Mutex
	meter *load.Meter // of the present round
	call  []byte
	began []time.Duration // by slot
	open  int
}

// coalescing is a connection that writes when its reader has nothing left to read.
type coalescing struct {
	net.Conn
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.pending)
	c.pending = c.pending[:0]
	return err
}

// Dial connects so many callers to the relay at address. Their calls are of size bytes.
func Dial(ctx context.Context, address string, connections, size int) (*Callers, error) {
	c := &Callers{}
	for range connections {
		one, err := dialCaller(ctx, address, size)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("dial the bare relay: %w", err)
		}
		c.all = append(c.all, one)
		c.reading.Go(one.ws.ReadLoop)
	}
	return c, nil
}

func dialCaller(ctx context.Context, address string, size int) (*caller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &caller{
		conn: &coalescing{Conn: conn}, call: make([]byte, callHead+size),
		lost: make(chan struct{}), done: make(chan struct{}, 1),
	}
	c.ws, _, err = gws.NewClientFromConn(c, &gws.ClientOption{Addr: "ws://" + address + "/"}, c.conn)
	return c, err
}

// Close ends the sockets.
func (c *Callers) Close() {
	for _, one := range c.all {
		_ = one.conn.Close()
	}
	c.reading.Wait()
}

// Round keeps inFlight calls of each caller under way until the window is over, and waits for the answers.
func (c *Callers) Round(ctx context.Context, w load.Window, inFlight int) load.Result {
	meters := make([]load.Meter, len(c.all))
	for i, one := range c.all {
		meters[i].Window = w
		one.begin(&meters[i], inFlight)
	}
	for i, one := range c.all {
		select {
		case <-one.done:
		case <-one.lost:
			meters[i].Failed(errors.New("the bare relay closed a socket"))
		case <-ctx.Done():
			_ = one.conn.Close()
			<-one.lost // nobody writes to the meter any more
		}
	}
	return load.Sum(w.Length(), meters)
}

func (c *caller) begin(m *load.Meter, inFlight int) {
	c.mu.Lock()
	c.meter, c.open, c.began = m, inFlight, make([]time.Duration, inFlight)
	for slot := range inFlight {
		c.send(uint64(slot), load.Now())
	}
	c.mu.Unlock()
	if err := c.conn.flush(); err != nil {
		_ = c.conn.Close() // which ends the reader
	}
}

// send is called with the lock held. The error comes to the reader, too.
func (c *caller) send(slot uint64, now time.Duration) {
	c.began[slot] = now
	binary.BigEndian.PutUint64(c.call, slot)
	_ = c.ws.WriteMessage(gws.OpcodeBinary, c.call)
}

// OnMessage implements gws.Event.
func (c *caller) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := m.Bytes()
	if len(answer) != len(c.call) {
		_ = c.conn.Close()
		return
	}
	slot, now := binary.BigEndian.Uint64(answer), load.Now()
	c.meter.Done(now, now-c.began[slot])
	if !c.meter.Window.Over(now) {
		c.send(slot, now)
		return
	}
	if c.open--; c.open == 0 {
		c.done <- struct{}{}
	}
}

// OnClose implements gws.Event.
func (c *caller) OnClose(*gws.Conn, error) { close(c.lost) }
