package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// reckless is a store whose gateway sees no lease of others, and so takes actors by force.
type reckless struct{ store.Store }

func (reckless) Lease(context.Context, string) (store.Lease, error) {
	return store.Lease{}, store.ErrNotFound
}

// neighbour is one of two gateways on one Redis, in memory but for that, with a runner of cells.
func neighbour(t *testing.T, url string, forced bool) *world {
	t.Helper()
	opened, err := redis.Open(t.Context(), redis.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() }) // behind the gateway's own
	cfg := gateway.Config{Store: opened, StrictReads: true, Logger: quiet()}
	if forced {
		cfg.Store = reckless{opened}
	}
	w := &world{t, gatewaytest.Start(t, cfg)}
	r, err := runner.New(runner.Config{
		Endpoint: "tcp://gateway:1", Logger: quiet(),
		Dial: func(ctx context.Context) (net.Conn, error) { return w.DialRunner(ctx) },
	}, cellTypes([]string{"fast"})...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the runner: %v", err)
		}
	})
	return w
}

// [PLACE-9]: an actor whose runner is alive stays where it is.
func TestASecondGatewayLeavesActorsWhereTheyAre(t *testing.T) {
	url := redistest.Standalone(t, appendOnly).URL()
	first, second := neighbour(t, url, false), neighbour(t, url, false)
	key := []string{"a"}
	wantEqual(t, "at the first", call[int](first, first.client().GetOrCreate("fast", key), "increment", 1), 1)
	_, err := client.Call[int](t.Context(), second.client().GetOrCreate("fast", key), "increment", 1)
	e := wantCode(t, err, "actor.elsewhere")
	if !e.Retryable || e.Ran != client.RanNo || e.RetryAfter <= 0 {
		t.Errorf("%+v", e)
	}
	wantEqual(t, "the other way round", call[int](second, second.client().GetOrCreate("fast", []string{"b"}), "increment", 1), 1)
	wantEqual(t, "at the first", call[int](first, first.client().GetOrCreate("fast", key), "increment", 1), 2)
}

// events are what the listeners of a gateway hear of an actor, in order.
type events struct {
	mu     sync.Mutex
	counts []int
}

func (w *world) hears(sdk *client.Client, key string) *events {
	w.Helper()
	e := new(events)
	conn := sdk.GetOrCreate("fast", []string{key}).Connect(client.ConnectOptions{})
	client.On(conn, "count", func(n int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.counts = append(e.counts, n)
	})
	return e
}

// Two gateways claim the same actors by force, again and again: whoever is superseded is fenced and says nothing more, neither
// in answers, which together are one sequential history with reads through both, nor in events.
// [FENCE-1] [COMMIT-5] [READ-2] [GATE-1]
func TestTwoGatewaysClaimTheSameActors(t *testing.T) {
	url := redistest.Standalone(t, appendOnly).URL()
	worlds := []*world{neighbour(t, url, true), neighbour(t, url, true)}
	const keys = 4
	h := newHistorian()
	heard := map[string][]*events{}
	for _, w := range worlds {
		sdk := w.client()
		for key := range keys {
			heard[fmt.Sprint(key)] = append(heard[fmt.Sprint(key)], w.hears(sdk, fmt.Sprint(key)))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	for who := range 16 {
		sdk := worlds[who%2].client()
		load.Go(func() {
			for ctx.Err() == nil {
				o := op{typ: "fast", key: fmt.Sprint(rand.N(keys)), action: []string{"increment", "getCount", "write", "read"}[rand.N(4)]}
				_ = h.do(who, sdk, o) // it is noted
				wait(rand.N(4 * time.Millisecond))
			}
		})
	}
	deadline := time.After(time.Minute)
	for enough := false; !enough; {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the test shows too little in a minute: %v", h.codes)
		}
		h.mu.Lock()
		enough = h.codes["actor.fenced"] >= 50 && len(h.ops) >= 3000
		h.mu.Unlock()
	}
	cancel()
	load.Wait()
	t.Logf("%d operations, %d of them reads; failures %v", len(h.ops), h.reads, h.codes)
	h.check(t, "both gateways", porcupine.Ok, all)
	for key, both := range heard {
		wantEachOnce(t, key, both)
	}
}

// wantEachOnce: each count is committed by one owner, and told through its gateway only, in order.
func wantEachOnce(t *testing.T, key string, both []*events) {
	t.Helper()
	by := map[int]int{}
	for i, e := range both {
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.counts) == 0 {
			t.Errorf("actor %s: gateway %d has told nothing", key, i)
		}
		if !slices.IsSorted(e.counts) {
			t.Errorf("actor %s: gateway %d told %v", key, i, e.counts)
		}
		for _, n := range e.counts {
			if other, told := by[n]; told {
				t.Errorf("actor %s: count %d was told by gateway %d and by %d", key, n, other, i)
			}
			by[n] = i
		}
	}
}
