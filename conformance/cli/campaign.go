package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/fuzz"
	"github.com/stagedoor-dev/stagedoor/conformance/model"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type campaignFlags struct {
	runner string
	seed   uint64
	limit  int
	span   time.Duration
	found  string
	// Of the model.
	steps       int
	cuts, kills bool
	// Of the fuzzer.
	shots string
}

func (f *campaignFlags) common(cmd *cobra.Command, limit int, what string) {
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", "", "shell command that starts the runner with the contract app")
	flags.Uint64Var(&f.seed, "seed", 1, "the same seed does the same")
	flags.IntVar(&f.limit, what, limit, "how many at most")
	flags.DurationVar(&f.span, "for", 30*time.Second, "time after which no other one is begun; 0: none")
	flags.StringVar(&f.found, "found", "", "folder to write to what was found, made as small as can be")
}

var errNoRunner = errors.New("--runner is missing: the shell command that starts the runner")

// keep writes what was found, and gives its path.
func (f *campaignFlags) keep(name string, text []byte) (string, error) {
	if err := os.MkdirAll(f.found, 0o755); err != nil {
		return "", harness{fmt.Errorf("write what was found: %w", err)}
	}
	path := filepath.Join(f.found, name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return "", harness{fmt.Errorf("write what was found: %w", err)}
	}
	return path, nil
}

// repeat is the command that does the same again, up to the n-th.
func (f *campaignFlags) repeat(name, what string, n int, more ...string) string {
	words := []string{name, "--runner", f.runner, "--seed", strconv.FormatUint(f.seed, 10), "--" + what, strconv.Itoa(n), "--for", "0"}
	return again().Line(append(words, more...)...)
}

func newModelCommand() *cobra.Command {
	var f campaignFlags
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Look for faults with random cases and a reference model",
		Long: `Makes random cases over the interpreter actor, whose outcome a small model tells beforehand, and runs them.
One that fails is made as small as it can be, and written as a case file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return modelCampaign(cmd, &f) },
	}
	f.common(cmd, 200, "cases")
	flags := cmd.Flags()
	flags.IntVar(&f.steps, "steps", 12, "what happens in a case at most")
	flags.BoolVar(&f.cuts, "cuts", true, "sockets break, and sessions are resumed")
	flags.BoolVar(&f.kills, "kills", false, "the runner is killed")
	return cmd
}

func modelCampaign(cmd *cobra.Command, f *campaignFlags) error {
	if strings.TrimSpace(f.runner) == "" {
		return errNoRunner
	}
	stage, err := engine.NewStage(engine.Options{Command: f.runner})
	if err != nil {
		return harness{err}
	}
	defer stage.Close()
	out := cmd.OutOrStdout()
	hello, err := stage.Hello(cmd.Context())
	if err != nil {
		stage.Close() // so that all is there that it printed
		wrote(out, stage.Output(), false)
		_, _ = fmt.Fprintln(out, err)
		return exit(verdict.ExitNoStart)
	}
	scope := model.Scope{
		Steps: f.steps, Serial: serial(hello), Kills: f.kills, Cuts: f.cuts && slices.Contains(hello.Features, "resume"),
	}
	report, err := model.Check(model.Config{Scope: scope, Seed: f.seed, Cases: f.limit, For: f.span, Run: func(c *casefile.Case) error {
		if out := stage.Run(cmd.Context(), c); out.Status != engine.Pass {
			return fmt.Errorf("%s: %s", out.Code, out.Message)
		}
		return nil
	}})
	if err != nil {
		return harness{err}
	}
	if report.Why == nil {
		return passed(out, f, stage, report.Ran)
	}
	_, _ = fmt.Fprintf(out, "after %d random cases (seed %d): %s\n%s", report.Ran, f.seed, plain.Line(report.Why.Error()), report.Found)
	line := f.repeat("model", "cases", report.Ran, "--steps", strconv.Itoa(f.steps), fmt.Sprintf("--cuts=%t", f.cuts), fmt.Sprintf("--kills=%t", f.kills))
	if f.found != "" {
		path, err := f.keep(report.Hash+".yaml", report.Found)
		if err != nil {
			return err
		}
		line = again().Line("run", "--runner", f.runner, "--case-file", path)
	}
	_, _ = fmt.Fprintln(out, "again:", line)
	return exit(verdict.ExitNotConformant)
}

// passed says so, unless the runner broke a rule behind the last case.
func passed(out io.Writer, f *campaignFlags, stage *engine.Stage, n int) error {
	stage.Close()
	if late := stage.Late(); len(late) > 0 {
		_, _ = fmt.Fprintf(out, "behind the end of %d random cases (seed %d): %s\n", n, f.seed, plain.Line(late[0].String()))
		return exit(verdict.ExitNotConformant)
	}
	_, _ = fmt.Fprintf(out, "%d random cases pass (seed %d)\n", n, f.seed)
	return nil
}

func serial(hello *runnerv1alpha1.Hello) bool {
	return !slices.ContainsFunc(hello.Types, func(t *runnerv1alpha1.ActorType) bool {
		return t.Concurrency == runnerv1alpha1.Concurrency_CONCURRENCY_INTERLEAVED
	})
}

func newFuzzCommand() *cobra.Command {
	var f campaignFlags
	cmd := &cobra.Command{
		Use:   "fuzz",
		Short: "Send a runner frames that are nearly legal, and see whether it lives on",
		Long: `Changes frames of a gateway, knowing their fields, and sends them. The runner has to live on, and an actor that
nobody touched has to go on answering; it may close the socket, if it comes back.

With --found the fewest frames that do it again are written to a file, which --shots sends to a runner once more.`,
		Example: `  conform fuzz --runner ./app --seed 7 --found found
  conform fuzz --runner ./app --shots found/fuzz-1a2b3c4d.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return fuzzCampaign(cmd, &f) },
	}
	f.common(cmd, 20_000, "frames")
	cmd.Flags().StringVar(&f.shots, "shots", "", "file that --found wrote: send what it holds, and nothing else")
	return cmd
}

func fuzzCampaign(cmd *cobra.Command, f *campaignFlags) error {
	if strings.TrimSpace(f.runner) == "" {
		return errNoRunner
	}
	run := func() (*fuzz.Report, error) {
		return fuzz.Run(cmd.Context(), fuzz.Config{Command: f.runner, Seed: f.seed, Frames: f.limit, For: f.span, Keep: f.found != ""})
	}
	if f.shots != "" {
		text, err := os.ReadFile(f.shots)
		if err != nil {
			return fmt.Errorf("--shots: %w", err)
		}
		found, err := fuzz.ParseFound(text)
		if err != nil {
			return fmt.Errorf("--shots: %w", err)
		}
		run = func() (*fuzz.Report, error) { return fuzz.Repeat(cmd.Context(), f.runner, found) }
	}
	report, err := run()
	switch {
	case errors.Is(err, fuzz.ErrNoStart):
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), plain.Line(err.Error()))
		return exit(verdict.ExitNoStart)
	case err != nil:
		return harness{err}
	case report.Why == nil:
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "the runner lives after %d frames%s\n", report.Sent, f.from())
		return nil
	}
	return f.fuzzed(cmd.OutOrStdout(), report)
}

// from says where the frames came from.
func (f *campaignFlags) from() string {
	if f.shots != "" {
		return ""
	}
	return fmt.Sprintf(" (seed %d)", f.seed)
}

// fuzzed tells what was found, and how to see it again.
func (f *campaignFlags) fuzzed(out io.Writer, report *fuzz.Report) error {
	_, _ = fmt.Fprintf(out, "after %d frames%s: %s\n", report.Sent, f.from(), plain.Line(report.Why.Error()))
	for _, shot := range report.Shots {
		_, _ = fmt.Fprintf(out, "        %v\n", shot)
	}
	wrote(out, report.Output, false)
	line := f.repeat("fuzz", "frames", report.Sent)
	switch {
	case f.shots != "":
		line = again().Line("fuzz", "--runner", f.runner, "--shots", f.shots)
	case report.Found != nil:
		name, text, err := report.Found.File()
		if err != nil {
			return harness{err}
		}
		path, err := f.keep(name, text)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%d frames are in %s\n", len(report.Found.Shots), path)
		if report.Found.Once {
			_, _ = fmt.Fprintln(out, "A new runner lives after these: what came before them matters, too.")
		} else {
			line = again().Line("fuzz", "--runner", f.runner, "--shots", path)
		}
	}
	_, _ = fmt.Fprintln(out, "again:", line)
	return exit(verdict.ExitNotConformant)
}
