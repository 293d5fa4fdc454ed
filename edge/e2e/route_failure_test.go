package e2e

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// crash ends the actor as its runner would.
func (s *scripted) crash(ref uint64) {
	s.w.Helper()
	s.cold(&runnerv1alpha1.ActorStopped{
		Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED,
		Error: &commonv1alpha1.Error{Group: "user", Code: "boom", Message: "it went off"},
	})
	synctest.Wait()
}

// living starts the actor, which answers its call, and returns its ref.
func (s *scripted) living(key string) uint64 {
	s.w.Helper()
	answer := s.w.calling(key, "x")
	start := expect[*runnerv1alpha1.StartActor](s)
	if start.GetVersion() == 0 {
		s.commit(start.GetActor(), 1, "\x00", 0)
		expect[*wire.CommitResult](s)
	}
	s.cold(&runnerv1alpha1.ActorReady{Actor: start.GetActor()})
	s.send(result(start.GetActor(), expect[*wire.Call](s).ID, "\x01"))
	wantAnswer(s.w, answer, `{"output":1}`)
	return start.GetActor()
}

func described(w *world) map[string]any {
	w.Helper()
	return w.do("GET", "/v1/actors/scripted:x", "").body["actor"].(map[string]any)
}

// [LIFE-11]: pauses double from the second failure on; who would wait longer than a second hears why, who does not waits; a
// life of ten seconds ends the row.
func TestAnActorThatFailsAgainAndAgainIsPaused(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		s.crash(s.living("x"))
		s.crash(s.living("x"))
		for failures, pause := 2, 100*time.Millisecond; failures < 6; failures, pause = failures+1, 2*pause {
			begin := time.Now()
			answer := w.calling("x", "x")
			s.quiet()
			sleep(pause - time.Millisecond)
			s.quiet()
			sleep(time.Millisecond)
			start := expect[*runnerv1alpha1.StartActor](s)
			wantEqual(w, "pause", time.Since(begin), pause)
			wantEqual(w, "attempt", start.GetAttempt(), uint32(failures))
			s.cold(&runnerv1alpha1.ActorReady{Actor: start.GetActor()})
			s.send(result(start.GetActor(), expect[*wire.Call](s).ID, "\x01"))
			wantAnswer(w, answer, `{"output":1}`)
			s.crash(start.GetActor())
		}
		r := w.act("scripted:x", "x", "[]")
		wantEqual(w, "code", r.name(), "actor.crash_loop")
		e := r.err()
		wantEqual(w, "ran", e["ran"], any("no"))
		wantEqual(w, "retryable", e["retryable"], any(true))
		wantEqual(w, "retry after", r.header.Get("Retry-After"), "2")
		wantEqual(w, "status", r.status, 503)
		for _, part := range []string{"6 times", "1.6s", "user.boom", "it went off"} {
			if !strings.Contains(e["message"].(string), part) {
				w.Errorf("%q is not in %q", part, e["message"])
			}
		}
		c := w.dial("/v1/actors/scripted:x/connect", "")
		c.want("welcome")
		refused := c.wantError("connectionClosed", "actor.crash_loop", "reconnect", "same")
		wantEqual(w, "retry after", refused["retryAfterMs"], any(1601.0))
		s.quiet()

		d := described(w)
		wantEqual(w, "failures", fmt.Sprint(d["failures"]), "6")
		cause := d["cause"].(map[string]any)
		wantEqual(w, "cause", fmt.Sprint(cause["group"], cause["code"], cause["message"]), "userboomit went off")
		wantEqual(w, "next start", d["nextStartAt"], any(time.Now().Add(1600*time.Millisecond).UTC().Format(time.RFC3339Nano)))

		sleep(time.Second) // less than a second is left
		waits := w.calling("x", "x")
		s.quiet()
		sleep(600 * time.Millisecond)
		start := expect[*runnerv1alpha1.StartActor](s)
		s.cold(&runnerv1alpha1.ActorReady{Actor: start.GetActor()})
		s.send(result(start.GetActor(), expect[*wire.Call](s).ID, "\x01"))
		wantAnswer(w, waits, `{"output":1}`)
		wantEqual(w, "failures", fmt.Sprint(described(w)["failures"]), "6")
		s.live(10 * time.Second)
		wantEqual(w, "failures of a healthy life", described(w)["failures"], nil)
		s.crash(start.GetActor())
		wantEqual(w, "failures", fmt.Sprint(described(w)["failures"]), "1")
		s.living("x")
	})
}

// [LIFE-11]: the pause has an end, failures are remembered a minute longer without anybody asking, and no longer.
func TestTheRowOfFailuresIsRememberedForAWhile(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		for range 10 {
			s.crash(s.living("x"))
			s.live(10 * time.Second) // the longest pause
		}
		d := described(w)
		wantEqual(w, "failures", fmt.Sprint(d["failures"]), "10")
		wantEqual(w, "next start", d["nextStartAt"], any(time.Now().UTC().Format(time.RFC3339Nano)))
		s.live(59 * time.Second)
		wantEqual(w, "failures", fmt.Sprint(described(w)["failures"]), "10")
		s.live(2 * time.Second)
		wantEqual(w, "failures", described(w)["failures"], nil)
		s.crash(s.living("x"))
		s.crash(s.living("x")) // without a pause
	})
}

// [LIFE-11] [LIFE-3]: so do starts that fail, whoever wanted them, and lives that a lost runner, a breach or a refused commit
// ended; an asked-for sleep does not, nor does the want of a runner.
func TestWhatCountsAsAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(s *scripted, ref uint64)
		cause string
	}{
		"a lost runner": {func(s *scripted, _ uint64) { _ = s.conn.Close() }, "actor.crashed"},
		"a breach":      {func(s *scripted, ref uint64) { s.commit(ref, 9, "", 0); s.wantStop(fenced) }, "runner.invalid_report"},
		"a refused commit": {func(s *scripted, ref uint64) {
			s.send(&wire.Commit{Actor: ref, Version: 2, Changes: changes(&runnerv1alpha1.Changes{Kv: []*runnerv1alpha1.KvOp{{}}})})
			expect[*wire.CommitResult](s)
			s.wantStop(fenced)
		}, "kv.key_too_large"},
		"fenced by its runner": {func(s *scripted, ref uint64) {
			s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED})
		}, "actor.crashed"},
		"a start that fails": {func(s *scripted, ref uint64) {
			s.crash(ref)
			answer := s.w.calling("x", "x")
			s.cold(&runnerv1alpha1.ActorStopped{
				Actor: expect[*runnerv1alpha1.StartActor](s).GetActor(), Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED,
				Error: &commonv1alpha1.Error{Group: "user", Code: "no_disk"},
			})
			wantAnswer(s.w, answer, "actor.start_failed")
		}, "user.no_disk"},
		"a start that hangs": {func(s *scripted, ref uint64) {
			answer := s.w.calling("x", "x") // to the life that is about to end
			expect[*wire.Call](s)
			s.crash(ref)
			wantNone(s.w, answer, "it did not run")
			expect[*runnerv1alpha1.StartActor](s)
			s.live(31 * time.Second)
			s.wantStop(fenced)
			wantAnswer(s.w, answer, "actor.start_timed_out")
		}, "actor.start_timed_out"},
		"a sleep": {func(s *scripted, ref uint64) {
			s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, gateway.Config{}, func(w *world) {
				s := w.scriptedRunner()
				c.end(s, s.living("x"))
				synctest.Wait()
				d := described(w)
				if c.cause == "" {
					wantEqual(w, "failures", d["failures"], nil)
					return
				}
				cause, _ := d["cause"].(map[string]any)
				if cause == nil || fmt.Sprint(cause["group"], ".", cause["code"]) != c.cause {
					w.Errorf("the actor is described as %v, want cause %s", d, c.cause)
				}
			})
		})
	}
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		s.cold(&runnerv1alpha1.ActorStopped{Actor: s.living("x"), Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
		synctest.Wait()
		held.away(true)
		for range 10 {
			wantEqual(w, "the store is away", w.act("scripted:x", "x", "[]").name(), "store.unavailable")
		}
		held.away(false)
		s.living("x")
	})
}

// [LIFE-11] [CONN-6]: connections wait through the pauses, and a message that comes with one of them is not lost.
func TestConnectionsOutliveACrashLoop(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		ref := s.ref
		for range 6 {
			s.crash(ref)
			sleep(2 * time.Second)
			start := expect[*runnerv1alpha1.StartActor](s.scripted)
			expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
			ref = start.GetActor()
			s.cold(&runnerv1alpha1.ActorReady{Actor: ref})
		}
		s.client.text(`{"type":"call","id":1,"connection":1,"action":"a"}`)
		expect[*wire.Call](s.scripted)
		s.crash(ref) // the call did not run, and would have to wait for 3.2 s
		s.client.wantError("callResult", "actor.crash_loop", "id", 1.0)
		wantNothing(s.client)
		s.live(4 * time.Second)
		expect[*runnerv1alpha1.StartActor](s.scripted)
	})
}

// [LIFE-11] [LIFE-6]: a row of failures ends with its actor, and so do its connections when it is destroyed while nobody
// hosts it [LIFE-7].
func TestTheFailuresOfADestroyedActorAreItsOwn(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner().scene()
		ref := s.ref
		for range 7 {
			s.crash(ref)
			s.live(4 * time.Second)
			ref = expect[*runnerv1alpha1.StartActor](s.scripted).GetActor()
			expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
			s.cold(&runnerv1alpha1.ActorReady{Actor: ref})
		}
		_ = s.conn.Close()
		synctest.Wait()
		wantEqual(w, "while it is paused", w.act("scripted:x", "x", "[]").name(), "actor.crash_loop")
		wantEqual(w, "destroyed", w.do("DELETE", "/v1/actors/scripted:x", "").status, 204)
		s.client.wantError("connectionClosed", "actor.destroyed", "reconnect", "never")
		next := w.scriptedRunner()
		next.living("x")
		wantEqual(w, "failures", described(w)["failures"], nil)
	})
}

// [LIFE-12] [CALL-4]: a call or an open that its runner leaves unanswered a stop grace after its deadline ends the incarnation.
func TestARunnerThatDoesNotAnswerLosesItsActor(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		ref := s.living("x")
		answer := w.calling("x", "hangs", "Stagedoor-Deadline-Ms", "2000")
		expect[*wire.Call](s)
		other := w.calling("x", "other")
		s.live(3 * time.Second)
		wantAnswer(w, answer, "action.timed_out")
		expect[*wire.Call](s)
		wantEqual(w, "canceled", expect[*runnerv1alpha1.CancelCall](s).GetReason(), runnerv1alpha1.CancelReason_CANCEL_REASON_DEADLINE)
		s.live(13 * time.Second)
		s.quiet()
		s.live(3 * time.Second)
		s.wantStop(fenced)
		wantAnswer(w, other, "actor.crashed")
		s.send(result(ref, 1, "\x01")) // too late
		wantEqual(w, "counted", metric(w, "stagedoor_hung_actors_total"), "1")
		s.living("x")

		c := w.dial("/v1/actors/scripted:y/connect", "")
		s.begin()
		expect[*runnerv1alpha1.ConnectionOpen](s)
		c.want("welcome")
		s.live(61 * time.Second)
		c.wantError("connectionClosed", "action.timed_out")
		expect[*runnerv1alpha1.CancelCall](s)
		s.live(15 * time.Second)
		s.wantStop(fenced)
		wantEqual(w, "counted", metric(w, "stagedoor_hung_actors_total"), "2")
	})
}

// [LIFE-12] [COMMIT-4]: an answer that waits for a commit is one.
func TestAnAnswerBehindASlowCommitIsAnAnswer(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		ref := s.living("x")
		answer := w.calling("x", "slow", "Stagedoor-Deadline-Ms", "2000")
		call := expect[*wire.Call](s)
		held.hold()
		s.commit(ref, 2, "\x02", 1)
		s.send(result(ref, call.ID, "\x01"))
		s.live(40 * time.Second)
		wantAnswer(w, answer, "action.timed_out")
		expect[*runnerv1alpha1.CancelCall](s)
		s.quiet()
		held.release(nil)
		expect[*wire.CommitResult](s)
		s.live(20 * time.Second)
		s.quiet()
		wantEqual(w, "counted", metric(w, "stagedoor_hung_actors_total"), "0")
	})
}

// [LIMIT-3] [LIMIT-1]: connections of one actor are counted from their open on, until the actor has dealt with their end.
func TestAnActorHasSoManyConnections(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxConnectionsPerActor = 2
	inWorld(t, gateway.Config{Limits: limits}, func(w *world) {
		s := w.scriptedRunner()
		dial := func() *raw {
			c := w.dial("/v1/actors/scripted:x/connect", "")
			c.want("welcome")
			return c
		}
		one, two := dial(), dial() // they wait for the start
		dial().wantError("connectionClosed", "actor.too_many_connections", "reconnect", "same")
		ref := s.begin().GetActor()
		first, second := expect[*runnerv1alpha1.ConnectionOpen](s), expect[*runnerv1alpha1.ConnectionOpen](s)
		dial().wantError("connectionClosed", "actor.too_many_connections", "reconnect", "same")
		s.send(&wire.Commit{Actor: ref, Version: 2, Outputs: 2, Changes: changes(&runnerv1alpha1.Changes{
			ConnectionsAdded: []string{first.GetConnectionId(), second.GetConnectionId()},
		})}, &wire.CallResult{Actor: ref, ID: first.GetCall()}, &wire.CallResult{Actor: ref, ID: second.GetCall()})
		expect[*wire.CommitResult](s)
		one.want("connectionOpened")
		two.want("connectionOpened")
		dial().wantError("connectionClosed", "actor.too_many_connections", "reconnect", "same")
		_ = one.conn.NetConn().Close()
		expect[*runnerv1alpha1.ConnectionClose](s)
		dial().wantError("connectionClosed", "actor.too_many_connections", "reconnect", "same") // onDisconnect is owed
		s.send(&wire.Commit{Actor: ref, Version: 3, Changes: changes(&runnerv1alpha1.Changes{ConnectionsRemoved: []string{first.GetConnectionId()}})})
		expect[*wire.CommitResult](s)
		dial()
		expect[*runnerv1alpha1.ConnectionOpen](s)
		wantEqual(w, "counted", metric(w, `stagedoor_limit_reached_total{limit="max_connections_per_actor"}`), "4")
	})
}
