package runner

import (
	"sync"
	"time"
)

// pool runs the bursts of turns of all actors on goroutines that stay for the next ones: theirs have grown the stacks that
// turns need, and a new goroutine would grow its own each time.
type pool struct {
	workers *sync.WaitGroup // counts these goroutines too

	mu     sync.Mutex
	idle   []chan *instance // of parked goroutines, each of which holds one; the last parked is used first
	least  int              // the fewest that were parked since the last trim: nobody needed them
	trim   *time.Timer      // armed while any is parked
	closed bool
}

const (
	maxParked = 256
	// trimEvery is how long goroutines that nobody needs stay, once or twice.
	trimEvery = 10 * time.Second
)

func newPool(workers *sync.WaitGroup) *pool { return &pool{workers: workers} }

// run works on the actor's mailbox, on another goroutine.
func (p *pool) run(in *instance) {
	p.mu.Lock()
	n := len(p.idle) - 1
	if n < 0 {
		p.mu.Unlock()
		p.workers.Add(1)
		go p.worker(in)
		return
	}
	parked := p.idle[n]
	p.idle = p.idle[:n]
	p.least = min(p.least, n)
	p.mu.Unlock()
	parked <- in
}

// worker ends early where user code ends its goroutine.
func (p *pool) worker(in *instance) {
	defer p.workers.Done()
	next := make(chan *instance, 1)
	for in != nil {
		in.work()
		if !p.park(next) {
			return
		}
		in = <-next // nil: no longer needed
	}
}

func (p *pool) park(next chan *instance) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) == maxParked {
		return false
	}
	p.idle = append(p.idle, next)
	if p.trim == nil {
		p.least = 0
		p.trim = time.AfterFunc(trimEvery, p.trimIdle)
	}
	return true
}

// trimIdle ends the goroutines that were parked all the time since the last trim.
func (p *pool) trimIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.release(p.least)
	p.least = len(p.idle)
	p.trim = nil
	if len(p.idle) > 0 {
		p.trim = time.AfterFunc(trimEvery, p.trimIdle)
	}
}

// release ends the n goroutines that were parked first.
func (p *pool) release(n int) {
	for _, next := range p.idle[:n] {
		next <- nil
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
}

// close ends the parked goroutines, and the others when they have nothing more to do.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.release(len(p.idle))
	if p.trim != nil {
		p.trim.Stop()
	}
}
