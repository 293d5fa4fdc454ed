package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// maxWrite is beyond every limit that a gateway can announce for a message.
const maxWrite = 1<<31 - 1

var (
	errText  = errors.New("the gateway sent a text message on a binary session")
	errPanic = errors.New("the gateway sent a WebSocket frame that cannot be read")
)

// webSocket is a socket without lanes: one goroutine reads, one writes.
type webSocket struct {
	pulse

	session *session
	conn    *gws.Conn
	meter   *meter
	stop    chan struct{}
	pongs   chan []byte // answers to WebSocket pings, for the writer
	wrote   chan struct{}
	ended   sync.WaitGroup
	inside  bool  // the reader's: our own code is running below gws
	deaf    bool  // the reader's: the socket has failed
	batch   batch // the writer's
}

// openWebSocket dials and shakes hands. ctx bounds both.
func openWebSocket(ctx context.Context, s *session, e endpoint) (*webSocket, error) {
	conn, err := dial(ctx, s.options, e)
	if err != nil {
		return nil, err
	}
	k := &webSocket{
		session: s, meter: &meter{Conn: conn},
		stop: make(chan struct{}), wrote: make(chan struct{}), pongs: make(chan []byte, 4),
	}
	k.lost = make(chan struct{})
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

func (k *webSocket) serve() {
	k.hear(time.Now())
	k.session.begin(nil, time.Now())
	k.ended.Go(k.read)
	k.ended.Go(k.write)
}

func (k *webSocket) ping(nonce uint64) { k.session.ping(nonce) }

func (k *webSocket) read() {
	defer func() {
		if k.inside {
			return // a fault of ours is not to be hidden
		}
		if p := recover(); p != nil { // gws trusts the length in a header of 64 bits
			k.unusable.Store(true)
			k.fail(fmt.Errorf("%w: %v", errPanic, p), "")
			_ = k.meter.Close()
		}
	}()
	k.conn.ReadLoop()
}

func (k *webSocket) write() {
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
func (k *webSocket) flush() bool {
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

func (k *webSocket) finish(politely bool) []rest {
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
	return []rest{{batch: &k.batch, wrote: k.meter.written}}
}

// OnOpen implements gws.Event.
func (k *webSocket) OnOpen(*gws.Conn) {}

// OnClose implements gws.Event.
func (k *webSocket) OnClose(_ *gws.Conn, err error) {
	if _, refused := errors.AsType[statusCode](err); refused {
		k.unusable.Store(true)
	}
	k.fail(fmt.Errorf("read: %w", err), "")
}

// statusCode is what gws returns for a message that it refused; its own type is internal.
type statusCode interface {
	error
	Uint16() uint16
}

// OnPing implements gws.Event. Only the writer writes, so that a peer that does not read cannot stop the reader.
func (k *webSocket) OnPing(_ *gws.Conn, payload []byte) {
	k.hear(time.Now())
	select {
	case k.pongs <- append([]byte(nil), payload...):
	default: // one that was not answered yet stands for both
	}
}

// OnPong implements gws.Event.
func (k *webSocket) OnPong(*gws.Conn, []byte) { k.hear(time.Now()) }

// OnMessage implements gws.Event.
func (k *webSocket) OnMessage(_ *gws.Conn, message *gws.Message) {
	k.inside = true
	defer func() { _ = message.Close() }()
	k.take(message)
	k.inside = false
}

func (k *webSocket) take(message *gws.Message) {
	now := time.Now()
	k.hear(now)
	if k.deaf {
		return
	}
	err := errText
	if message.Opcode == gws.OpcodeBinary {
		err = k.session.receive(nil, message.Bytes(), now)
	}
	if err == nil {
		return
	}
	k.deaf = true
	k.refuse(err)
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
