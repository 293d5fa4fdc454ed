package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// crowd is clients that all listen to counters and count them up, over real sockets.
type crowd struct {
	*site
	listeners []*listener
	counters  int
	sockets   atomic.Int64 // dialed
	calls     sync.WaitGroup

	mu       sync.Mutex
	outcomes map[string]int // of calls, by code and ran
	done     []int          // by counter: increments that were acknowledged
	yes      []int          // that failed and ran
	maybe    []int          // of which nobody knows
	slowest  time.Duration
}

// listener is one client with one connection, which must hear every count once, in order.
type listener struct {
	counter int
	conn    *client.Connection
	wrong   atomic.Pointer[string]
	heard   atomic.Int64 // the last count
	events  atomic.Int64
}

// gather opens one connection for each listener, through address, and waits until all are open.
func (s *site) gather(address string, listeners, counters int) *crowd {
	s.t.Helper()
	c := &crowd{
		site: s, counters: counters, outcomes: map[string]int{},
		done: make([]int, counters), yes: make([]int, counters), maybe: make([]int, counters),
	}
	for i := range listeners {
		c.listeners = append(c.listeners, c.listen(address, i%counters))
	}
	for _, l := range c.listeners {
		ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
		if err := l.conn.Ready(ctx); err != nil {
			s.t.Fatalf("open a connection: %v", err)
		}
		cancel()
	}
	return c
}

func (c *crowd) listen(address string, counter int) *listener {
	c.t.Helper()
	sdk, err := client.New("http://"+address, client.Options{
		Backoff: client.Backoff{Max: 500 * time.Millisecond}, EventQueue: 1 << 20,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c.sockets.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = sdk.Close() })
	l := &listener{counter: counter}
	fault := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		l.wrong.CompareAndSwap(nil, &text)
	}
	l.conn = sdk.GetOrCreate("counter", []string{fmt.Sprint(counter)}).Connect(client.ConnectOptions{Setup: func(conn *client.Connection) {
		client.On(conn, "count", func(n int) {
			if last := l.heard.Swap(int64(n)); last+1 != int64(n) {
				fault("count %d came after %d", n, last)
			}
			l.events.Add(1)
		})
		conn.OnError(func(err error) { fault("the connection had %v", err) })
		conn.OnClose(func(err error) {
			if err != nil {
				fault("the connection was closed: %v", err)
			}
		})
	}})
	return l
}

// load has every listener increment its counter, one call after the other, until ctx ends.
func (c *crowd) load(ctx context.Context) {
	for _, l := range c.listeners {
		c.calls.Go(func() {
			for ctx.Err() == nil {
				c.increment(l)
			}
		})
	}
}

func (c *crowd) increment(l *listener) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := client.Call[int](ctx, l.conn, "increment", 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowest = max(c.slowest, time.Since(begin))
	if err == nil {
		c.done[l.counter]++
		return
	}
	failure, ok := errors.AsType[*client.Error](err)
	if !ok {
		c.outcomes["no code: "+err.Error()]++
		return
	}
	c.outcomes[fmt.Sprintf("%s, ran %v", failure.Name(), failure.Ran)]++
	switch failure.Ran {
	case client.RanNo:
	case client.RanYes:
		c.yes[l.counter]++
	default:
		c.maybe[l.counter]++
	}
}

// settle waits until the load has ended and everybody has heard the last count, and checks what was promised.
func (c *crowd) settle() {
	c.t.Helper()
	c.calls.Wait()
	final := make([]int, c.counters)
	sdk := c.client()
	for i := range final {
		n, err := client.Call[int](c.t.Context(), sdk.GetOrCreate("counter", []string{fmt.Sprint(i)}), "getCount")
		if err != nil {
			c.t.Fatalf("counter %d: %v", i, err)
		}
		final[i] = n
		if certain := c.done[i] + c.yes[i]; n < certain || n > certain+c.maybe[i] {
			c.t.Errorf("counter %d is %d: %d increments succeeded or failed after running, %d may have run", i, n, certain, c.maybe[i])
		}
	}
	for _, l := range c.listeners {
		c.await("everybody to hear the last count", func() bool { return l.heard.Load() == int64(final[l.counter]) || l.wrong.Load() != nil })
		if wrong := l.wrong.Load(); wrong != nil {
			c.t.Errorf("a listener of counter %d: %s", l.counter, *wrong)
		}
		if n := l.events.Load(); n != int64(final[l.counter]) {
			c.t.Errorf("a listener of counter %d heard %d events, %d were committed", l.counter, n, final[l.counter])
		}
		if got := l.conn.Status(); got != client.StatusConnected {
			c.t.Errorf("a connection is %v", got)
		}
	}
	total := 0
	for _, n := range final {
		total += n
	}
	c.t.Logf("%d increments, the slowest call %v, failures %v", total, c.slowest, c.outcomes)
	if c.slowest > 30*time.Second {
		c.t.Errorf("a call took %v", c.slowest)
	}
	for outcome := range c.outcomes {
		if outcome == "" || len(outcome) > 8 && outcome[:8] == "no code:" {
			c.t.Errorf("a call failed with %s", outcome)
		}
	}
}

// during runs the load for a while and disturb every now and then.
func (c *crowd) during(d time.Duration, every func() time.Duration, disturb func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	c.load(ctx)
	for end := time.Now().Add(d); time.Now().Before(end); {
		wait(every())
		disturb()
	}
	cancel()
	c.settle()
}

// TestTheRunnerIsKilledUnderLoad: 200 connections on 20 actors; the runner dies three times. No client socket closes, every
// listener hears every committed count once and in order, every call ends with its result or a code that says truly
// whether it ran, none takes 30 s. [LIFE-8] [GATE-2] [CONN-6] [CALL-7] [ERR-4]
func TestTheRunnerIsKilledUnderLoad(t *testing.T) {
	s := newSite(t)
	c := s.gather(s.address, 200, 20)
	opened := c.sockets.Load()
	c.during(20*time.Second, func() time.Duration { return 5*time.Second + rand.N(2*time.Second) }, func() {
		s.runner.kill()
		s.startRunner()
	})
	if n := c.sockets.Load(); n != opened {
		t.Errorf("%d sockets were dialed again: no client socket may close", n-opened)
	}
}

// TestTheLinkIsCutUnderLoad: as above, but it is the socket between gateway and runner that breaks, a dozen times: nobody
// notices anything. [LINK-14] [LINK-15] [LINK-16]
func TestTheLinkIsCutUnderLoad(t *testing.T) {
	s := plan(t)
	s.startGateway()
	p := newProxy(t, s.address)
	s.startRunnerAt("http://" + p.address())
	c := s.gather(s.address, 200, 20)
	opened := c.sockets.Load()
	c.during(15*time.Second, func() time.Duration { return 500*time.Millisecond + rand.N(time.Second) }, p.cutAll)
	if n := c.sockets.Load(); n != opened {
		t.Errorf("%d sockets were dialed again: no client socket may close", n-opened)
	}
	if len(c.outcomes) > 0 {
		t.Errorf("calls failed: %v", c.outcomes)
	}
}

// TestClientSocketsAreCutUnderLoad: every second for a minute the socket of a client here and there is cut at some moment:
// each session resumes, no call fails, no event is lost or doubled. [SESS-12] [SESS-14] [SESS-15]
func TestClientSocketsAreCutUnderLoad(t *testing.T) {
	s := newSite(t)
	p := newProxy(t, s.address)
	c := s.gather(p.address(), 40, 10)
	cuts := 0
	c.during(time.Minute, func() time.Duration { return rand.N(2 * time.Second) }, func() {
		for _, link := range p.all() {
			if rand.N(3) == 0 && link.cut() {
				cuts++
			}
		}
	})
	if len(c.outcomes) > 0 {
		t.Errorf("calls failed: %v", c.outcomes)
	}
	if cuts < 100 {
		t.Errorf("only %d cuts: the test shows too little", cuts)
	}
	t.Logf("%d cuts, %d sockets dialed", cuts, c.sockets.Load())
}
