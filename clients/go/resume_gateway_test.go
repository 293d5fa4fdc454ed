package client

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	core "github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// ledger is an actor that remembers what was added to it, in order, and tells everybody.
type ledger struct {
	runner.Actor[[]string, runner.None]
}

func (l *ledger) Add(_ context.Context, entry string) (int, error) {
	*l.State() = append(*l.State(), entry)
	l.Broadcast("added", entry)
	return len(*l.State()), nil
}

func (l *ledger) Shout(_ context.Context, word string) (int, error) {
	l.BroadcastUnreliable("shouted", word)
	return len(word), nil
}

func (l *ledger) All(context.Context) ([]string, error) { return *l.View(), nil }

// ledgerWorld is a gateway with a runner that hosts ledgers.
func ledgerWorld(t *testing.T) *gatewaytest.Gateway {
	g := ledgerGateway(t, core.Config{})
	synctest.Wait() // the runner has registered
	return g
}

func ledgerGateway(t *testing.T, cfg core.Config) *gatewaytest.Gateway {
	quiet := slog.New(slog.DiscardHandler)
	cfg.Logger = quiet
	g := gatewaytest.Start(t, cfg)
	kind := runner.Define[ledger]("ledger", runner.WithEvents("added", "shouted"))
	runner.Action1(kind, "add", (*ledger).Add)
	runner.Action0(kind, "all", (*ledger).All)
	runner.Action1(kind, "shout", (*ledger).Shout)
	r, err := runner.New(runner.Config{Endpoint: "tcp://gateway:1", Logger: quiet, Dial: g.DialRunner}, kind)
	noError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = r.Serve(ctx) }) // it ends with the test
	t.Cleanup(func() {
		cancel()
		serving.Wait()
	})
	return g
}

// frail is a conn that breaks after so many bytes in either direction; < 0: it holds.
type frail struct {
	net.Conn
	reads, writes atomic.Int64
}

func (f *frail) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.reads.Add(int64(-n)) < 0 {
		_ = f.Close()
	}
	return n, err
}

func (f *frail) Write(p []byte) (int, error) {
	if left := f.writes.Add(int64(-len(p))) + int64(len(p)); left < int64(len(p)) {
		n, _ := f.Conn.Write(p[:max(left, 0)])
		_ = f.Close()
		return n, errCut
	}
	return f.Conn.Write(p)
}

// Clients of a real gateway, on sockets that break at random places: every call is made once and in its client's order, and
// every client hears of all of them, once and in the actor's order. [SESS-12] [SESS-14] [SESS-15].
func TestRealGateway(t *testing.T) {
	schedules := uint64(10)
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		schedules = 1000
	}
	for seed := range schedules {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playLedger(t, seed) })
		})
	}
}

func playLedger(t *testing.T, seed uint64) {
	g := ledgerWorld(t)
	l := newLedgerPlay(t, seed)
	l.play(func(int) *Client {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			l.dials.Add(1)
			c, err := g.Dial(ctx)
			f := &frail{Conn: c}
			f.reads.Store(int64(300 + l.random(1500)))
			f.writes.Store(int64(300 + l.random(1500)))
			return f, err
		}
		return must(New("http://gateway", Options{Dial: dial, Backoff: Backoff{Min: time.Millisecond, Max: time.Second}}))
	})
}

// ledgerPlay is one schedule of clients that add to a ledger and hear of it.
type ledgerPlay struct {
	t     *testing.T
	mu    sync.Mutex // of rnd
	rnd   *rand.Rand
	dials atomic.Int64
}

func newLedgerPlay(t *testing.T, seed uint64) *ledgerPlay {
	return &ledgerPlay{t: t, rnd: rand.New(rand.NewPCG(seed, 1))}
}

func (l *ledgerPlay) random(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rnd.IntN(n)
}

func (l *ledgerPlay) play(client func(int) *Client) {
	const clients, entries = 3, 40
	t := l.t
	heard := make([][]string, clients)
	conns := make([]*Connection, clients)
	for i := range clients {
		c := client(i)
		t.Cleanup(func() { _ = c.Close() })
		conns[i] = c.GetOrCreate("ledger", []string{"x"}).Connect(ConnectOptions{Setup: func(conn *Connection) {
			On(conn, "added", func(entry string) { heard[i] = append(heard[i], entry) })
			conn.OnReset(func(err error) { t.Errorf("client %d was reset: %v", i, err) })
		}})
		noError(t, conns[i].Ready(t.Context()))
	}
	var work sync.WaitGroup
	for i, conn := range conns {
		work.Go(func() { l.add(conn, i, entries) })
	}
	work.Wait()
	<-time.After(time.Minute)
	all, err := Call[[]string](t.Context(), conns[0], "all")
	noError(t, err)
	synctest.Wait() // the handlers have run
	checkLedger(t, all, clients*entries)
	if n := l.dials.Load(); n < 3*clients {
		t.Errorf("the sockets broke only %d times", n-clients)
	}
	for i := range clients {
		if !slices.Equal(heard[i], all) {
			t.Errorf("client %d heard %v of %v", i, heard[i], all)
		}
	}
}

// add adds a client's entries, some without waiting.
func (l *ledgerPlay) add(conn *Connection, client, entries int) {
	ctx := l.t.Context()
	for n := range entries {
		entry := fmt.Sprintf("%d-%03d", client, n)
		var err error
		if l.random(3) > 0 {
			err = conn.Call(ctx, "add", nil, entry)
		} else {
			err = conn.Send(ctx, "add", entry)
		}
		if err != nil {
			l.t.Errorf("%s: %v", entry, err)
		}
		<-time.After(time.Duration(l.random(50)) * time.Millisecond)
	}
}

// checkLedger: nothing is missing or doubled, and each client's entries are in order.
func checkLedger(t *testing.T, all []string, want int) {
	t.Helper()
	last := map[string]string{}
	for _, entry := range all {
		client, _, _ := strings.Cut(entry, "-")
		if entry <= last[client] {
			t.Errorf("%s came behind %s", entry, last[client])
		}
		last[client] = entry
	}
	if len(all) != want {
		t.Errorf("%d entries, want %d", len(all), want)
	}
}
