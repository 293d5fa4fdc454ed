package embedded

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// leases are kept in memory only. This process is the only gateway of its store: a lease says who is connected to it,
// and none of an earlier process may be seen after an Open [LEASE-0].
type leases struct {
	mu   sync.Mutex
	byID map[string]store.Lease
}

func (l *leases) init() { l.byID = make(map[string]store.Lease) }

// locked runs f on the leases, unless the store is closed or failed.
func (s *Store) locked(ctx context.Context, f func(byID map[string]store.Lease, now time.Time) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.Ready(ctx); err != nil {
		return err
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return f(s.leases.byID, s.now())
}

// Grant makes or renews a lease.
func (s *Store) Grant(ctx context.Context, l store.Lease, ttl time.Duration) (time.Time, error) {
	if l.ID == "" || l.Session == "" || l.Kind < store.GatewayLease || l.Kind > store.RunnerLease || ttl <= 0 {
		return time.Time{}, fmt.Errorf("lease %q for %v: %w", l.ID, ttl, store.ErrInvalid)
	}
	err := s.locked(ctx, func(byID map[string]store.Lease, now time.Time) error {
		if held, ok := byID[l.ID]; ok && held.Session != l.Session && held.Until.After(now) {
			return store.ErrHeld // [LEASE-5]
		}
		l.Detail = bytes.Clone(l.Detail)
		l.Until = fromMicros(toMicros(now.Add(ttl)))
		byID[l.ID] = l
		return nil
	})
	if err != nil {
		return time.Time{}, err
	}
	return l.Until, nil
}

// Revoke removes a lease.
func (s *Store) Revoke(ctx context.Context, id, session string) error {
	return s.locked(ctx, func(byID map[string]store.Lease, _ time.Time) error {
		l, ok := byID[id]
		if !ok {
			return store.ErrNotFound
		}
		if l.Session != session {
			return store.ErrHeld
		}
		delete(byID, id)
		return nil
	})
}

// Live lists the leases of a kind that have not run out.
func (s *Store) Live(ctx context.Context, kind store.LeaseKind) (live []store.Lease, err error) {
	err = s.locked(ctx, func(byID map[string]store.Lease, now time.Time) error {
		for _, l := range byID {
			if l.Kind == kind && l.Until.After(now) {
				l.Detail = bytes.Clone(l.Detail)
				live = append(live, l)
			}
		}
		return nil
	})
	slices.SortFunc(live, func(a, b store.Lease) int { return strings.Compare(a.ID, b.ID) })
	return live, err
}

// Lease looks one up.
func (s *Store) Lease(ctx context.Context, id string) (l store.Lease, err error) {
	err = s.locked(ctx, func(byID map[string]store.Lease, _ time.Time) error {
		var ok bool
		if l, ok = byID[id]; !ok {
			return store.ErrNotFound
		}
		l.Detail = bytes.Clone(l.Detail)
		return nil
	})
	return l, err
}
