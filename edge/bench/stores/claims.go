package stores

import (
	"context"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// The operations of a Claimer.
const (
	// Fill makes as many actors as there are workers, each in a partition of its own, with alarms that are due.
	Fill = "fill"
	// Claim claims by way of the store: each worker its partitions in turn, so many alarms at once as Each says.
	Claim = "claim"
	// ClaimBare calls the same function of the library bare.
	ClaimBare = "claim bare"
)

// Alarms are the due alarms of each actor: as many as an actor may have.
const Alarms = 1000

// visibility is how long a claim hides an alarm: it is due again when its turn comes.
const visibility = time.Microsecond

// specSize is about that of an alarm with a short name and few arguments.
const specSize = 32

// claimer claims the same alarms over and over.
type claimer struct {
	*opened
	partitions []uint16
}

func (c *claimer) do(ctx context.Context, t task.Task) (load.Result, error) {
	switch {
	case t.Do == Fill:
		return load.Result{}, c.fill(ctx, t.Workers)
	case t.Do == Claim:
		return c.claim(ctx, t, c.claimDue), nil
	case t.Do == ClaimBare && c.bare != nil:
		return c.claim(ctx, t, c.bare.Claim), nil
	}
	return load.Result{}, t.Unknown()
}

func (c *claimer) fill(ctx context.Context, actors int) error {
	if actors > address.Partitions {
		return fmt.Errorf("%d actors are more than there are partitions, %d", actors, address.Partitions)
	}
	var chosen []address.Address
	taken := map[uint16]bool{}
	for i := 0; len(chosen) < actors; i++ {
		if a := actor(i); !taken[a.Partition()] {
			taken[a.Partition()] = true
			chosen, c.partitions = append(chosen, a), append(c.partitions, a.Partition())
		}
	}
	return load.Each(ctx, actors, makers, func(ctx context.Context, i int) error {
		commit, err := c.own(ctx, chosen[i])
		if err != nil {
			return err
		}
		for j := range Alarms {
			commit.Schedules = append(commit.Schedules, store.ScheduleOp{
				ID: fmt.Sprint(j), At: time.UnixMicro(int64(j + 1)), Spec: make([]byte, specSize),
			})
		}
		return c.commit(ctx, commit)
	})
}

func (c *claimer) claimDue(ctx context.Context, partition uint16, limit int, visibility time.Duration) (int, error) {
	due, err := c.ClaimDue(ctx, partition, limit, visibility)
	return len(due), err
}

// claim counts claims, not batches. A worker has partitions to itself: nobody takes from it what is due.
func (c *claimer) claim(ctx context.Context, t task.Task,
	some func(ctx context.Context, partition uint16, limit int, visibility time.Duration) (int, error),
) load.Result {
	workers := min(t.Workers, len(c.partitions))
	next := make([]int, workers)
	result := load.Run(ctx, load.Open(t.Length), workers, func(ctx context.Context, worker int) error {
		i := worker + next[worker]*workers
		if i >= len(c.partitions) {
			i, next[worker] = worker, 0
		}
		next[worker]++
		n, err := some(ctx, c.partitions[i], t.Each, visibility)
		if err == nil && n != t.Each {
			err = fmt.Errorf("%d alarms were claimed of %d", n, t.Each)
		}
		return err
	})
	return result.Times(t.Each)
}
