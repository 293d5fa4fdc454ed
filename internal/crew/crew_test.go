package crew

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func (c *Crew[J]) parked() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

func TestGoroutinesStayForTheNextBurstAndGoWhenNobodyNeedsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		c := New(&running, func(release <-chan struct{}) { <-release })
		many := func(n int) {
			release := make(chan struct{})
			for range n {
				c.Run(release)
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
		}
		many(10)
		many(4)
		if n := c.parked(); n != 10 {
			t.Errorf("%d goroutines are parked after a burst of 10 and one of 4", n)
		}
		for range 50 {
			many(3)
			<-time.After(time.Second)
		}
		if n := c.parked(); n != 3 {
			t.Errorf("%d goroutines are parked after bursts of 3", n)
		}
		<-time.After(time.Minute)
		if n := c.parked(); n != 0 || c.trim != nil {
			t.Errorf("%d goroutines are parked after a minute of rest, timer %v", n, c.trim)
		}
		many(2 * maxParked)
		if n := c.parked(); n != maxParked {
			t.Errorf("%d goroutines are parked", n)
		}
		release := make(chan struct{})
		c.Run(release)
		synctest.Wait()
		c.Close()
		close(release)
		running.Wait()
		c.Run(release)
		running.Wait()
	})
}

func TestAJobMayEndItsGoroutine(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		var running sync.WaitGroup
		c := New(&running, func(struct{}) { runtime.Goexit() })
		for range 3 {
			c.Run(struct{}{})
			running.Wait()
		}
		c.Close()
	})
}
