// Package websocket is a small WebSocket (RFC 6455) for a peer that has to misbehave: whoever writes chooses the opcode, the
// fragments and the chunks in which bytes reach the socket. It takes no extensions.
//
// The virtual gateway accepts runners with it, scripted peers dial gateways. One goroutine may read and any may write.
package websocket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Opcode says what a WebSocket frame is.
type Opcode byte

// The opcodes of RFC 6455.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

// MaxMessage bounds a message that is read.
const MaxMessage = 64 << 20

// ErrProtocol is wrapped by breaches of RFC 6455 by the other side.
var ErrProtocol = errors.New("WebSocket protocol")

// CloseError is a Close frame of the other side.
type CloseError struct {
	Code   int // 1005: none was given
	Reason string
}

func (e *CloseError) Error() string { return fmt.Sprintf("closed with %d %s", e.Code, e.Reason) }

// Conn is one WebSocket.
type Conn struct {
	net    net.Conn
	reader *bufio.Reader
	client bool // writes masked frames and reads bare ones

	mu       sync.Mutex
	chunk    int
	fragment int
}

// Shape sets how messages are written from now on: bytes at most at a time in one write to the socket, and bytes at most in
// one WebSocket frame; 0: no bound.
func (c *Conn) Shape(chunk, fragment int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chunk, c.fragment = chunk, fragment
}

// Read reads the next message. Pings are answered and pongs passed over.
func (c *Conn) Read() (Opcode, []byte, error) {
	var kind Opcode
	var message []byte
	for {
		fin, op, payload, err := c.readFrame(MaxMessage - len(message))
		if err != nil {
			return 0, nil, err
		}
		switch {
		case op >= Close:
			if err := c.control(op, payload, fin); err != nil {
				return 0, nil, err
			}
			continue
		case (op == Continuation) != (kind != 0):
			return 0, nil, fmt.Errorf("%w: opcode %d at this place", ErrProtocol, op)
		case op != Continuation:
			kind = op
		}
		message = append(message, payload...)
		if fin {
			return kind, message, nil
		}
	}
}

func (c *Conn) control(op Opcode, payload []byte, fin bool) error {
	if !fin || len(payload) > 125 {
		return fmt.Errorf("%w: a control frame that is long or in fragments", ErrProtocol)
	}
	switch op {
	case Ping:
		return c.Write(Pong, payload)
	case Pong:
		return nil
	case Close:
		if len(payload) < 2 {
			return &CloseError{Code: 1005}
		}
		return &CloseError{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
	default:
		return fmt.Errorf("%w: opcode %d", ErrProtocol, op)
	}
}

func (c *Conn) readFrame(limit int) (fin bool, op Opcode, payload []byte, err error) {
	var head [14]byte
	if _, err := io.ReadFull(c.reader, head[:2]); err != nil {
		return false, 0, nil, err
	}
	fin, op = head[0]&0x80 != 0, Opcode(head[0]&0x0f)
	masked, size := head[1]&0x80 != 0, uint64(head[1]&0x7f)
	if head[0]&0x70 != 0 || masked == c.client {
		return false, 0, nil, fmt.Errorf("%w: reserved bits, or a mask on the wrong side", ErrProtocol)
	}
	if extra := map[uint64]int{126: 2, 127: 8}[size]; extra > 0 {
		var wide [8]byte
		if _, err := io.ReadFull(c.reader, wide[8-extra:]); err != nil {
			return false, 0, nil, unexpected(err)
		}
		size = binary.BigEndian.Uint64(wide[:])
	}
	if size > uint64(limit) {
		return false, 0, nil, fmt.Errorf("%w: a message of more than %d bytes", ErrProtocol, MaxMessage)
	}
	var mask [4]byte
	if masked {
		if _, err := io.ReadFull(c.reader, mask[:]); err != nil {
			return false, 0, nil, unexpected(err)
		}
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(c.reader, payload); err != nil {
		return false, 0, nil, unexpected(err)
	}
	if masked {
		apply(mask, payload)
	}
	return fin, op, payload, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func apply(mask [4]byte, b []byte) {
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// Write writes a message.
func (c *Conn) Write(op Opcode, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(payload)
	if c.fragment > 0 && op < Close {
		size = c.fragment
	}
	var out []byte
	for first := true; first || len(payload) > 0; first = false {
		n := min(size, len(payload))
		out = c.appendFrame(out, op, payload[:n], n == len(payload))
		op, payload = Continuation, payload[n:]
	}
	return c.flush(out)
}

func (c *Conn) appendFrame(out []byte, op Opcode, payload []byte, fin bool) []byte {
	head := byte(op)
	if fin {
		head |= 0x80
	}
	mask := byte(0)
	if c.client {
		mask = 0x80
	}
	out = append(out, head)
	switch n := len(payload); {
	case n < 126:
		out = append(out, mask|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), uint64(n))
	}
	if c.client { // a mask of zeros is legal, and the suite has no proxies to protect
		out = append(out, 0, 0, 0, 0)
	}
	return append(out, payload...)
}

func (c *Conn) flush(out []byte) error {
	size := len(out)
	if c.chunk > 0 {
		size = c.chunk
	}
	for len(out) > 0 {
		n := min(size, len(out))
		if _, err := c.net.Write(out[:n]); err != nil {
			return fmt.Errorf("write to the socket: %w", err)
		}
		out = out[n:]
	}
	return nil
}

// WriteClose writes a Close frame.
func (c *Conn) WriteClose(code int, reason string) error {
	return c.Write(Close, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

// Close closes the socket without a word.
func (c *Conn) Close() error { return c.net.Close() }

// NetConn is the socket below.
func (c *Conn) NetConn() net.Conn { return c.net }
