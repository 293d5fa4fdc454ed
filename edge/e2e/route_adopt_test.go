package e2e

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// returning is a scripted runner whose session was lost, and that still hosts actors.
func (w *world) returning(offers ...*runnerv1alpha1.HostedActor) *scripted {
	w.Helper()
	s := w.script()
	hello := s.aHello()
	hello.Features, hello.Hosting = append(hello.Features, wire.FeatureAdopt), true
	s.cold(hello)
	expect[*runnerv1alpha1.Welcome](s)
	if len(offers) > 0 {
		s.cold(&runnerv1alpha1.Hosted{Actors: offers, Last: true})
	}
	return s
}

// offer is the actor as a runner has it that knows of so many commits.
func offer(start *runnerv1alpha1.StartActor, version uint64) *runnerv1alpha1.HostedActor {
	return &runnerv1alpha1.HostedActor{
		Id: start.GetId(), Generation: start.GetGeneration(), Nonce: start.GetNonce(), Version: version, Actor: start.GetActor(),
	}
}

// pending adds a commit that was not answered.
func pending(h *runnerv1alpha1.HostedActor, state string) *runnerv1alpha1.HostedActor {
	id := sha256.Sum256(changes(&runnerv1alpha1.Changes{State: []byte(state)}))
	h.Pending = id[:16]
	return h
}

// wantAdopted checks that the runner has the actor again, which it had under that ref.
func (s *scripted) wantAdopted(was *runnerv1alpha1.StartActor, version uint64) *runnerv1alpha1.Adopted {
	s.w.Helper()
	m := expect[*runnerv1alpha1.Adopted](s)
	if m.GetError() != nil || m.GetOld() != was.GetActor() || m.GetActor() == 0 || m.GetVersion() != version ||
		m.GetGeneration() <= was.GetGeneration() || string(m.GetNonce()) == string(was.GetNonce()) || len(m.GetNonce()) != 16 {
		s.w.Fatalf("adopted %v, want version %d of what was %v", m, version, was)
	}
	return m
}

func (s *scripted) wantRefused(old uint64) {
	s.w.Helper()
	m := expect[*runnerv1alpha1.Adopted](s)
	if m.GetError().GetGroup()+"."+m.GetError().GetCode() != "actor.fenced" || m.GetOld() != old || m.GetActor() != 0 {
		s.w.Fatalf("got %v, want a refusal of %d", m, old)
	}
}

// serves checks that the ref is the actor's: a call comes, its commit is taken, the answer leaves.
func (s *scripted) serves(key string, ref, version uint64) {
	s.w.Helper()
	answer := s.w.calling(key, "x")
	call := expect[*wire.Call](s)
	wantEqual(s.w, "ref", call.Actor, ref)
	s.commit(ref, version, "serves", 1)
	s.send(result(ref, call.ID, "\x07"))
	expect[*wire.CommitResult](s)
	wantAnswer(s.w, answer, `{"output":7}`)
}

// [LINK-19] [LEASE-4]: what a runner still has of a lost session is its own again, under a new ref and generation, and it gets
// nothing new before the last.
func TestARunnerGetsItsActorsBack(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		var starts []*runnerv1alpha1.StartActor
		for _, key := range []string{"a", "b"} {
			answer := w.calling(key, "x")
			start := s.begin()
			s.send(result(start.GetActor(), expect[*wire.Call](s).ID, "\x01"))
			wantAnswer(w, answer, `{"output":1}`)
			starts = append(starts, start)
		}
		_ = s.conn.Close()
		next := w.returning()
		fresh := w.calling("fresh", "x")
		next.cold(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{offer(starts[0], 1)}})
		first := next.wantAdopted(starts[0], 1)
		next.quiet() // no StartActor yet
		next.serves("a", first.GetActor(), 2)
		next.cold(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{offer(starts[1], 1)}, Last: true})
		second := next.wantAdopted(starts[1], 1)
		ref := next.begin().GetActor()
		next.send(result(ref, expect[*wire.Call](next).ID, "\x01"))
		wantAnswer(w, fresh, `{"output":1}`)
		next.serves("b", second.GetActor(), 2)
		next.cold(&runnerv1alpha1.Hosted{Actors: []*runnerv1alpha1.HostedActor{offer(starts[1], 2)}, Last: true})
		next.wantRefused(starts[1].GetActor()) // after the last
		if got := metric(w, "stagedoor_adoptions_total"); got != "2" {
			w.Errorf("adoptions = %s", got)
		}
	})
}

// [LINK-19] [LIFE-5]: a runner that does not offer what it has is given new actors when a start would have waited no longer.
func TestARunnerThatOffersNothingIsUsedAllTheSame(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.returning()
		s.live(10 * time.Second)
		answer := w.calling("x", "x")
		s.live(19 * time.Second)
		s.quiet()
		s.live(2 * time.Second)
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		wantAnswer(w, answer, `{"output":1}`)
	})
}

// [LEASE-4] [CONN-6] [CONN-7]: clients notice nothing; what waited for a start waits for the adoption, and a further loss
// still knows who has left.
func TestWhoWaitedForARunnerFindsTheAdoptedActor(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		gone := w.dial("/v1/actors/scripted:x/connect", "")
		open := expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
		s.send(&wire.Commit{Actor: s.ref, Version: 2, Outputs: 1, Changes: changes(&runnerv1alpha1.Changes{
			ConnectionsAdded: []string{s.open.GetConnectionId(), open.GetConnectionId()},
		})}, &wire.CallResult{Actor: s.ref, ID: open.GetCall()})
		expect[*wire.CommitResult](s.scripted)
		_ = s.conn.Close()
		synctest.Wait()
		_ = gone.conn.NetConn().Close() // while nobody hosts the actor
		call := w.calling("x", "waits")
		late := w.dial("/v1/actors/scripted:x/connect", "")
		next := w.returning(offer(s.start, 2))
		adopted := next.wantAdopted(s.start, 2)
		wantEqual(w, "connections", adopted.GetRestoredConnections(), uint32(1))
		restored := expect[*runnerv1alpha1.ConnectionOpen](next)
		wantEqual(w, "restored", restored.GetRestored(), true)
		wantEqual(w, "connection", restored.GetConnectionId(), s.open.GetConnectionId())
		c := expect[*wire.Call](next)
		wantEqual(w, "call", string(c.Action), "waits")
		another := expect[*runnerv1alpha1.ConnectionOpen](next)
		wantEqual(w, "restored", another.GetRestored(), false)
		next.send(result(adopted.GetActor(), c.ID, "\x01"), &wire.CallResult{Actor: adopted.GetActor(), ID: another.GetCall()},
			event(adopted.GetActor(), 1))
		wantAnswer(w, call, `{"output":1}`)
		wantEvent(s.client, 1)
		late.want("welcome")
		late.want("connectionOpened")

		// The one that left was not committed as gone when the runner is lost again.
		_ = next.conn.Close()
		third := w.scriptedRunner()
		start := expect[*runnerv1alpha1.StartActor](third)
		if g := start.GetGoneConnections(); len(g) != 1 || g[0].GetConnectionId() != open.GetConnectionId() {
			w.Errorf("gone connections: %v", g)
		}
		wantEqual(w, "restored", start.GetRestoredConnections(), uint32(2))
	})
}

// [LEASE-4] [CONN-7]: once an adopted actor has dealt with who left meanwhile, nobody wakes it for them again.
func TestAnAdoptedActorIsNotWokenForWhoHasLeft(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		ids := []string{s.open.GetConnectionId()}
		s.send(&wire.Commit{Actor: s.ref, Version: 2, Changes: changes(&runnerv1alpha1.Changes{ConnectionsAdded: ids})})
		expect[*wire.CommitResult](s.scripted)
		_ = s.conn.Close()
		synctest.Wait()
		_ = s.client.conn.NetConn().Close()
		next := w.returning(offer(s.start, 2))
		ref := next.wantAdopted(s.start, 2).GetActor()
		next.send(&wire.Commit{Actor: ref, Version: 3, Changes: changes(&runnerv1alpha1.Changes{ConnectionsRemoved: ids})})
		expect[*wire.CommitResult](next)
		next.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
		next.quiet()
	})
}

// [LEASE-4]: a commit that was applied, and whose outputs have left, is taken once more without them; a frame behind it is new.
func TestACommitThatWasAppliedIsSentAgain(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner().scene()
		held.hold()
		s.commit(s.ref, 2, "\x02", 1)
		s.send(event(s.ref, 1))
		synctest.Wait()
		_ = s.conn.Close()
		// The runner is back before the store has answered: its turn comes then.
		next := w.returning(pending(offer(s.start, 1), "\x02"))
		next.quiet()
		held.release(nil)
		wantEvent(s.client, 1)
		ref := next.wantAdopted(s.start, 2).GetActor()
		expect[*runnerv1alpha1.ConnectionOpen](next)
		held.hold()
		next.commit(ref, 2, "\x02", 1)
		next.send(event(ref, 1), event(ref, 2))
		held.release(nil)
		wantEqual(w, "version", expect[*wire.CommitResult](next).Version, uint64(2))
		wantEvent(s.client, 2)
		wantNothing(s.client)
		next.serves("x", ref, 3)
	})
}

// [LEASE-4]: one that was not applied is an ordinary commit, its outputs leave.
func TestACommitThatWasNotAppliedIsSentAgain(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		s.commit(s.ref, 2, "\x02", 1) // an incomplete group
		synctest.Wait()
		_ = s.conn.Close()
		next := w.returning(pending(offer(s.start, 1), "\x02"))
		ref := next.wantAdopted(s.start, 1).GetActor()
		expect[*runnerv1alpha1.ConnectionOpen](next)
		next.commit(ref, 2, "\x02", 1)
		next.send(event(ref, 1))
		wantEqual(w, "version", expect[*wire.CommitResult](next).Version, uint64(2))
		wantEvent(s.client, 1)
		wantNothing(s.client)
	})
}

// [LEASE-4] [GATE-3]: what was applied by a gateway that died before the outputs left is said by the next one.
func TestTheOutputsOfACommitThatAnotherGatewayApplied(t *testing.T) {
	held := new(heldStore)
	synctest.Test(t, func(t *testing.T) {
		held.Store = gatewaytest.NewStore(t)
		dying := &world{t, gatewaytest.Start(t, gateway.Config{Store: held, Logger: quiet()})}
		s := dying.scriptedRunner().scene()
		held.hold()
		s.commit(s.ref, 2, "\x02", 1)
		s.send(event(s.ref, 1))
		synctest.Wait()
		if err := dying.Close(); err != nil {
			t.Error(err)
		}
		held.release(nil)

		w := &world{t, gatewaytest.Start(t, gateway.Config{Store: held, Logger: quiet()})}
		next := w.returning(pending(offer(s.start, 1), "\x02"))
		ref := next.wantAdopted(s.start, 2).GetActor()
		c := w.dial("/v1/actors/scripted:x/connect?subscribe=e", "")
		next.send(&wire.CallResult{Actor: ref, ID: expect[*runnerv1alpha1.ConnectionOpen](next).GetCall()})
		c.want("welcome")
		c.want("connectionOpened")
		next.commit(ref, 2, "\x02", 1)
		next.send(event(ref, 1))
		wantEqual(t, "version", expect[*wire.CommitResult](next).Version, uint64(2))
		wantEvent(c, 1)
	})
}

// [LEASE-4] [LINK-9]: only the very commit that was not answered may come again, and only first.
func TestAnotherCommitOfAnAppliedVersionIsABreach(t *testing.T) {
	for name, misbehave := range map[string]func(s *scripted, ref uint64){
		"other bytes": func(s *scripted, ref uint64) { s.commit(ref, 2, "\x03", 0) },
		"later": func(s *scripted, ref uint64) {
			s.commit(ref, 3, "\x03", 0)
			expect[*wire.CommitResult](s)
			s.commit(ref, 2, "\x02", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{}, func(w *world) {
				s := w.scriptedRunner()
				w.calling("x", "x")
				start := s.begin()
				expect[*wire.Call](s)
				s.commit(start.GetActor(), 2, "\x02", 0)
				synctest.Wait()
				_ = s.conn.Close()
				next := w.returning(pending(offer(start, 1), "\x02"))
				ref := next.wantAdopted(start, 2).GetActor()
				misbehave(next, ref)
				next.wantStop(fenced)
			})
		})
	}
}

// [LEASE-4]: whatever differs from the record, the runner drops its actor, and nobody else is harmed.
func TestAnActorThatIsNoLongerTheRunnersIsFenced(t *testing.T) {
	for name, change := range map[string]func(w *world, h *runnerv1alpha1.HostedActor){
		"an older version":   func(_ *world, h *runnerv1alpha1.HostedActor) { h.Version = 1 },
		"a newer version":    func(_ *world, h *runnerv1alpha1.HostedActor) { h.Version = 3 },
		"another commit":     func(_ *world, h *runnerv1alpha1.HostedActor) { h.Version = 1; pending(h, "\x09") },
		"no version":         func(_ *world, h *runnerv1alpha1.HostedActor) { h.Version = 0 },
		"another nonce":      func(_ *world, h *runnerv1alpha1.HostedActor) { h.Nonce = make([]byte, 16) },
		"no nonce":           func(_ *world, h *runnerv1alpha1.HostedActor) { h.Nonce = nil },
		"another generation": func(_ *world, h *runnerv1alpha1.HostedActor) { h.Generation++ },
		"no generation":      func(_ *world, h *runnerv1alpha1.HostedActor) { h.Generation = 0 },
		"an unknown id":      func(_ *world, h *runnerv1alpha1.HostedActor) { h.Id = "local-00000000000000000000000000" },
		"nonsense":           func(_ *world, h *runnerv1alpha1.HostedActor) { h.Id = "nonsense" },
		"a destroyed actor":  func(w *world, h *runnerv1alpha1.HostedActor) { w.do("DELETE", "/v1/actors/@"+h.GetId(), "") },
		"an acquired actor":  func(w *world, h *runnerv1alpha1.HostedActor) { acquire(w, h.GetId()) },
		"another actor's id": func(w *world, h *runnerv1alpha1.HostedActor) { h.Id = resolve(w, "other").ID },
		"a type of others'": func(w *world, h *runnerv1alpha1.HostedActor) {
			made := made(w, "foreign", "made")
			commitOne(w, made)
			own(h, made, 1)
		},
		"a creation that was not committed": func(w *world, h *runnerv1alpha1.HostedActor) { own(h, made(w, "scripted", "made"), 0) },
		"an actor that was never acquired": func(w *world, h *runnerv1alpha1.HostedActor) {
			*h = runnerv1alpha1.HostedActor{Id: create(w, "scripted", "made").ID, Nonce: make([]byte, 16), Actor: 77}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{}, func(w *world) {
				s := w.scriptedRunner()
				var start *runnerv1alpha1.StartActor
				for _, key := range []string{"other", "x"} {
					w.calling(key, "x")
					start = s.begin()
					expect[*wire.Call](s)
					s.commit(start.GetActor(), 2, "\x02", 0)
					expect[*wire.CommitResult](s)
				}
				_ = s.conn.Close()
				synctest.Wait()
				h := offer(start, 2)
				change(w, h)
				next := w.returning(h)
				next.wantRefused(h.GetActor())
				next.quiet()
				w.calling("new", "x")
				expect[*runnerv1alpha1.StartActor](next)
			})
		})
	}
}

// resolve is what the store knows of the actor scripted:key.
func resolve(w *world, key string) store.Record {
	w.Helper()
	rec, err := w.Store.Resolve(w.Context(), address.Address{Namespace: "default", Type: "scripted", Key: []string{key}})
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

func acquire(w *world, id string) store.Record {
	w.Helper()
	acquired, err := w.Store.Acquire(w.Context(), store.Acquire{ID: id})
	if err != nil {
		w.Fatal(err)
	}
	return acquired.Record
}

func create(w *world, typ, key string) store.Record {
	w.Helper()
	rec, _, err := w.Store.Create(w.Context(), store.Create{
		Region: "local", Address: address.Address{Namespace: "default", Type: typ, Key: []string{key}},
	})
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

// made is an actor with an owner, and no commit.
func made(w *world, typ, key string) store.Record {
	w.Helper()
	return acquire(w, create(w, typ, key).ID)
}

func commitOne(w *world, rec store.Record) {
	w.Helper()
	done := make(chan error, 1)
	w.Store.Commit(store.Commit{ID: rec.ID, Generation: rec.Generation, Nonce: rec.Nonce, Version: 1}, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.Fatal(err)
	}
}

// own makes h the offer of the record's owner.
func own(h *runnerv1alpha1.HostedActor, rec store.Record, version uint64) {
	h.Id, h.Generation, h.Nonce, h.Version = rec.ID, rec.Generation, rec.Nonce[:], version
}

// [LEASE-4] [LEASE-5] [LIFE-8]: after a refusal the actor lives anew where somebody needs it, and what another runner was
// given stays there.
func TestAnActorIsAdoptedOrGivenAway(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		_ = s.conn.Close()
		next := w.returning(offer(s.start, 5))
		next.wantRefused(s.ref)
		start := expect[*runnerv1alpha1.StartActor](next) // for its connection
		wantEqual(w, "version", start.GetVersion(), uint64(1))

		_ = next.conn.Close()
		faster := w.scriptedRunner()
		sleep(time.Second) // the second failure in a row
		taken := expect[*runnerv1alpha1.StartActor](faster)
		expect[*runnerv1alpha1.ConnectionOpen](faster)
		faster.cold(&runnerv1alpha1.ActorReady{Actor: taken.GetActor()})
		late := w.returning(offer(start, 1))
		late.wantRefused(start.GetActor())
		faster.serves("x", taken.GetActor(), 2)

		// Who knows all of an actor that seems to live elsewhere is its runner, whose old link is about to be lost.
		again := w.returning(offer(taken, 2), offer(taken, 2))
		again.wantRefused(taken.GetActor()) // one of the two
		again.quiet()
		_ = faster.conn.Close()
		again.wantAdopted(taken, 2)
	})
}

// [LINK-19]: thousands of actors come back at once, in frames of 512, and the link goes on meanwhile.
func TestThousandsOfActorsComeBack(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		const actors = 2000
		var offers []*runnerv1alpha1.HostedActor
		for i := range actors {
			rec := made(w, "scripted", fmt.Sprint(i))
			commitOne(w, rec)
			h := &runnerv1alpha1.HostedActor{Actor: uint64(i + 1)}
			own(h, rec, 1)
			offers = append(offers, h)
		}
		s := w.returning()
		waiting := w.calling("1999", "x")
		for from := 0; from < actors; from += 512 {
			to := min(from+512, actors)
			s.cold(&runnerv1alpha1.Hosted{Actors: offers[from:to], Last: to == actors})
			s.cold(&commonv1alpha1.Ping{Nonce: uint64(to)})
		}
		synctest.Wait()
		s.mu.Lock()
		in := s.in
		s.in = nil
		s.mu.Unlock()
		old, refs := map[uint64]bool{}, map[uint64]bool{}
		for _, m := range in {
			switch m := m.(type) {
			case *runnerv1alpha1.Adopted:
				if m.GetError() == nil {
					old[m.GetOld()], refs[m.GetActor()] = true, true
				}
			case *wire.Call:
				s.send(result(m.Actor, m.ID, "\x01"))
			}
		}
		wantEqual(w, "actors", len(old), actors)
		wantEqual(w, "refs", len(refs), actors)
		wantAnswer(w, waiting, `{"output":1}`)
	})
}

// [LEASE-4] [CALL-1] [LIFE-8]: whatever an offer meets, a start that looks for a runner, one that has found another, a call
// that comes meanwhile, the actor has one owner, and every call its answer.
func TestAnOfferMeetsAStart(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		const actors = 100
		var offers []*runnerv1alpha1.HostedActor
		answers := make(chan response, 2*actors)
		ask := func(key string) {
			go func() {
				if r, err := w.try("POST", "/v1/actors/scripted:"+key+"/actions/x", ""); err == nil {
					answers <- r
				}
			}()
		}
		for i := range actors {
			rec := made(w, "scripted", fmt.Sprint(i))
			commitOne(w, rec)
			h := &runnerv1alpha1.HostedActor{Actor: uint64(i + 1)}
			own(h, rec, 1)
			offers = append(offers, h)
		}
		_ = w.scriptedRunner().conn.Close() // makes the type known
		for i := range actors / 2 {
			ask(fmt.Sprint(i)) // looks for a runner
		}
		synctest.Wait()
		a, b := w.returning(), w.script()
		for i := range actors {
			ask(fmt.Sprint(i))
		}
		a.cold(&runnerv1alpha1.Hosted{Actors: offers, Last: true})
		b.cold(b.aHello()) // gives starts another runner
		adopted, refused := 0, 0
		for range 20 {
			synctest.Wait()
			for _, s := range []*scripted{a, b} {
				s.mu.Lock()
				in := s.in
				s.in = nil
				s.mu.Unlock()
				for _, m := range in {
					switch m := m.(type) {
					case *runnerv1alpha1.Adopted:
						if m.GetError() == nil {
							adopted++
						} else {
							refused++
						}
					case *runnerv1alpha1.StartActor:
						s.cold(&runnerv1alpha1.ActorReady{Actor: m.GetActor()})
					case *wire.Call:
						s.send(result(m.Actor, m.ID, "\x01"))
					}
				}
			}
		}
		wantEqual(w, "offers answered", adopted+refused, actors)
		wantEqual(w, "calls answered", len(answers), actors+actors/2)
		for range len(answers) {
			if r := <-answers; r.status != 200 {
				w.Errorf("a call was answered %s", r.raw)
			}
		}
		if got := metric(w, "stagedoor_actors"); got != fmt.Sprint(actors) {
			w.Errorf("%s actors live", got)
		}
	})
}

// [LINK-19] [LEASE-4]: a runner of the SDK that was away for longer than its session keeps its actors' memory, and its clients
// notice nothing.
func TestARunnerThatWasAwayKeepsItsActors(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		h := w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.client()
		conn := c.GetOrCreate("lab", []string{"x"}).Connect(client.ConnectOptions{Params: labConn{Name: "ann"}})
		counts := make(chan int, 10)
		client.On(conn, "count", func(n int) { counts <- n })
		wantEqual(w, "before", call[int](w, conn, "add", 1), 1)
		j.take()
		h.refuse(true)
		h.cut()
		sleep(6 * time.Second)
		answer := make(chan int, 1)
		go func() { answer <- call[int](w, conn, "add", 1) }()
		sleep(time.Second)
		wantEqual(w, "answers while nobody hosts the actor", len(answer), 0)
		h.refuse(false)
		sleep(12 * time.Second)
		wantEqual(w, "afterwards", <-answer, 2)
		wantEqual(w, "events", <-counts+<-counts, 3)
		wantEqual(w, "hooks", j.take(), "")
		wantEqual(w, "adoptions", metric(w, "stagedoor_adoptions_total"), "1")
	})
}

func (h *hosted) refuse(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = on
}

// metric is the value of a metric.
func metric(w *world, name string) string {
	w.Helper()
	for line := range strings.Lines(w.do("GET", "/metrics", "").raw) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	w.Fatalf("there is no metric %s", name)
	return ""
}
