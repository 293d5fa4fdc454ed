package engine

import (
	"sync/atomic"
	"time"
)

// lag measures how late the machine wakes a goroutine, so that a case that failed for lack of time on a machine without time is
// not held against the runner.
type lag struct {
	most atomic.Int64
	quit chan struct{}
	done chan struct{}
}

func watchLag() *lag {
	l := &lag{quit: make(chan struct{}), done: make(chan struct{})}
	go l.watch()
	return l
}

func (l *lag) watch() {
	defer close(l.done)
	const every = 50 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ticker.C:
			now := time.Now()
			if late := int64(now.Sub(last) - every); late > l.most.Load() {
				l.most.Store(late)
			}
			last = now
		case <-l.quit:
			return
		}
	}
}

func (l *lag) worst() time.Duration { return time.Duration(l.most.Load()) }

func (l *lag) stop() {
	close(l.quit)
	<-l.done
}
