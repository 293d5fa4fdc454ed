// Package cli is the stagedoor command line: dev, gateway, actors, store, bench, version.
//
// It reads arguments and the environment it is given, runs one command and returns the exit code: 0, 1 for a command that
// failed, 2 for one that was not understood. It touches neither os.Args nor the process's streams nor its environment, but
// for what a runner command inherits. Package main calls Main once.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/version"
)

// Program is what the command line is run with.
type Program struct {
	// Args are the arguments without the program's name.
	Args []string
	// Stdout takes results, Stderr logs and errors. Both are safe for concurrent use, as files are.
	Stdout, Stderr io.Writer
	// Env looks up an environment variable; empty: unset.
	Env func(string) string
	// Assemble makes a gateway from a configuration.
	Assemble func(context.Context, config.Config, *slog.Logger) (serve.Gateway, error)
	// Stores is for the store command.
	Stores Stores
	// Exit ends the process at once, for the second signal.
	Exit func(code int)
}

// Exit codes.
const (
	ok      = 0
	failed  = 1
	misused = 2
)

// usageError is one that the user mends by calling differently.
type usageError struct{ error }

// Unwrap is the error itself.
func (e usageError) Unwrap() error { return e.error }

// Main runs the command and returns the exit code.
func Main(p Program) int {
	root := p.root()
	understood := false
	stop := func() error { return nil }
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		understood = true
		stopProfile, err := profile(cmd)
		if err == nil {
			stop = stopProfile
		}
		return err
	}
	err := root.ExecuteContext(context.Background())
	if err = errors.Join(err, stop()); err == nil {
		return ok
	}
	fmt.Fprintf(p.Stderr, "stagedoor: %v\n", err)
	var usage usageError
	if !understood || errors.As(err, &usage) {
		return misused
	}
	return failed
}

func (p *Program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "stagedoor",
		Short:         "A language-neutral actor gateway",
		Long:          "Stagedoor stands between clients and the processes that host actors.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.AddCommand(p.devCommand(), p.gatewayCommand(), p.actorsCommand(), p.storeCommand(), p.benchCommand(), p.versionCommand())
	addProfileFlag(root)
	return root
}

func (p *Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.Stdout, version.Line())
			return err
		},
	}
}
