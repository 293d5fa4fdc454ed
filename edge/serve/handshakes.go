package serve

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// handshakes counts those of QUIC that are under way. Anybody can begin one with a packet, under any address, and it costs
// memory until it has come to its end, or its time is up.
type handshakes struct{ underWay atomic.Int64 }

const (
	// trustedHandshakes are under way before a client has to show that it is at its address, by a round trip more (Retry).
	trustedHandshakes = 256
	// maxHandshakes are under way at most; others are refused.
	maxHandshakes = 4096
)

var errManyHandshakes = errors.New("too many QUIC handshakes are under way")

// doubted tells whether the next client has to show where it is.
func (h *handshakes) doubted(net.Addr) bool { return h.underWay.Load() >= trustedHandshakes }

// begin counts the handshake of a connection until greeted, or the end of its context.
func (h *handshakes) begin(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if h.underWay.Add(1) > maxHandshakes {
		h.underWay.Add(-1)
		return nil, errManyHandshakes
	}
	over := sync.OnceFunc(func() { h.underWay.Add(-1) })
	context.AfterFunc(ctx, over)
	return context.WithValue(ctx, handshakeKey{}, over), nil
}

type handshakeKey struct{}

// greeted ends the handshake of a connection with that context.
func greeted(ctx context.Context) {
	if over, ok := ctx.Value(handshakeKey{}).(func()); ok {
		over()
	}
}
