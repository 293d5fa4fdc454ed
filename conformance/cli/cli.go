// Package cli is the command line of conform: flags in, text, files and an exit status out. Everything else is done by the
// packages beside it.
//
// Main is called once per process; each sub-command stands in a file of its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Version of the suite, as reports name it.
const Version = "1.0.0-dev"

// exit is an error that stands for an exit status; everything was said already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// harness wraps errors of the suite itself.
type harness struct{ error }

func (h harness) Unwrap() error { return h.error }

// Main runs the command and gives its exit status.
func Main(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	var status exit
	switch {
	case err == nil:
		return verdict.ExitConformant
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, new(harness)):
		_, _ = fmt.Fprintln(errs, "conform: the suite went wrong:", err)
		return verdict.ExitHarness
	}
	_, _ = fmt.Fprintln(errs, "conform:", err)
	return verdict.ExitUsage
}

// newRoot has all sub-commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "conform",
		Short: "Says whether a runner keeps the Stagedoor runner protocol",
		Long: `conform plays the gateway for a runner that you wrote, looks at every frame, and says whether it keeps the protocol.

The runner hosts the contract app (conformance/app/README.md) and dials STAGEDOOR_ENDPOINT.`,
		Example:       `  conform run --runner "node app.js"`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, command := range commands {
		root.AddCommand(command())
	}
	return root
}

// commands are the sub-commands, in the order of help.
var commands = []func() *cobra.Command{
	newRunCommand, newListCommand, newExplainCommand, newRequirementCommand, newCheckCommand,
	newMutantsCommand, newVariantsCommand, newReplayCommand, newModelCommand, newFuzzCommand,
	newInitCommand, newGatewayCommand, newBadgeCommand,
}

// loadCases reads the cases of the build.
func loadCases() ([]*casefile.Case, error) {
	files, err := conformance.Cases()
	if err != nil {
		return nil, harness{err}
	}
	cases, err := casefile.Load(files)
	if err != nil {
		return nil, harness{err}
	}
	return cases, nil
}
