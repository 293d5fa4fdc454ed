package client

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// partingTime bounds how long the end of a socket waits for a peer that does not read.
const partingTime = time.Second

// socket carries a session over one of the transports. Its goroutines are its own; whoever called serve calls finish.
type socket interface {
	// serve has the session begin on it.
	serve()
	// vitals tells how it fares.
	vitals() *pulse
	// ping sends the n-th Ping of a silence, which counts from 1. It does not block.
	ping(n uint64)
	// finish closes it, waits for its goroutines, and returns what was not written to the end. Politely: what is queued,
	// which ends with a Goodbye, goes out before, if the gateway reads.
	finish(politely bool) []rest
}

// pulse is how a socket fares.
type pulse struct {
	heard   atomic.Int64 // when something last came, Unix nanoseconds
	writing atomic.Int64 // since when a write of what is about no connection is under way, likewise; 0: none

	fault    sync.Once
	lost     chan struct{} // closed after cause and code were set
	cause    error
	code     string      // to say goodbye with; empty: the gateway ended it, or nothing can be said
	unusable atomic.Bool // what came could not be used
}

func (p *pulse) vitals() *pulse { return p }

func (p *pulse) hear(now time.Time) { p.heard.Store(now.UnixNano()) }

// fail notes why the socket is over. The first cause counts. code, if any, is told the gateway.
func (p *pulse) fail(cause error, code string) {
	p.fault.Do(func() {
		p.cause, p.code = cause, code
		close(p.lost)
	})
}

// refuse is fail for what session.receive has returned.
func (p *pulse) refuse(err error) {
	code := ""
	if !errors.Is(err, errRejected) && !errors.Is(err, errGoodbye) {
		p.unusable.Store(true)
		code = CodeRequestInvalidFrame
	}
	p.fail(err, code)
}

// stalled is for how long a write makes no way.
func (p *pulse) stalled(now time.Time) time.Duration {
	since := p.writing.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - since)
}
