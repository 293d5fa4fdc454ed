package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/variant"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type mutantsFlags struct {
	runner   string
	inside   string
	only     []string
	cases    []string
	jobs     int
	patience float64
	all      bool
	out      string
	plane    string
	seed     uint64
	given    []string // the words that say which runners were named
	nulls    string   // program; empty: none are tried
}

// jobs: a mutant is noticed mostly by waiting in vain, so more of them than processors are tried at a time.
func (f *mutantsFlags) common(cmd *cobra.Command, patience float64) {
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", "", "shell command of a conforming runner; default: the contract app in Go, built from this repository")
	flags.StringSliceVar(&f.only, "only", nil, "only those of these names")
	flags.StringSliceVar(&f.cases, "case", nil, "only these cases; patterns as HS-* are taken")
	flags.IntVar(&f.jobs, "jobs", 4*runtime.NumCPU(), "runners beside each other")
	flags.Float64Var(&f.patience, "patience", patience, "multiplies every time-out of the cases")
	flags.StringVar(&f.out, "out", "", "file to write the outcome to, as JSON")
}

func newMutantsCommand() *cobra.Command {
	var f mutantsFlags
	cmd := &cobra.Command{
		Use:   "mutants",
		Short: "Prove that the cases can fail: run each mutant against the cases that name it",
		Long: `Makes wrong runners out of a right one and runs the cases that name each of them. Mutants on the wire
(conformance/mutant/README.md) are made of any runner, those inside come with the Go one.

Prints killed or SURVIVED for each, and fails on a mutant that survives, on a case that passes with a
mutant it names, and on a case that kills none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch f.plane {
			case planeRunner:
				return mutants(cmd, &f)
			case planeGateway:
				return gatewayMutants(cmd, &f)
			}
			return fmt.Errorf("--plane %s: want %s or %s", f.plane, planeRunner, planeGateway)
		},
	}
	f.common(cmd, 0.4)
	cmd.Flags().StringVar(&f.plane, "plane", planeRunner, "whose mutants: runner, or gateway for this repository's, with the cases of conform gateway")
	cmd.Flags().StringVar(&f.inside, "inside", "", "shell command of a runner with mutants inside, chosen by CONFORM_MUTANT")
	cmd.Flags().BoolVar(&f.all, "all", false, "try every case on every mutant, and print which kill it")
	return cmd
}

func mutants(cmd *cobra.Command, f *mutantsFlags) error {
	cases, err := f.load()
	if err != nil {
		return err
	}
	done, err := f.build(cmd.Context(), true)
	if err != nil {
		return err
	}
	defer done()
	cfg := killmatrix.Config{
		Cases: cases, Runner: f.runner, InsideRunner: f.inside, Only: f.only, All: f.all, Jobs: f.jobs, Patience: f.patience,
		Done: func(r killmatrix.Row) { f.printRow(cmd.OutOrStdout(), r) },
	}
	if f.inside != "" {
		if cfg.Inside, err = killmatrix.ListInside(cmd.Context(), f.inside); err != nil {
			return harness{err}
		}
	}
	cfg.Partial = len(f.cases) > 0
	m, err := killmatrix.Run(cmd.Context(), cfg)
	if err != nil {
		return noStart(cmd, err)
	}
	if err := f.write(m); err != nil {
		return err
	}
	passed, err := f.tryNulls(cmd, cases)
	if err != nil {
		return err
	}
	survivors, skipped := m.Survivors(), 0
	for _, r := range m.Rows {
		if r.Unclaimed() {
			skipped++
		}
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d mutants killed, %d for other runners\n", len(m.Rows)-len(survivors)-skipped, len(m.Rows), skipped)
	if err := m.Err(); err != nil {
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), err)
		return exit(verdict.ExitNotConformant)
	}
	if passed {
		return exit(verdict.ExitNotConformant)
	}
	return nil
}

// noStart tells a runner that does not come up from a suite that went wrong.
func noStart(cmd *cobra.Command, err error) error {
	if !errors.Is(err, engine.ErrNoRunner) {
		return harness{err}
	}
	_, _ = fmt.Fprintln(cmd.OutOrStdout(), plain.Line(err.Error()))
	return exit(verdict.ExitNoStart)
}

// tryNulls tells whether a case passed with a runner that does next to nothing.
func (f *mutantsFlags) tryNulls(cmd *cobra.Command, cases []*casefile.Case) (passed bool, err error) {
	if f.nulls == "" || len(f.only) > 0 {
		return false, nil
	}
	runners := map[string]string{}
	for _, kind := range nullKinds {
		runners[kind] = f.nulls + " " + kind
	}
	_, err = killmatrix.Nulls(cmd.Context(), killmatrix.NullsConfig{
		Cases: cases, Runners: runners, Jobs: f.jobs, Patience: f.patience / 4,
		Done: func(r killmatrix.NullRow) {
			word := "fails all"
			if len(r.Passed) > 0 {
				word, passed = "PASSES   ", true
			}
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s null runner %s %s\n", word, r.Name, strings.Join(r.Passed, " "))
		},
	})
	if err != nil {
		return false, harness{err}
	}
	return passed, nil
}

func (f *mutantsFlags) printRow(out io.Writer, r killmatrix.Row) {
	word := "SURVIVED"
	if r.Killed() {
		word = "killed  "
	}
	if r.Unclaimed() {
		word = "skipped "
	}
	var by []string
	for _, c := range r.Cells {
		if c.Killed && (f.all || c.Named) {
			by = append(by, c.Case)
		}
	}
	_, _ = fmt.Fprintf(out, "%s %-28s %s (a runner that %s)\n", word, r.Name, strings.Join(by, " "), r.Does)
	if missed := r.Missed(); len(missed) > 0 {
		_, _ = fmt.Fprintf(out, "        again: %s\n", f.again("mutants", r.Name, "--case", strings.Join(missed, ",")))
	}
}

func newVariantsCommand() *cobra.Command {
	var f mutantsFlags
	cmd := &cobra.Command{
		Use:   "variants",
		Short: "Prove that the cases do not cry wolf: run all of them with each odd but legal variant",
		Long: `Changes what runner and gateway say, and how it travels, in ways that the protocol allows
(conformance/variant/README.md). Every case has to pass with each.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return variants(cmd, &f) },
	}
	f.common(cmd, 1)
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "what is random about the variants")
	return cmd
}

func variants(cmd *cobra.Command, f *mutantsFlags) error {
	cases, err := f.load()
	if err != nil {
		return err
	}
	chosen := variant.All()
	if len(f.only) > 0 {
		chosen = nil
	}
	for _, name := range f.only {
		v, ok := variant.Find(name)
		if !ok {
			return fmt.Errorf("--only %s: there is no such variant", name)
		}
		chosen = append(chosen, v)
	}
	done, err := f.build(cmd.Context(), false)
	if err != nil {
		return err
	}
	defer done()
	failed := 0
	rows, err := killmatrix.Variants(cmd.Context(), killmatrix.VariantsConfig{
		Cases: cases, Runner: f.runner, Variants: chosen, Seed: f.seed, Jobs: f.jobs, Patience: f.patience,
		Done: func(r killmatrix.VariantRow) {
			failed += min(len(r.Failed), 1)
			f.printVariant(cmd.OutOrStdout(), r)
		},
	})
	if err != nil {
		return harness{err}
	}
	if err := f.write(rows); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d variants pass\n", len(rows)-failed, len(rows))
	if failed > 0 {
		return exit(verdict.ExitNotConformant)
	}
	return nil
}

// again is the command that tries one mutant or variant once more.
func (f *mutantsFlags) again(command, name string, more ...string) string {
	words := append(append([]string{command}, f.given...), "--only", name, "--patience", strconv.FormatFloat(f.patience, 'g', -1, 64))
	return again().Line(append(words, more...)...)
}

func (f *mutantsFlags) printVariant(out io.Writer, r killmatrix.VariantRow) {
	word := "passes "
	if len(r.Failed) > 0 {
		word = "FAILS  "
	}
	_, _ = fmt.Fprintf(out, "%s %-28s %d cases (%s)\n", word, r.Name, r.Passed+len(r.Failed), r.Does)
	for _, c := range r.Failed {
		line := f.again("variants", r.Name, "--case", c.Case, "--seed", strconv.FormatUint(f.seed, 10))
		_, _ = fmt.Fprintf(out, "        %s: %s\n        again: %s\n", c.Code, plain.Line(c.Message), line)
	}
}

func (f *mutantsFlags) load() ([]*casefile.Case, error) {
	if f.jobs < 1 || f.patience <= 0 {
		return nil, fmt.Errorf("--jobs and --patience are positive")
	}
	all, err := loadCases()
	if err != nil {
		return nil, err
	}
	return choose(all, f.cases, nil)
}

func (f *mutantsFlags) write(outcome any) error {
	if f.out == "" {
		return nil
	}
	b, err := json.MarshalIndent(outcome, "", "  ")
	if err == nil {
		err = os.WriteFile(f.out, append(b, '\n'), 0o644)
	}
	if err != nil {
		return harness{fmt.Errorf("write the outcome: %w", err)}
	}
	return nil
}
