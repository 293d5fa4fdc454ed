package killmatrix

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// GatewayConfig says which mutants of a gateway are tried, with which cases of plane G.
type GatewayConfig struct {
	Cases   []*planeg.Case
	Mutants []GatewayMutant
	// Command starts a gateway that lets everybody in, WithTokens one that asks for these tokens: planeg.Config says how. Both do
	// what CONFORM_MUTANT names.
	Command, WithTokens                  string
	RunnerToken, ClientToken, AdminToken string
	// Only are the names of mutants; empty: all.
	Only []string
	// Jobs gateways are tried beside each other; 0: one.
	Jobs     int
	Patience float64
	// Done is told each row when it is there, one at a time; it may be nil.
	Done func(Row)
}

// GatewayMutant is a gateway that is wrong, and the ids of the cases that must find it.
type GatewayMutant struct {
	Name, Does string
	Cases      []string
}

// casesBeside are tried on one gateway at a time.
const casesBeside = 4

// Gateway makes the matrix of plane G. The error is about the gateway as it is, or the suite.
func Gateway(ctx context.Context, cfg GatewayConfig) (*Matrix, error) {
	mutants, unknown, err := cfg.chosen()
	if err != nil {
		return nil, err
	}
	m := &Matrix{subject: "gateway", Unknown: unknown, Rows: make([]Row, len(mutants))}
	var told sync.Mutex
	workers := &Config{Jobs: max(cfg.Jobs, 1)}
	err = workers.each(ctx, len(mutants)+1, func(ctx context.Context, i int) error {
		if i == 0 { // beside the others, for it takes long
			cells, err := cfg.cells(ctx, "", cfg.named(mutants))
			m.Broken = slices.DeleteFunc(cells, func(c Cell) bool { return c.Status == string(verdict.Pass) })
			return err
		}
		row := Row{Name: mutants[i-1].Name, Place: "gateway", Does: mutants[i-1].Does, Breaks: []string{}}
		var err error
		if row.Cells, err = cfg.cells(ctx, row.Name, cfg.named(mutants[i-1:i])); err != nil {
			return fmt.Errorf("mutant %s: %w", row.Name, err)
		}
		m.Rows[i-1] = row
		if cfg.Done != nil {
			told.Lock()
			defer told.Unlock()
			cfg.Done(row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(cfg.Only) == 0 {
		m.Vacuous = cfg.vacuous(m)
	}
	return m, nil
}

// chosen are the mutants, those first whose cases are slow, and names of cases that are not there.
func (cfg *GatewayConfig) chosen() (mutants []GatewayMutant, unknown []string, err error) {
	for _, name := range cfg.Only {
		if !slices.ContainsFunc(cfg.Mutants, func(m GatewayMutant) bool { return m.Name == name }) {
			return nil, nil, fmt.Errorf("there is no mutant %q", name)
		}
	}
	for _, m := range cfg.Mutants {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, m.Name) {
			continue
		}
		mutants = append(mutants, m)
		for _, id := range m.Cases {
			if !slices.ContainsFunc(cfg.Cases, func(c *planeg.Case) bool { return c.ID == id }) {
				unknown = append(unknown, m.Name+": "+id)
			}
		}
	}
	slow := func(m GatewayMutant) int {
		if slices.ContainsFunc(cfg.named([]GatewayMutant{m}), func(c *planeg.Case) bool { return c.Slow }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(mutants, func(a, b GatewayMutant) int { return slow(a) - slow(b) })
	return mutants, unknown, nil
}

// named are the cases that some of the mutants name.
func (cfg *GatewayConfig) named(mutants []GatewayMutant) []*planeg.Case {
	return slices.DeleteFunc(slices.Clone(cfg.Cases), func(c *planeg.Case) bool {
		return !slices.ContainsFunc(mutants, func(m GatewayMutant) bool { return slices.Contains(m.Cases, c.ID) })
	})
}

// cells tries cases on a gateway with that mutant, or with none.
func (cfg *GatewayConfig) cells(ctx context.Context, mutant string, cases []*planeg.Case) ([]Cell, error) {
	var cells []Cell
	for _, run := range cfg.runs(mutant, cases) {
		for _, c := range planeg.Run(ctx, run).Cases {
			if c.Status == verdict.NoStart || c.Status == verdict.Error || ctx.Err() != nil {
				return nil, fmt.Errorf("%s: %s", c.Code, c.Message)
			}
			cells = append(cells, Cell{
				Case: c.ID, Named: true, Killed: c.Status == verdict.Fail, Status: string(c.Status), Code: c.Code, Message: c.Message, TookMs: int64(c.TookMs),
			})
		}
	}
	return cells, nil
}

// runs are one for each way in which cases need the gateway. Slow ones wait for the gateway's own time-outs, which no impatience shortens.
func (cfg *GatewayConfig) runs(mutant string, cases []*planeg.Case) []planeg.Config {
	var runs []planeg.Config
	for _, way := range []struct{ tokens, slow bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		run := planeg.Config{
			Command: cfg.Command, StartTimeout: time.Minute, Jobs: casesBeside, Patience: cfg.Patience,
			Cases: slices.DeleteFunc(slices.Clone(cases), func(c *planeg.Case) bool { return c.Tokens != way.tokens || c.Slow != way.slow }),
		}
		if way.tokens {
			run.Command, run.RunnerToken, run.ClientToken, run.AdminToken = cfg.WithTokens, cfg.RunnerToken, cfg.ClientToken, cfg.AdminToken
		}
		if way.slow {
			run.Patience = max(run.Patience, 1)
		}
		run.Command = "export CONFORM_MUTANT='" + mutant + "'; exec " + run.Command
		if len(run.Cases) > 0 {
			runs = append(runs, run)
		}
	}
	return runs
}

// vacuous are the cases that kill no mutant.
func (cfg *GatewayConfig) vacuous(m *Matrix) []string {
	kills := map[string]bool{}
	for _, r := range m.Rows {
		for _, c := range r.Cells {
			kills[c.Case] = kills[c.Case] || c.Killed
		}
	}
	var ids []string
	for _, c := range cfg.Cases {
		if !kills[c.ID] {
			ids = append(ids, c.ID)
		}
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}
