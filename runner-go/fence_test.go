package runner_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// leased announces every feature and a lease of 15 s, of which the last 3 are the margin.
func leased(m *runnerv1alpha1.Welcome) {
	resilient(m)
	m.LeaseMs, m.MarginMs = 15000, 3000
}

// pinged is the nonce of the next ping of a muted peer.
func (p *peer) pinged() uint64 {
	p.t.Helper()
	select {
	case nonce := <-p.pings:
		return nonce
	case <-time.After(time.Minute):
		p.t.Fatal("no ping")
		return 0
	}
}

// lapsed is the end of a session whose lease has ended: Goodbye, and nothing else.
func (p *peer) lapsed() {
	p.t.Helper()
	if g := expect[*commonv1alpha1.Goodbye](p); g.Code != "runner.session_lost" {
		p.t.Errorf("goodbye %v", g)
	}
	if m := p.next(); m != nil {
		p.t.Errorf("then %s", show(m))
	}
}

// [LEASE-2] [LEASE-3]
func TestPastItsLeaseARunnerBeginsNoTurnAndWritesNothing(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(leased) // its Pongs renew nothing
		ref := p.created("world")
		p.call(ref, 1, "wait", 13_000) // ends within the margin
		pass(11 * time.Second)
		p.call(ref, 2, "do", "late")
		p.silent()
		pass(1500 * time.Millisecond)
		p.send(&commonv1alpha1.Ping{Nonce: 42})
		steps <- func(*World, context.Context) { d.add("do") }
		pass(1500 * time.Millisecond)
		p.silent()
		if got := d.text(); !strings.HasSuffix(got, "onWake") {
			t.Errorf("diary %s", got)
		}
		p.lapsed() // at 15 s
		q, hello := s.accept()
		if hello.Resume != nil || !hello.Hosting {
			t.Errorf("hello %v", hello)
		}
		w := defaultWelcome()
		leased(w)
		q.send(w)
		offer := q.offered(1)[0]
		q.silent()
		if got := d.text(); !strings.HasSuffix(got, "onWake") {
			t.Errorf("diary %s", got)
		}
		ref = q.adopt(offer, 1)
		q.call(ref, 1, "get")
		result[int](q, 1)
		if got := d.text(); !strings.HasSuffix(got, "onWake do") {
			t.Errorf("diary %s", got)
		}
		q.silent()
	})
}

// [LEASE-1]
func TestAPongWithALeaseKeepsTheRunnerGoing(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome(leased)
		p.leaseMs.Store(15000)
		ref := p.created("world")
		pass(time.Hour)
		p.call(ref, 1, "get")
		for m := p.next(); ; m = p.next() { // wishes to sleep come first
			if _, answer := m.(*wire.CallResult); answer {
				break
			}
		}
	})
}

// [LEASE-2] [LEASE-3]
func TestALatePongRevivesALeaseBeforeItsEndOnly(t *testing.T) {
	for _, revived := range []bool{true, false} {
		run(t, func(t *testing.T) {
			s := newStage(t, defineWorld(&diary{}, nil))
			p := s.welcome(leased, func(m *runnerv1alpha1.Welcome) { m.LeaseMs = 14_000 })
			ref := p.created("world")
			synctest.Wait()
			p.mute.Store(true)
			for range 2 {
				p.pinged()
			}
			nonce := p.pinged() // sent at 9 s
			pass(3500 * time.Millisecond)
			p.call(ref, 1, "get")
			p.silent()
			if !revived {
				pass(2 * time.Second) // 14.5 s
			}
			p.send(&runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: 14_000})
			if revived {
				result[int](p, 1)
				p.call(ref, 2, "get")
				result[int](p, 2)
				return
			}
			p.silent()
			p.lapsed()
			s.afresh(p).offered(1)
		})
	}
}

// [LEASE-1] A Pong that comes late counts from its Ping, and a Pong that names no lease changes nothing.
func TestALeaseCountsFromItsPing(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineWorld(&diary{}, nil)).welcome(leased)
		ref := p.created("world")
		synctest.Wait()
		p.mute.Store(true)
		nonce := p.pinged() // sent at 3 s
		pass(8 * time.Second)
		p.send(&runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: 15_000}, &runnerv1alpha1.Pong{Nonce: nonce}, &runnerv1alpha1.Pong{Nonce: 1 << 40, LeaseMs: 15_000})
		pass(3900 * time.Millisecond)
		p.call(ref, 1, "get")
		result[int](p, 1)
		pass(200 * time.Millisecond) // 15.1 s
		p.call(ref, 2, "get")
		p.silent()
	})
}

// [LEASE-3] [LINK-16]
func TestALeaseThatEndsWithoutASocketEndsTheSession(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(leased)
		p.created("world")
		synctest.Wait()
		s.refuse.Store(true)
		p.cut()
		pass(11 * time.Second)
		steps <- func(*World, context.Context) { d.add("in time") }
		pass(2 * time.Second)
		steps <- func(*World, context.Context) { d.add("too late") }
		pass(3 * time.Second)
		s.refuse.Store(false)
		q, hello := s.accept()
		if hello.Resume != nil || !hello.Hosting {
			t.Errorf("hello %v", hello)
		}
		if got := d.text(); !strings.HasSuffix(got, "onWake in time") {
			t.Errorf("diary %s", got)
		}
		_ = q.conn.Close()
		s.refuse.Store(true)
		pass(14 * time.Second) // one lease after the end
		if got := d.text(); !strings.HasSuffix(got, "onWake in time run:"+runner.ErrStopped.Error()) {
			t.Errorf("diary %s", got)
		}
		s.refuse.Store(false)
		if _, hello = s.accept(); hello.Hosting {
			t.Errorf("hello %v", hello)
		}
	})
}

// [LEASE-3] A gateway that resumes a session whose lease has ended meanwhile is told that it is over.
func TestASessionIsNotResumedPastItsLease(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(leased)
		p.created("world")
		pass(8 * time.Second)
		p.cut()
		q, hello := s.next(p)
		pass(8 * time.Second)
		w := defaultWelcome()
		leased(w)
		w.ResumedReceived = new(uint64)
		*w.ResumedReceived = q.received.Load()
		q.send(w, &runnerv1alpha1.Resumed{Next: hello.Resume.Received + 1})
		q.lapsed()
		s.afresh(p).offered(1)
	})
}

// [LEASE-1] A session that is resumed has the lease that it had; the runner asks for another at once.
func TestAResumedSessionAsksForALeaseAtOnce(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(leased)
		ref := p.created("world")
		pass(10 * time.Second)
		p.cut()
		q, hello := s.next(p)
		q.mute.Store(true)
		s.goOn(q, hello)
		begun := time.Now()
		nonce := q.pinged()
		if time.Since(begun) != 0 {
			t.Errorf("asked after %v", time.Since(begun))
		}
		pass(2500 * time.Millisecond) // 12.5 s since Hello
		q.call(ref, 1, "get")
		q.silent()
		q.send(&runnerv1alpha1.Pong{Nonce: nonce, LeaseMs: 15_000})
		result[int](q, 1)
	})
}
