//go:build unix

package bench

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

// cold measures a new actor and its first durable action, one after another. The baseline is two durable commits.
func cold(ctx context.Context, o Options) (_ []Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	writer, err := s.writer()
	if err != nil {
		return nil, err
	}
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	created := 0
	row, err := takeTurns(s.ctx, o, "cold", func(ctx context.Context) (load.Result, error) {
		return load.Run(ctx, load.Open(o.Duration), 1, func(ctx context.Context, _ int) error {
			created++
			return c.GetOrCreate(actorType, []string{"cold", fmt.Sprint(created)}).Call(ctx, "increment", nil)
		}), nil
	}, s.asking(writer, task.Task{Do: bare.CommitTwice, Workers: 1, Length: o.Duration}))
	row.Unit, row.Note = "actors", s.durable()
	return []Row{row}, err
}
