// Package wire turns bytes into messages and back: framing, the envelopes of the client and the runner protocol, parts,
// the order of writing, limits, negotiation and error codes.
//
// It does no I/O, has no clock and logs nothing; the sockets live with its callers (gateway/link, gateway/session,
// runner-go, clients/go). The messages of the hot path (calls, results, commits, events) are encoded by hand and alias
// the bytes they were decoded from; all others are the generated ones. Types here are not safe for concurrent use
// unless they say so. Requirements: FRAME, LINK-2 to LINK-4, ERR.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Sizes of framing, in bytes.
const (
	// HeaderLen is the length prefix of a frame [FRAME-1].
	HeaderLen = 4
	// MaxLinkFrame bounds link frames, kinds 100 to 127 [LINK-2].
	MaxLinkFrame = 4 << 10
	// MaxStep is how much of one actor is written before the next one's turn, and the most a Part holds [LINK-3].
	MaxStep = 64 << 10
	// MaxID bounds ids, connection numbers and refs [FRAME-7].
	MaxID = 1<<53 - 1
)

// Framing faults: they cost the socket [FRAME-2].
var (
	// ErrIncomplete: more bytes are needed; not a fault on a stream.
	ErrIncomplete = errors.New("incomplete frame")
	// ErrEmptyFrame: a frame of length 0.
	ErrEmptyFrame = errors.New("frame of length 0")
	// ErrFrameTooLarge: the length exceeds the limit.
	ErrFrameTooLarge = errors.New("frame exceeds the limit")
)

// ErrMalformed is wrapped by every decoding error below the framing [FRAME-3].
var ErrMalformed = errors.New("malformed message")

// Kind is the field number of a message in its protocol's Frame.
type Kind uint32

// IsLink tells whether frames of the kind are link frames: uncounted, sent first [LINK-2].
func (k Kind) IsLink() bool { return k >= 100 && k <= 127 }

// Frame is a frame whose envelope was read: what it is, and the still encoded message.
type Frame struct {
	Kind Kind
	Body []byte
}

// Message is anything that can be written as a frame.
type Message interface {
	// Kind is the message's number in its protocol.
	Kind() Kind
	// Size is the length of what AppendTo appends.
	Size() int
	// AppendTo appends the encoded message, without envelope.
	AppendTo([]byte) []byte
}

// AppendMessage appends m as one frame with its length prefix.
func AppendMessage(dst []byte, m Message) []byte {
	size := m.Size()
	return appendFrame(dst, m, size, envelopeSize(m.Kind(), size))
}

func appendFrame(dst []byte, m Message, size, envelope int) []byte {
	return appendEnvelope(binary.BigEndian.AppendUint32(dst, uint32(envelope)), m, size)
}

// FrameSize is how long the frame of m is, without its length prefix.
func FrameSize(m Message) int { return envelopeSize(m.Kind(), m.Size()) }

func envelopeSize(kind Kind, body int) int {
	return protowire.SizeTag(protowire.Number(kind)) + protowire.SizeBytes(body)
}

func appendEnvelope(dst []byte, m Message, size int) []byte {
	dst = protowire.AppendTag(dst, protowire.Number(m.Kind()), protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	return m.AppendTo(dst)
}

// NextFrame cuts the first frame off b. The length is checked against limit before anything else [FRAME-2].
func NextFrame(b []byte, limit int) (frame, rest []byte, err error) {
	if len(b) < HeaderLen {
		return nil, b, ErrIncomplete
	}
	n := binary.BigEndian.Uint32(b)
	if err := CheckLength(n, limit); err != nil {
		return nil, b, err
	}
	if uint64(len(b)-HeaderLen) < uint64(n) {
		return nil, b, ErrIncomplete
	}
	end := HeaderLen + int(n)
	return b[HeaderLen:end:end], b[end:], nil
}

// CheckLength checks a length prefix before anything is allocated for it. The limit bounds the frame with the prefix [FRAME-2].
func CheckLength(n uint32, limit int) error {
	if n == 0 {
		return ErrEmptyFrame
	}
	if size := uint64(n) + HeaderLen; size > uint64(limit) || size > math.MaxInt32 {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrFrameTooLarge, size, limit)
	}
	return nil
}

// ParseFrame reads the envelope of a frame. The body aliases b. As protobuf has it, the last kind counts, and repeats
// of one kind merge, which for messages is concatenation.
func ParseFrame(b []byte) (Frame, error) {
	var f Frame
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return Frame{}, malformed("frame envelope", n)
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return Frame{}, malformed("frame envelope", n)
			}
			b = b[n:]
			continue
		}
		body, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return Frame{}, malformed("frame envelope", n)
		}
		b = b[n:]
		if f.Kind == Kind(num) {
			body = append(f.Body[:len(f.Body):len(f.Body)], body...)
		}
		f = Frame{Kind: Kind(num), Body: body}
	}
	if f.Kind == 0 {
		return Frame{}, fmt.Errorf("%w: the frame names no kind", ErrMalformed)
	}
	return f, nil
}

func malformed(what string, n int) error {
	return fmt.Errorf("%w: %s: %w", ErrMalformed, what, protowire.ParseError(n))
}
