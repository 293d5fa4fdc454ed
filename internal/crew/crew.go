// Package crew runs short jobs on goroutines that stay for the next ones: theirs have grown the stacks that the jobs need, and a
// new goroutine would grow its own each time.
//
// runner-go runs the turns of actors on one, gateway/api writes to sockets that have to be waited for. Safe for concurrent use.
package crew

import (
	"sync"
	"time"
)

// Crew is these goroutines. It is made by New.
type Crew[J any] struct {
	do      func(J)
	running *sync.WaitGroup // counts these goroutines

	mu     sync.Mutex
	idle   []chan J    // of parked goroutines, each of which holds one; the last parked is used first
	least  int         // the fewest that were parked since the last trim: nobody needed them
	trim   *time.Timer // armed while any is parked
	closed bool
}

const (
	maxParked = 256
	// trimEvery is how long goroutines that nobody needs stay, once or twice.
	trimEvery = 10 * time.Second
)

// New makes a Crew for jobs that do does. A job may end its goroutine. running counts the goroutines; Close lets them end.
func New[J any](running *sync.WaitGroup, do func(J)) *Crew[J] {
	return &Crew[J]{do: do, running: running}
}

// Run has a job done on another goroutine.
func (c *Crew[J]) Run(job J) {
	c.mu.Lock()
	n := len(c.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		c.running.Add(1)
		go c.work(job)
		return
	}
	parked := c.idle[n]
	c.idle = c.idle[:n]
	c.least = min(c.least, n)
	c.mu.Unlock()
	parked <- job
}

func (c *Crew[J]) work(job J) {
	defer c.running.Done()
	next := make(chan J, 1)
	for more := true; more; job, more = <-next {
		c.do(job)
		if !c.park(next) {
			return
		}
	}
}

func (c *Crew[J]) park(next chan J) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) == maxParked {
		return false
	}
	c.idle = append(c.idle, next)
	if c.trim == nil {
		c.least = 0
		c.trim = time.AfterFunc(trimEvery, c.trimIdle)
	}
	return true
}

// trimIdle ends the goroutines that were parked all the time since the last trim.
func (c *Crew[J]) trimIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.release(c.least)
	c.least = len(c.idle)
	c.trim = nil
	if len(c.idle) > 0 {
		c.trim = time.AfterFunc(trimEvery, c.trimIdle)
	}
}

// release ends the n goroutines that were parked first.
func (c *Crew[J]) release(n int) {
	for _, next := range c.idle[:n] {
		close(next)
	}
	left := copy(c.idle, c.idle[n:])
	clear(c.idle[left:])
	c.idle = c.idle[:left]
}

// Close ends the parked goroutines, and the others when they have nothing more to do. Jobs that come later are done all the same.
func (c *Crew[J]) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.release(len(c.idle))
	if c.trim != nil {
		c.trim.Stop()
	}
}
