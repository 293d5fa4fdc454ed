package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/fuzz"
	"github.com/stagedoor-dev/stagedoor/conformance/model"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type campaignFlags struct {
	runner string
	seed   uint64
	limit  int
	span   time.Duration
	// Of the model.
	steps       int
	cuts, kills bool
	found       string
}

func (f *campaignFlags) common(cmd *cobra.Command, limit int, what string) {
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", "", "shell command that starts the runner with the contract app")
	flags.Uint64Var(&f.seed, "seed", 1, "the same seed does the same")
	flags.IntVar(&f.limit, what, limit, "how many at most")
	flags.DurationVar(&f.span, "for", 30*time.Second, "time after which no other one is begun; 0: none")
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
	flags.StringVar(&f.found, "found", "", "folder to write the case to that was found")
	return cmd
}

func modelCampaign(cmd *cobra.Command, f *campaignFlags) error {
	if strings.TrimSpace(f.runner) == "" {
		return errors.New("--runner is missing: the shell command that starts the runner")
	}
	stage, err := engine.NewStage(engine.Options{Command: f.runner})
	if err != nil {
		return harness{err}
	}
	defer stage.Close()
	hello, err := stage.Hello(cmd.Context())
	if err != nil {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%v\n%s", err, stage.Output())
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
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d random cases pass (seed %d)\n", report.Ran, f.seed)
		return nil
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "after %d random cases (seed %d): %v\n%s", report.Ran, f.seed, report.Why, report.Found)
	if f.found != "" {
		if err := os.WriteFile(filepath.Join(f.found, report.Hash+".yaml"), report.Found, 0o644); err != nil {
			return harness{fmt.Errorf("write the case that was found: %w", err)}
		}
	}
	return exit(verdict.ExitNotConformant)
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
nobody touched has to go on answering; it may close the socket, if it comes back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return fuzzCampaign(cmd, &f) },
	}
	f.common(cmd, 20_000, "frames")
	return cmd
}

func fuzzCampaign(cmd *cobra.Command, f *campaignFlags) error {
	if strings.TrimSpace(f.runner) == "" {
		return errors.New("--runner is missing: the shell command that starts the runner")
	}
	report, err := fuzz.Run(cmd.Context(), fuzz.Config{Command: f.runner, Seed: f.seed, Frames: f.limit, For: f.span})
	if err != nil {
		return harness{err}
	}
	out := cmd.OutOrStdout()
	if report.Why == nil {
		_, _ = fmt.Fprintf(out, "the runner lives after %d frames (seed %d)\n", report.Sent, f.seed)
		return nil
	}
	_, _ = fmt.Fprintf(out, "after %d frames (seed %d): %v\n", report.Sent, f.seed, report.Why)
	for _, shot := range report.Shots {
		_, _ = fmt.Fprintf(out, "        %v\n", shot)
	}
	_, _ = fmt.Fprint(out, report.Output)
	return exit(verdict.ExitNotConformant)
}
