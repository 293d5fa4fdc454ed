package bare

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/lxzan/gws"
)

const (
	// linkBuffer is what is read from the link at once.
	linkBuffer = 256 << 10
	// socketBuffer is the same for a WebSocket.
	socketBuffer = 4 << 10
	// maxMessage bounds a message of a client.
	maxMessage = 32 << 10
)

// serveEcho sends every frame of a link back, one write for all that one read brought.
func serveEcho(ctx context.Context, _ string, l net.Listener) error {
	return new(house).run(ctx, l, func(conn net.Conn) (func(), error) {
		return func() { _ = eachBatch(conn, linkBuffer, func([]byte) {}, conn.Write) }, nil
	})
}

// eachBatch reads whole frames of a link until it ends: each is told the frames one by one, without their length, then
// batch all that one read brought.
func eachBatch(conn io.Reader, size int, each func(frame []byte), batch func([]byte) (int, error)) error {
	buffer, have := make([]byte, size), 0
	for {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return err
		}
		have += n
		whole := 0
		for have-whole >= 4 {
			size := int(binary.BigEndian.Uint32(buffer[whole:]))
			if size > maxMessage {
				return fmt.Errorf("a frame of %d bytes", size)
			}
			if have-whole < 4+size {
				break
			}
			each(buffer[whole+4 : whole+4+size])
			whole += 4 + size
		}
		if _, err := batch(buffer[:whole]); err != nil {
			return err
		}
		have = copy(buffer, buffer[whole:have])
	}
}

// relay stands between clients and one link.
type relay struct {
	up *queue

	mu      sync.Mutex
	clients map[uint32]*relayed
	last    uint32
}

// relayed is one client. What it says is gathered for the link until all that came has been read.
type relayed struct {
	gws.BuiltinEventHandler
	number   uint32
	up, down *queue
	answer   func(message []byte) // puts it into down
	touched  bool                 // got something of the present batch; guarded by relay.mu
}

// OnMessage implements gws.Event.
func (c *relayed) OnMessage(_ *gws.Conn, m *gws.Message) {
	c.up.relayed(c.number, m.Bytes())
	_ = m.Close()
}

// relayedConn is what gws reads from and writes to.
type relayedConn struct {
	net.Conn
	up, down *queue
}

// Read implements net.Conn. It is called when everything that came before has been taken.
func (c relayedConn) Read(p []byte) (int, error) {
	c.up.flush()
	return c.Conn.Read(p)
}

// Write implements net.Conn, for handshake and control frames.
func (c relayedConn) Write(p []byte) (int, error) {
	c.down.raw(p)
	c.down.flush()
	return len(p), nil
}

func serveRelay(ctx context.Context, echo string, l net.Listener) error {
	return relaying(ctx, echo, func(ctx context.Context, r *relay) error { return new(house).run(ctx, l, r.welcome) }, l.Close)
}

// relaying has clients served that a relay to the echo stands before.
func relaying(parent context.Context, echo string, serve func(context.Context, *relay) error, refuse func() error) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	link, err := new(net.Dialer).DialContext(ctx, "tcp", echo)
	if err != nil {
		return errors.Join(err, refuse())
	}
	r := &relay{up: newQueue(link), clients: map[uint32]*relayed{}}
	var ends sync.WaitGroup
	ends.Go(r.up.run)
	ends.Go(func() { cancel(fmt.Errorf("the link ended: %w", r.readLink(link))) })
	err = serve(ctx, r)
	if err == nil && parent.Err() == nil {
		err = context.Cause(ctx)
	}
	close(r.up.stop) // which closes the link
	ends.Wait()
	return err
}

func (r *relay) welcome(conn net.Conn) (func(), error) {
	request, in, err := readRequest(conn, socketBuffer)
	if err != nil {
		return nil, err
	}
	c := &relayed{up: r.up, down: newQueue(conn)}
	c.answer = c.down.webSocket
	outer := relayedConn{conn, c.up, c.down}
	in.Reset(outer)
	ws, err := gws.NewUpgrader(c, &gws.ServerOption{}).UpgradeFromConn(outer, in, request)
	if err != nil {
		return nil, err
	}
	return func() { r.serve(c, ws.ReadLoop) }, nil
}

// serve relays for a client until there is nothing left to read.
func (r *relay) serve(c *relayed, read func()) {
	r.enter(c)
	var writing sync.WaitGroup
	writing.Go(c.down.run)
	read()
	close(c.down.stop)
	writing.Wait()
	r.leave(c)
}

// stream relays the frames of a stream of WebTransport.
func (r *relay) stream(stream io.ReadWriteCloser) {
	c := &relayed{up: r.up, down: newQueue(stream)}
	c.answer = c.down.framed
	r.serve(c, func() {
		_ = eachBatch(stream, socketBuffer, func(frame []byte) { c.up.relayed(c.number, frame) }, func(batch []byte) (int, error) {
			c.up.flush()
			return len(batch), nil
		})
	})
}

func (r *relay) enter(c *relayed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	c.number = r.last
	r.clients[c.number] = c
}

func (r *relay) leave(c *relayed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, c.number)
}

// readLink hands answers to the clients. Their own goroutines write them, so that none waits for another.
func (r *relay) readLink(link net.Conn) error {
	var touched []*relayed
	return eachBatch(link, linkBuffer, func(frame []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		c := r.clients[binary.BigEndian.Uint32(frame)]
		if c == nil {
			return
		}
		c.answer(frame[4:])
		if !c.touched {
			c.touched = true
			touched = append(touched, c)
		}
	}, func(batch []byte) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range touched {
			c.touched = false
			c.down.flush()
		}
		touched = touched[:0]
		return len(batch), nil
	})
}
