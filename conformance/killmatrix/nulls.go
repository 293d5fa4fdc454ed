package killmatrix

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
)

// NullsConfig says which runners that do next to nothing are tried.
type NullsConfig struct {
	Cases []*casefile.Case
	// Runners are their commands by name.
	Runners  map[string]string
	Jobs     int
	Patience float64
	// Done is told each row when it is there, one at a time; it may be nil.
	Done func(NullRow)
}

// NullRow is one null runner: Passed are the cases that it should not pass.
type NullRow struct {
	Name   string   `json:"name"`
	Passed []string `json:"passed,omitempty"`
}

// nullStart is how long a null runner may take to its Hello; most never send one.
const nullStart = 3 * time.Second

// Nulls runs all cases on runners with which none may pass: a case that does proves nothing about others either.
func Nulls(ctx context.Context, cfg NullsConfig) ([]NullRow, error) {
	var names []string
	for name := range cfg.Runners {
		names = append(names, name)
	}
	slices.Sort(names)
	rows := make([]NullRow, len(names))
	var told sync.Mutex
	workers := &Config{Jobs: max(cfg.Jobs, 1)}
	err := workers.each(ctx, len(names), func(ctx context.Context, i int) error {
		row, err := cfg.row(ctx, names[i])
		if err != nil {
			return fmt.Errorf("null runner %s: %w", names[i], err)
		}
		rows[i] = row
		if cfg.Done != nil {
			told.Lock()
			defer told.Unlock()
			cfg.Done(row)
		}
		return nil
	})
	return rows, err
}

func (cfg *NullsConfig) row(ctx context.Context, name string) (NullRow, error) {
	row := NullRow{Name: name}
	stage, err := engine.NewStage(engine.Options{Command: cfg.Runners[name], Patience: cfg.Patience, StartTimeout: nullStart})
	if err != nil {
		return row, err
	}
	defer stage.Close()
	for _, c := range cfg.Cases {
		if ctx.Err() != nil {
			return row, context.Cause(ctx)
		}
		switch out := stage.Run(ctx, c); {
		case out.Status == engine.Pass:
			row.Passed = append(row.Passed, c.Id)
		case out.Status == engine.NoStart:
			return row, nil // it never says Hello: no other case will see more of it
		}
	}
	return row, nil
}
