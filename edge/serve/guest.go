package serve

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// guests are clients' QUIC connections. One that has had no request under way for a while is closed, and so is the one that has
// been idle longest when there are too many: no file descriptors bound them. A request that has not come whole is none: http3 has
// no time-out for the head of a request, and counts it as one.
type guests struct {
	wait time.Duration
	most int

	mu   sync.Mutex
	idle list.List // of *guest
}

// maxIdleGuests is how many may be idle, a few tens of kilobytes each.
const maxIdleGuests = 10_000

type guest struct {
	of   *guests
	conn *quic.Conn
	// session: there is one of WebTransport.
	session atomic.Bool

	// Guarded by guests.mu.
	requests int
	served   bool          // there was a request
	place    *list.Element // in idle; nil: it is not
	expiry   *time.Timer
	left     bool
}

type guestKey struct{}

// receive makes a guest of a connection, which the contexts of its requests have. It is the ConnContext of the server.
func (all *guests) receive(ctx context.Context, conn *quic.Conn) context.Context {
	g := &guest{of: all, conn: conn}
	all.mu.Lock()
	g.expiry = time.AfterFunc(all.wait, func() { all.part(g) })
	crowded := all.sit(g)
	all.mu.Unlock()
	all.part(crowded)
	context.AfterFunc(conn.Context(), g.leave)
	return context.WithValue(ctx, guestKey{}, g)
}

func guestOf(ctx context.Context) *guest { return ctx.Value(guestKey{}).(*guest) }

// sit notes that a guest is idle, and returns who is to go for it; nil: nobody. With the lock held.
func (all *guests) sit(g *guest) (crowded *guest) {
	g.place = all.idle.PushBack(g)
	g.expiry.Reset(all.wait)
	if all.idle.Len() > all.most {
		return all.idle.Front().Value.(*guest)
	}
	return nil
}

// rise notes that a guest is not idle. With the lock held.
func (all *guests) rise(g *guest) {
	g.expiry.Stop()
	if g.place != nil {
		all.idle.Remove(g.place)
		g.place = nil
	}
}

// part closes the connection of a guest that is idle.
func (all *guests) part(g *guest) {
	if g == nil {
		return
	}
	all.mu.Lock()
	idle := g.place != nil
	all.rise(g)
	all.mu.Unlock()
	if idle {
		_ = g.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "idle") // it may be closed already
	}
}

// count notes that requests have begun, or ended.
func (g *guest) count(n int) {
	all := g.of
	all.mu.Lock()
	g.requests += n
	g.served = true
	all.rise(g)
	var crowded *guest
	if g.requests == 0 && !g.left {
		crowded = all.sit(g)
	}
	all.mu.Unlock()
	all.part(crowded)
}

// leave notes that the connection has ended: nothing is to hold it any more.
func (g *guest) leave() {
	g.of.mu.Lock()
	g.left = true
	g.of.rise(g)
	served := g.served
	g.of.mu.Unlock()
	if !served {
		greetingOf(g.conn.Context()).unserved()
	}
}
