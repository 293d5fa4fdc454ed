package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
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
	seed     uint64
	nulls    string // program; empty: none are tried
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
		RunE: func(cmd *cobra.Command, _ []string) error { return mutants(cmd, &f) },
	}
	f.common(cmd, 0.4)
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
		Done: func(r killmatrix.Row) { printRow(cmd.OutOrStdout(), r, f.all) },
	}
	if f.inside != "" {
		if cfg.Inside, err = killmatrix.ListInside(cmd.Context(), f.inside); err != nil {
			return harness{err}
		}
	}
	cfg.Partial = len(f.cases) > 0
	m, err := killmatrix.Run(cmd.Context(), cfg)
	if err != nil {
		return harness{err}
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

func printRow(out io.Writer, r killmatrix.Row, all bool) {
	word := "SURVIVED"
	if r.Killed() {
		word = "killed  "
	}
	if r.Unclaimed() {
		word = "skipped "
	}
	var by []string
	for _, c := range r.Cells {
		if c.Killed && (all || c.Named) {
			by = append(by, c.Case)
		}
	}
	_, _ = fmt.Fprintf(out, "%s %-28s %s (a runner that %s)\n", word, r.Name, strings.Join(by, " "), r.Does)
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
			printVariant(cmd.OutOrStdout(), r)
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

func printVariant(out io.Writer, r killmatrix.VariantRow) {
	word := "passes "
	if len(r.Failed) > 0 {
		word = "FAILS  "
	}
	_, _ = fmt.Fprintf(out, "%s %-28s %d cases (%s)\n", word, r.Name, r.Passed+len(r.Failed), r.Does)
	for _, c := range r.Failed {
		_, _ = fmt.Fprintf(out, "        %s: %s\n", c.Code, c.Message)
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

// adapter is where the contract app in Go stands in this repository.
const adapter = "conformance/adapters/runner-go"

// nullRunner is the program that is every null runner, by its argument.
const nullRunner = "conformance/nullrunner"

// nullKinds are those that are tried: what each does stands in the program.
var nullKinds = []string{"absent", "babble", "silent", "garbage", "handshake", "crash", "flood", "parrot", "always-ok", "refusing"}

// build makes the runner of this repository, if none was named, and the one with mutants inside. done removes them.
func (f *mutantsFlags) build(ctx context.Context, withInside bool) (done func(), err error) {
	if f.runner != "" {
		return func() {}, nil
	}
	if _, err := os.Stat(adapter); err != nil {
		return nil, fmt.Errorf("--runner is missing, and this is not the root of the repository: %w", err)
	}
	folder, err := os.MkdirTemp("", "conform")
	if err != nil {
		return nil, harness{fmt.Errorf("make a folder for the runner: %w", err)}
	}
	done = func() { _ = os.RemoveAll(folder) }
	f.runner = filepath.Join(folder, "runner")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", f.runner, "./"+adapter).CombinedOutput(); err != nil {
		done()
		return nil, harness{fmt.Errorf("build the contract app: %w\n%s", err, text)}
	}
	if !withInside {
		return done, nil
	}
	f.nulls = filepath.Join(folder, "nullrunner")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", f.nulls, "./"+nullRunner).CombinedOutput(); err != nil {
		done()
		return nil, harness{fmt.Errorf("build the null runner: %w\n%s", err, text)}
	}
	f.inside = filepath.Join(folder, "inside")
	if err := broken.Build(ctx, ".", f.inside); err != nil {
		done()
		return nil, harness{err}
	}
	return done, nil
}
