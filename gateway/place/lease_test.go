package place

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// leases is a store of leases whose operations begin when the test lets them.
type leases struct {
	Store // nothing else is called

	mu    sync.Mutex
	let   chan error        // what the next grant says; nil: it does not wait
	held  map[string]string // session by lease
	under int               // grants under way
	most  int
}

func (s *leases) Supports(store.Durability) bool                { return true }
func (s *leases) KnownTypes(context.Context) ([]string, error)  { return nil, nil }
func (s *leases) RememberTypes(context.Context, []string) error { return nil }

func (s *leases) Grant(ctx context.Context, l store.Lease, ttl time.Duration) (time.Time, error) {
	s.mu.Lock()
	s.under++
	s.most = max(s.most, s.under)
	let := s.let
	s.mu.Unlock()
	var err error
	if let != nil {
		select {
		case err = <-let:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
	if err == nil {
		s.held[l.ID] = l.Session
	}
	return time.Now().Add(ttl), err
}

func (s *leases) Revoke(_ context.Context, id, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[id] != session {
		return store.ErrHeld
	}
	delete(s.held, id)
	return nil
}

func (s *leases) live() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// leased runs a test with a runner that was admitted.
func leased(t *testing.T, test func(p *Placer, s *leases, l *link.Link)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &leases{held: map[string]string{}}
		open, err := auth.New(auth.Tokens{}, true)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(t.Context(), Config{Store: s, Auth: open, Gateway: "g", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l := new(link.Link)
		if _, refusal := p.Admit(l, &runnerv1alpha1.Hello{Types: []*runnerv1alpha1.ActorType{{Name: "x"}}}); refusal != nil {
			t.Fatal(refusal)
		}
		if s.live() != 1 {
			t.Fatal("a runner was admitted without a lease")
		}
		test(p, s, l)
		p.Close()
	})
}

// [LEASE-1]: a lease is said to be renewed when it is, by a renewal that began later, one at a time; one that fails renews
// nothing.
func TestARenewalIsToldWhenItIsDone(t *testing.T) {
	leased(t, func(p *Placer, s *leases, l *link.Link) {
		s.let = make(chan error)
		told := make(chan time.Duration, 3)
		for range 3 {
			p.Renew(l, func(d time.Duration) { told <- d })
		}
		synctest.Wait()
		if len(told) != 0 {
			t.Error("a renewal was told before it was done")
		}
		for i, outcome := range []error{nil, errors.New("away"), nil} {
			s.let <- outcome
			synctest.Wait()
			if len(told) != 1 {
				t.Fatalf("renewal %d: told %d times", i, len(told))
			}
			if d := <-told; (d == 15*time.Second) != (outcome == nil) || (d == 0) == (outcome == nil) {
				t.Errorf("renewal %d: told %v after %v", i, d, outcome)
			}
		}
		if s.most != 1 {
			t.Errorf("%d renewals at a time", s.most)
		}
	})
}

// [LEASE-5]: it is revoked before the runner's actors are given away, behind a renewal under way, and stays so; a store that
// does not answer is not waited for without end.
func TestALeaseIsRevokedBeforeTheRunnerIsGone(t *testing.T) {
	leased(t, func(p *Placer, s *leases, l *link.Link) {
		s.let = make(chan error)
		p.Renew(l, func(time.Duration) {})
		synctest.Wait()
		ended := make(chan struct{})
		go func() { p.Ending(l); close(ended) }()
		synctest.Wait()
		s.let <- nil
		<-ended
		if s.live() != 0 {
			t.Error("the lease lives")
		}
		told := make(chan time.Duration, 1)
		p.Renew(l, func(d time.Duration) { told <- d })
		if d := <-told; d != 0 || s.live() != 0 {
			t.Errorf("a revoked lease was renewed for %v", d)
		}
		p.Gone(l)
	})
	leased(t, func(p *Placer, s *leases, l *link.Link) {
		s.let = make(chan error) // nobody lets it
		p.Renew(l, func(time.Duration) {})
		synctest.Wait()
		begin := time.Now()
		p.Ending(l)
		if took := time.Since(begin); took > 2*storeWait {
			t.Errorf("it waited %v", took)
		}
	})
}
