//go:build unix

package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/stores"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// commits measures actions that change state, each durable before it is answered, with an actor for each connection.
//
// The baseline of the embedded store is the limit of Pebble alone: as many writers as actions are under way, in one process, each of which commits
// the bytes of an actor's record, and one fsync for all that wait. So the ratio has in it all that gateway and runner add,
// the two hops that an action takes, too: what those cost alone is the baseline of calls with as many under way. The
// baseline has a record for each action; our runner puts what gathers behind an actor's commit into the next one.
//
// That of Redis is the function which the Redis store calls for a commit, with the payload of a bench actor's commit, in
// one pipeline for each connection. Both sides share the server with each other and the cores with the server.
func commits(ctx context.Context, o Options) ([]Row, error) { return inEachStore(ctx, o, commitsIn) }

func commitsIn(ctx context.Context, o Options) (_ Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return Row{}, err
	}
	defer closing(s, &err)
	return s.commitsOf(o.named("commits"))
}

func (s *site) commitsOf(name string) (Row, error) {
	o := s.options
	bareTurn, err := s.bareCommits()
	if err != nil {
		return Row{}, err
	}
	crowd, err := s.crowd(o.Connections, o.InFlight, incrementing())
	if err != nil {
		return Row{}, err
	}
	defer crowd.leave()
	var busy share
	row, err := takeTurns(s.ctx, o, name, busy.watching(s.runner, crowd.turn), bareTurn)
	if err != nil {
		return Row{}, err
	}
	crowd.leave()
	if err := s.checkCounts(crowd, o.Connections); err != nil {
		return Row{}, err
	}
	row.Unit, row.Connections, row.InFlight, row.Via = "commits", o.Connections, o.InFlight, o.Via
	row.remark(s.durable())
	s.hosted(&row, busy)
	return row, nil
}

// bareCommits starts the baseline.
func (s *site) bareCommits() (turn, error) {
	o := s.options
	if isRedis(o.store) {
		_, address, err := s.play(stores.Committer, o.store)
		return s.asking(address, task.Task{Do: stores.Commit, Workers: o.Connections, Each: o.InFlight, Length: o.Duration}), err
	}
	address, err := s.writer()
	return s.asking(address, task.Task{Do: bare.Commit, Workers: o.Connections * o.InFlight, Length: o.Duration}), err
}

// writer starts the baseline of what is on disk.
func (s *site) writer() (address string, err error) {
	_, address, err = s.play(bare.WriterRole, filepath.Join(s.dir, "bare"))
	return address, err
}

// incrementing is the action that counts.
func incrementing() deed {
	const action = "increment"
	return deed{action: action, call: func(ctx context.Context, on client.Caller, _ int) error {
		return on.Call(ctx, action, nil)
	}}
}

// checkCounts asks each actor: a gateway that loses commits, or makes them twice, is fast for the wrong reason.
func (s *site) checkCounts(c *crowd, actors int) error {
	asking, err := s.client()
	if err != nil {
		return err
	}
	return load.Each(s.ctx, actors, creators, func(ctx context.Context, i int) error {
		count, err := client.Call[int](ctx, asking.GetOrCreate(actorType, ownKey(i)), "increment")
		if err != nil {
			return fmt.Errorf("ask for a count: %w", err)
		}
		asked, answered := c.count(i)
		if count < answered+1 || count > asked+1 {
			return fmt.Errorf("an actor has counted to %d; it was asked %d times and has answered %d", count, asked+1, answered+1)
		}
		return nil
	})
}
