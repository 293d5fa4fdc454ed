package nettest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a gateway under siege may take for itself beyond what it had, race detector included.
const (
	siegePing   = 2 * time.Second // so that a message has 6 s
	siegeBudget = 128 << 20       // max_memory
	heapDuring  = siegeBudget + 256<<20
	heapAfter   = 24 << 20
	spare       = 8 // goroutines
	siegeWait   = 40 * time.Second
)

// siege is a gateway whose good clients are served while others attack it.
type siege struct {
	*remote
	web  *http.Client
	seed uint64
	full time.Duration // of a fuzzer
}

// attack is one way to harm a gateway; it returns when its client has gone, or the gateway has parted with it.
type attack struct {
	name string
	run  func(*siege) error
}

// TestAttackersHarmNobodyElse has slow, malformed, oversized and random clients of every protocol at once: memory stays within
// bounds, each is refused with what its protocol has to say so, and when they are gone so is all that they cost. The fuzzers
// go on for 10 s with one seed; with STAGEDOOR_SOAK=1 for 60 s from a seed of their own each time. STAGEDOOR_SEED plays one again.
func TestAttackersHarmNobodyElse(t *testing.T) {
	s := &siege{seed: 1, full: 10 * time.Second}
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		s.seed, s.full = rand.Uint64(), 60*time.Second
	}
	if text := os.Getenv("STAGEDOOR_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("STAGEDOOR_SEED: %v", err)
		}
		s.seed = seed
	}
	t.Logf("STAGEDOOR_SEED=%d", s.seed)
	s.remote = startGateway(t, settings{Ping: siegePing, MaxMemory: siegeBudget})
	transport := &http.Transport{TLSClientConfig: trust(), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	s.web = &http.Client{Transport: transport, Timeout: siegeWait}
	good := serveGood(t, s)
	before := s.figures(true)
	watch := watchFigures(s.remote)
	served := good.served()
	attackAll(t, s)
	during := watch()
	for i, n := range good.served() {
		t.Logf("served meanwhile over %-13s %d calls, the slowest in %v", goodTransports[i], n-served[i], time.Duration(good.slowest[i].Load()).Round(time.Millisecond))
		if n-served[i] < 10 {
			t.Errorf("the good client over %s was served %d times", goodTransports[i], n-served[i])
		}
	}
	gone := time.Now()
	var after figures
	if err := await(t.Context(), siegeWait, func() bool {
		after = s.figures(true)
		return after.Goroutines <= before.Goroutines+spare && after.Heap <= before.Heap+heapAfter
	}); err != nil {
		t.Errorf("what the attackers cost is not given back: %v before, %v after", before, after)
		_, _ = s.in.Write([]byte("stacks\n"))
	}
	t.Logf("before %v", before)
	t.Logf("during at most %v", during)
	t.Logf("after  %v, %.1f s later", after, time.Since(gone).Seconds())
	if during.Heap > before.Heap+heapDuring {
		t.Errorf("the heap grew to %d bytes", during.Heap)
	}
	good.stop()
}

// attackAll runs all attacks at once: most of them wait.
func attackAll(t *testing.T, s *siege) {
	var attacking sync.WaitGroup
	for _, group := range [][]attack{tcpAttacks, http2Attacks, quicAttacks, sessionAttacks, fuzzers} {
		for _, a := range group {
			attacking.Go(func() {
				begun := time.Now()
				if err := a.run(s); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
				t.Logf("%6.1f s: %s", time.Since(begun).Seconds(), a.name)
			})
		}
	}
	attacking.Wait()
}

// watchFigures looks at the gateway now and then, until it is asked for the highest figures.
func watchFigures(g *remote) (most func() figures) {
	ctx, cancel := context.WithCancel(context.Background())
	var high figures
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			f := g.figures(false)
			high = figures{max(high.Goroutines, f.Goroutines), max(high.Heap, f.Heap), max(high.RSS, f.RSS)}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	return func() figures {
		cancel()
		watching.Wait()
		return high
	}
}

// counted runs what is refused, and wants a counter of /metrics to say so.
func (s *siege) counted(name string, attack func() error) error {
	before, err := s.counter(name)
	if err != nil {
		return err
	}
	if err := attack(); err != nil {
		return err
	}
	after := before
	late := await(context.Background(), siegeWait, func() bool {
		after, err = s.counter(name)
		return err != nil || after > before
	})
	if err == nil && late != nil {
		err = fmt.Errorf("%s was %v and is %v", name, before, after)
	}
	return err
}

func (s *siege) counter(name string) (float64, error) {
	numbers, err := counters(s.web, "https://"+s.address)
	value, found := numbers[name]
	if err == nil && !found {
		err = fmt.Errorf("/metrics has no %s", name)
	}
	return value, err
}

var goodTransports = [...]string{"websocket", "webtransport", "http"}

// goodClients call an action again and again, and want each answer.
type goodClients struct {
	testing.TB
	cancel  context.CancelFunc
	working sync.WaitGroup
	calls   [len(goodTransports)]atomic.Int64
	slowest [len(goodTransports)]atomic.Int64
}

// goodWait is how long one of their calls may take on a machine that is busy with the attack.
const goodWait = 20 * time.Second

// serveGood starts them, and returns when each was served.
func serveGood(t *testing.T, s *siege) *goodClients {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	good := &goodClients{TB: t, cancel: cancel}
	t.Cleanup(good.stop)
	for i, name := range goodTransports {
		call := s.callHTTP
		if name != "http" {
			c, err := newCaller(ctx, name, s.address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.close)
			call = c.call
		}
		good.working.Go(func() { good.work(ctx, i, call) })
	}
	if err := await(t.Context(), goodWait, func() bool { n := good.served(); return min(n[0], n[1], n[2]) > 0 }); err != nil {
		t.Fatalf("good clients: %v", err)
	}
	return good
}

func (g *goodClients) work(ctx context.Context, i int, call func(context.Context) error) {
	for ctx.Err() == nil {
		begun := time.Now()
		within, cancel := context.WithTimeout(ctx, goodWait)
		err := call(within)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			g.Errorf("a good client over %s: %v", goodTransports[i], err)
			return
		}
		g.calls[i].Add(1)
		if took := int64(time.Since(begun)); took > g.slowest[i].Load() {
			g.slowest[i].Store(took)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (g *goodClients) served() (n [len(goodTransports)]int64) {
	for i := range n {
		n[i] = g.calls[i].Load()
	}
	return n
}

func (g *goodClients) stop() {
	g.cancel()
	g.working.Wait()
}

func (s *siege) callHTTP(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+"/v1/actors/tally:http/actions/add", body(`{"args":[1]}`))
	if err != nil {
		return err
	}
	response, err := s.web.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}
