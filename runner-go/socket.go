package runner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// handshakeTimeout bounds dialing, and the way to Welcome.
const handshakeTimeout = 10 * time.Second

// socket is one transport connection as the link sees it: whole frames in, whole frames out. Write is called by one
// goroutine, ReadFrames by another, Close by any.
type socket interface {
	// ReadFrames hands each frame to r, until the socket ends or there is a fault.
	ReadFrames(r receiver) error
	Write(frames []byte) error
	Close()
}

// receiver takes what a socket reads. All its methods are called by the goroutine of ReadFrames.
type receiver interface {
	// limit is the longest frame that may come.
	limit() int
	// frame takes one frame, without its length prefix, of what was read at that time; the bytes are valid during the call
	// only. An error is a fault.
	frame(b []byte, at time.Time) error
	// fault is told of a fault before the socket is closed for it, so that Goodbye can be written [FRAME-6].
	fault(err error)
}

// errFraming is wrapped by faults of a WebSocket's messages; those of the frames themselves are wire's [FRAME-2].
var errFraming = errors.New("framing fault")

// stream is a socket over TCP, TLS, a unix socket or anything in memory: frames follow each other [FRAME-1].
type stream struct{ conn net.Conn }

func (s stream) Close() { _ = s.conn.Close() }

func (s stream) Write(frames []byte) error {
	_, err := s.conn.Write(frames)
	return err
}

// readSize is how much is read at once; frames over it get a buffer of their own.
const readSize = 64 << 10

func (s stream) ReadFrames(r receiver) error {
	buf := make([]byte, readSize)
	have := 0
	for {
		n, readErr := s.conn.Read(buf[have:])
		if have += n; n == 0 && readErr != nil {
			return readErr
		}
		rest, err := cutFrames(buf[:have], r)
		if err != nil {
			r.fault(err)
			return err
		}
		buf = keepRest(buf, rest)
		have = len(rest)
	}
}

// cutFrames hands the whole frames of b to r and returns what is left.
func cutFrames(b []byte, r receiver) (rest []byte, err error) {
	at := time.Now()
	for {
		one, rest, err := wire.NextFrame(b, r.limit())
		if errors.Is(err, wire.ErrIncomplete) {
			return rest, nil
		}
		if err == nil {
			err = r.frame(one, at)
		}
		if err != nil {
			return nil, err
		}
		b = rest
	}
}

// keepRest moves an incomplete frame to the front of a buffer that it fits.
func keepRest(buf, rest []byte) []byte {
	need := readSize
	if len(rest) >= wire.HeaderLen {
		need = max(need, wire.HeaderLen+int(binary.BigEndian.Uint32(rest)))
	}
	if len(buf) < need || len(buf) > readSize && need == readSize {
		buf = append(make([]byte, 0, need), rest...)[:need]
		return buf
	}
	copy(buf, rest)
	return buf
}

// webSocket is a socket over WebSocket: a binary message holds whole frames [FRAME-1].
type webSocket struct {
	gws.BuiltinEventHandler
	conn *gws.Conn
	to   receiver
	err  error // why reading ended
}

// maxMessage of a WebSocket: one write of the other side may hold several frames.
const maxWebSocketMessage = 64 << 20

// upgrade makes the WebSocket handshake on conn, which it owns from then on.
func upgrade(conn net.Conn, url string, header http.Header) (*webSocket, error) {
	s := &webSocket{}
	client, resp, err := gws.NewClientFromConn(s, &gws.ClientOption{
		Addr:               url,
		RequestHeader:      header,
		HandshakeTimeout:   handshakeTimeout,
		ReadMaxPayloadSize: maxWebSocketMessage,
		ReadBufferSize:     readSize,
		CheckUtf8Enabled:   true,
		Logger:             silent{},
	}, conn)
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("%s answered %s", url, resp.Status)
		}
		return nil, fmt.Errorf("WebSocket handshake with %s: %w", url, err)
	}
	s.conn = client
	return s, nil
}

// silent keeps gws from writing to standard error; what it would say comes back as an error.
type silent struct{}

func (silent) Error(...any) {}

func (s *webSocket) Close() { _ = s.conn.NetConn().Close() }

func (s *webSocket) Write(frames []byte) error { return s.conn.WriteMessage(gws.OpcodeBinary, frames) }

func (s *webSocket) ReadFrames(r receiver) error {
	s.to = r
	s.conn.ReadLoop()
	if s.err == nil {
		return io.EOF
	}
	return s.err
}

// OnClose implements gws.Event.
func (s *webSocket) OnClose(_ *gws.Conn, err error) {
	if s.err == nil {
		s.err = err
	}
}

// OnMessage implements gws.Event. It runs on the goroutine of ReadFrames.
func (s *webSocket) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer func() { _ = message.Close() }()
	if s.err != nil {
		return
	}
	if message.Opcode != gws.OpcodeBinary {
		s.fail(fmt.Errorf("%w: a text message", errFraming))
		return
	}
	rest, err := cutFrames(message.Bytes(), s.to)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: a frame cut off by the end of its message", errFraming)
	}
	if err != nil {
		s.fail(err)
	}
}

// fail ends the read loop, when the fault was told.
func (s *webSocket) fail(err error) {
	s.err = err
	s.to.fault(err)
	s.Close()
}
