package runner

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// burst is an actor with one turn that waits for release.
func burst(p *pool, release <-chan struct{}) *instance {
	in := &instance{}
	in.home.Store(&session{pool: p, lease: &lease{}, limits: wire.DefaultLimits()})
	in.head = &turn{in: in, kind: turnDo, what: &doing{do: func(context.Context) error { <-release; return nil }, done: make(chan error, 1)}}
	in.tail = in.head
	return in
}

func (p *pool) parked() int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func TestGoroutinesStayForTheNextBurstAndGoWhenNobodyNeedsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var workers sync.WaitGroup
		p := newPool(&workers)
		many := func(n int) {
			release := make(chan struct{})
			for range n {
				p.run(burst(p, release))
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
		}
		many(10)
		many(4)
		if n := p.parked(); n != 10 {
			t.Errorf("%d goroutines are parked after a burst of 10 and one of 4", n)
		}
		for range 50 {
			many(3)
			<-time.After(time.Second)
		}
		if n := p.parked(); n != 3 {
			t.Errorf("%d goroutines are parked after bursts of 3", n)
		}
		<-time.After(time.Minute)
		if n := p.parked(); n != 0 || p.trim != nil {
			t.Errorf("%d goroutines are parked after a minute of rest, timer %v", n, p.trim)
		}
		many(2 * maxParked)
		if n := p.parked(); n != maxParked {
			t.Errorf("%d goroutines are parked", n)
		}
		release := make(chan struct{})
		p.run(burst(p, release))
		synctest.Wait()
		p.close()
		close(release)
		workers.Wait()
		p.run(burst(p, release))
		workers.Wait()
	})
}
