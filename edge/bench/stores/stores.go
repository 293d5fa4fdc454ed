// Package stores plays the roles of the bench that need a store of the gateway without the gateway: the bare baseline of
// commits in Redis, which calls the very function that the Redis store calls, with the same payload; and the claims of due
// alarms, which are measured at the store.
//
// Of the bench only this package knows stores. The roles are processes of their own that serve package task; edge/bench
// starts and asks them, and has Wipe remove what they and the gateway leave in a Redis.
package stores

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
)

// The roles of Serve. where is the URL of a Redis, or a directory for an embedded store.
const (
	Committer = "committer" // Redis only
	Claimer   = "claimer"
)

// player does what a role is asked for.
type player interface {
	do(context.Context, task.Task) (load.Result, error)
}

// roles make the players.
var roles = map[string]func(*opened) player{
	Committer: func(o *opened) player { return &committer{opened: o} },
	Claimer:   func(o *opened) player { return &claimer{opened: o} },
}

// Has tells whether a role is one of Serve.
func Has(role string) bool { return roles[role] != nil }

// Serve plays a role until ctx ends. ready is told the address as soon as it listens.
func Serve(ctx context.Context, role, where string, ready func(address string) error) error {
	o, err := open(ctx, where)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	l, err := task.Listen(ctx, ready)
	if err != nil {
		return errors.Join(err, o.close())
	}
	return errors.Join(task.Serve(ctx, l, roles[role](o).do), o.close())
}

// opened is a store, and the way around it.
type opened struct {
	store.Store
	bare *redis.Bare // nil: the store is the embedded one
}

func open(ctx context.Context, where string) (*opened, error) {
	if !strings.Contains(where, "://") {
		s, err := embedded.Open(embedded.Options{Dir: where})
		return &opened{Store: s}, err
	}
	// What the gateway asks for, so that the two are refused alike.
	s, err := redis.Open(ctx, redis.Config{URL: where, Require: []store.Durability{store.Fast}})
	if err != nil {
		return nil, err
	}
	bare, err := redis.OpenBare(where)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &opened{s, bare}, nil
}

func (o *opened) close() error {
	if o.bare != nil {
		o.bare.Close()
	}
	return o.Close()
}

// own makes an actor and its owner's next commit, which is still empty.
func (o *opened) own(ctx context.Context, addr address.Address) (store.Commit, error) {
	r, _, err := o.Create(ctx, store.Create{Address: addr, Region: "local"})
	if err != nil {
		return store.Commit{}, fmt.Errorf("create an actor: %w", err)
	}
	a, err := o.Acquire(ctx, store.Acquire{ID: r.ID, Runner: "bench"})
	if err != nil {
		return store.Commit{}, fmt.Errorf("acquire an actor: %w", err)
	}
	return store.Commit{ID: r.ID, Generation: a.Record.Generation, Nonce: a.Record.Nonce, Version: a.Record.Version + 1}, nil
}

// commit waits for a commit.
func (o *opened) commit(ctx context.Context, c store.Commit) error {
	done := make(chan error, 1)
	o.Commit(c, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// actor is the address of the i-th one.
func actor(i int) address.Address {
	return address.Address{Namespace: "default", Type: "bench", Key: []string{fmt.Sprint(i)}}
}

// makers is how many actors are being made at once.
const makers = 32

// wipeTime bounds Wipe.
const wipeTime = time.Minute

// Wipe removes all keys of the Redis at url, which names its prefix. It does so although ctx may have ended.
func Wipe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wipeTime)
	defer cancel()
	return redis.Wipe(ctx, url)
}
