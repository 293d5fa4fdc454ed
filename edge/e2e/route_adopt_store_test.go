package e2e

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// lostActor is one whose runner has lost its socket in the middle of a call.
func (w *world) lostActor() *runnerv1alpha1.StartActor {
	w.Helper()
	s := w.scriptedRunner()
	w.calling("x", "x")
	start := s.begin()
	expect[*wire.Call](s)
	_ = s.conn.Close()
	synctest.Wait()
	return start
}

// [LEASE-4] [READ-1]: a runner that comes back while the store is away keeps its actors: the store is asked until it answers,
// and who waits for them hears so meanwhile.
func TestAnOfferWaitsForTheStore(t *testing.T) {
	for name, away := range map[string]func(h *heldStore, gone bool){
		"the record":      func(h *heldStore, gone bool) { h.away(gone) },
		"the acquisition": func(h *heldStore, gone bool) { h.stuck.Store(gone) },
	} {
		t.Run(name, func(t *testing.T) {
			held := new(heldStore)
			inHeldWorld(t, held, func(w *world) {
				start := w.lostActor()
				away(held, true)
				next := w.returning(offer(start, 1))
				next.live(10 * time.Second)
				next.quiet()
				answer := w.calling("x", "x")
				sleep(2 * time.Second)
				wantAnswer(w, answer, "store.unavailable")
				away(held, false)
				sleep(time.Second)
				next.serves("x", next.wantAdopted(start, 1).GetActor(), 2)
			})
		})
	}
}

// [LINK-19]: not for longer than a start would wait.
func TestAnOfferDoesNotWaitForTheStoreForEver(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		start := w.lostActor()
		held.stuck.Store(true)
		next := w.returning(offer(start, 1))
		next.live(29 * time.Second)
		next.quiet()
		next.live(3 * time.Second)
		next.wantRefused(start.GetActor())
		held.stuck.Store(false)
		next.living("x")
	})
}

// [LINK-19]: those for which the store does not answer, a part of it or in their class, hold nobody else up.
func TestAnOfferThatWaitsForTheStoreWaitsAlone(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		start := w.lostActor()
		id := start.GetId()
		held.without.Store(&id)
		next := w.returning(offer(start, 1))
		next.live(time.Second)
		next.living("neighbour")
		held.without.Store(nil)
		sleep(2 * time.Second)
		next.serves("x", next.wantAdopted(start, 1).GetActor(), 2)
	})
}

// [LINK-18] [LEASE-4]: the events of a repeated commit, which do not leave again, give their credit back: to their actors, and
// to the link, whose window they exceed together.
func TestRepeatedEventsGiveTheirCreditBack(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxEvent, limits.EventWindow, limits.LinkWindow = 4000, 10_000, 10_000
	inWorld(t, gateway.Config{Limits: limits}, func(w *world) {
		const actors = 20
		large := func(ref uint64) *wire.Emit {
			return &wire.Emit{Actor: ref, Event: []byte("e"), Args: make([]byte, 4000)}
		}
		s := w.scriptedRunner()
		var offers []*runnerv1alpha1.HostedActor
		for i := range actors {
			w.calling(fmt.Sprint(i), "x")
			start := s.begin()
			expect[*wire.Call](s)
			s.commit(start.GetActor(), 2, "\x02", 1)
			s.send(large(start.GetActor()))
			expect[*wire.CommitResult](s)
			offers = append(offers, pending(offer(start, 1), "\x02"))
		}
		_ = s.conn.Close()
		next := w.script()
		hello := next.aHello()
		hello.Features, hello.Hosting = append(hello.Features, wire.FeatureAdopt, wire.FeatureCredit), true
		next.cold(hello)
		expect[*runnerv1alpha1.Welcome](next)
		next.cold(&runnerv1alpha1.Hosted{Actors: offers, Last: true})
		var refs []uint64
		for range actors {
			refs = append(refs, expect[*runnerv1alpha1.Adopted](next).GetActor())
		}
		events := metric(w, "stagedoor_events_total")
		spent, credit := map[uint64]uint64{}, map[uint64]uint64{0: 10_000}
		for _, ref := range refs {
			next.commit(ref, 2, "\x02", 1)
			next.send(large(ref))
			next.heed(credit)
			spent[0] += large(ref).Cost()
			if spent[0]+large(ref).Cost() > credit[0] {
				w.Fatalf("%d are spent, the credit is %d", spent[0], credit[0])
			}
		}
		wantEqual(w, "events", metric(w, "stagedoor_events_total"), events)
		for _, ref := range refs { // the actor's own: more than a window in all
			for range 3 {
				next.send(large(ref))
				next.heed(credit)
			}
			if 5*large(ref).Cost() > credit[ref] {
				w.Fatalf("the actor's credit is %d", credit[ref])
			}
		}
		wantEqual(w, "breaches", metric(w, "stagedoor_invalid_reports_total"), "0")
	})
}

// heed takes what has come, of which it heeds the credit.
func (s *scripted) heed(credit map[uint64]uint64) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.in {
		if c, ok := m.(*runnerv1alpha1.Credit); ok {
			credit[c.GetActor()] = c.GetOffset()
		}
	}
	s.in = nil
}
