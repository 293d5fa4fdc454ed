package bare

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"
)

// callHead is the slot that a call stands for, before its bytes.
const callHead = 8

// Dial connects so many callers to the relay at address. Their calls are of size bytes.
func Dial(ctx context.Context, address string, connections, size int) (*callers.Callers, error) {
	return callers.Dial(ctx, connections, callers.Options{
		Address: address, Path: "/",
		Protocol: func(int) callers.Protocol { return calling{make([]byte, callHead+size)} },
	})
}

// DialStreams opens so many WebTransport sessions with the HTTP3 at address, each with a stream that calls go on.
func DialStreams(ctx context.Context, through *tunnel.Dialer, address string, sessions, size int) (*callers.Callers, error) {
	return callers.Dial(ctx, sessions, callers.Options{
		Address: address, Path: "/", Through: through,
		Protocol: func(int) callers.Protocol { return framed{calling{make([]byte, callHead+size)}} },
	})
}

// calling is the protocol of a relay: a message is a call, and comes back.
type calling struct{ call []byte }

// Hello implements callers.Protocol.
func (calling) Hello() []byte { return nil }

// Open implements callers.Protocol.
func (calling) Open() []byte { return nil }

// Call implements callers.Protocol.
func (c calling) Call(dst []byte, slot uint64) []byte {
	binary.BigEndian.PutUint64(c.call, slot)
	return append(dst, c.call...)
}

// Take implements callers.Protocol.
func (c calling) Take(message []byte, answered callers.Answered) (reply []byte, err error) {
	if len(message) != len(c.call) {
		return nil, fmt.Errorf("%d bytes came back of %d", len(message), len(c.call))
	}
	answered(binary.BigEndian.Uint64(message), nil)
	return nil, nil
}

// framed is calling for a stream: each call has its length before it.
type framed struct{ calling }

// Call implements callers.Protocol.
func (f framed) Call(dst []byte, slot uint64) []byte {
	return f.calling.Call(binary.BigEndian.AppendUint32(dst, uint32(len(f.call))), slot)
}

// Take implements callers.Protocol.
func (f framed) Take(message []byte, answered callers.Answered) (reply []byte, err error) {
	const header = 4
	for len(message) > 0 && err == nil {
		size := header + int(binary.BigEndian.Uint32(message))
		reply, err = f.calling.Take(message[header:size], answered)
		message = message[size:]
	}
	return reply, err
}
