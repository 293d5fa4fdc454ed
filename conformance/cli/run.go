package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/launch"
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
	runnerLog     string
	caseFile      string
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
	flags.StringVar(&f.caseFile, "case-file", "", "file of cases to take instead of the suite's own, as conform model --found writes it")
	flags.Uint64Var(&f.seed, "seed", 1, "order of the cases")
	flags.IntVar(&f.jobs, "jobs", min(4, runtime.NumCPU()), "runners beside each other, each with a part of the cases")
	flags.IntVar(&f.repeat, "repeat", 1, "runs of each case; all have to pass")
	flags.StringSliceVar(&f.reports, "report", nil, "files to write: json=FILE, html=FILE, junit=FILE, badge=FILE")
	flags.DurationVar(&f.startTimeout, "start-timeout", engine.DefaultStartTimeout, "time from the start of the runner to its Hello")
	flags.Float64Var(&f.patience, "patience", 1, "multiplies every time-out of the cases, for slow machines")
	flags.StringVar(&f.knownFailures, "known-failures", "", "file of failures that are known: a list of {case, code, expires, reason}")
	flags.StringVar(&f.traceFile, "trace", "", "file to write everything to that was said, for conform check and replay")
	flags.StringVar(&f.runnerLog, "runner-log", "", "file to write everything to that the runners print, line by line")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "a line for each case, and more of what a runner printed whose case failed")
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
	all, more, err := f.load()
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
	log, closeLog, err := openLog(f.runnerLog)
	if err != nil {
		return err
	}
	result := suite.Run(cmd.Context(), suite.Config{
		Options: engine.Options{Command: f.runner, StartTimeout: f.startTimeout, Patience: f.patience, Log: log},
		Cases:   shuffle(chosen, f.seed), Seed: f.seed, Jobs: f.jobs, Repeat: f.repeat, Version: Version, Record: f.traceFile != "",
		Again: again(), More: more, Progress: func(c verdict.Case) { progress(cmd, f, c) },
	})
	if err := closeLog(); err != nil {
		return harness{err}
	}
	result.Excuse(known, time.Now(), len(chosen) < len(all) || f.caseFile != "")
	result.Conclude()
	if err := writeTrace(f, result); err != nil {
		return harness{err}
	}
	aftermath(out, f, result)
	return conclude(out, result, writers)
}

// load reads the cases, and gives the words of the command that say where from.
func (f *runFlags) load() (cases []*casefile.Case, more []string, err error) {
	if f.caseFile == "" {
		cases, err = loadCases()
		return cases, nil, err
	}
	text, err := os.ReadFile(f.caseFile)
	if err != nil {
		return nil, nil, fmt.Errorf("--case-file: %w", err)
	}
	if cases, err = casefile.Parse(text); err != nil {
		return nil, nil, fmt.Errorf("--case-file %s: %w", f.caseFile, err)
	}
	return cases, []string{"--case-file", f.caseFile}, nil
}

// openLog opens the file for what runners print; an empty name means none.
func openLog(name string) (*launch.Log, func() error, error) {
	if name == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, nil, fmt.Errorf("--runner-log: %w", err)
	}
	log := launch.NewLog(file)
	return log, func() error {
		if err := errors.Join(log.Err(), file.Close()); err != nil {
			return fmt.Errorf("write --runner-log: %w", err)
		}
		return nil
	}, nil
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
