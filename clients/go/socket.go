package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

const (
	// partingTime bounds how long the end of a socket waits for a peer that does not read.
	partingTime = time.Second
	// maxWrite is beyond every limit that a gateway can announce for a message.
	maxWrite = 1<<31 - 1
)

var (
	errText  = errors.New("the gateway sent a text message on a binary session")
	errPanic = errors.New("the gateway sent a WebSocket frame that cannot be read")
)

// socket carries a session: one goroutine reads, one writes, and whoever started them calls finish, which waits for both.
type socket struct {
	session *session
	conn    *gws.Conn
	meter   *meter

	heard   atomic.Int64 // when something last came, Unix nanoseconds
	writing atomic.Int64 // since when a write is under way, likewise; 0: none

	fault  sync.Once
	lost   chan struct{} // closed after cause and code were set
	cause  error
	code   string // to say goodbye with; empty: the gateway ended it, or nothing can be said
	stop   chan struct{}
	pongs  chan []byte // answers to WebSocket pings, for the writer
	wrote  chan struct{}
	ended  sync.WaitGroup
	inside bool // the reader's: our own code is running below gws
	deaf   bool // the reader's: the socket has failed

	// The reader's and the writer's; anybody's after they have ended.
	unusable bool // what came could not be used
	batch    batch
}

// openSocket dials and shakes hands. ctx bounds both.
func openSocket(ctx context.Context, s *session, e endpoint) (*socket, error) {
	conn, err := dial(ctx, s.options, e)
	if err != nil {
		return nil, err
	}
	k := &socket{
		session: s, meter: &meter{Conn: conn},
		lost: make(chan struct{}), stop: make(chan struct{}), wrote: make(chan struct{}), pongs: make(chan []byte, 4),
	}
	abort := context.AfterFunc(ctx, func() { _ = conn.Close() })
	k.conn, _, err = gws.NewClientFromConn(k, &gws.ClientOption{
		Addr:                e.connectURL(),
		RequestHeader:       http.Header{"Sec-Websocket-Protocol": {wire.SubprotocolClientProto}},
		HandshakeTimeout:    2 * s.options.DialTimeout, // ctx ends first; gws leaks a goroutine at its own time-out
		ReadMaxPayloadSize:  s.options.MaxMessage,
		WriteMaxPayloadSize: maxWrite,
		CheckUtf8Enabled:    true,
	}, k.meter)
	if !abort() {
		_ = conn.Close()
		return nil, fmt.Errorf("WebSocket handshake with %s: %w", e.base.Host, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake with %s: %w", e.base.Host, err)
	}
	return k, nil
}

// serve starts the reader and the writer.
func (k *socket) serve() {
	k.heard.Store(time.Now().UnixNano())
	k.ended.Go(k.read)
	k.ended.Go(k.write)
}

// fail notes why the socket is over. The first cause counts. code, if any, is told the gateway.
func (k *socket) fail(cause error, code string) {
	k.fault.Do(func() {
		k.cause, k.code = cause, code
		close(k.lost)
	})
}

func (k *socket) read() {
	defer func() {
		if k.inside {
			return // a fault of ours is not to be hidden
		}
		if p := recover(); p != nil { // gws trusts the length in a header of 64 bits
			k.unusable = true
			k.fail(fmt.Errorf("%w: %v", errPanic, p), "")
			_ = k.meter.Close()
		}
	}()
	k.conn.ReadLoop()
}

func (k *socket) write() {
	defer close(k.wrote)
	for {
		// The answers of one read wake many callers, who call again: what they have to say goes in one write.
		runtime.Gosched()
		runtime.Gosched()
		if k.session.take(&k.batch, time.Now()) {
			if !k.flush() {
				return
			}
			continue
		}
		select {
		case <-k.session.wake:
		case payload := <-k.pongs:
			_ = k.conn.WritePong(payload) // a fault comes to the reader, too
		case <-k.stop:
			return
		}
	}
}

// flush writes the batch. false: nothing may follow.
func (k *socket) flush() bool {
	k.writing.Store(time.Now().UnixNano())
	err := k.conn.WriteMessage(gws.OpcodeBinary, k.batch.buf)
	k.writing.Store(0)
	if err != nil {
		k.fail(fmt.Errorf("write: %w", err), "")
		return false
	}
	k.session.wrote(&k.batch)
	more := !k.batch.last
	k.batch.reset()
	k.meter.written = 0
	return more
}

// finish closes the socket and waits for its goroutines. Politely: what is queued, which ends with a Goodbye, goes out
// before, if the gateway reads.
func (k *socket) finish(politely bool) {
	if politely {
		patience := time.NewTimer(partingTime)
		defer patience.Stop()
		select {
		case <-k.wrote:
			_ = k.meter.SetWriteDeadline(time.Now().Add(partingTime))
			_ = k.conn.WriteClose(1000, nil)
		case <-patience.C:
		}
	}
	close(k.stop)
	_ = k.meter.Close()
	k.ended.Wait()
}

// OnOpen implements gws.Event.
func (k *socket) OnOpen(*gws.Conn) {}

// OnClose implements gws.Event.
func (k *socket) OnClose(_ *gws.Conn, err error) {
	if _, refused := errors.AsType[statusCode](err); refused {
		k.unusable = true
	}
	k.fail(fmt.Errorf("read: %w", err), "")
}

// statusCode is what gws returns for a message that it refused; its own type is internal.
type statusCode interface {
	error
	Uint16() uint16
}

// OnPing implements gws.Event. Only the writer writes, so that a peer that does not read cannot stop the reader.
func (k *socket) OnPing(_ *gws.Conn, payload []byte) {
	k.heard.Store(time.Now().UnixNano())
	select {
	case k.pongs <- append([]byte(nil), payload...):
	default: // one that was not answered yet stands for both
	}
}

// OnPong implements gws.Event.
func (k *socket) OnPong(*gws.Conn, []byte) { k.heard.Store(time.Now().UnixNano()) }

// OnMessage implements gws.Event.
func (k *socket) OnMessage(_ *gws.Conn, message *gws.Message) {
	k.inside = true
	defer func() { _ = message.Close() }()
	k.take(message)
	k.inside = false
}

func (k *socket) take(message *gws.Message) {
	now := time.Now()
	k.heard.Store(now.UnixNano())
	if k.deaf {
		return
	}
	err := errText
	if message.Opcode == gws.OpcodeBinary {
		err = k.session.receive(message.Bytes(), now)
	}
	if err == nil {
		return
	}
	k.deaf = true
	code := ""
	if !errors.Is(err, errRejected) && !errors.Is(err, errGoodbye) {
		k.unusable, code = true, CodeRequestInvalidFrame
	}
	k.fail(err, code)
}

// meter counts how much of the payload of the last binary message was written.
type meter struct {
	net.Conn

	written int // the writer's, like all binary messages
}

// Write implements net.Conn. gws writes each message with one call.
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	if len(p) > 1 && gws.Opcode(p[0]&0x0f) == gws.OpcodeBinary {
		header := 2 + 4 // with the mask
		switch p[1] & 0x7f {
		case 126:
			header += 2
		case 127:
			header += 8
		}
		m.written = max(0, n-header)
	}
	return n, err
}
