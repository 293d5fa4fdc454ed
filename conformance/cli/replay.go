package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/replay"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

type replayFlags struct {
	runner   string
	cases    []string
	patience time.Duration
}

func newReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay TRACE",
		Short: "Play the gateway's half of a recorded trace again, and compare what the runner says",
		Long: `Reads a trace (conform run --trace FILE), starts the runner for each case in it and sends what the gateway sent.
What the runner says is compared actor by actor; ids that it chooses may differ. Gates are opened when they were.

Exit status 0: the same; 1: it differs; 4: the runner did not start.`,
		Example: `  conform replay failed.pb --runner ./app --case 'LC-*'`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return replayTrace(cmd, &f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.runner, "runner", "", "shell command that starts the runner with the contract app")
	flags.StringSliceVar(&f.cases, "case", nil, "only these cases of the trace; patterns as HS-* are taken")
	flags.DurationVar(&f.patience, "patience", 5*time.Second, "how long a frame may take")
	return cmd
}

func replayTrace(cmd *cobra.Command, f *replayFlags, name string) error {
	if strings.TrimSpace(f.runner) == "" {
		return fmt.Errorf("--runner is missing: the shell command that starts the runner")
	}
	order, byCase, err := readTrace(name, f.cases)
	if err != nil {
		return err
	}
	differs := 0
	for _, id := range order {
		report, err := replay.Run(cmd.Context(), replay.Config{Runner: f.runner, Events: byCase[id], Patience: f.patience})
		if errors.Is(err, engine.ErrNoRunner) {
			_, _ = fmt.Fprintln(cmd.OutOrStdout(), plain.Line(err.Error()))
			return exit(verdict.ExitNoStart)
		}
		if err != nil {
			differs++
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "differs %-8s %s\n", id, plain.Line(err.Error()))
			continue
		}
		word := "same   "
		if len(report.Differences) > 0 {
			word = "differs"
			differs++
		}
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s %-8s %d frames sent, %d came as recorded\n", word, id, report.Sent, report.Same)
		for _, d := range report.Differences {
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "        %s\n", plain.Line(d.String()))
		}
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d cases as recorded\n", len(order)-differs, len(order))
	if differs > 0 {
		return exit(verdict.ExitNotConformant)
	}
	return nil
}

// readTrace reads the chosen cases of a trace, in their order.
func readTrace(name string, patterns []string) ([]string, map[string][]*trace.Event, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the trace: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader, err := trace.NewReader(file)
	if err != nil {
		return nil, nil, err
	}
	events, err := reader.All()
	if err != nil {
		return nil, nil, err
	}
	var order []string
	byCase := map[string][]*trace.Event{}
	for _, e := range events {
		fits, err := fitsAny(patterns, e.CaseId)
		if err != nil {
			return nil, nil, err
		}
		if e.CaseId == "" || !fits {
			continue
		}
		if !slices.Contains(order, e.CaseId) {
			order = append(order, e.CaseId)
		}
		byCase[e.CaseId] = append(byCase[e.CaseId], e)
	}
	if len(order) == 0 {
		return nil, nil, fmt.Errorf("the trace holds no such case")
	}
	return order, byCase, nil
}
