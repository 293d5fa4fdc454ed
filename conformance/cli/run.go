package cli

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/suite"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type runFlags struct {
	runner        string
	profiles      []string
	cases         []string
	seed          uint64
	jobs          int
	repeat        int
	reports       []string
	startTimeout  time.Duration
	patience      float64
	knownFailures string
	traceFile     string
	verbose       bool
}

func newRunCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the cases against a runner",
		Long: `Starts the runner by a shell command and runs the cases against it. The last line is the verdict.

Exit status: 0 conformant, 1 not conformant, 2 could not be decided, 3 the list of known failures is stale,
4 the runner did not start, 5 the suite itself went wrong, 64 wrong usage.`,
		Example: `  conform run --runner "node app.js" --report html=report.html
  conform run --runner ./app --case 'HS-*,LC-03' --seed 7 -v`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", "", "shell command that starts the runner with the contract app")
	flags.StringSliceVar(&f.profiles, "profile", nil, "only cases of these profiles: core, events, kv, connections, resume, adopt, credit")
	flags.StringSliceVar(&f.cases, "case", nil, "only these cases; patterns as HS-* are taken")
	flags.Uint64Var(&f.seed, "seed", 1, "order of the cases")
	flags.IntVar(&f.jobs, "jobs", min(4, runtime.NumCPU()), "runners beside each other, each with a part of the cases")
	flags.IntVar(&f.repeat, "repeat", 1, "runs of each case; all have to pass")
	flags.StringSliceVar(&f.reports, "report", nil, "files to write: json=FILE, html=FILE, junit=FILE, badge=FILE")
	flags.DurationVar(&f.startTimeout, "start-timeout", 20*time.Second, "time from the start of the runner to its Hello")
	flags.Float64Var(&f.patience, "patience", 1, "multiplies every time-out of the cases, for slow machines")
	flags.StringVar(&f.knownFailures, "known-failures", "", "file of failures that are known: a list of {case, code, expires, reason}")
	flags.StringVar(&f.traceFile, "trace", "", "file to write everything to that was said, for conform check and replay")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "a line for each case")
	return cmd
}

func run(cmd *cobra.Command, f *runFlags) error {
	out := cmd.OutOrStdout()
	switch {
	case strings.TrimSpace(f.runner) == "":
		return fmt.Errorf("--runner is missing: the shell command that starts the runner")
	case f.jobs < 1 || f.repeat < 1 || f.patience <= 0 || f.startTimeout <= 0:
		return fmt.Errorf("--jobs, --repeat, --patience and --start-timeout are positive")
	}
	writers, err := reportWriters(f.reports)
	if err != nil {
		return err
	}
	all, err := loadCases()
	if err != nil {
		return err
	}
	chosen, err := choose(all, f.cases, f.profiles)
	if err != nil {
		return err
	}
	known, err := readKnown(f.knownFailures)
	if err != nil {
		return err
	}
	order := shuffle(chosen, f.seed)
	result := suite.Run(cmd.Context(), suite.Config{
		Options: engine.Options{Command: f.runner, StartTimeout: f.startTimeout, Patience: f.patience},
		Cases:   order, Seed: f.seed, Jobs: f.jobs, Repeat: f.repeat, Version: Version, Record: f.traceFile != "",
		Progress: func(c verdict.Case) { progress(cmd, f, c) },
	})
	result.Excuse(known, time.Now(), len(chosen) < len(all))
	result.Conclude()
	if err := writeTrace(f, result); err != nil {
		return harness{err}
	}
	for _, write := range writers {
		if err := write(result); err != nil {
			return harness{err}
		}
	}
	if _, err := fmt.Fprintln(out, result.Verdict); err != nil {
		return harness{err}
	}
	if result.Exit != verdict.ExitConformant {
		return exit(result.Exit)
	}
	return nil
}

// progress prints what a case came to: failures always, the rest if asked for.
func progress(cmd *cobra.Command, f *runFlags, c verdict.Case) {
	bad := c.Status != verdict.Pass && c.Status != verdict.Skip
	if !bad && !f.verbose {
		return
	}
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%-7s %-8s %6.0f ms  %s\n", c.Status, c.ID, c.TookMs, c.Title)
	if !bad {
		return
	}
	_, _ = fmt.Fprintf(out, "        %s: %s\n", c.Code, c.Message)
	for _, finding := range c.Findings {
		_, _ = fmt.Fprintf(out, "        %s: %s\n", finding.Monitor, finding.Text)
	}
	_, _ = fmt.Fprintf(out, "        again: %s\n", c.Repeat)
}

func readKnown(file string) ([]verdict.KnownFailure, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--known-failures: %w", err)
	}
	return verdict.ParseKnown(text)
}

func writeTrace(f *runFlags, result *verdict.Result) error {
	if f.traceFile == "" {
		return nil
	}
	file, err := os.Create(f.traceFile)
	if err != nil {
		return fmt.Errorf("write the trace: %w", err)
	}
	header := &trace.Header{Source: "conform", Runner: f.runner, StartedUnixMs: result.Started.UnixMilli(), Seed: f.seed}
	if err := trace.Write(file, header, result.Trace); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// reportWriters reads --report.
func reportWriters(flags []string) ([]func(*verdict.Result) error, error) {
	var writers []func(*verdict.Result) error
	for _, flag := range flags {
		format, file, found := strings.Cut(flag, "=")
		render, known := formats[format]
		if !found || file == "" || !known {
			return nil, fmt.Errorf("--report %s: want one of %s, as json=FILE", flag, strings.Join(formatNames(), ", "))
		}
		writers = append(writers, func(r *verdict.Result) error {
			b, err := render(r)
			if err == nil {
				err = os.WriteFile(file, b, 0o644)
			}
			if err != nil {
				return fmt.Errorf("write the %s report: %w", format, err)
			}
			return nil
		})
	}
	return writers, nil
}

func formatNames() []string {
	var names []string
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
