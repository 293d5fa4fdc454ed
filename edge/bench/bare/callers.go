package bare

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
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

// calling is the protocol of a relay: a message is a call, and comes back.
type calling struct{ call []byte }

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
