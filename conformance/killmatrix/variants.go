package killmatrix

import (
	"context"
	"fmt"
	"sync"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/proxy"
	"github.com/stagedoor-dev/stagedoor/conformance/variant"
)

// VariantsConfig says which variants are tried.
type VariantsConfig struct {
	Cases    []*casefile.Case
	Runner   string
	Variants []variant.Variant
	Seed     uint64
	Jobs     int
	Patience float64
	// Done is told each row when it is there, one at a time; it may be nil.
	Done func(VariantRow)
}

// VariantRow is one variant: Failed are the cases that cry wolf.
type VariantRow struct {
	Name   string `json:"name"`
	Does   string `json:"does"`
	Passed int    `json:"passed"`
	Failed []Cell `json:"failed,omitempty"`
}

// Variants runs all cases on each variant.
func Variants(ctx context.Context, cfg VariantsConfig) ([]VariantRow, error) {
	rows := make([]VariantRow, len(cfg.Variants))
	var told sync.Mutex
	workers := &Config{Jobs: max(cfg.Jobs, 1)}
	err := workers.each(ctx, len(rows), func(ctx context.Context, i int) error {
		row, err := cfg.row(ctx, cfg.Variants[i])
		if err != nil {
			return fmt.Errorf("variant %s: %w", row.Name, err)
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

func (cfg *VariantsConfig) row(ctx context.Context, v variant.Variant) (VariantRow, error) {
	row := VariantRow{Name: v.Name, Does: v.Does}
	options := engine.Options{Command: cfg.Runner, Patience: max(cfg.Patience, 1)}
	var done func()
	if fresh := v.Tap(cfg.Seed); fresh != nil {
		done = onWire(&options, fresh, fresh())
	} else {
		done = through(&options, proxy.Config{Travel: *v.Travel(), Seed: cfg.Seed})
	}
	defer done()
	stage, err := engine.NewStage(options)
	if err != nil {
		return row, err
	}
	defer stage.Close()
	for _, c := range cfg.Cases {
		if ctx.Err() != nil {
			return row, context.Cause(ctx)
		}
		out := stage.Run(ctx, c)
		if out.Status == engine.Pass || out.Status == engine.Skip || out.Status == engine.Fail && !counts(out, false) {
			row.Passed++
		} else {
			row.Failed = append(row.Failed, judge(out, c, Row{}))
		}
	}
	return row, nil
}
