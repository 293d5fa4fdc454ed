// Package frame is the suite's own reading of section 2 of the spec: frames after their length, their kinds, their parts, and
// how the frames of a session are counted.
//
// It works on bytes and does no I/O; the WebSocket under the frames is package websocket. The virtual gateway, the scripted
// peers of the gateway's cases and the monitors use it. Nothing here is safe for concurrent use.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// HeaderLen is the length of what stands before a frame [FRAME-1].
const HeaderLen = 4

// ErrFault is wrapped by framing faults [FRAME-2].
var ErrFault = errors.New("framing fault")

// Append puts a frame with its length behind dst [FRAME-1].
func Append(dst, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// Next cuts the first frame off b, which is a whole WebSocket message or the rest of one. limit bounds the frame with its
// length.
func Next(b []byte, limit int) (body, rest []byte, err error) {
	if len(b) < HeaderLen {
		return nil, nil, fmt.Errorf("%w: %d bytes where a length is due", ErrFault, len(b))
	}
	n := int(binary.BigEndian.Uint32(b))
	switch {
	case n == 0:
		return nil, nil, fmt.Errorf("%w: a frame of length 0", ErrFault)
	case n+HeaderLen > limit:
		return nil, nil, fmt.Errorf("%w: a frame of %d bytes, over the limit of %d", ErrFault, n, limit)
	case n > len(b)-HeaderLen:
		return nil, nil, fmt.Errorf("%w: a frame of %d bytes is cut off after %d", ErrFault, n, len(b)-HeaderLen)
	}
	return b[HeaderLen : HeaderLen+n], b[HeaderLen+n:], nil
}

// Split cuts a WebSocket message into its frames.
func Split(message []byte, limit int) ([][]byte, error) {
	if len(message) == 0 {
		return nil, fmt.Errorf("%w: an empty message", ErrFault)
	}
	var frames [][]byte
	for len(message) > 0 {
		body, rest, err := Next(message, limit)
		if err != nil {
			return frames, err
		}
		frames, message = append(frames, body), rest
	}
	return frames, nil
}

// Kind is the number of a frame's field that says what it is.
type Kind int32

// Kinds that the suite handles by number.
const (
	Part    Kind = 6
	Hello   Kind = 16
	Welcome Kind = 17
	Reject  Kind = 18
)

// Link tells the frames that are uncounted and sent first [LINK-2].
func (k Kind) Link() bool { return k >= 100 && k <= 127 }

// Counted tells the frames that have a number in a session of the runner protocol [LINK-2].
func (k Kind) Counted() bool { return !k.Link() && k != Hello && k != Welcome && k != Reject }

// KindOf reads a frame's kind without knowing it: the last field that holds a message. It is 0 if there is none.
func KindOf(body []byte) (Kind, error) {
	var kind Kind
	for len(body) > 0 {
		number, typ, n := protowire.ConsumeTag(body)
		if n < 0 {
			return 0, fmt.Errorf("read a frame's tag: %w", protowire.ParseError(n))
		}
		body = body[n:]
		if n = protowire.ConsumeFieldValue(number, typ, body); n < 0 {
			return 0, fmt.Errorf("read a frame's field %d: %w", number, protowire.ParseError(n))
		}
		body = body[n:]
		if typ == protowire.BytesType && number < 1000 {
			kind = Kind(number)
		}
	}
	return kind, nil
}
