//go:build unix

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// commits measures actions that change state, each durable before it is answered, with an actor for each connection. The
// baseline is as many writers that commit as many bytes.
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
	connections, err := s.connections(o.Connections)
	if err != nil {
		return nil, err
	}
	counters := make([]counter, o.Connections)
	row, err := takeTurns(s.ctx, o, "commits", func(ctx context.Context) (load.Result, error) {
		return load.Run(ctx, load.Open(o.Duration), o.Connections*o.InFlight, func(ctx context.Context, worker int) error {
			i := worker / o.InFlight
			return counters[i].increment(ctx, connections[i])
		}), nil
	}, func(ctx context.Context) (load.Result, error) {
		return writer.Commit(ctx, o.Connections*o.InFlight, o.Duration)
	})
	if err != nil {
		return nil, err
	}
	for i := range counters {
		if err := counters[i].check(s.ctx, connections[i]); err != nil {
			return nil, err
		}
	}
	row.Unit, row.Connections, row.InFlight, row.Note = "commits", o.Connections, o.InFlight, s.durable()
	return []Row{row}, nil
}

// writer starts the baseline of what is durable.
func (s *site) writer() (bare.Writer, error) {
	_, address, err := s.play(bare.WriterRole, filepath.Join(s.dir, "bare"))
	return bare.Writer{Address: address}, err
}

// counter is what we know of an actor's count.
type counter struct {
	asked, answered atomic.Int64
}

func (c *counter) increment(ctx context.Context, on client.Caller) error {
	c.asked.Add(1)
	err := on.Call(ctx, "increment", nil)
	if err == nil {
		c.answered.Add(1)
	}
	return err
}

// check compares with the actor: a gateway that loses commits, or makes them twice, is fast for the wrong reason.
func (c *counter) check(ctx context.Context, on client.Caller) error {
	count, err := client.Call[int64](ctx, on, "increment")
	if err != nil {
		return fmt.Errorf("ask for a count: %w", err)
	}
	if least, most := c.answered.Load()+1, c.asked.Load()+1; count < least || count > most {
		return fmt.Errorf("an actor has counted to %d; it was asked %d times and has answered %d", count, most, least)
	}
	return nil
}
