package callers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"
)

// line is what a caller speaks over. Its methods may be called at any time.
type line interface {
	// write gathers a message of calls, which flush writes; aside does so with one of another kind, unless that has its place
	// among the calls: false.
	write(message []byte)
	aside(message []byte) bool
	flush() error
	// read has the caller take messages until the line ends, and says why it has.
	read() error
	Close() error
}

// webSocket is a WebSocket as a line: messages are its own.
type webSocket struct {
	gws.BuiltinEventHandler
	caller *caller
	conn   coalescing
	ws     *gws.Conn
	end    error
}

func dialWebSocket(ctx context.Context, o *Options, c *caller) (line, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := &webSocket{caller: c, conn: coalescing{Conn: conn, gathered: &gathering{to: conn}}}
	header := http.Header{}
	if o.Subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", o.Subprotocol)
	}
	var response *http.Response
	l.ws, response, err = gws.NewClientFromConn(l, &gws.ClientOption{Addr: "ws://" + o.Address + o.Path, RequestHeader: header}, l.conn)
	if err != nil {
		if response != nil {
			err = fmt.Errorf("%w: %s", err, response.Status)
		}
		_ = conn.Close()
		return nil, err
	}
	l.conn.gathered.idle = c.seal
	return l, nil
}

func (l *webSocket) write(message []byte) {
	_ = l.ws.WriteMessage(gws.OpcodeBinary, message) // a fault comes to the reader, too
}

func (*webSocket) aside([]byte) bool { return false }

func (l *webSocket) flush() error { return l.conn.gathered.flush() }

func (l *webSocket) Close() error { return l.conn.Close() }

func (l *webSocket) read() error {
	l.ws.ReadLoop()
	return l.end
}

// OnMessage implements gws.Event.
func (l *webSocket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Opcode != gws.OpcodeBinary {
		l.caller.refuse(errText)
		return
	}
	l.caller.take(m.Bytes())
}

// OnClose implements gws.Event: nobody reads any more.
func (l *webSocket) OnClose(_ *gws.Conn, err error) { l.end = err }

// streams is a WebTransport session as a line, whose messages are whole frames: calls have a stream, and what the protocol says
// before all else has another [SESS-19].
type streams struct {
	caller  *caller
	session *tunnel.Session
	calls   *gathering
	hello   *gathering // nil: there is none
}

func dialStreams(ctx context.Context, o *Options, c *caller) (line, error) {
	session, err := o.Through.Session(ctx, o.Address, o.Path, o.Subprotocol)
	if err != nil {
		return nil, err
	}
	l := &streams{caller: c, session: session}
	if len(c.protocol.Hello()) > 0 {
		if l.hello, err = l.open(ctx); err != nil {
			return nil, err
		}
	}
	if l.calls, err = l.open(ctx); err != nil {
		return nil, err
	}
	l.calls.idle = l.idle
	return l, nil
}

// idle writes what else there is when the calls are about to be written.
func (l *streams) idle() {
	l.caller.seal()
	if l.hello != nil {
		_ = l.hello.flush() // a fault comes to its reader, too
	}
}

func (l *streams) open(ctx context.Context) (*gathering, error) {
	stream, err := l.session.OpenStreamSync(ctx)
	if err != nil {
		_ = l.session.Close()
		return nil, err
	}
	return &gathering{to: stream}, nil
}

func (l *streams) write(message []byte) { l.calls.add(message) }

func (l *streams) aside(message []byte) bool {
	if l.hello != nil {
		l.hello.add(message)
	}
	return l.hello != nil
}

func (l *streams) flush() error { return l.calls.flush() }

func (l *streams) Close() error { return l.session.Close() }

func (l *streams) read() error {
	var reading sync.WaitGroup
	hello := error(nil)
	if l.hello != nil {
		reading.Go(func() {
			hello = l.hello.frames(l.caller.take)
			_ = l.Close() // for the other stream
		})
	}
	err := l.calls.frames(l.caller.take)
	_ = l.Close()
	reading.Wait()
	return errors.Join(err, hello)
}

// coalescing is a connection that writes when its reader has nothing left to read.
type coalescing struct {
	net.Conn
	gathered *gathering
}

// Write implements net.Conn.
func (c coalescing) Write(p []byte) (int, error) { return c.gathered.add(p), nil }

// Read implements net.Conn.
func (c coalescing) Read(p []byte) (int, error) { return c.gathered.read(p) }

// gathering is what is to be written to a connection or a stream the next time that its reader has nothing left to read.
type gathering struct {
	to   io.ReadWriter
	idle func() // nil, or what is called before that: it may have more to write

	mu      sync.Mutex
	pending []byte
}

func (g *gathering) add(p []byte) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending = append(g.pending, p...)
	return len(p)
}

func (g *gathering) read(p []byte) (int, error) {
	if err := g.flush(); err != nil {
		return 0, err
	}
	return g.to.Read(p)
}

func (g *gathering) flush() error {
	if g.idle != nil {
		g.idle()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) == 0 {
		return nil
	}
	_, err := g.to.Write(g.pending)
	g.pending = g.pending[:0]
	return err
}

// What is read of a stream at once, and how long a frame may be.
const (
	streamBuffer = 4 << 10
	maxFrame     = 1 << 20
)

// frames has take take all whole frames that each read has brought.
func (g *gathering) frames(take func([]byte)) error {
	buffer, have := make([]byte, streamBuffer), 0
	for {
		n, err := g.read(buffer[have:])
		have += n
		whole, longest := cut(buffer[:have])
		if longest > maxFrame {
			return errLong
		}
		if whole > 0 {
			take(buffer[:whole])
		}
		if err != nil {
			return err
		}
		have = copy(buffer, buffer[whole:have])
		if longest > len(buffer) {
			buffer = append(make([]byte, 0, longest), buffer[:have]...)[:longest]
		}
	}
}

// cut is how many bytes are whole frames, and how long the next one is, or at least how long its header.
func cut(b []byte) (whole, next int) {
	const header = 4
	for {
		rest := b[whole:]
		if len(rest) < header {
			return whole, header
		}
		next = header + int(binary.BigEndian.Uint32(rest))
		if next > len(rest) {
			return whole, next
		}
		whole += next
	}
}
