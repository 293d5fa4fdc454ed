package sockets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// bufferSize is what a socket reads at once; a longer message gets a buffer of its own.
const bufferSize = 2048

// maxMessage is far over what the bench lets actors send.
const maxMessage = 16 << 20

// WebSocket headers, RFC 6455 section 5.2.
const (
	finBit     = 0x80
	maskBit    = 0x80
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
	maxControl = 125
)

// socket is one WebSocket. Only the goroutine that opens it, then the one that reads it, use it.
type socket struct {
	conn    net.Conn
	in      *bufio.Reader
	onEvent func(args []byte) // nil: nobody wants them
	event   wire.ClientEvent
	opened  bool
}

func newSocket(conn net.Conn) *socket {
	return &socket{conn: conn, in: bufio.NewReaderSize(conn, bufferSize)}
}

// begin shakes hands and reads up to the message that the connection is open.
func (s *socket) begin(host, path string) error {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3RhZ2Vkb29yIGJlbmNoLg==\r\n" +
		"Sec-WebSocket-Protocol: " + wire.SubprotocolClientProto + "\r\n\r\n"
	if _, err := io.WriteString(s.conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return fmt.Errorf("WebSocket handshake: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("WebSocket handshake: %s: %s", response.Status, text)
	}
	for !s.opened {
		if err := s.message(); err != nil {
			return err
		}
	}
	return nil
}

// read takes messages until the socket ends.
func (s *socket) read() error {
	for {
		if err := s.message(); err != nil {
			return err
		}
	}
}

// message takes one WebSocket message.
func (s *socket) message() error {
	opcode, n, err := s.header()
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	payload, err := s.payload(n)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	switch opcode {
	case opBinary:
		err = s.frames(payload)
	case opPing:
		err = s.write(opPong, payload)
	case opClose:
		err = fmt.Errorf("the server closed the socket: %s", payload[min(2, len(payload)):])
	case opPong:
	default:
		err = fmt.Errorf("a message of opcode %d", opcode)
	}
	if err != nil {
		return err
	}
	if n <= s.in.Size() {
		_, err = s.in.Discard(n)
	}
	return err
}

// header reads the header of a message, which must be whole and unmasked.
func (s *socket) header() (opcode byte, n int, err error) {
	head, err := s.in.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	opcode, n, size := head[0]&0x0f, int(head[1]), 2
	if head[0] != finBit|opcode || head[1]&maskBit != 0 {
		return 0, 0, errors.New("a message in parts, with extensions, or masked")
	}
	switch n {
	case 126:
		size = 4
		if head, err = s.in.Peek(size); err == nil {
			n = int(binary.BigEndian.Uint16(head[2:]))
		}
	case 127:
		size = 10
		if head, err = s.in.Peek(size); err == nil {
			n = int(min(binary.BigEndian.Uint64(head[2:]), maxMessage+1))
		}
	}
	if err != nil {
		return 0, 0, err
	}
	if n > maxMessage {
		return 0, 0, errors.New("a message that is too long")
	}
	_, err = s.in.Discard(size)
	return opcode, n, err
}

// payload is the next n bytes, which are still to be discarded if the buffer holds them.
func (s *socket) payload(n int) ([]byte, error) {
	if n <= s.in.Size() {
		return s.in.Peek(n)
	}
	long := make([]byte, n)
	_, err := io.ReadFull(s.in, long)
	return long, err
}

// frames takes the frames of one message.
func (s *socket) frames(data []byte) error {
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, maxMessage)
		if err != nil {
			return err
		}
		data = rest
		f, err := wire.ParseFrame(raw)
		if err != nil {
			return err
		}
		if err := s.frame(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) frame(f wire.Frame) error {
	if f.Kind == wire.ClientEventKind {
		if err := s.event.Unmarshal(f.Body); err != nil {
			return err
		}
		if s.onEvent != nil {
			s.onEvent(s.event.Args)
		}
		return nil
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *clientv1alpha1.Welcome:
	case *clientv1alpha1.ConnectionOpened:
		s.opened = true
	case *commonv1alpha1.Ping:
		pong := wire.Client(&clientv1alpha1.Pong{Nonce: m.GetNonce()})
		return s.write(opBinary, wire.AppendMessage(nil, pong))
	default:
		return fmt.Errorf("an unexpected message: %v", m)
	}
	return nil
}

// write sends a short message. The mask is zero: it is there for proxies, and there is none.
func (s *socket) write(opcode byte, payload []byte) error {
	if len(payload) > maxControl {
		return errors.New("a ping that is too long")
	}
	frame := []byte{finBit | opcode, maskBit | byte(len(payload)), 0, 0, 0, 0}
	_, err := s.conn.Write(append(frame, payload...))
	return err
}
