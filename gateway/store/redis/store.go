// Package redis is the store that several gateways can share: Redis 7.0 or later, standalone, with Sentinel, or Cluster.
//
// It implements store.Store. Each operation is one function of a library that runs inside the server (library/*.lua),
// where the partition lives, so that it is one atomic step, fenced where it must be; this package encodes the question
// and decodes the answer. How functions are called, repeated and acknowledged is the caller's part (caller.go, call.go).
// The store's clock is the server's.
//
// cmd and edge open it, gateway/place and gateway/route use it through store.Store. All methods are safe for concurrent
// use. The key layout is in layout.go.
package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Store is the Redis store. It is made by Open.
type Store struct {
	caller caller
	keys   *keyspace
	limits store.Limits
	now    func() time.Time // nil: the server's clock

	importing string // names the import that this store has begun
}

var _ store.Store = (*Store)(nil)

// open makes the store of a caller that is connected. now is for tests.
func open(c caller, prefix string, limits store.Limits, now func() time.Time) *Store {
	return &Store{caller: c, keys: newKeyspace(prefix), limits: limits, now: now}
}

// clock is the first argument of every function.
func (s *Store) clock() string {
	if s.now == nil {
		return ""
	}
	return decimal(toMicros(s.now()))
}

// localTime is for what need not be exact.
func (s *Store) localTime() time.Time {
	if s.now == nil {
		return time.Now()
	}
	return s.now()
}

// Supports reports the classes that the servers can give. Nothing is written in class Volatile.
func (s *Store) Supports(d store.Durability) bool {
	return d == store.DurabilityDefault || d == store.Volatile || d <= store.Replicated && s.caller.supports(d)
}

// Ready answers nil while the servers answer.
func (s *Store) Ready(ctx context.Context) error { return s.caller.ready(ctx) }

// Interrupted is when a master was last reached that had been away or is a new one.
func (s *Store) Interrupted() time.Time { return s.caller.interrupted() }

// Close waits for what was begun and closes the connections. Later operations fail with ErrClosed.
func (s *Store) Close() error { return s.caller.close() }

// class checks a durability class. What belongs to an actor that writes nothing needs no promise.
func (s *Store) class(d store.Durability) (store.Durability, error) {
	if !s.Supports(d) {
		return d, fmt.Errorf("durability class %d: %w", d, store.ErrInvalid)
	}
	if d == store.Volatile {
		return store.DurabilityDefault, nil
	}
	return d, nil
}

// strongest is the class for what is rare and must not be lost.
func (s *Store) strongest() store.Durability {
	if s.caller.supports(store.Disk) {
		return store.Disk
	}
	return store.DurabilityDefault
}

// change runs a function that writes, and makes its refusal an error of package store.
func (s *Store) change(ctx context.Context, d store.Durability, fn string, keys []string, args ...string) (
	rueidis.RedisMessage, error,
) {
	m, err := s.caller.call(ctx, d, fn, keys, append([]string{s.clock()}, args...))
	return m, known(err)
}

// ask runs a function that only reads: what became of lost attempts does not matter.
func (s *Store) ask(ctx context.Context, fn string, keys []string, args ...string) (rueidis.RedisMessage, error) {
	m, err := s.caller.call(ctx, store.DurabilityDefault, fn, keys, append([]string{s.clock()}, args...))
	return m, translated(err)
}

// refusals are the codes of the library.
var refusals = map[string]error{
	"CONFLICT": store.ErrConflict,
	"FENCED":   store.ErrFenced,
	"GAP":      store.ErrGap,
	"GONE":     store.ErrGone,
	"HELD":     store.ErrHeld,
	"NOTFOUND": store.ErrNotFound,
	"QUOTA":    store.ErrQuota,
	"STALE":    store.ErrStale,
	"TOOLARGE": store.ErrTooLarge,
}

// known translates a refusal that is definite; every other error stays an unknown outcome. A late one is definite only if it
// comes behind the comparison of versions: had an earlier attempt been applied, that would have told [COMMIT-4].
func known(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.late && r.code != "QUOTA" && r.code != "TOOLARGE" {
		return fmt.Errorf("%w: an attempt whose answer was lost was followed by %w", ErrUnavailable, err)
	}
	return translated(err)
}

// gone tells whether what was to be removed is not there, since an earlier attempt has removed it or somebody else.
func gone(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.late && r.code == "NOTFOUND"
}

func translated(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	if definite, ok := refusals[r.code]; ok {
		return fmt.Errorf("%s: %w", r.text, definite)
	}
	return err
}
