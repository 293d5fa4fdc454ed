package planeg

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Case is one case of plane G.
type Case struct {
	ID    string
	Title string
	// Requirements are the ids that the case is about, each with the hash of the text it was written for: `GATE-1:971e32`.
	Requirements []string
	// Alone: the case has a gateway of its own, which it may restart or break.
	Alone bool
	// Slow: it waits for a time-out of ten seconds or so.
	Slow bool
	// Tokens: it needs a gateway that asks for them.
	Tokens bool
	// Admin: it does what only admins may; a gateway that asks for tokens takes theirs.
	Admin bool
	// WebTransport: it needs a gateway that has that, whatever the run's clients speak.
	WebTransport bool

	scope scope
	run   func(*play)
}

// play is one run of a case. Its methods that check end the case's goroutine where the check fails, as tests do.
type play struct {
	ctx                      context.Context
	gateway                  *Gateway
	ways                     ways
	startTimeout             time.Duration
	kind                     string // actor type
	runnerToken, clientToken string
	adminToken               string
	factor                   float64
	recorder                 *trace.Recorder
	numbers                  atomic.Uint64
	sockets                  atomic.Uint32
	clients                  atomic.Uint32 // over the run's transport
	asked                    atomic.Uint32 // over HTTP

	mu   sync.Mutex
	code string
	why  string
	ends []func()
}

var runs atomic.Uint64

// perform runs the case and says what it came to.
func perform(p *play, c *Case) (status verdict.Status, code, why string) {
	p.kind = fmt.Sprintf("%s-%d", strings.ToLower(c.ID), runs.Add(1))
	p.recorder = trace.NewRecorder(nil)
	p.recorder.In(c.ID)
	passed := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.end()
		c.run(p)
		passed = true
	}()
	<-done
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case passed && p.why == "":
		return verdict.Pass, "", ""
	case p.ctx.Err() != nil:
		return verdict.Unknown, c.ID + "/interrupted", "the run was interrupted"
	case !p.gateway.Alive():
		return verdict.Fail, c.ID + "/alive", "the gateway has ended: " + p.why
	}
	return verdict.Fail, c.ID + "/" + p.code, p.why
}

// failf ends the case. Only its own goroutine calls it.
func (p *play) failf(code, format string, args ...any) {
	p.mu.Lock()
	if p.why == "" {
		p.code, p.why = code, fmt.Sprintf(format, args...)
	}
	p.mu.Unlock()
	runtime.Goexit()
}

// check ends the case unless that holds.
func (p *play) check(holds bool, code, format string, args ...any) {
	if !holds {
		p.failf(code, format, args...)
	}
}

// note puts what is no runner's frame into the trace.
func (p *play) note(format string, args ...any) {
	p.recorder.Add(&trace.Event{Happening: trace.StepBegan, Note: fmt.Sprintf(format, args...)})
}

func (p *play) atEnd(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, f)
}

func (p *play) end() {
	p.mu.Lock()
	ends := p.ends
	p.mu.Unlock()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
}

// next is a number that the case has not used.
func (p *play) next() uint64 { return p.numbers.Add(1) }

// unique is a name that no other case uses.
func (p *play) unique(what string) string { return fmt.Sprintf("%s-%s-%d", p.kind, what, p.next()) }

func (p *play) patience(d time.Duration) time.Duration { return time.Duration(float64(d) * p.factor) }

// wait lets so much time go by, as the gateway asked for.
func (p *play) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
}
