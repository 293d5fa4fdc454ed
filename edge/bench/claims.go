//go:build unix

package bench

import (
	"context"
	"path/filepath"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/stores"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

// claimBatch is how many alarms are claimed at once.
const claimBatch = 100

// claims measures how fast due alarms are claimed. No gateway has alarms yet: it is measured in a process that opens the
// store. The baseline of Redis is the same function of its library, called bare by the same process; the embedded store has
// none, since without the store there is nothing to claim.
func claims(ctx context.Context, o Options) ([]Row, error) { return inEachStore(ctx, o, claimsIn) }

func claimsIn(ctx context.Context, o Options) (_ Row, err error) {
	s, err := newSite(ctx, o)
	if err != nil {
		return Row{}, err
	}
	defer closing(s, &err)
	where := s.options.store
	if !isRedis(where) {
		where = filepath.Join(s.dir, "claims")
	}
	_, address, err := s.play(stores.Claimer, where)
	if err != nil {
		return Row{}, err
	}
	o.Progress("claims: making due alarms in the " + kind(o.store) + " store")
	if _, err := task.Ask(s.ctx, address, task.Task{Do: stores.Fill, Workers: o.Actors}); err != nil {
		return Row{}, err
	}
	callers := min(o.InFlight, o.Actors) // each has partitions to itself
	claim := task.Task{Do: stores.Claim, Workers: callers, Each: claimBatch, Length: o.Duration}
	bareClaim := claim
	bareClaim.Do = stores.ClaimBare
	row, err := takeTurns(s.ctx, o, o.named("claims"), s.asking(address, claim), func(ctx context.Context) (load.Result, error) {
		if !isRedis(o.store) {
			return load.Result{}, nil
		}
		return task.Ask(ctx, address, bareClaim)
	})
	row.Unit, row.Actors, row.InFlight = "claims", o.Actors, callers
	row.Note = "measured at the store, without gateway; p50 and p99 are of a batch of 100"
	return row, err
}

// asking is the turn of a process that does tasks.
func (s *site) asking(address string, t task.Task) turn {
	return func(ctx context.Context) (load.Result, error) { return task.Ask(ctx, address, t) }
}
