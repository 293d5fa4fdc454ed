//go:build unix

package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// commits measures actions that change state, each durable before it is answered, with an actor for each connection.
//
// The baseline is the limit of Pebble alone: as many writers as actions are under way, in one process, each of which commits
// the bytes of an actor's record, and one fsync for all that wait. So the ratio has in it all that gateway and runner add,
// the two hops that an action takes, too: what those cost alone is the baseline of calls with as many under way. The
// baseline has a record for each action; our runner puts what gathers behind an actor's commit into the next one.
func commits(ctx context.Context, o Options) (_ []Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	writer, err := s.writer()
	if err != nil {
		return nil, err
	}
	crowd, err := s.crowd(o.Connections, o.InFlight, incrementing())
	if err != nil {
		return nil, err
	}
	defer crowd.leave()
	row, err := takeTurns(s.ctx, o, o.named("commits"), crowd.turn, func(ctx context.Context) (load.Result, error) {
		return writer.Commit(ctx, o.Connections*o.InFlight, o.Duration)
	})
	if err != nil {
		return nil, err
	}
	crowd.leave()
	if err := s.checkCounts(crowd, o.Connections); err != nil {
		return nil, err
	}
	row.Unit, row.Connections, row.InFlight, row.Via, row.Note = "commits", o.Connections, o.InFlight, o.Via, s.durable()
	return []Row{row}, nil
}

// writer starts the baseline of what is durable.
func (s *site) writer() (bare.Writer, error) {
	_, address, err := s.play(bare.WriterRole, filepath.Join(s.dir, "bare"))
	return bare.Writer{Address: address}, err
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
