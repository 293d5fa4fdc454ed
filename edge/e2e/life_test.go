package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [LIFE-2] [STATE-1] [SLEEP-1] [SLEEP-2]
func TestAnActorSleepsAndWakesWithItsState(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		w.act("lab:a", "add", "[2]")
		wantEqual(w, "hooks of a creation", j.take(), "createState create wake")
		sleep(29 * time.Second)
		wantEqual(w, "before its idle time", j.take(), "")
		sleep(2 * time.Second)
		wantEqual(w, "hooks of a sleep", j.take(), "sleep")
		wantEqual(w, "state", w.do("GET", "/v1/actors/lab:a", "").body["actor"].(map[string]any)["state"], any("sleeping"))
		wantEqual(w, "after its sleep", strings.TrimSpace(w.act("lab:a", "add", "[3]").raw), `{"output":5}`)
		wantEqual(w, "hooks of a wake", j.take(), "wake")
		w.act("lab:a", "sleepNow", "[]")
		synctest.Wait()
		wantEqual(w, "hooks of an asked-for sleep", j.take(), "sleep")
		wantEqual(w, "and again", strings.TrimSpace(w.act("lab:a", "get", "[]").raw), `{"output":5}`)
	})
}

// [LIFE-2] single flight
func TestConcurrentFirstCallsShareOneStart(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.client()
		h := c.GetOrCreate("lab", []string{"shared"})
		var wg sync.WaitGroup
		results := make([]int, 100)
		for i := range results {
			wg.Go(func() { results[i] = call[int](w, h, "add", 1) })
		}
		wg.Wait()
		seen := map[int]bool{}
		for _, n := range results {
			seen[n] = true
		}
		wantEqual(w, "different results", len(seen), 100)
		wantEqual(w, "starts", j.take(), "createState create wake")
	})
}

// [LIFE-3] [LIFE-4]
func TestAStartThatFailsTellsItsCauseAndLeavesNothing(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		c := w.client()
		_, err := client.Call[int](w.Context(), c.GetOrCreate("lab", []string{"x"}, client.WithInput("refuse")), "get")
		e := wantCode(w, err, "actor.start_failed")
		for _, want := range []string{"no_such_lab", "this lab cannot be built"} {
			if !strings.Contains(e.Message, want) {
				w.Errorf("the cause is not in %q", e.Message)
			}
		}
		wantEqual(w, "ran", e.Ran, client.RanNo)
		wantEqual(w, "nothing is left", w.do("GET", "/v1/actors/lab:x", "").name(), "actor.not_found")
		wantEqual(w, "another input works", strings.TrimSpace(w.act("lab:x", "get", "[]").raw), `{"output":0}`)
	})
}

// [LIFE-3]
func TestAStartThatHangsEndsAtItsDeadline(t *testing.T) {
	inWorld(t, gateway.Config{Timeouts: route.Timeouts{Start: 5 * time.Second}}, func(w *world) {
		var mended atomic.Bool
		w.host(runner.Config{}, labType(labOptions{start: func(ctx context.Context) error {
			if !mended.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}))
		begin := time.Now()
		r := w.act("lab:x", "get", "[]")
		if name := r.name(); name != "actor.start_timed_out" && name != "actor.start_failed" {
			w.Errorf("code = %s", name)
		}
		if took := time.Since(begin); took > 6*time.Second {
			w.Errorf("it took %v", took)
		}
		mended.Store(true)
		wantEqual(w, "the next start", w.act("lab:x", "get", "[]").status, 200)
	})
}

// [CALL-4] [CALL-5] [HTTP-5]
func TestDeadlinesAndCancellation(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		gate := make(chan struct{})
		w.host(runner.Config{}, labType(labOptions{journal: j, gate: gate}))
		begin := time.Now()
		r := w.act("lab:a", "wait", "[]", "Stagedoor-Deadline-Ms", "2000")
		wantEqual(w, "past its deadline", r.name(), "action.timed_out")
		wantEqual(w, "took", time.Since(begin).Round(100*time.Millisecond), 2*time.Second)
		synctest.Wait()
		wantEqual(w, "the runner heard of it", strings.Contains(j.take(), "canceled"), true)
		c := w.client()
		ctx, cancel := context.WithCancel(w.Context())
		errs := make(chan error)
		go func() { errs <- c.GetOrCreate("lab", []string{"a"}).Call(ctx, "wait", nil) }()
		synctest.Wait()
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			w.Errorf("canceled call: %v", err)
		}
		synctest.Wait()
		wantEqual(w, "the runner heard of that too", j.take(), "canceled")
		wantEqual(w, "the actor goes on", w.act("lab:a", "get", "[]").status, 200)
	})
}

// [CALL-5]: memory of calls is used again. Whatever cancels and answers cross, each caller gets the answer to its own call.
func TestACancelTakesNobodyElsesCall(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		var callers sync.WaitGroup
		for i := range 4 {
			c := w.client()
			conn := c.GetOrCreate("lab", []string{"a"}).Connect(client.ConnectOptions{})
			for j := range 8 {
				callers.Go(func() {
					for n := range 100 {
						mine := 1000*(8*i+j) + n
						ctx, cancel := context.WithCancel(w.Context())
						if n%3 > 0 {
							go cancel()
						}
						var got int
						switch err := conn.Call(ctx, "echo", &got, mine); {
						case err == nil && got != mine:
							w.Errorf("call %d was answered %d", mine, got)
						case err != nil && (n%3 == 0 || !errors.Is(err, context.Canceled)):
							w.Errorf("call %d: %v", mine, err)
						}
						cancel()
					}
				})
			}
		}
		callers.Wait()
	})
}

// [CALL-7] [LIFE-8]
func TestALostRunnerLeavesNobodyWaiting(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		h := w.host(runner.Config{Instance: "one"}, labType(labOptions{gate: make(chan struct{})}))
		c := w.client()
		handle := c.GetOrCreate("lab", []string{"a"})
		call[int](w, handle, "add", 4)
		errs := make(chan error)
		go func() { errs <- handle.Call(w.Context(), "wait", nil) }()
		synctest.Wait()
		h.kill()
		e := wantCode(w, <-errs, "action.outcome_unknown")
		wantEqual(w, "ran", e.Ran, client.RanMaybe)
		w.host(runner.Config{Instance: "two"}, labType(labOptions{}))
		wantEqual(w, "what was acknowledged", call[int](w, handle, "get"), 4)
	})
}

// [LINK-10] [LINK-12]
func TestADeploymentHandsActorsOver(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j1, j2 := new(journal), new(journal)
		old := w.host(runner.Config{Instance: "old", Version: 1}, labType(labOptions{journal: j1}))
		c := w.client()
		handle := c.GetOrCreate("lab", []string{"a"})
		conn := handle.Connect(client.ConnectOptions{Params: labConn{Name: "ann"}})
		counts := make(chan int, 10)
		client.On(conn, "count", func(n int) { counts <- n })
		call[int](w, conn, "add", 1)
		j1.take()
		w.host(runner.Config{Instance: "new", Version: 2}, labType(labOptions{journal: j2}))
		if err := old.stop(); err != nil {
			w.Errorf("the old runner: %v", err)
		}
		synctest.Wait()
		wantEqual(w, "the old runner", j1.take(), "sleep")
		wantEqual(w, "the new runner", j2.take(), "wake")
		wantEqual(w, "state and connection", call[int](w, conn, "add", 1), 2)
		wantEqual(w, "events", <-counts+<-counts, 3)
		wantEqual(w, "no onConnect", j2.take(), "")
	})
}

// [LIFE-6] [LIFE-7]
func TestADestroyedActorIsGone(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		j := new(journal)
		h := w.host(runner.Config{}, labType(labOptions{journal: j}))
		c := w.client()
		handle := c.GetOrCreate("lab", []string{"a"})
		conn := handle.Connect(client.ConnectOptions{Params: labConn{Name: "ann"}})
		closed := make(chan error, 1)
		conn.OnClose(func(err error) { closed <- err })
		call[int](w, conn, "add", 1)
		j.take()
		call[any](w, handle, "destroyMe")
		_ = wantCode(w, <-closed, "actor.destroyed")
		synctest.Wait()
		if got := j.take(); !strings.Contains(got, "destroy") {
			w.Errorf("hooks: %s", got)
		}
		wantEqual(w, "gone", w.do("GET", "/v1/actors/lab:a", "").name(), "actor.not_found")
		wantEqual(w, "created anew, empty", call[int](w, handle, "get"), 0)
		w.act("lab:a", "sleepNow", "[]")
		synctest.Wait()
		j.take()
		wantEqual(w, "destroy of a sleeping one", w.do("DELETE", "/v1/actors/lab:a", "").status, 204)
		wantEqual(w, "runs its hook", j.take(), "wake destroy")
		w.act("lab:b", "add", "[1]")
		_ = h.stop()
		wantEqual(w, "destroy without runner", w.do("DELETE", "/v1/actors/lab:b", "").status, 204)
		wantEqual(w, "gone as well", w.do("GET", "/v1/actors/lab:b", "").name(), "actor.not_found")
	})
}

// [FENCE-1] [COMMIT-5] [GATE-1]
func TestASupersededOwnerSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := gatewaytest.NewStore(t)
		a := &world{t, gatewaytest.Start(t, gateway.Config{Store: shared, Logger: quiet()})}
		b := &world{t, gatewaytest.Start(t, gateway.Config{Store: shared, Logger: quiet()})}
		gate := make(chan struct{})
		a.host(runner.Config{}, labType(labOptions{gate: gate}))
		b.host(runner.Config{}, labType(labOptions{}))
		ca, cb := a.client(), b.client()
		conn := ca.GetOrCreate("lab", []string{"x"}).Connect(client.ConnectOptions{Params: labConn{Name: "ann"}})
		events := make(chan int, 10)
		client.On(conn, "count", func(n int) { events <- n })
		wantEqual(t, "first owner", call[int](a, conn, "add", 1), 1)
		wantEqual(t, "its event", <-events, 1)
		_, err := client.Call[int](t.Context(), cb.GetOrCreate("lab", []string{"x"}), "get")
		_ = wantCode(t, err, "actor.elsewhere")

		// The second owner is forced in through the store.
		force(t, shared, "lab", "x")
		wantEqual(t, "second owner", call[int](b, cb.GetOrCreate("lab", []string{"x"}), "add", 10), 11)
		_, err = client.Call[int](t.Context(), ca.GetOrCreate("lab", []string{"x"}), "add", 100)
		e := wantCode(t, err, "actor.fenced")
		wantEqual(t, "retryable", e.Retryable, true)
		synctest.Wait()
		select {
		case n := <-events:
			t.Errorf("the superseded owner sent %d", n)
		default:
		}
		_, err = client.Call[int](t.Context(), ca.GetOrCreate("lab", []string{"x"}), "get")
		_ = wantCode(t, err, "actor.elsewhere")
		wantEqual(t, "the new owner serves", call[int](b, cb.GetOrCreate("lab", []string{"x"}), "get"), 11)
		_ = ca.Close()
	})
}

// force takes an actor from its owner: it removes the owner's lease, so that another gateway may acquire.
func force(t *testing.T, s store.Store, typ, key string) {
	t.Helper()
	leases, err := s.Live(t.Context(), store.RunnerLease)
	if err != nil {
		t.Fatal(err)
	}
	records, _, err := s.List(t.Context(), store.Filter{Type: typ, Key: []string{key}, HasKey: true}, "", 10)
	if err != nil || len(records) != 1 {
		t.Fatalf("list: %v, %v", records, err)
	}
	for _, l := range leases {
		if l.ID != records[0].Runner {
			continue
		}
		if err := s.Revoke(t.Context(), l.ID, l.Session); err != nil {
			t.Fatal(err)
		}
	}
}

// [STATE-2] [LIMIT-7] [LIFE-10]
func TestOversizeStateCostsTheTurnAndKeepsTheLastCommit(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		w.act("lab:a", "add", "[1]")
		r := w.act("lab:a", "blob", "[9000000]")
		wantEqual(w, "code", r.name(), "state.too_large")
		wantEqual(w, "the last commit stands", strings.TrimSpace(w.act("lab:a", "add", "[1]").raw), `{"output":2}`)
		wantEqual(w, "just within", w.act("lab:a", "blob", "[8000000]").status, 200)
		wantEqual(w, "an event over the limit", w.act("lab:a", "bigEvent", "[2000000]").name(), "event.too_large")
		wantEqual(w, "the actor goes on", strings.TrimSpace(w.act("lab:a", "get", "[]").raw), `{"output":2}`)
	})
}

// [KV-1] [KV-2] [KV-3] [KV-4]
func TestKVLastsAndIsOrdered(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		h := w.host(runner.Config{Instance: "1"}, labType(labOptions{}))
		for _, k := range []string{"b", "a/2", "a/1", "c", "a/10"} {
			w.act("lab:k", "kvPut", `["`+k+`","v`+k+`"]`)
		}
		wantEqual(w, "get", strings.TrimSpace(w.act("lab:k", "kvGet", `["b"]`).raw), `{"output":"vb"}`)
		wantEqual(w, "missing", strings.TrimSpace(w.act("lab:k", "kvGet", `["zz"]`).raw), `{"output":"<none>"}`)
		want := `{"output":["a/1=va/1","a/10=va/10","a/2=va/2"]}`
		wantEqual(w, "list", strings.TrimSpace(w.act("lab:k", "kvList", `["a/"]`).raw), want)
		h.kill()
		w.host(runner.Config{Instance: "2"}, labType(labOptions{}))
		wantEqual(w, "list after a crash", strings.TrimSpace(w.act("lab:k", "kvList", `["a/"]`).raw), want)
		wantEqual(w, "another actor's", strings.TrimSpace(w.act("lab:other", "kvList", `["a/"]`).raw), `{"output":[]}`)
		wantEqual(w, "a value too large", w.act("lab:k", "kvPut", `["big","`+strings.Repeat("x", 1040000)+`"]`).status, 200)
	})
}
