package runner_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// afresh takes the runner's next socket and begins another session: what p had is lost.
func (s *stage) afresh(p *peer, adjust ...func(*runnerv1alpha1.Welcome)) *peer {
	s.t.Helper()
	q, hello := s.accept()
	if hello.Resume != nil && string(hello.Resume.Session) != p.session {
		s.t.Fatalf("hello %v", hello)
	}
	q.session, q.nextRef = p.session+"+", p.nextRef+1000
	w := defaultWelcome()
	resilient(w)
	w.Session = []byte(q.session)
	for _, f := range adjust {
		f(w)
	}
	q.send(w)
	return q
}

// offered takes the Hosted of one batch.
func (p *peer) offered(n int) []*runnerv1alpha1.HostedActor {
	p.t.Helper()
	m := expect[*runnerv1alpha1.Hosted](p)
	if !m.Last || len(m.Actors) != n {
		p.t.Fatalf("%d actors offered, last %v, want %d", len(m.Actors), m.Last, n)
	}
	return m.Actors
}

// adopt adopts an actor at the version, with connections of these ids, named c<n>, that get the refs n + 1000.
func (p *peer) adopt(offer *runnerv1alpha1.HostedActor, version uint64, conns ...uint64) uint64 {
	p.t.Helper()
	p.nextRef++
	all := []any{&runnerv1alpha1.Adopted{
		Old: offer.Actor, Actor: p.nextRef, Generation: offer.Generation + 1, Nonce: []byte("fedcba9876543210"), Version: version,
		RestoredConnections: uint32(len(conns)),
	}}
	for _, n := range conns {
		all = append(all, restored(p.nextRef, n))
	}
	p.send(all...)
	return p.nextRef
}

func restored(ref, n uint64) *runnerv1alpha1.ConnectionOpen {
	return &runnerv1alpha1.ConnectionOpen{Actor: ref, Connection: n + 1000, ConnectionId: fmt.Sprintf("c%d", n), Restored: true}
}

// lose cuts the socket and has the session lost.
func (s *stage) lose(p *peer, adjust ...func(*runnerv1alpha1.Welcome)) *peer {
	s.t.Helper()
	p.cut()
	return s.afresh(p, adjust...)
}

// withSteps has Run do what a test sends, each step in a turn.
func withSteps(t *runner.Type[World]) chan<- func(w *World, ctx context.Context) {
	steps := make(chan func(w *World, ctx context.Context), 16)
	runner.Run(t, func(w *World, ctx context.Context) error {
		for {
			select {
			case step := <-steps:
				if err := w.Do(ctx, func(ctx context.Context) error { step(w, ctx); return nil }); err != nil {
					w.diary.add("run:%v", err)
					return err
				}
			case <-ctx.Done():
				w.diary.add("run:%v", ctx.Err())
				return nil
			}
		}
	})
	return steps
}

// [LINK-19] [LEASE-4]
func TestAnAdoptedActorKeepsItsMemoryAndItsVersion(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, script{"who": func(w *World, _ context.Context) (any, error) {
			return fmt.Sprint(w.View().N, w.Generation()), nil
		}}))
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "set", 5)
		p.commit(2, 1)
		result[int](p, 1)
		p.ack(ref, 2)
		q := s.lose(p)
		offer := q.offered(1)[0]
		if offer.Id != "eu-101" || offer.Actor != ref || offer.Generation != 1101 || string(offer.Nonce) != "0123456789abcdef" ||
			offer.Version != 2 || offer.Pending != nil {
			t.Errorf("offered %v", offer)
		}
		ref = q.adopt(offer, 2)
		q.call(ref, 1, "do", "who")
		if got := result[string](q, 1); got != "5 1102" {
			t.Errorf("got %s", got)
		}
		q.call(ref, 2, "set", 6)
		q.commit(3, 1)
		result[int](q, 2)
		if strings.Count(d.text(), "onWake") != 1 || strings.Contains(d.text(), "onSleep") {
			t.Errorf("diary %s", d.text())
		}
		q.ack(ref, 3)
		synctest.Wait()
		r := s.lose(q)
		if offer = r.offered(1)[0]; offer.Generation != 1102 || string(offer.Nonce) != "fedcba9876543210" || offer.Version != 3 || offer.Actor != ref {
			t.Errorf("offered %v", offer)
		}
	})
}

// [LEASE-4] [COMMIT-1]
func TestTheUnansweredCommitIsSentAgainByteForByteWithoutAnswers(t *testing.T) {
	for _, applied := range []uint64{1, 2} {
		t.Run(fmt.Sprint("record at ", applied), func(t *testing.T) {
			run(t, func(t *testing.T) {
				s := newStage(t, defineWorld(&diary{}, script{"write": func(w *World, _ context.Context) (any, error) {
					w.State().N++
					w.Broadcast("n", w.State().N)
					return w.State().N, w.KV().PutText("n", fmt.Sprint(w.State().N))
				}}))
				p := s.welcome(resilient)
				ref := p.created("world")
				p.call(ref, 1, "do", "write")
				first := expect[*wire.Commit](p)
				expect[*wire.Emit](p)
				result[int](p, 1)
				p.call(ref, 2, "get") // follows the group
				result[int](p, 2)
				p.call(ref, 3, "do", "write") // waits
				p.call(ref, 4, "do", "write")
				q := s.lose(p)
				offer := q.offered(1)[0]
				id := sha256.Sum256(first.Changes)
				if offer.Version != 1 || !slices.Equal(offer.Pending, id[:16]) {
					t.Errorf("offered %v, want pending %x", offer, id[:16])
				}
				q.silent()
				ref = q.adopt(offer, applied)
				again := expect[*wire.Commit](q)
				if again.Version != 2 || !slices.Equal(again.Changes, first.Changes) || again.Outputs != 1 || again.Actor != ref {
					t.Errorf("sent again: %s", show(again))
				}
				if e := expect[*wire.Emit](q); decoded[[]int](t, e.Args)[0] != 1 || e.Actor != ref {
					t.Errorf("event %s", show(e))
				}
				q.silent()
				q.ack(ref, 2)
				if c := q.commit(3, 2); decoded[WorldState](t, c.State).N != 3 || len(c.Kv) != 2 {
					t.Errorf("then %v", c)
				}
				for n := range 2 {
					if e := expect[*wire.Emit](q); decoded[[]int](t, e.Args)[0] != n+2 {
						t.Errorf("event %s", show(e))
					}
				}
				q.silent()
			})
		})
	}
}

// [LEASE-4] [TURN-6]
func TestCallsOfALostSessionAreOverAndTheirChangesStay(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		goOn := make(chan bool)
		world := defineWorld(d, script{
			"long": func(w *World, ctx context.Context) (any, error) {
				w.State().N = 8
				w.Broadcast("changed")
				<-ctx.Done()
				d.add("canceled:%v", ctx.Err())
				<-goOn
				w.State().Text = "later"
				w.Broadcast("late")
				return "nobody hears this", nil
			},
			"slow": func(w *World, ctx context.Context) (any, error) {
				select {
				case <-ctx.Done():
					return "", ctx.Err()
				case <-time.After(time.Minute):
					return "slept", nil
				}
			},
		})
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(resilient)
		ref := p.created("world")
		p.call(ref, 1, "do", "long")
		p.call(ref, 2, "do", "never")
		p.open(ref, 3, 11, "never")
		p.send(&runnerv1alpha1.Fence{Nonce: 4, Actor: ref})
		synctest.Wait()
		steps <- func(w *World, _ context.Context) { d.add("do:N=%d", w.View().N) }
		q := s.lose(p)
		offer := q.offered(1)[0]
		synctest.Wait()
		if got := d.text(); !strings.HasSuffix(got, "do:long canceled:context canceled") {
			t.Errorf("diary %s", got)
		}
		ref = q.adopt(offer, 1)
		q.call(ref, 2, "do", "slow")
		q.call(ref, 1, "do", "slow") // the number of the one that still runs
		q.send(&runnerv1alpha1.CancelCall{Actor: ref, Id: 1})
		q.fails(1, "action.canceled", wire.RanNo)
		q.silent()
		close(goOn)
		if c := q.commit(2, 2); decoded[WorldState](t, c.State) != (WorldState{N: 8, Text: "later"}) {
			t.Errorf("changes %v", c)
		}
		expect[*wire.Emit](q)
		expect[*wire.Emit](q)
		q.ack(ref, 2)
		if got := result[string](q, 2); got != "slept" {
			t.Errorf("got %s", got)
		}
		if got := d.text(); !strings.HasSuffix(got, "context canceled do:N=8 do:slow") {
			t.Errorf("diary %s", got)
		}
		q.silent()
	})
}

// [LEASE-4]
func TestAnActorThatIsNotAdoptedIsDroppedWithoutHooks(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		withSteps(world)
		s := newStage(t, world)
		p := s.welcome(resilient)
		p.created("world")
		q := s.lose(p)
		offer := q.offered(1)[0]
		q.send(&runnerv1alpha1.Adopted{Old: offer.Actor, Error: wire.ActorFenced.New().Proto()})
		q.send(&runnerv1alpha1.Adopted{Old: offer.Actor, Actor: 7}) // nothing is offered under this name any more
		q.silent()
		if got := d.text(); !strings.HasSuffix(got, "onWake run:context canceled") {
			t.Errorf("diary %s", got)
		}
		q.call(offer.Actor, 1, "get")
		if m := expect[*wire.CallResult](q); !m.NotRun {
			t.Errorf("got %s", show(m))
		}
	})
}

// [LINK-11] [LINK-19]
func TestWithoutAdoptTheActorsOfALostSessionAreDropped(t *testing.T) {
	for name, c := range map[string]struct{ before, after []string }{
		"before": {[]string{wire.FeatureResume}, wire.RunnerFeatures()},
		"after":  {wire.RunnerFeatures(), []string{wire.FeatureResume}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				d := &diary{}
				world := defineWorld(d, nil)
				withSteps(world)
				s := newStage(t, world)
				p := s.welcome(func(m *runnerv1alpha1.Welcome) { m.Features = c.before })
				p.created("world")
				q := s.lose(p, func(m *runnerv1alpha1.Welcome) { m.Features = c.after })
				q.silent()
				if got := d.text(); !strings.HasSuffix(got, "onWake run:context canceled") {
					t.Errorf("diary %s", got)
				}
			})
		})
	}
}

// [LINK-19]
func TestWithoutResumeActorsAreOfferedAll(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(func(m *runnerv1alpha1.Welcome) { m.Features = []string{wire.FeatureAdopt} })
		p.created("world")
		p.cut()
		q, hello := s.accept()
		if hello.Resume != nil || !hello.Hosting {
			t.Errorf("hello %v", hello)
		}
		w := defaultWelcome()
		resilient(w)
		q.send(w)
		q.adopt(q.offered(1)[0], 1)
	})
}

// [LINK-19]
func TestOnlyWholeActorsAreOffered(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{
			"onSleep": func(_ *World, ctx context.Context) (any, error) {
				<-ctx.Done()
				return nil, nil
			},
			"grow": func(w *World, _ context.Context) (any, error) {
				w.State().Text = strings.Repeat("x", 5000)
				return 1, nil
			},
		}))
		p := s.welcome(resilient, func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		var unanswered [2]uint64
		stopping := p.created("world")
		for i := range unanswered {
			unanswered[i] = p.start("world")
			expect[*wire.Commit](p)
			expect[*runnerv1alpha1.ActorReady](p)
		}
		crashing, whole := unanswered[0], unanswered[1]
		p.send(&runnerv1alpha1.StartActor{Actor: 900, Id: "late", Type: "world", Version: 1, RestoredConnections: 1}) // has not begun
		p.stop(stopping, toSleep)
		p.call(crashing, 1, "do", "grow")
		p.fails(1, "state.too_large", wire.RanYes)
		q := s.lose(p)
		if offer := q.offered(1)[0]; offer.Actor != whole {
			t.Errorf("offered %v", offer)
		}
	})
}

// [LINK-19]
func TestOffersAreBatchedAndTheLastIsMarked(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineCounter())
		p := s.welcome(resilient)
		const actors = 2*512 + 6
		for range actors {
			p.created("counter")
		}
		p.cut()
		q := s.afresh(p)
		seen := map[uint64]*runnerv1alpha1.HostedActor{}
		for i, n := range []int{512, 512, 6} {
			m := expect[*runnerv1alpha1.Hosted](q)
			if len(m.Actors) != n || m.Last != (i == 2) {
				t.Errorf("batch %d has %d actors, last %v", i, len(m.Actors), m.Last)
			}
			for _, offer := range m.Actors {
				seen[offer.Actor] = offer
			}
		}
		if len(seen) != actors {
			t.Errorf("%d actors were offered", len(seen))
		}
		for _, offer := range seen {
			q.adopt(offer, 1)
		}
		synctest.Wait()
		r := s.lose(q)
		r.offeredAll(actors)
	})
}

// offeredAll takes batches until all those actors were offered.
func (p *peer) offeredAll(n int) (all []*runnerv1alpha1.HostedActor) {
	p.t.Helper()
	for last := false; !last; {
		m := expect[*runnerv1alpha1.Hosted](p)
		all, last = append(all, m.Actors...), m.Last
	}
	if len(all) != n {
		p.t.Fatalf("%d actors offered, want %d", len(all), n)
	}
	return all
}

// [LINK-19]
func TestTheLastBatchIsMarkedAlsoWhereNoneIsLeft(t *testing.T) {
	run(t, func(t *testing.T) {
		goOn := make(chan bool)
		s := newStage(t, defineWorld(&diary{}, script{"grow": func(w *World, _ context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 5000)
			<-goOn
			return nil, nil // the flush of this turn ends the actor
		}}))
		p := s.welcome(resilient, func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		ref := p.created("world")
		p.call(ref, 1, "do", "grow")
		p.send(&commonv1alpha1.Goodbye{Code: "gateway.draining"})
		p.cut()
		q, hello := s.accept()
		if !hello.Hosting {
			t.Errorf("hello %v", hello)
		}
		close(goOn)
		synctest.Wait()
		w := defaultWelcome()
		resilient(w)
		q.send(w)
		q.offered(0)
	})
}

// [LEASE-4]
func TestAnActorThatCrashesBeforeItIsAdoptedIsReportedStopped(t *testing.T) {
	run(t, func(t *testing.T) {
		goOn := make(chan bool)
		s := newStage(t, defineWorld(&diary{}, script{"grow": func(w *World, ctx context.Context) (any, error) {
			w.State().Text = strings.Repeat("x", 5000)
			<-goOn
			return nil, nil
		}}))
		p := s.welcome(resilient, func(m *runnerv1alpha1.Welcome) { m.Limits.MaxState = 4000 })
		ref := p.created("world")
		p.call(ref, 1, "do", "grow")
		q := s.lose(p)
		offer := q.offered(1)[0]
		close(goOn)
		q.silent()
		ref = q.adopt(offer, 1)
		if e := wire.ErrorFromProto(q.stopped(ref, fenced).Error); e == nil || e.Name() != "state.too_large" {
			t.Errorf("error %v", e)
		}
	})
}

// [LEASE-4]
func TestAnAdoptionAtAnotherVersionIsNotServed(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, nil))
		p := s.welcome(resilient)
		p.created("world")
		q := s.lose(p)
		ref := q.adopt(q.offered(1)[0], 2)
		q.stopped(ref, fenced)
		q.silent()
	})
}

// [LINK-19]
func TestActorsThatWereNotAnsweredAreOfferedAgain(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		s := newStage(t, defineWorld(d, nil))
		p := s.welcome(resilient)
		p.nextRef = 2000
		a, b, c := p.created("world"), p.created("world"), p.created("world")
		synctest.Wait()
		q := s.lose(p)
		offers := q.offered(3)
		slices.SortFunc(offers, func(x, y *runnerv1alpha1.HostedActor) int { return int(x.Actor) - int(y.Actor) })
		q.nextRef = b - 1 // the second actor's new ref is the first one's old one, as sessions may have it
		q.adopt(offers[0], 1)
		q.send(&runnerv1alpha1.Adopted{Old: c, Actor: 50, Generation: 9, Nonce: []byte("fedcba9876543210"), Version: 1, RestoredConnections: 2}, restored(50, 1))
		q.call(50, 1, "get") // too early, and harmless
		q.silent()
		r := s.lose(q)
		offers = r.offered(3)
		names := map[uint64]string{}
		for _, offer := range offers {
			names[offer.Actor] = fmt.Sprint(offer.Id, " ", offer.Generation)
		}
		id := func(ref, generation uint64) string { return fmt.Sprint("eu-", ref, " ", generation) }
		got := slices.Sorted(func(yield func(string) bool) {
			for _, name := range names {
				if !yield(name) {
					return
				}
			}
		})
		if want := []string{id(a, 1000+a+1), id(b, 1000+b), id(c, 9)}; !slices.Equal(got, want) {
			t.Errorf("offered %q, want %q", got, want)
		}
		for _, offer := range offers {
			ref := r.adopt(offer, 1)
			r.call(ref, 1, "get")
			result[int](r, 1)
		}
		r.silent()
		if strings.Contains(d.text(), "left:") {
			t.Errorf("diary %s", d.text())
		}
	})
}

// Without a lease, actors that nobody adopts go after a minute.
func TestActorsThatNobodyAdoptsDoNotStayForEver(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(resilient)
		p.created("world")
		q := s.lose(p)
		offer := q.offered(1)[0]
		steps <- func(*World, context.Context) { d.add("must not run") }
		pass(59 * time.Second)
		if got := d.text(); !strings.HasSuffix(got, "onWake") {
			t.Errorf("diary %s", got)
		}
		pass(2 * time.Second)
		if got := d.text(); !strings.HasSuffix(got, "onWake run:"+runner.ErrStopped.Error()) {
			t.Errorf("diary %s", got)
		}
		q.stopped(q.adopt(offer, 1), fenced)
	})
}

// [SLEEP-3] [LIFE-6]
func TestWishesAreRepeatedAfterAnAdoption(t *testing.T) {
	run(t, func(t *testing.T) {
		s := newStage(t, defineWorld(&diary{}, script{
			"sleep":   func(w *World, _ context.Context) (any, error) { w.Sleep(); return 1, nil },
			"destroy": func(w *World, _ context.Context) (any, error) { w.Destroy(); return 1, nil },
		}))
		p := s.welcome(resilient)
		for i, wish := range []string{"sleep", "destroy"} {
			p.nextRef++
			ref := p.created("world")
			synctest.Wait()
			p.call(ref, 1, "do", wish)
			for range 2 {
				p.next() // wish and result
			}
			p.silent()
			want := runnerv1alpha1.Intent(i + 1)
			p = s.lose(p)
			ref = p.adopt(p.offered(1)[0], 1)
			if m := expect[*runnerv1alpha1.ActorIntent](p); m.Intent != want || m.Actor != ref {
				t.Errorf("intent %v, want %v", m, want)
			}
			p.silent()
			p.stop(ref, toFence)
			p.stopped(ref, fenced)
		}
	})
}

// [LEASE-4] [KV-3]
func TestReadsAreAskedAgainBehindTheUnansweredCommit(t *testing.T) {
	run(t, func(t *testing.T) {
		d := &diary{}
		world := defineWorld(d, nil)
		steps := withSteps(world)
		s := newStage(t, world)
		limit := func(m *runnerv1alpha1.Welcome) { m.Limits.MaxReadsPerActor, m.Limits.MaxMessage = 2, 2<<20 }
		p := s.welcome(resilient, limit)
		ref := p.created("world")
		p.ack(ref, 1)
		synctest.Wait()
		steps <- func(w *World, ctx context.Context) {
			kv := w.KV()
			_ = kv.PutText("a", "first")
			w.Flush()
			values, err := kv.GetMany(ctx, []byte("a"), []byte("b"), []byte("c"))
			d.add("read:%s,%v", values, err)
			_ = kv.PutText("b", "second")
			value, _, err := kv.GetText(ctx, "b")
			d.add("read:%s,%v", value, err)
		}
		p.commit(2, 0)
		for range 2 {
			expect[*runnerv1alpha1.KvRead](p)
		}
		q := s.lose(p, limit)
		ref = q.adopt(q.offered(1)[0], 1)
		q.commit(2, 0)
		answer := func(m *runnerv1alpha1.KvRead) {
			if m.Actor != ref || len(m.Keys) != 1 {
				t.Errorf("read %v", m)
			}
			q.send(&runnerv1alpha1.KvResult{Actor: ref, Id: m.Id, Entries: []*runnerv1alpha1.KvEntry{{Key: m.Keys[0], Value: []byte("v" + string(m.Keys[0]))}}})
		}
		one, two := expect[*runnerv1alpha1.KvRead](q), expect[*runnerv1alpha1.KvRead](q)
		q.silent() // the third waits for an answer
		answer(one)
		answer(expect[*runnerv1alpha1.KvRead](q))
		answer(two)
		q.silent()
		if got := d.text(); !strings.HasSuffix(got, "read:[va vb vc],<nil> read:second,<nil>") {
			t.Errorf("diary %s", got)
		}
		q.ack(ref, 2)
		q.commit(3, 0)
	})
}

func TestASaveThatWaitsOutlivesAnAdoption(t *testing.T) {
	run(t, func(t *testing.T) {
		saved := make(chan error, 1)
		world := defineWorld(&diary{}, nil)
		steps := withSteps(world)
		s := newStage(t, world)
		p := s.welcome(resilient)
		ref := p.created("world")
		p.ack(ref, 1)
		synctest.Wait()
		steps <- func(w *World, ctx context.Context) {
			w.State().N = 1
			w.Flush()
			w.State().N = 2
			saved <- w.SaveState(ctx)
		}
		p.commit(2, 0)
		q := s.lose(p)
		ref = q.adopt(q.offered(1)[0], 2)
		q.commit(2, 0)
		q.ack(ref, 2)
		q.commit(3, 0)
		q.silent()
		if len(saved) != 0 {
			t.Error("SaveState did not wait")
		}
		q.ack(ref, 3)
		if err := <-saved; err != nil {
			t.Errorf("SaveState: %v", err)
		}
	})
}
