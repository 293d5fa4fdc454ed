package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [GATE-2] [LEASE-4] [LIFE-8] [COMMIT-4]: whatever becomes of links, runners and the store's answers, a client hears of each
// commit of its actor once and in order, and no call that was answered is forgotten.
func TestEventsInAStorm(t *testing.T) {
	for _, runners := range []int{1, 2} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%d runners, seed %d", runners, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { storm(t, runners, seed) })
			})
		}
	}
}

func storm(t *testing.T, runners int, seed uint64) {
	rough := &roughStore{Store: gatewaytest.NewStore(t), r: rand.New(rand.NewPCG(seed, 1))}
	w := &world{t, gatewaytest.Start(t, gateway.Config{Store: rough, Logger: quiet()})}
	var hosts []*hosted
	for i := range runners {
		hosts = append(hosts, w.host(runner.Config{Instance: fmt.Sprint(i)}, labType(labOptions{})))
	}
	c := w.client()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	var actors []*stormed
	var wg sync.WaitGroup
	for i := range 4 {
		a := &stormed{handle: c.GetOrCreate("lab", []string{fmt.Sprint(i)})}
		a.listen()
		actors = append(actors, a)
		wg.Go(func() { a.count(ctx) })
	}
	weather := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		<-time.After(time.Duration(weather.IntN(4000)) * time.Millisecond)
		h := hosts[weather.IntN(len(hosts))]
		if weather.IntN(2) == 0 {
			h.cut() // and back at once
			continue
		}
		h.refuse(true)
		h.cut()
		<-time.After(time.Duration(4000+weather.IntN(6000)) * time.Millisecond) // around the end of a session
		h.refuse(false)
	}
	wg.Wait()
	rough.calm()
	<-time.After(30 * time.Second)
	synctest.Wait()
	for i, a := range actors {
		a.check(w, i)
	}
	t.Logf("%s adoptions, %s links lost, %s starts, %s commits of unknown outcome", metric(w, "stagedoor_adoptions_total"),
		metric(w, "stagedoor_links_lost_total"), metric(w, "stagedoor_starts_total"), metric(w, "stagedoor_commits_unknown_total"))
}

// stormed is an actor that is counted up, and what a connection of it hears.
type stormed struct {
	handle   *client.Handle
	conn     *client.Connection
	answered int // the highest count that a caller was told
	mu       sync.Mutex
	heard    []int
}

func (a *stormed) listen() {
	a.conn = a.handle.Connect(client.ConnectOptions{Params: labConn{Name: "x"}, Setup: func(c *client.Connection) {
		client.On(c, "count", func(n int) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.heard = append(a.heard, n)
		})
	}})
}

func (a *stormed) count(ctx context.Context) {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, 20*time.Second)
		if n, err := client.Call[int](call, a.conn, "add", 1); err == nil {
			a.answered = max(a.answered, n)
		}
		cancel()
		<-time.After(50 * time.Millisecond)
	}
}

func (a *stormed) check(w *world, i int) {
	w.Helper()
	total := call[int](w, a.conn, "get")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answered > total || a.answered == 0 {
		w.Errorf("actor %d stands at %d, but a caller was told %d", i, total, a.answered)
	}
	for k, n := range a.heard {
		if n != k+1 {
			w.Errorf("actor %d: event %d says %d: %v", i, k+1, n, strings.Fields(fmt.Sprint(a.heard[max(0, k-3):min(len(a.heard), k+4)])))
			return
		}
	}
	if len(a.heard) != total {
		w.Errorf("actor %d stands at %d, %d events were heard", i, total, len(a.heard))
	}
}

// roughStore answers commits late, and sometimes does not know what became of them.
type roughStore struct {
	store.Store
	mu    sync.Mutex
	r     *rand.Rand
	quiet bool
}

func (s *roughStore) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = true
}

func (s *roughStore) Commit(c store.Commit, done func(error)) {
	s.mu.Lock()
	delay, fate := time.Duration(0), 9
	if !s.quiet {
		delay, fate = time.Duration(s.r.IntN(200))*time.Millisecond, s.r.IntN(10)
	}
	s.mu.Unlock()
	unknown := errors.New("who knows")
	time.AfterFunc(delay, func() {
		switch fate {
		case 0: // not applied
			done(unknown)
		case 1: // applied
			s.Store.Commit(c, func(error) { done(unknown) })
		default:
			s.Store.Commit(c, done)
		}
	})
}
