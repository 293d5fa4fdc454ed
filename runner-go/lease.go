package runner

import (
	"sync"
	"sync/atomic"
	"time"
)

// instant is a moment on two clocks, in nanoseconds: a steady one, which may stand still while the machine is suspended, and
// the wall clock, which may be set. What has passed between two instants is the larger of both, so that no suspension goes
// unnoticed [LEASE-2].
type instant struct{ steady, wall int64 }

var processBegan = time.Now()

// steady is the monotonic clock: it measures what does not matter beyond this process.
func steady() int64 { return int64(time.Since(processBegan)) }

func now() instant { return instantOf(time.Now()) }

func instantOf(t time.Time) instant {
	return instant{steady: int64(t.Sub(processBegan)), wall: t.UnixNano()}
}

func (t instant) since(from instant) time.Duration {
	return time.Duration(max(t.steady-from.steady, t.wall-from.wall))
}

// lease is the runner's right to host the actors of a session. It is compared with the clock whenever it matters; no timer
// decides [LEASE-2]. Safe for concurrent use.
type lease struct {
	margin time.Duration
	term   atomic.Pointer[term] // nil: the gateway gives no leases, and the right does not end
	lapsed atomic.Bool          // for good [LEASE-3]

	mu    sync.Mutex
	nonce uint64
	asked [8]asking // the last pings, by nonce
}

// term is how long a lease lasts.
type term struct {
	from   instant
	length time.Duration
}

// asking is a Ping, which a Pong may answer with a lease from its sending on [LEASE-1].
type asking struct {
	nonce uint64
	at    instant
}

// defaultMargin is for a Welcome that has none.
const defaultMargin = 3 * time.Second

// newLease is the lease of a Welcome whose Hello was sent at from.
func newLease(leaseMs, marginMs uint32, from instant) *lease {
	l := &lease{}
	if leaseMs > 0 {
		t := &term{from: from, length: milliseconds(leaseMs, 0)}
		l.margin = min(milliseconds(marginMs, defaultMargin), t.length/2)
		l.term.Store(t)
	}
	return l
}

func (t *term) left(at instant) time.Duration { return t.length - at.since(t.from) }

// holdsAt tells whether turns may begin and frames may be written at that time.
func (l *lease) holdsAt(at instant) bool {
	t := l.term.Load()
	return t == nil || !l.endedAt(at) && t.left(at) > l.margin
}

// clock is the time for mayBegin. Where no lease depends on it the wall clock is not read, which costs as much again.
func (l *lease) clock() time.Time {
	if l.term.Load() == nil {
		return processBegan.Add(time.Since(processBegan))
	}
	return time.Now()
}

// ended tells whether the lease is over, which it then stays.
func (l *lease) ended() bool { return l.endedAt(now()) }

func (l *lease) endedAt(at instant) bool {
	if t := l.term.Load(); t != nil && t.left(at) <= 0 {
		l.lapsed.Store(true)
	}
	return l.lapsed.Load()
}

// ask notes a Ping that is about to be sent, and gives its nonce.
func (l *lease) ask(at instant) (nonce uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nonce++
	l.asked[l.nonce%uint64(len(l.asked))] = asking{l.nonce, at}
	return l.nonce
}

// renew takes a Pong that came at the given time. revived: turns may begin again. A lease that has ended stays so
// [LEASE-3].
func (l *lease) renew(nonce uint64, leaseMs uint32, at instant) (revived bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.term.Load()
	asked := l.asked[nonce%uint64(len(l.asked))]
	if before == nil || leaseMs == 0 || nonce == 0 || asked.nonce != nonce || l.endedAt(at) {
		return false
	}
	after := &term{from: asked.at, length: milliseconds(leaseMs, 0)}
	if after.left(at) <= before.left(at) {
		return false
	}
	l.term.Store(after)
	return before.left(at) <= l.margin && after.left(at) > l.margin
}
