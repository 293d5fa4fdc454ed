package e2e

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// destroying sends a DELETE of the actor scripted:x; its answer comes on the channel.
func (w *world) destroying() <-chan response {
	answer := make(chan response, 1)
	go func() {
		if r, err := w.try("DELETE", "/v1/actors/scripted:x", ""); err == nil {
			answer <- r
		}
	}()
	synctest.Wait()
	return answer
}

// failStart takes the StartActor that comes next, and fails it.
func (s *scripted) failStart() {
	s.w.Helper()
	s.cold(&runnerv1alpha1.ActorStopped{
		Actor: expect[*runnerv1alpha1.StartActor](s).GetActor(), Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED,
		Error: &commonv1alpha1.Error{Group: "user", Code: "no_disk"},
	})
	synctest.Wait()
}

// [LIFE-7] [LIFE-11]: an actor that cannot be started is destroyed without its onDestroy; its key is free again.
func TestAnActorThatCannotStartCanBeDestroyed(t *testing.T) {
	const path = "/v1/actors/scripted:x"
	for name, destroy := range map[string]func(w *world, s *scripted) (<-chan response, *scripted){
		"its start fails": func(w *world, s *scripted) (<-chan response, *scripted) {
			answer := w.destroying()
			s.failStart()
			return answer, s
		},
		"in a crash loop": func(w *world, s *scripted) (<-chan response, *scripted) {
			for range 6 {
				w.calling("x", "x")
				sleep(time.Second)
				s.failStart()
			}
			wantEqual(w, "calls", w.act("scripted:x", "x", "[]").name(), "actor.crash_loop")
			return w.destroying(), s
		},
		"its start hangs": func(w *world, s *scripted) (<-chan response, *scripted) {
			answer := w.destroying()
			expect[*runnerv1alpha1.StartActor](s)
			s.live(31 * time.Second)
			s.wantStop(fenced)
			return answer, s
		},
		"its start kills the runner": func(w *world, s *scripted) (<-chan response, *scripted) {
			answer := w.destroying()
			for range 6 {
				sleep(time.Second)
				expect[*runnerv1alpha1.StartActor](s)
				_ = s.conn.Close()
				s = w.scriptedRunner()
			}
			return answer, s
		},
		"its destruction kills it": func(w *world, s *scripted) (<-chan response, *scripted) {
			answer := w.destroying()
			for range 6 {
				sleep(time.Second)
				ref := expect[*runnerv1alpha1.StartActor](s).GetActor()
				s.cold(&runnerv1alpha1.ActorReady{Actor: ref})
				s.wantStop(runnerv1alpha1.StopReason_STOP_REASON_DESTROY)
				s.crash(ref)
			}
			return answer, s
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{}, func(w *world) {
				s := w.scriptedRunner()
				ref := s.living("x")
				s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
				synctest.Wait()
				answer, s := destroy(w, s)
				synctest.Wait()
				select {
				case r := <-answer:
					wantEqual(w, "status", r.status, 204)
				default:
					w.Fatal("DELETE is not answered")
				}
				wantEqual(w, "described", w.do("GET", path, "").status, 404)
				s.quiet()
				s.living("x") // another one, from version 0
				wantEqual(w, "failures", described(w)["failures"], nil)
			})
		})
	}
}

// [LIFE-7] [LIFE-6]: so is one that its connections keep looking for a runner; they close with it.
func TestAnActorThatLooksForARunnerCanBeDestroyed(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		_ = s.conn.Close()
		synctest.Wait()
		answer := w.destroying()
		call := w.calling("x", "waits")
		sleep(31 * time.Second)
		wantAnswer(w, call, "runner.unavailable")
		wantEqual(w, "status", (<-answer).status, 204)
		s.client.wantError("connectionClosed", "actor.destroyed", "reconnect", "never")
		wantEqual(w, "described", w.do("GET", "/v1/actors/scripted:x", "").status, 404)
	})
}

// [LIFE-7] [ERR-5]: where the store is away nothing is destroyed, and nobody is told so.
func TestAnActorThatCannotBeRemovedStays(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner().scene()
		s.crash(s.ref)
		ref := expect[*runnerv1alpha1.StartActor](s.scripted).GetActor()
		expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
		answer := w.destroying()
		held.away(true)
		s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED})
		wantAnswer(w, answer, "store.unavailable")
		wantNothing(s.client)
		held.away(false)
		sleep(time.Second)
		expect[*runnerv1alpha1.StartActor](s.scripted)
		expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
	})
}

// [LIFE-6] [CALL-8]: a call on a connection that waits for the next life of an actor makes no other one of its key when there
// is none.
func TestACallThatWaitsWhileItsActorIsDestroyed(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		answer := w.destroying()
		s.wantStop(runnerv1alpha1.StopReason_STOP_REASON_DESTROY)
		s.client.text(`{"type":"call","id":1,"connection":1,"action":"a"}`)
		other := w.calling("x", "another actor's")
		s.quiet()
		s.cold(&runnerv1alpha1.ActorStopped{Actor: s.ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED})
		wantEqual(w, "status", (<-answer).status, 204)
		s.client.wantError("callResult", "actor.destroyed", "id", 1.0)
		s.client.wantError("connectionClosed", "actor.destroyed", "reconnect", "never")
		ref := s.begin().GetActor()
		call := expect[*wire.Call](s.scripted)
		wantEqual(w, "call", string(call.Action), "another actor's")
		s.send(result(ref, call.ID, "\x01"))
		wantAnswer(w, other, `{"output":1}`)
		s.quiet()
	})
}
