package e2e

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// scene is an actor of a scripted runner with a client that is connected and subscribed to "e".
type scene struct {
	*scripted
	client *raw
	start  *runnerv1alpha1.StartActor
	ref    uint64
	open   *runnerv1alpha1.ConnectionOpen
}

// scene opens it for the actor scripted:x.
func (s *scripted) scene() *scene {
	s.w.Helper()
	c := s.w.dial("/v1/actors/scripted:x/connect?subscribe=e", "")
	start := s.begin()
	open := expect[*runnerv1alpha1.ConnectionOpen](s)
	s.send(&wire.CallResult{Actor: start.GetActor(), ID: open.GetCall()})
	c.want("welcome")
	c.want("connectionOpened")
	return &scene{s, c, start, start.GetActor(), open}
}

func event(ref uint64, n byte) *wire.Emit {
	return &wire.Emit{Actor: ref, Event: []byte("e"), Args: []byte{0x81, n}}
}

// wantEvent checks the number that the next event carries.
func wantEvent(c *raw, n float64) {
	c.w.Helper()
	wantEqual(c.w, "event", c.want("event")["args"].([]any)[0], any(n))
}

func wantNothing(c *raw) {
	c.w.Helper()
	if m := c.next(); m != nil {
		c.w.Fatalf("the client got %v, want nothing", m)
	}
}

// live lets time pass for a runner that does nothing but ping.
func (s *scripted) live(d time.Duration) {
	s.w.Helper()
	for ; d > 0; d -= 3 * time.Second {
		s.cold(&commonv1alpha1.Ping{Nonce: 1})
		sleep(min(d, 3*time.Second))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in = slices.DeleteFunc(s.in, func(m any) bool { _, pong := m.(*runnerv1alpha1.Pong); return pong })
}

func (s *scripted) wantStop(reason runnerv1alpha1.StopReason) {
	s.w.Helper()
	wantEqual(s.w, "reason", expect[*runnerv1alpha1.StopActor](s).GetReason(), reason)
}

const fenced = runnerv1alpha1.StopReason_STOP_REASON_FENCED

// [LIFE-8] [GATE-2]: a commit that was with the store when its runner was lost has its outcome before the actor lives again.
func TestACommitUnderWayOutlivesItsRunner(t *testing.T) {
	for name, c := range map[string]struct {
		outcome error
		answer  string // of the call in the group
		other   string // of one that was not answered
		version uint64
		events  int
	}{
		"acknowledged": {nil, `{"output":1}`, "action.outcome_unknown", 2, 2},
		"refused":      {store.ErrQuota, "kv.quota_exceeded", "kv.quota_exceeded", 1, 0},
		// Of the attempt without answer nobody knows [COMMIT-4].
		"fenced": {store.ErrFenced, "action.outcome_unknown", "action.outcome_unknown", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			held := new(heldStore)
			inHeldWorld(t, held, func(w *world) {
				s := w.scriptedRunner().scene()
				a, b := w.calling("x", "a"), w.calling("x", "b")
				call := expect[*wire.Call](s.scripted)
				expect[*wire.Call](s.scripted)
				held.hold()
				s.commit(s.ref, 2, "\x02", 2)
				s.send(event(s.ref, 1), result(s.ref, call.ID, "\x01"))
				// For a life that is over.
				s.cold(&runnerv1alpha1.KvRead{Actor: s.ref, Id: 1, Keys: [][]byte{{1}}})
				s.cold(&runnerv1alpha1.ActorReady{Actor: s.ref})
				s.send(event(s.ref, 2))
				synctest.Wait()
				_ = s.conn.Close()
				next := w.scriptedRunner()
				next.quiet()
				held.answer(io.ErrUnexpectedEOF) // an unknown outcome is asked for again
				next.live(2 * time.Second)
				next.quiet()
				wantNone(w, a, "its commit has no outcome yet")
				wantNothing(s.client)
				held.release(c.outcome)
				wantAnswer(w, a, c.answer)
				wantAnswer(w, b, c.other)
				for i := range c.events {
					wantEvent(s.client, float64(i+1))
				}
				wantNothing(s.client)
				start := expect[*runnerv1alpha1.StartActor](next)
				wantEqual(w, "version", start.GetVersion(), c.version)
				wantEqual(w, "restored", start.GetRestoredConnections(), uint32(1))
			})
		})
	}
}

// [LIFE-8] [CALL-4] [CALL-5] [CALL-7]: meanwhile deadlines hold, and what no runner has seen can still be canceled, and goes
// to the next life.
func TestWhoWaitsForACommitUnderWayIsNotForgotten(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		first := w.calling("x", "first")
		ref := s.begin().GetActor()
		call := expect[*wire.Call](s)
		late := w.calling("x", "late", "Stagedoor-Deadline-Ms", "3000")
		expect[*wire.Call](s)
		held.hold()
		s.commit(ref, 2, "\x02", 1)
		s.send(result(ref, call.ID, "\x01"))
		synctest.Wait()
		s.deaf()
		w.calling("x", "taken") // the writer has it, and blocks
		queued := w.calling("x", "queued")
		soon := w.calling("x", "soon", "Stagedoor-Deadline-Ms", "2000")
		c := w.dial("/v1/connect", "stagedoor.v1.json")
		c.text(`{"type":"call","id":1,"action":"canceled","target":"scripted:x"}`)
		c.text(`{"type":"call","id":2,"action":"canceled","target":"scripted:x"}`)
		c.want("welcome")
		c.text(`{"type":"cancelCall","id":2}`)
		synctest.Wait()
		_ = s.conn.Close()
		synctest.Wait()
		c.text(`{"type":"cancelCall","id":1}`)
		wantEqual(w, "ran", c.wantError("callResult", "action.canceled", "id", 1.0)["ran"], any("no"))
		next := w.scriptedRunner()
		parked := w.calling("x", "parked")
		next.live(4 * time.Second)
		wantAnswer(w, late, "action.timed_out")
		r := <-soon
		wantEqual(w, "an unwritten call", r.name(), "action.timed_out")
		wantEqual(w, "ran", r.err()["ran"], any("no"))
		next.quiet()
		held.release(nil)
		wantAnswer(w, first, `{"output":1}`)
		wantEqual(w, "ran", c.wantError("callResult", "action.canceled", "id", 2.0)["ran"], any("no"))
		ref = next.begin().GetActor()
		for _, want := range []struct {
			action string
			answer <-chan response
		}{{"queued", queued}, {"parked", parked}} {
			c := expect[*wire.Call](next)
			wantEqual(w, "action", string(c.Action), want.action)
			next.send(result(ref, c.ID, "\x02"))
			wantAnswer(w, want.answer, `{"output":2}`)
		}
	})
}

// [LIFE-8] [CONN-8]: an open that was accepted in the group is accepted; a destruction in it has happened [LIFE-6].
func TestWhatALateGroupSaysOfConnections(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/actors/scripted:x/connect?subscribe=e", "")
		ref := s.begin().GetActor()
		open := expect[*runnerv1alpha1.ConnectionOpen](s)
		held.hold()
		s.commit(ref, 2, "\x02", 2)
		s.cold(&runnerv1alpha1.ConnectionState{Actor: ref, Connection: open.GetConnection(), State: []byte{5}})
		s.send(&wire.CallResult{Actor: ref, ID: open.GetCall()})
		synctest.Wait()
		_ = s.conn.Close()
		next := w.scriptedRunner()
		c.want("welcome")
		held.release(nil)
		c.want("connectionOpened")
		ref = expect[*runnerv1alpha1.StartActor](next).GetActor()
		restored := expect[*runnerv1alpha1.ConnectionOpen](next)
		wantEqual(w, "restored", restored.GetRestored(), true)
		wantEqual(w, "state", string(restored.GetState()), "\x05")
		next.cold(&runnerv1alpha1.ActorReady{Actor: ref})

		answer := w.calling("x", "destroy")
		held.hold()
		next.send(&wire.Commit{Actor: ref, Version: 3, Changes: changes(&runnerv1alpha1.Changes{Destroy: true}), Outputs: 1},
			result(ref, expect[*wire.Call](next).ID, "\x01"))
		synctest.Wait()
		_ = next.conn.Close()
		w.scriptedRunner()
		held.release(nil)
		wantAnswer(w, answer, `{"output":1}`)
		c.wantError("connectionClosed", "actor.destroyed", "reconnect", "never")
		wantEqual(w, "gone", w.do("GET", "/v1/actors/scripted:x", "").name(), "actor.not_found")
	})
}

// [LINK-9] [LIFE-8]: what was with the store before a breach counts; the breach costs the rest.
func TestACommitUnderWayOutlivesABreach(t *testing.T) {
	for name, outcome := range map[string]error{"acknowledged": nil, "refused": store.ErrFenced} {
		t.Run(name, func(t *testing.T) {
			held := new(heldStore)
			inHeldWorld(t, held, func(w *world) {
				s := w.scriptedRunner()
				a, b := w.calling("x", "a"), w.calling("x", "b")
				ref := s.begin().GetActor()
				call := expect[*wire.Call](s)
				expect[*wire.Call](s)
				held.hold()
				s.commit(ref, 2, "\x02", 1)
				s.send(result(ref, call.ID, "\x01"))
				s.commit(ref, 3, "\x03", 0)
				s.wantStop(fenced)
				wantNone(w, a, "its commit has no outcome yet")
				wantNone(w, b, "the incarnation has not ended")
				w.calling("x", "c")
				s.quiet()
				held.release(outcome)
				version := uint64(2)
				if outcome == nil {
					wantAnswer(w, a, `{"output":1}`)
					wantAnswer(w, b, "runner.invalid_report")
				} else {
					wantAnswer(w, a, "actor.fenced")
					wantAnswer(w, b, "actor.fenced")
					version = 1
				}
				wantEqual(w, "version", expect[*runnerv1alpha1.StartActor](s).GetVersion(), version)
			})
		})
	}
}

// [SLEEP-3] [LIFE-3] [LIFE-8]: so does one that a stop or a start has left behind when its time was over.
func TestACommitUnderWayOutlivesItsGrace(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner().scene()
		s.cold(&runnerv1alpha1.ActorIntent{Actor: s.ref, Intent: runnerv1alpha1.Intent_INTENT_SLEEP})
		s.wantStop(runnerv1alpha1.StopReason_STOP_REASON_SLEEP)
		held.hold()
		s.commit(s.ref, 2, "\x02", 1)
		s.send(event(s.ref, 1))
		s.live(16 * time.Second)
		s.wantStop(fenced)
		wantNothing(s.client)
		s.quiet() // its connection wants it back, but not yet
		held.release(nil)
		wantEvent(s.client, 1)
		start := expect[*runnerv1alpha1.StartActor](s.scripted)
		wantEqual(w, "version", start.GetVersion(), uint64(2))

		expect[*runnerv1alpha1.ConnectionOpen](s.scripted)
		answer := w.calling("x", "x")
		held.hold()
		s.commit(start.GetActor(), 3, "\x03", 1)
		s.send(event(start.GetActor(), 2))
		s.live(31 * time.Second)
		s.wantStop(fenced)
		wantAnswer(w, answer, "actor.start_timed_out")
		wantNothing(s.client)
		held.release(nil)
		wantEvent(s.client, 2)
		sleep(time.Second)
		wantEqual(w, "version", expect[*runnerv1alpha1.StartActor](s.scripted).GetVersion(), uint64(3))
	})
}

// [LIFE-8] [LINK-10]: a gateway that goes away waits for it, and one that is closed does not.
func TestADrainWaitsForACommitUnderWay(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner().scene()
		held.hold()
		s.commit(s.ref, 2, "\x02", 1)
		s.send(event(s.ref, 1))
		synctest.Wait()
		_ = s.conn.Close()
		drained := make(chan error, 1)
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		go func() { drained <- w.Drain(ctx) }()
		sleep(time.Second)
		wantEqual(w, "drained", len(drained), 0)
		held.release(nil)
		wantEvent(s.client, 1)
		if err := <-drained; err != nil {
			w.Error(err)
		}
		held.hold()
	})
}

// [COMMIT-5] [COMMIT-6]: a destroying commit whose first attempt had no answer finds its own work done.
func TestARepeatedDestructionFindsTheActorGone(t *testing.T) {
	for name, c := range map[string]struct {
		first  error
		answer string
	}{
		"after an unknown outcome": {io.ErrUnexpectedEOF, `{"output":1}`},
		"at once":                  {nil, "actor.fenced"}, // somebody else has destroyed it
	} {
		t.Run(name, func(t *testing.T) {
			held := new(heldStore)
			inHeldWorld(t, held, func(w *world) {
				s := w.scriptedRunner()
				answer := w.calling("x", "destroy")
				start := s.begin()
				held.hold()
				s.send(&wire.Commit{
					Actor: start.GetActor(), Version: 2, Changes: changes(&runnerv1alpha1.Changes{Destroy: true}), Outputs: 1,
				}, result(start.GetActor(), expect[*wire.Call](s).ID, "\x01"))
				synctest.Wait()
				if c.first != nil {
					held.answer(c.first)
					sleep(time.Second)
				}
				if err := held.Store.Destroy(w.Context(), start.GetId()); err != nil {
					w.Fatal(err)
				}
				held.release(store.ErrGone)
				wantAnswer(w, answer, c.answer)
			})
		})
	}
}
