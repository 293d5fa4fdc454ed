// Package quota counts what one principal and one client address have under way: sessions, and calls over sessions and
// HTTP [LIMIT-2].
//
// Who has a session, or makes an HTTP request, holds a Client: two pointers to shared counters, so that a call costs no
// lock. gateway/session and gateway/api call it. Safe for concurrent use.
package quota

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Quotas are the counters of one gateway.
type Quotas struct {
	stats       *stats.Stats
	ofPrincipal bounds
	ofAddress   bounds

	mu         sync.Mutex
	principals map[auth.Principal]*share
	addresses  map[netip.Addr]*share
}

// bounds are the most that one share may hold, each with the name of its limit; 0: no limit.
type bounds struct {
	sessions, calls         int64
	sessionsName, callsName string
}

// share is what one principal or one address has under way.
type share struct {
	calls atomic.Int64
	_     [56]byte // what others write is not in this cache line

	sessions, holders int64 // guarded by Quotas.mu
}

// New makes the counters.
func New(l wire.Limits, s *stats.Stats) *Quotas {
	return &Quotas{
		stats:       s,
		ofPrincipal: bounds{int64(l.MaxSessionsPerPrincipal), int64(l.MaxCallsPerPrincipal), stats.MaxSessionsPerPrincipal, stats.MaxCallsPerPrincipal},
		ofAddress:   bounds{int64(l.MaxSessionsPerAddress), int64(l.MaxCallsPerAddress), stats.MaxSessionsPerAddress, stats.MaxCallsPerAddress},
		principals:  map[auth.Principal]*share{}, addresses: map[netip.Addr]*share{},
	}
}

// Client is one holder of a principal's and an address's share.
type Client struct {
	quotas    *Quotas
	key       key
	principal *share
	address   *share
}

type key struct {
	principal auth.Principal
	address   netip.Addr
}

// Of is a holder for a request of the principal, from the address. Drop gives it back.
func (q *Quotas) Of(p auth.Principal, from netip.Addr) *Client {
	k := key{p, subscriber(from)}
	q.mu.Lock()
	defer q.mu.Unlock()
	return &Client{quotas: q, key: k, principal: hold(q.principals, k.principal), address: hold(q.addresses, k.address)}
}

// Session is a holder for a session; session.too_many if there is one too many. Leave, then Drop give it back.
func (q *Quotas) Session(p auth.Principal, from netip.Addr) (*Client, *wire.Error) {
	c := q.Of(p, from)
	q.mu.Lock()
	var reached string
	switch {
	case over(c.principal.sessions, q.ofPrincipal.sessions):
		reached = q.ofPrincipal.sessionsName
	case over(c.address.sessions, q.ofAddress.sessions):
		reached = q.ofAddress.sessionsName
	default:
		c.principal.sessions++
		c.address.sessions++
	}
	q.mu.Unlock()
	if reached != "" {
		c.Drop()
		q.stats.Limit(reached)
		return nil, wire.SessionTooMany.New()
	}
	return c, nil
}

func over(now, most int64) bool { return most > 0 && now >= most }

// Leave says that the session is over; calls of it may still be under way.
func (c *Client) Leave() {
	c.quotas.mu.Lock()
	defer c.quotas.mu.Unlock()
	c.principal.sessions--
	c.address.sessions--
}

// Drop ends the holding, when the session is over and no call is under way: until then the shares live, and count.
func (c *Client) Drop() {
	q := c.quotas
	q.mu.Lock()
	defer q.mu.Unlock()
	drop(q.principals, c.key.principal, c.principal)
	drop(q.addresses, c.key.address, c.address)
}

// Call counts a call; request.too_many if there is one too many. Done ends it.
func (c *Client) Call() *wire.Error {
	q := c.quotas
	if n := c.principal.calls.Add(1); over(n-1, q.ofPrincipal.calls) {
		c.principal.calls.Add(-1)
		return q.tooMany(q.ofPrincipal.callsName)
	}
	if n := c.address.calls.Add(1); over(n-1, q.ofAddress.calls) {
		c.Done()
		return q.tooMany(q.ofAddress.callsName)
	}
	return nil
}

// Done ends a call that Call has counted.
func (c *Client) Done() {
	c.principal.calls.Add(-1)
	c.address.calls.Add(-1)
}

func (q *Quotas) tooMany(name string) *wire.Error {
	q.stats.Limit(name)
	return wire.RequestTooMany.New()
}

func hold[K comparable](m map[K]*share, k K) *share {
	s := m[k]
	if s == nil {
		s = new(share)
		m[k] = s
	}
	s.holders++
	return s
}

func drop[K comparable](m map[K]*share, k K, s *share) {
	if s.holders--; s.holders == 0 && m[k] == s {
		delete(m, k)
	}
}

// subscriber is what counts as one address: an IPv4 address, or the /64 that an IPv6 host chooses its own from.
func subscriber(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	const host = 64
	p, err := a.Prefix(host)
	if err != nil {
		return a
	}
	return p.Addr()
}
