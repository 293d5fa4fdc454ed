package killmatrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/mutant"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// Config says what is tried.
type Config struct {
	Cases []*casefile.Case
	// Runner is the command of a runner that keeps the protocol; mutants on the wire are made of it.
	Runner string
	// Inside are mutants inside a runner, started by InsideRunner with CONFORM_MUTANT.
	Inside       []Inside
	InsideRunner string
	// Only are the names of mutants; empty: all.
	Only []string
	// Partial: Cases are not the whole suite, and mutants that none of them names are left out.
	Partial bool
	// All tries every case on every mutant, to see which kill it.
	All bool
	// Jobs runners are tried beside each other; 0: one.
	Jobs int
	// Patience as in engine.Options. A dropped frame is noticed by waiting in vain, so it decides how long a matrix takes.
	Patience float64
	// Done is told each row when it is there, one at a time; it may be nil.
	Done func(Row)
}

// Matrix is which case kills which mutant; as JSON it is the build's artefact.
type Matrix struct {
	Rows []Row `json:"mutants"`
	// Broken are cases that fail on the runner as it is: they prove nothing.
	Broken []Cell `json:"broken,omitempty"`
	// Vacuous are cases that kill no mutant.
	Vacuous []string `json:"vacuous,omitempty"`
	// Unknown are cases with the name of a mutant that is not there, in plane G mutants with one of a case.
	Unknown []string `json:"unknown,omitempty"`

	subject string // what is under test; empty: the runner
}

// Row is one mutant.
type Row struct {
	Name   string   `json:"name"`
	Place  string   `json:"place"` // wire, runner or gateway
	Does   string   `json:"does"`
	Breaks []string `json:"breaks"`
	Cells  []Cell   `json:"cases"`
}

// Cell is one case on one mutant.
type Cell struct {
	Case    string `json:"case"`
	Named   bool   `json:"named"` // the case names the mutant
	Killed  bool   `json:"killed"`
	Status  string `json:"status"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	TookMs  int64  `json:"tookMs"`
}

// Killed says whether some case that names the mutant fails on it.
func (r Row) Killed() bool {
	return slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Named && c.Killed })
}

// Missed are the cases that name the mutant and pass all the same. Those that the runner does not claim are none.
func (r Row) Missed() []string {
	var ids []string
	for _, c := range r.Cells {
		if c.Named && !c.Killed && c.Status != string(engine.Skip) {
			ids = append(ids, c.Case)
		}
	}
	return ids
}

// Unclaimed: all cases that name the mutant are for another runner, on which it has to be tried.
func (r Row) Unclaimed() bool {
	named := slices.DeleteFunc(slices.Clone(r.Cells), func(c Cell) bool { return !c.Named })
	return len(named) > 0 && !slices.ContainsFunc(named, func(c Cell) bool { return c.Status != string(engine.Skip) })
}

// Survivors are the mutants that no case kills which names them.
func (m *Matrix) Survivors() []string {
	var names []string
	for _, r := range m.Rows {
		if !r.Killed() && !r.Unclaimed() {
			names = append(names, r.Name)
		}
	}
	return names
}

// Err is nil if every mutant is killed, by every case that names it, and every case kills one.
func (m *Matrix) Err() error {
	var all []error
	for _, c := range m.Broken {
		all = append(all, fmt.Errorf("%s fails on the %s as it is: %s", c.Case, cmp.Or(m.subject, "runner"), c.Message))
	}
	for _, r := range m.Rows {
		if !r.Killed() && !r.Unclaimed() {
			all = append(all, fmt.Errorf("%s survives: no case that names it fails", r.Name))
			continue
		}
		for _, id := range r.Missed() {
			all = append(all, fmt.Errorf("%s names %s and does not kill it", id, r.Name))
		}
	}
	for _, name := range m.Unknown {
		all = append(all, fmt.Errorf("a name that nobody has: %s", name))
	}
	for _, id := range m.Vacuous {
		all = append(all, fmt.Errorf("%s kills no mutant", id))
	}
	return errors.Join(all...)
}

// Run makes the matrix. The error is about the runner as it is, or the suite.
func Run(ctx context.Context, cfg Config) (*Matrix, error) {
	cfg.Jobs, cfg.Patience = max(cfg.Jobs, 1), cmp.Or(cfg.Patience, 1)
	tries, unknown, err := cfg.tries()
	if err != nil {
		return nil, err
	}
	m := &Matrix{}
	if len(cfg.Only) == 0 {
		m.Unknown = unknown
	}
	if m.Broken, err = cfg.broken(ctx, tries); err != nil {
		return nil, err
	}
	for i := range tries {
		tries[i].drop(m.Broken)
	}
	m.Rows = make([]Row, len(tries))
	var told sync.Mutex
	err = cfg.each(ctx, len(tries), func(ctx context.Context, i int) error {
		row, err := cfg.row(ctx, tries[i])
		if err != nil {
			return fmt.Errorf("mutant %s: %w", row.Name, err)
		}
		m.Rows[i] = row
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

// attempt is a mutant, and the cases that are tried on it.
type attempt struct {
	row   Row
	wire  *mutant.Mutant // nil: inside the runner
	cases []*casefile.Case
}

func (a *attempt) drop(broken []Cell) {
	a.cases = slices.DeleteFunc(a.cases, func(c *casefile.Case) bool {
		return slices.ContainsFunc(broken, func(b Cell) bool { return b.Case == c.Id })
	})
}

func (cfg *Config) tries() (tries []attempt, unknown []string, err error) {
	var all []attempt
	for _, m := range mutant.All() {
		all = append(all, attempt{row: Row{Name: m.Name, Place: "wire", Does: m.Does, Breaks: m.Breaks}, wire: &m})
	}
	for _, m := range cfg.Inside {
		all = append(all, attempt{row: Row{Name: m.Name, Place: "runner", Does: m.Does, Breaks: m.Breaks}})
	}
	for _, name := range cfg.Only {
		if !has(all, name) {
			return nil, nil, fmt.Errorf("there is no mutant %q", name)
		}
	}
	for _, c := range cfg.Cases {
		for _, name := range c.Mutants {
			if cfg.InsideRunner != "" && !has(all, name) { // without it nobody knows what is inside
				unknown = append(unknown, c.Id+" "+name)
			}
		}
	}
	all = slices.DeleteFunc(all, func(a attempt) bool {
		return len(cfg.Only) > 0 && !slices.Contains(cfg.Only, a.row.Name) || a.wire == nil && cfg.InsideRunner == ""
	})
	for i := range all {
		for _, c := range cfg.Cases {
			if cfg.All || slices.Contains(c.Mutants, all[i].row.Name) {
				all[i].cases = append(all[i].cases, c)
			}
		}
	}
	if cfg.Partial {
		all = slices.DeleteFunc(all, func(a attempt) bool { return len(a.cases) == 0 })
	}
	return all, unknown, nil
}

func has(all []attempt, name string) bool {
	return slices.ContainsFunc(all, func(a attempt) bool { return a.row.Name == name })
}

// broken runs the cases on the runner as it is, once each.
func (cfg *Config) broken(ctx context.Context, tries []attempt) ([]Cell, error) {
	var cases []*casefile.Case
	for _, a := range tries {
		for _, c := range a.cases {
			if !slices.Contains(cases, c) {
				cases = append(cases, c)
			}
		}
	}
	stage, err := engine.NewStage(engine.Options{Command: cfg.Runner, Patience: max(cfg.Patience, 1)})
	if err != nil {
		return nil, err
	}
	defer stage.Close()
	var broken []Cell
	for _, c := range cases {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		switch cell := judge(stage.Run(ctx, c), c, Row{}); cell.Status {
		case string(engine.Pass), string(engine.Skip):
		case string(engine.NoStart):
			return nil, fmt.Errorf("%w%s", engine.ErrNoRunner, strings.TrimPrefix(cell.Message, engine.ErrNoRunner.Error()))
		default:
			broken = append(broken, cell)
		}
	}
	return broken, nil
}

// row tries one mutant.
func (cfg *Config) row(ctx context.Context, a attempt) (Row, error) {
	options := engine.Options{Command: cfg.Runner, Patience: cfg.Patience}
	done := func() {}
	if a.wire != nil {
		all := a.wire.New()
		done = onWire(&options, func() tap.Tap { return all }, all)
	} else {
		options.Command, options.Env = cfg.InsideRunner, map[string]string{"CONFORM_MUTANT": a.row.Name}
	}
	defer done()
	stage, err := engine.NewStage(options)
	if err != nil {
		return a.row, err
	}
	defer stage.Close()
	for _, c := range a.cases {
		if ctx.Err() != nil {
			return a.row, context.Cause(ctx)
		}
		a.row.Cells = append(a.row.Cells, judge(stage.Run(ctx, c), c, a.row))
	}
	return a.row, nil
}

// uncountable is the monitor that compares what the runner acknowledges with what the trace says that it was sent. A tap that
// gives frames to the runner makes more of them.
const uncountable = "MON-13"

// counts tells an outcome that is about the runner from one that a tap of that kind would always have.
func counts(out engine.Outcome, aboutAcks bool) bool {
	return aboutAcks || !strings.HasSuffix(out.Code, "/"+uncountable) ||
		slices.ContainsFunc(out.Findings, func(f monitor.Finding) bool { return f.Monitor != uncountable })
}

// judge makes a cell of an outcome. A mutant with which no link comes about is killed by whoever tries.
func judge(out engine.Outcome, c *casefile.Case, m Row) Cell {
	aboutAcks := slices.Contains(m.Breaks, "LINK-17")
	return Cell{
		Case: c.Id, Named: slices.Contains(c.Mutants, m.Name), Killed: out.Status == engine.Fail && counts(out, aboutAcks) || out.Status == engine.NoStart,
		Status: string(out.Status), Code: out.Code, Message: out.Message, TookMs: out.Took.Milliseconds(),
	}
}

// vacuous are the cases that kill none of the mutants that were tried.
func (cfg *Config) vacuous(m *Matrix) []string {
	var ids []string
	for _, c := range cfg.Cases {
		kills := slices.ContainsFunc(m.Rows, func(r Row) bool {
			return slices.ContainsFunc(r.Cells, func(cell Cell) bool {
				return cell.Case == c.Id && (cell.Killed || cell.Status == string(engine.Skip))
			})
		})
		broken := slices.ContainsFunc(m.Broken, func(b Cell) bool { return b.Case == c.Id })
		untried := slices.ContainsFunc(c.Mutants, func(name string) bool {
			return !slices.ContainsFunc(m.Rows, func(r Row) bool { return r.Name == name })
		})
		if !kills && !broken && !untried {
			ids = append(ids, c.Id)
		}
	}
	return ids
}

// each calls f for 0 to n-1, several at a time, until one fails.
func (cfg *Config) each(ctx context.Context, n int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range cfg.Jobs {
		workers.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
