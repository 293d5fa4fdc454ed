package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// redisSite is a gateway whose store is a Redis, a runner of cells, and clients that work on them and note what they see.
type redisSite struct {
	*site
	servers *redistest.Servers
	cells   []op // one for each actor
	*historian
	stop context.CancelFunc
	load sync.WaitGroup
}

// newRedisSite begins with so many actors of each class and two clients for each actor.
func newRedisSite(t *testing.T, servers *redistest.Servers, actors int, classes ...string) *redisSite {
	t.Helper()
	s := &redisSite{site: plan(t), servers: servers, historian: newHistorian()}
	s.store = servers.URL()
	for i, class := range classes {
		if i > 0 {
			s.hosted += ","
		} else {
			s.hosted = ""
		}
		s.hosted += class
		for key := range actors {
			s.cells = append(s.cells, op{typ: class, key: fmt.Sprint(key)})
		}
	}
	s.startGateway()
	s.startRunner()
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	t.Cleanup(s.rest)
	for who, on := range append(s.cells, s.cells...) {
		sdk := s.client()
		s.load.Go(func() {
			for ctx.Err() == nil {
				on.action = []string{"increment", "increment", "getCount", "write", "read"}[rand.N(5)]
				_ = s.do(who, sdk, on)             // it is noted
				wait(rand.N(8 * time.Millisecond)) // a history that can be checked
			}
		})
	}
	s.progress("all", s.cells)
	return s
}

// rest ends the load.
func (s *redisSite) rest() {
	s.stop()
	s.load.Wait()
}

// progress waits until each of these actors has acknowledged an increment from now on, and says when that was.
func (s *redisSite) progress(what string, these []op) (at time.Time) {
	s.t.Helper()
	began, done := time.Now(), false
	s.await("every actor of "+what+" to acknowledge an increment", func() bool {
		done, at = s.countedSince(began, these)
		return done
	})
	return at
}

// readAll adds what all hold in the end to the history.
func (s *redisSite) readAll() {
	s.t.Helper()
	sdk := s.client()
	for _, on := range s.cells {
		for _, on.action = range []string{"getCount", "read"} {
			if err := s.do(0, sdk, on); err != nil {
				s.t.Fatalf("%s of %s %s in the end: %v", on.action, on.typ, on.key, err)
			}
		}
	}
	s.t.Logf("%d operations, %d of them reads; failures %v", len(s.ops), s.reads, s.codes)
}

// TestNothingAcknowledgedIsLostOverRedis: gateway, runner and Redis are killed, one by one and together, in the middle of what 64 clients
// do; what was acknowledged is there, and all that anybody was told is one sequential history of each actor.
// [STORE-2] [GATE-1] [COMMIT-2] [COMMIT-4] [RDS-8]
func TestNothingAcknowledgedIsLostOverRedis(t *testing.T) {
	// Not everysec: while it syncs its log, Redis answers what it has not written (docs/operations.md).
	for class, fsync := range map[string]string{"fast": "no", "disk": "always"} {
		t.Run(class, func(t *testing.T) {
			s := newRedisSite(t, redistest.Standalone(t, redistest.Options{AppendOnly: true, Fsync: fsync}), 32, class)
			server := s.servers.Nodes[0]
			for _, kill := range []struct {
				what string
				do   func()
			}{
				{"the runner", func() { s.runner.kill(); s.startRunner() }},
				{"Redis", func() { server.Kill(); server.Restart() }},
				{"the gateway", func() { s.gateway.kill(); s.startGateway() }},
				{"all", func() {
					server.Kill()
					s.gateway.kill()
					s.runner.kill()
					server.Restart()
					s.startGateway()
					s.startRunner()
				}},
			} {
				wait(rand.N(time.Second))
				began := time.Now()
				kill.do()
				t.Logf("%s killed: all is well again after %v", kill.what, s.progress("all", s.cells).Sub(began))
			}
			s.rest()
			s.readAll()
			s.check(t, "all", porcupine.Ok, all)
		})
	}
}
