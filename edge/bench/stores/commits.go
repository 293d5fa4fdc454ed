package stores

import (
	"context"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Commit is the operation of a Committer: each worker has as many actors as it does at once, and sends a commit of each of
// them in one pipeline.
const Commit = "commit"

// stateSize is about that of the actor that the scenario commits counts with.
const stateSize = 10

// committer calls the commit function of the library bare. The store is only used to make the actors.
type committer struct {
	*opened
	commits []store.Commit // the next one of each actor
}

func (c *committer) do(ctx context.Context, t task.Task) (load.Result, error) {
	if t.Do != Commit || c.bare == nil {
		return load.Result{}, t.Unknown()
	}
	if err := c.make(ctx, t.Workers*t.Each); err != nil {
		return load.Result{}, err
	}
	result := load.Run(ctx, load.Open(t.Length), t.Workers, func(ctx context.Context, worker int) error {
		batch := c.commits[worker*t.Each : (worker+1)*t.Each]
		if err := c.bare.Commit(ctx, batch); err != nil {
			return err
		}
		for i := range batch {
			batch[i].Version++
			batch[i].CommitID[0]++
		}
		return nil
	})
	return result.Times(t.Each), nil
}

// make makes actors until there are n.
func (c *committer) make(ctx context.Context, n int) error {
	first := len(c.commits)
	if n <= first {
		return nil
	}
	more := make([]store.Commit, n-first)
	err := load.Each(ctx, len(more), makers, func(ctx context.Context, i int) (err error) {
		more[i], err = c.own(ctx, actor(first+i))
		more[i].State, more[i].HasState = make([]byte, stateSize), true
		return err
	})
	if err == nil {
		c.commits = append(c.commits, more...)
	}
	return err
}
