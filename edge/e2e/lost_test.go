package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [LINK-1] [LINK-3] [FRAME-1]
func TestARunnerOverWebSocketIsARunner(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		h := w.host(runner.Config{Endpoint: "ws://gateway"}, labType(labOptions{}))
		wantEqual(w, "a call", strings.TrimSpace(w.act("lab:a", "add", "[1]").raw), `{"output":1}`)
		large := strings.Repeat("x", 500_000)
		wantEqual(w, "a large one", len(w.act("lab:a", "echo", `["`+large+`"]`).raw), len(large)+len(`{"output":""}`)+1)
		sleep(10 * time.Second) // pings both ways
		h.cut()
		sleep(time.Minute) // it comes back by itself
		wantEqual(w, "after a cut", strings.TrimSpace(w.act("lab:a", "add", "[1]").raw), `{"output":2}`)
		if err := h.stop(); err != nil {
			w.Errorf("stop: %v", err)
		}
	})
}

// [CALL-7]: of calls that were queued, those of which nothing was written go to the next runner, in order.
func TestCallsThatWereNotWrittenGoToTheNextRunner(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		first := w.calling("x", "first")
		ref := s.begin().GetActor()
		call := expect[*wire.Call](s)
		s.deaf()
		written := w.calling("x", "written") // the writer has taken it, and blocks
		var queued []<-chan response
		for i := range 3 {
			queued = append(queued, w.calling("x", fmt.Sprintf("queued%d", i)))
		}
		_, _ = ref, call
		_ = s.conn.Close()
		wantAnswer(w, first, "action.outcome_unknown")
		wantAnswer(w, written, "action.outcome_unknown")
		next := w.scriptedRunner()
		ref = next.begin().GetActor()
		for i, answer := range queued {
			c := expect[*wire.Call](next)
			wantEqual(w, "action", string(c.Action), fmt.Sprintf("queued%d", i))
			wantEqual(w, "attempt", c.Attempt, uint32(1))
			next.send(result(ref, c.ID, "\x01"))
			wantAnswer(w, answer, `{"output":1}`)
		}
	})
}

// [CALL-7]: a call that no runner runs comes to an end.
func TestACallThatNobodyRunsIsGivenUp(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("x", "x")
		ref := s.begin().GetActor()
		for range 4 {
			s.send(&wire.CallResult{Actor: ref, ID: expect[*wire.Call](s).ID, NotRun: true})
		}
		wantAnswer(w, a, "actor.stopping")
	})
}

// [CONN-8]: an open that was not answered when the runner was lost is asked again of the next one.
func TestAnUnansweredOpenIsAskedAgain(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/actors/scripted:x/connect?subscribe=e", "")
		ref := s.begin().GetActor()
		open := expect[*runnerv1alpha1.ConnectionOpen](s)
		// Its state and an event in an incomplete group: no trace of them may be left.
		s.commit(ref, 2, "\x02", 3)
		s.cold(&runnerv1alpha1.ConnectionState{Actor: ref, Connection: open.GetConnection(), State: []byte{1}})
		s.send(&wire.Emit{Actor: ref, Event: []byte("e"), Args: []byte{0x81, 1}})
		synctest.Wait()
		_ = s.conn.Close()
		c.want("welcome")
		next := w.scriptedRunner()
		ref = next.begin().GetActor()
		again := expect[*runnerv1alpha1.ConnectionOpen](next)
		wantEqual(w, "the same connection", again.GetConnectionId(), open.GetConnectionId())
		wantEqual(w, "restored", again.GetRestored(), false)
		wantEqual(w, "state", again.State == nil, true)
		next.send(&wire.Emit{Actor: ref, Event: []byte("e"), Args: []byte{0x81, 2}}) // before the accept [CONN-1]
		if m := c.next(); m != nil {
			w.Fatalf("before the accept: %v", m)
		}
		next.send(&wire.CallResult{Actor: ref, ID: again.GetCall()})
		c.want("connectionOpened")
		wantEqual(w, "event", c.want("event")["args"].([]any)[0], any(2.0))
	})
}

// [CALL-2] [CALL-8] [CALL-5]: calls on a connection wait for its accept.
func TestCallsWaitForTheirConnection(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/connect", "stagedoor.v1.json")
		c.text(`{"type":"connectionOpen","connection":1,"target":"scripted:x"}`)
		c.text(`{"type":"call","id":1,"connection":1,"action":"a"}`)
		c.text(`{"type":"call","id":2,"connection":1,"action":"b"}`)
		c.text(`{"type":"call","id":3,"connection":1,"action":"c","deadlineMs":1000}`)
		c.text(`{"type":"cancelCall","id":2}`)
		ref := s.begin().GetActor()
		open := expect[*runnerv1alpha1.ConnectionOpen](s)
		s.quiet()
		c.want("welcome")
		wantEqual(w, "ran", c.wantError("callResult", "action.canceled", "id", 2.0)["ran"], any("no"))
		sleep(1100 * time.Millisecond)
		wantEqual(w, "ran", c.wantError("callResult", "action.timed_out", "id", 3.0)["ran"], any("no"))
		s.send(&wire.CallResult{Actor: ref, ID: open.GetCall()})
		c.want("connectionOpened")
		call := expect[*wire.Call](s)
		wantEqual(w, "action", string(call.Action), "a")
		wantEqual(w, "connection", call.Connection, open.GetConnection())
		c.text(`{"type":"connectionOpen","connection":2,"target":"scripted:x"}`)
		c.text(`{"type":"call","id":4,"connection":2,"action":"d"}`)
		open = expect[*runnerv1alpha1.ConnectionOpen](s)
		s.send(&wire.CallResult{Actor: ref, ID: open.GetCall(), Error: wire.ConnectionRejected.New()})
		wantEqual(w, "ran", c.wantError("callResult", "connection.closed", "id", 4.0)["ran"], any("no"))
		c.wantError("connectionClosed", "connection.rejected", "reconnect", "never")
	})
}

// [CONN-4]: a client that leaves while it is being accepted is accepted and has left.
func TestAClientThatLeavesWhileItIsAccepted(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/connect", "stagedoor.v1.json")
		c.text(`{"type":"connectionOpen","connection":1,"target":"scripted:x"}`)
		ref := s.begin().GetActor()
		open := expect[*runnerv1alpha1.ConnectionOpen](s)
		c.text(`{"type":"connectionClose","connection":1}`)
		c.want("welcome")
		if m := c.want("connectionClosed", "connection", 1.0); m["error"] != nil {
			w.Errorf("closed with %v", m)
		}
		wantEqual(w, "the open is canceled", expect[*runnerv1alpha1.CancelCall](s).GetId(), open.GetCall())
		s.send(&wire.CallResult{Actor: ref, ID: open.GetCall()}) // it was too late
		wantEqual(w, "so it has left", expect[*runnerv1alpha1.ConnectionClose](s).GetConnection(), open.GetConnection())
	})
}

// [CONN-3]
func TestWhoGetsAnEvent(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		var clients []*raw
		var refs []uint64
		var ref uint64
		for i := range 3 {
			query := ""
			if i > 0 {
				query = "?subscribe=e" // the first one is not subscribed
			}
			c := w.dial("/v1/actors/scripted:x/connect"+query, "")
			if i == 0 {
				ref = s.begin().GetActor()
			}
			open := expect[*runnerv1alpha1.ConnectionOpen](s)
			s.send(&wire.CallResult{Actor: ref, ID: open.GetCall()})
			c.want("welcome")
			c.want("connectionOpened")
			clients, refs = append(clients, c), append(refs, open.GetConnection())
		}
		for name, test := range map[string]struct {
			emit wire.Emit
			want string
		}{
			"a broadcast":            {wire.Emit{}, "no yes yes"},
			"a broadcast but to one": {wire.Emit{Except: refs[1:2]}, "no no yes"},
			"to all":                 {wire.Emit{All: true}, "yes yes yes"},
			"to all but one":         {wire.Emit{All: true, Except: refs[:1]}, "no yes yes"},
			"to some":                {wire.Emit{To: []uint64{refs[0], refs[2], 99999}}, "yes no yes"},
		} {
			m := test.emit
			m.Actor, m.Event, m.Args = ref, []byte("e"), []byte{0x80}
			s.send(&m)
			var got []string
			for _, c := range clients {
				got = append(got, map[bool]string{true: "yes", false: "no"}[c.next() != nil])
			}
			wantEqual(w, name, strings.Join(got, " "), test.want)
		}
	})
}

// [CLASS-1]
func TestAVolatileActorIsNotWritten(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{options: []runner.Option{runner.WithDurability(runner.Volatile)}}))
		wantEqual(w, "in memory", strings.TrimSpace(w.act("lab:v", "add", "[5]").raw), `{"output":5}`)
		w.act("lab:v", "sleepNow", "[]")
		synctest.Wait()
		wantEqual(w, "gone with its memory", strings.TrimSpace(w.act("lab:v", "get", "[]").raw), `{"output":0}`)
		w.act("lab:v", "destroyMe", "[]")
		synctest.Wait()
		wantEqual(w, "destroyed all the same", w.do("GET", "/v1/actors/lab:v", "").name(), "actor.not_found")
	})
}

// [CALL-6] [CALL-1]
func TestAnActorTakesSoManyCallsAtOnce(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		gate := make(chan struct{})
		w.host(runner.Config{}, labType(labOptions{gate: gate, options: []runner.Option{runner.WithMaxCalls(2)}}))
		c := w.client()
		h := c.GetOrCreate("lab", []string{"a"})
		call[int](w, h, "get")
		errs := make(chan error, 5)
		for range 5 {
			go func() { errs <- h.Call(w.Context(), "wait", nil) }()
		}
		synctest.Wait()
		wantEqual(w, "refused at once", len(errs), 3)
		for range 3 {
			e := wantCode(w, <-errs, "actor.overloaded")
			wantEqual(w, "ran", e.Ran, client.RanNo)
		}
		wantEqual(w, "a neighbour", call[int](w, c.GetOrCreate("lab", []string{"b"}), "get"), 0)
		close(gate)
		for range 2 {
			if err := <-errs; err != nil {
				w.Error(err)
			}
		}
		if err := h.Send(w.Context(), "add", 7); err != nil {
			w.Error(err)
		}
		synctest.Wait()
		wantEqual(w, "a one-way call", call[int](w, h, "get"), 7)
	})
}

// [PAY-4] [JSON-3]
func TestAResultThatJSONCannotCarryCostsItsCallerOnly(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/connect", "stagedoor.v1.json")
		c.text(`{"type":"call","id":1,"action":"a","target":"scripted:x"}`)
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\xd9\xff\xff\x00")) // an unknown tag
		c.want("welcome")
		e := c.wantError("callResult", "request.invalid_payload", "id", 1.0)
		wantEqual(w, "ran", e["ran"], any("yes"))
		answer := w.calling("x", "b")
		s.send(result(ref, expect[*wire.Call](s).ID, "\xff"))
		wantAnswer(w, answer, "request.invalid_payload")
	})
}

// [LIFE-8]: an actor that cannot start again for its connections is tried with growing pauses.
func TestRestartsForConnectionsSlowDown(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/actors/scripted:x/connect", "")
		ref := s.begin().GetActor()
		s.send(&wire.CallResult{Actor: ref, ID: expect[*runnerv1alpha1.ConnectionOpen](s).GetCall()})
		c.want("welcome")
		c.want("connectionOpened")
		starts := 0
		for range 60 {
			s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED})
			sleep(time.Second)
			s.cold(&commonv1alpha1.Ping{})
			synctest.Wait()
			s.mu.Lock()
			for _, m := range s.in {
				if start, ok := m.(*runnerv1alpha1.StartActor); ok {
					starts++
					ref = start.GetActor()
				}
			}
			s.in = nil
			s.mu.Unlock()
		}
		if starts < 5 || starts > 20 {
			w.Errorf("%d starts in a minute", starts)
		}
		if m := c.next(); m != nil || c.isClosed() {
			w.Errorf("the client noticed: %v", m)
		}
	})
}

// [LINK-10] [FRAME-6]: a gateway that goes away lets every actor make its final commit and sends its clients elsewhere.
func TestAGatewayDrains(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.dial("/v1/actors/lab:x/connect?params=%7B%22name%22%3A%22x%22%7D", "")
		c.want("welcome")
		c.want("connectionOpened")
		c.want("event")
		j.take()
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		if err := w.Drain(ctx); err != nil {
			w.Fatal(err)
		}
		if took := time.Since(begin); took > time.Second {
			w.Errorf("it took %v", took)
		}
		wantEqual(w, "the actor slept", strings.HasPrefix(j.take(), "sleep"), true)
		c.want("goodbye", "code", "gateway.draining", "reconnect", "any")
		wantEqual(w, "closed", c.isClosed(), true)
		wantEqual(w, "new work", w.act("lab:x", "get", "[]").name(), "gateway.draining")
	})
}

// [CALL-4]: a deadline covers the waiting for a start too.
func TestADeadlineCoversTheStart(t *testing.T) {
	inWorld(t, gateway.Config{Timeouts: route.Timeouts{Action: 3 * time.Second}}, func(w *world) {
		s := w.scriptedRunner()
		begin := time.Now()
		answer := w.calling("x", "x")
		expect[*runnerv1alpha1.StartActor](s) // and never an ActorReady
		sleep(3100 * time.Millisecond)
		wantAnswer(w, answer, "action.timed_out")
		if took := time.Since(begin); took > 4*time.Second {
			w.Errorf("it took %v", took)
		}
	})
}

// [KV-4] [LIMIT-7]
func TestReadsAndChangesBeyondTheirLimits(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		w.calling("x", "x")
		ref := s.begin().GetActor()
		expect[*wire.Call](s)
		s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: 1, Keys: make([][]byte, 1025)})
		r := expect[*runnerv1alpha1.KvResult](s)
		wantEqual(w, "too many keys", r.GetError().GetCode(), "batch_too_large")
		s.cold(&runnerv1alpha1.KvRead{Actor: ref, Id: 2, Keys: [][]byte{{1}}})
		r = expect[*runnerv1alpha1.KvResult](s)
		wantEqual(w, "a missing key", len(r.GetEntries()) == 1 && r.GetEntries()[0].Value == nil, true)
		for code, m := range map[string]*runnerv1alpha1.Changes{
			"kv.key_too_large":   {Kv: []*runnerv1alpha1.KvOp{{Key: make([]byte, 3000), Value: []byte{1}}}},
			"kv.value_too_large": {Kv: []*runnerv1alpha1.KvOp{{Key: []byte{1}, Value: make([]byte, 1<<20+1)}}},
			"kv.batch_too_large": {Kv: slicesOf(1025, &runnerv1alpha1.KvOp{Key: []byte{1}})},
			"state.too_large":    {State: make([]byte, 8<<20+1)},
		} {
			answer := w.calling(code, "x")
			ref := s.begin().GetActor()
			expect[*wire.Call](s)
			lane := wire.Lane{Actor: ref}
			var out wire.Outbox
			out.Push(&lane, &wire.Commit{Actor: ref, Version: 2, Changes: changes(m)})
			s.bytes(out.Take(nil, 64<<20))
			wantAnswer(w, answer, code)
			if m := expect[*wire.CommitResult](s); m.Error == nil || m.Error.Name() != code {
				w.Errorf("%s: commit result %+v", code, m)
			}
			expect[*runnerv1alpha1.StopActor](s)
		}
	})
}

func slicesOf[T any](n int, v T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// [ERR-5] [READ-1]: while the store is away nothing is given to a runner that needs it, and callers hear of it at once.
func TestAStoreThatIsAwayIsSaidAtOnce(t *testing.T) {
	held := new(heldStore)
	inHeldWorld(t, held, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("here", "x")
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		wantAnswer(w, a, `{"output":1}`)
		held.away(true)
		r := w.act("scripted:new", "x", "[]")
		wantEqual(w, "code", r.name(), "store.unavailable")
		wantEqual(w, "ran", r.err()["ran"], any("no"))
		s.quiet()
		b := w.calling("here", "x") // its owner has no unacknowledged change
		s.send(result(ref, expect[*wire.Call](s).ID, "\x02"))
		wantAnswer(w, b, `{"output":2}`)
		wantEqual(w, "readyz", w.do("GET", "/readyz", "").status, 503)
		held.away(false)
		wantEqual(w, "readyz", w.do("GET", "/readyz", "").status, 200)
		w.calling("new", "x")
		s.begin()
	})
}

// [LIFE-10] [CALL-7]: a call that was running when its actor's grace ended is not given to anybody else.
func TestACallThatOutlivesItsGraceIsNotRunTwice(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		a := w.calling("x", "x")
		ref := s.begin().GetActor()
		expect[*wire.Call](s)
		s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED})
		wantAnswer(w, a, "action.outcome_unknown")
		s.quiet()
	})
}

// [CONN-8]: an open that its runners die of is given up.
func TestAnOpenThatKillsItsRunnersIsGivenUp(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		c := w.dial("/v1/actors/scripted:x/connect", "")
		for range 4 {
			sleep(time.Second) // longer than the pause after a failure [LIFE-11]
			s.begin()
			expect[*runnerv1alpha1.ConnectionOpen](s)
			_ = s.conn.Close()
			s = w.scriptedRunner()
		}
		c.want("welcome")
		c.wantError("connectionClosed", "actor.crashed", "reconnect", "same")
		s.quiet()
	})
}

// [LIFE-6] [CALL-1]: whoever waits for a destruction hears of it, whatever the runner says.
func TestADestructionThatTheRunnerTurnsIntoASleepIsAskedAgain(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		s := w.scriptedRunner()
		w.calling("x", "x")
		ref := s.begin().GetActor()
		s.send(result(ref, expect[*wire.Call](s).ID, "\x01"))
		gone := make(chan int, 1)
		go func() { gone <- w.do("DELETE", "/v1/actors/scripted:x", "").status }()
		expect[*runnerv1alpha1.StopActor](s)
		s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT})
		ref = s.begin().GetActor()
		wantEqual(w, "reason", expect[*runnerv1alpha1.StopActor](s).GetReason(), runnerv1alpha1.StopReason_STOP_REASON_DESTROY)
		s.cold(&runnerv1alpha1.ActorStopped{Actor: ref, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED})
		wantEqual(w, "status", <-gone, 204)
	})
}
