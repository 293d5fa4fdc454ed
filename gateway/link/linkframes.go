package link

import (
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// pings are the Ping and the Pongs that wait to be written, at most one of each: a peer that pings and does not read costs
// nothing. And the renewal of the lease that pings ask for: one at a time.
type pings struct {
	ping  bool
	pong  *runnerv1alpha1.Pong // answers the newest Ping [LINK-8]
	lease *runnerv1alpha1.Pong // says how far the lease was renewed [LEASE-1]

	renewing bool
	asked    bool   // a Ping came after the renewal had begun
	nonce    uint64 // of the newest one
}

// ping queues a Ping, unless the link has left the socket.
func (l *Link) ping(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pings.ping = true
	c.signal()
	return l.conn == c
}

// pinged answers a Ping, and renews the lease that it asks for.
func (l *Link) pinged(nonce uint64) {
	l.mu.Lock()
	p := &l.pings
	p.pong = &runnerv1alpha1.Pong{Nonce: nonce, NowMs: time.Now().UnixMilli()}
	p.asked, p.nonce = true, nonce
	l.conn.signal()
	l.mu.Unlock()
	l.renew()
}

// renew renews the lease for the newest Ping, one renewal after the other: each begins after the Ping that its Pong names
// had come [LEASE-1].
func (l *Link) renew() {
	l.mu.Lock()
	p := &l.pings
	if p.renewing || !p.asked || l.life != running {
		l.mu.Unlock()
		return
	}
	p.renewing, p.asked = true, false
	nonce := p.nonce
	l.mu.Unlock()
	l.cfg.Host.Renew(l, func(lease time.Duration) { l.renewed(nonce, lease) })
}

func (l *Link) renewed(nonce uint64, lease time.Duration) {
	l.mu.Lock()
	l.pings.renewing = false
	if lease > 0 {
		l.pings.lease = &runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: uint32(lease.Milliseconds()), NowMs: time.Now().UnixMilli()}
		l.conn.signal()
	}
	l.mu.Unlock()
	l.renew()
}

// pushPings queues what waits to be written next. Called with Link.mu held.
func (l *Link) pushPings() {
	p := &l.pings
	if p.ping {
		l.state.PushLink(wire.Runner(&commonv1alpha1.Ping{Nonce: uint64(time.Now().UnixNano()) & wire.MaxID}))
	}
	if p.pong != nil {
		l.state.PushLink(wire.Runner(p.pong))
	}
	if p.lease != nil {
		l.state.PushLink(wire.Runner(p.lease))
	}
	p.ping, p.pong, p.lease = false, nil, nil
}

// acks is the clock of acknowledgements.
type acks struct {
	timer *time.Timer
	set   bool
}

// settle follows frames that were handled: their events have left, and they are to be acknowledged in time [LINK-14].
func (l *Link) settle(c *Conn, now time.Time) {
	if !l.resume && !l.credit {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass()
	if l.conn != c {
		return
	}
	switch due := l.state.AckAt(); {
	case due.IsZero():
	case !due.After(now):
		c.signal()
	case !l.acks.set:
		l.acks.set = true
		l.acks.timer.Reset(due.Sub(now))
	}
}

// ackDue has the writer acknowledge what is due, and waits for the rest.
func (l *Link) ackDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks.set = false
	due := l.state.AckAt()
	if due.IsZero() || l.life == over {
		return
	}
	if wait := time.Until(due); wait > 0 {
		l.acks.set = true
		l.acks.timer.Reset(wait)
		return
	}
	l.conn.signal()
}
