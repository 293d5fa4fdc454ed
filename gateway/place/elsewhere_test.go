package place

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// foreign is a store in which another gateway's runner has a lease.
type foreign struct {
	Store // nothing else is called
	until time.Time
	back  time.Time
	err   error
}

func (s *foreign) KnownTypes(context.Context) ([]string, error) { return nil, nil }
func (s *foreign) Lease(context.Context, string) (store.Lease, error) {
	return store.Lease{Until: s.until}, s.err
}
func (s *foreign) Interrupted() time.Time { return s.back }
func (s *foreign) Acquire(context.Context, store.Acquire) (store.Acquired, error) {
	return store.Acquired{}, nil
}

// [PLACE-9] [PLACE-10]: whose actors may be taken, and when to ask again for one that may not.
func TestWhoseActorsMayBeTaken(t *testing.T) {
	for name, c := range map[string]struct {
		runner  string
		lease   time.Duration // from now; 0: there is none
		back    time.Duration // how long ago the store came back; 0: it was never away
		fault   error
		refusal *wire.Code
		after   time.Duration
	}{
		"nobody's":                           {},
		"our own":                            {runner: "g/1", lease: time.Minute},
		"a dead runner's":                    {runner: "h/1", lease: -time.Second},
		"one that has no lease":              {runner: "h/1"},
		"a live runner's":                    {runner: "h/1", lease: 9 * time.Second, refusal: wire.ActorElsewhere, after: 9 * time.Second},
		"one whose lease may have been lost": {runner: "h/1", back: 5 * time.Second, refusal: wire.ActorElsewhere, after: 13 * time.Second},
		"one that seems to be dead since":    {runner: "h/1", lease: -time.Second, back: 17 * time.Second, refusal: wire.ActorElsewhere, after: time.Second},
		"our own after an outage":            {runner: "g/1", back: time.Second},
		"one that had time to renew":         {runner: "h/1", back: 18 * time.Second},
		"while the store is away":            {runner: "h/1", fault: errors.New("away"), refusal: wire.StoreUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &foreign{err: c.fault}
				if c.lease != 0 {
					s.until = time.Now().Add(c.lease)
				} else if c.fault == nil {
					s.err = store.ErrNotFound
				}
				if c.back != 0 {
					s.back = time.Now().Add(-c.back)
				}
				p, err := New(t.Context(), Config{Store: s, Gateway: "g", Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				rec := store.Record{Runner: c.runner, Address: address.Address{Type: "x"}}
				_, refusal := p.Acquire(t.Context(), rec, &Runner{types: map[string]*ActorType{"x": {}}})
				switch {
				case c.refusal == nil && refusal != nil, c.refusal != nil && !errors.Is(refusal, c.refusal):
					t.Fatalf("got %v, want %v", refusal, c.refusal)
				case c.after > 0 && refusal.RetryAfterMs != uint32(c.after.Milliseconds())+1:
					t.Errorf("to be asked again in %d ms, want %v", refusal.RetryAfterMs, c.after)
				}
			})
		})
	}
}
