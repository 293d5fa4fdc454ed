//go:build unix

package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// turn is the work of one side in one round, for as long as Options.Duration says.
type turn func(ctx context.Context) (load.Result, error)

// round is a turn of each side.
type round struct{ product, bare load.Result }

// takeTurns lets the product and its baseline work in turns, the other one first each time, and makes a row of the round
// whose ratio is in the middle. What disturbs a whole round leaves its ratio alone; what disturbs one side of it only puts
// the round at one of the ends.
func takeTurns(ctx context.Context, o Options, name string, product, bare turn) (Row, error) {
	row := Row{Name: name, Rounds: o.Rounds}
	rounds := make([]round, o.Rounds)
	for i := range rounds {
		o.Progress(fmt.Sprintf("%s: round %d of %d", name, i+1, o.Rounds))
		r := &rounds[i]
		if err := r.play(ctx, i%2 == 1, product, bare); err != nil {
			return row, err
		}
		row.Operations += r.product.Operations
		row.fail(r.product, r.bare)
	}
	slices.SortFunc(rounds, func(a, b round) int {
		return cmp.Or(cmp.Compare(a.ratio(), b.ratio()), cmp.Compare(a.product.Rate(), b.product.Rate())) // or without baseline
	})
	row.take(rounds[(len(rounds)-1)/2])
	return row, nil
}

func (r *round) play(ctx context.Context, bareFirst bool, product, bare turn) error {
	turns := []func() error{
		func() (err error) { r.product, err = product(ctx); return err },
		func() (err error) { r.bare, err = bare(ctx); return err },
	}
	if bareFirst {
		slices.Reverse(turns)
	}
	for _, turn := range turns {
		if err := turn(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (r *Row) take(m round) {
	r.Rate, r.P50, r.P99 = m.product.Rate(), milliseconds(m.product.P50), milliseconds(m.product.P99)
	r.BareRate, r.BareP50, r.BareP99 = m.bare.Rate(), milliseconds(m.bare.P50), milliseconds(m.bare.P99)
	r.Ratio = m.ratio()
}

// ratio is how near the product has come to its baseline.
func (r *round) ratio() float64 {
	if r.bare.Rate() <= 0 {
		return 0
	}
	return r.product.Rate() / r.bare.Rate()
}
