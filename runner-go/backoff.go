package runner

import (
	"math/rand/v2"
	"sync"
	"time"
)

// backoff is the pause before the next link: random between the minimum and a bound that doubles with each failure up to
// the maximum [LINK-11]. Full jitter keeps runners that lost their gateway together from coming back together.
type backoff struct {
	mu       sync.Mutex
	min, max time.Duration
	failures int
	random   func(n int64) int64 // in [0, n)
}

// Until a Welcome says better.
const (
	defaultBackoffMin = 100 * time.Millisecond
	defaultBackoffMax = 5 * time.Second
)

func defaultBackoff() backoff {
	return backoff{min: defaultBackoffMin, max: defaultBackoffMax, random: rand.Int64N}
}

// welcome takes the gateway's bounds and begins anew.
func (b *backoff) welcome(minMs, maxMs uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
	b.min = milliseconds(minMs, defaultBackoffMin)
	b.max = max(b.min, milliseconds(maxMs, defaultBackoffMax))
}

// longest is the longest pause.
func (b *backoff) longest() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.max
}

func (b *backoff) next() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bound := b.min
	for i := 0; i <= b.failures && bound < b.max; i++ {
		bound = min(2*bound, b.max)
	}
	b.failures++
	return b.min + time.Duration(b.random(int64(bound-b.min)+1))
}
