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
type handshakes struct {
	underWay atomic.Int64
	unserved func() // is told of those that come to nothing
}

const (
	// trustedHandshakes are under way before a client has to show that it is at its address, by a round trip more (Retry).
	trustedHandshakes = 256
	// maxHandshakes are under way at most; others are refused.
	maxHandshakes = 4096
)

var errManyHandshakes = errors.New("too many QUIC handshakes are under way")

// doubted tells whether the next client has to show where it is.
func (h *handshakes) doubted(net.Addr) bool { return h.underWay.Load() >= trustedHandshakes }

// begin counts the handshake of a connection until its greeting ends, with its context at the latest.
func (h *handshakes) begin(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if h.underWay.Add(1) > maxHandshakes {
		h.underWay.Add(-1)
		h.unserved()
		return nil, errManyHandshakes
	}
	g := &greeting{of: h, unserved: sync.OnceFunc(h.unserved)}
	context.AfterFunc(ctx, func() {
		if g.end() {
			g.unserved()
		}
	})
	return context.WithValue(ctx, greetingKey{}, g), nil
}

// greeting is the handshake of one connection.
type greeting struct {
	of       *handshakes
	over     atomic.Bool
	unserved func() // once
}

type greetingKey struct{}

// greetingOf is that of the connection with that context.
func greetingOf(ctx context.Context) *greeting { return ctx.Value(greetingKey{}).(*greeting) }

// end ends the handshake; false: it had ended before.
func (g *greeting) end() bool {
	first := g.over.CompareAndSwap(false, true)
	if first {
		g.of.underWay.Add(-1)
	}
	return first
}
