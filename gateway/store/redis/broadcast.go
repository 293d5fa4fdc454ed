package redis

import (
	"sync/atomic"
)

// broadcast wakes everybody who waits for news.
type broadcast struct{ next atomic.Pointer[chan struct{}] }

func (b *broadcast) init() {
	c := make(chan struct{})
	b.next.Store(&c)
}

// announced is closed by the next announce.
func (b *broadcast) announced() <-chan struct{} { return *b.next.Load() }

func (b *broadcast) announce() {
	c := make(chan struct{})
	close(*b.next.Swap(&c))
}

type atomicTopology = atomic.Pointer[topology]
