package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg/broken"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// gatewayMutants proves that the cases of plane G can fail, with the gateway of this repository.
func gatewayMutants(cmd *cobra.Command, f *mutantsFlags) error {
	switch {
	case f.runner != "" || f.inside != "" || f.all || len(f.cases) > 0:
		return errors.New("--plane gateway has mutants of this repository's gateway, each with its cases: --runner, --inside, --all and --case are for runners")
	case f.jobs < 1 || f.patience <= 0:
		return errors.New("--jobs and --patience are positive")
	}
	if _, err := os.Stat("conformance/planeg/broken"); err != nil {
		return fmt.Errorf("--plane gateway builds the gateway, and this is not the root of the repository: %w", err)
	}
	folder, err := os.MkdirTemp("", "conform")
	if err != nil {
		return harness{fmt.Errorf("make a folder for the gateway: %w", err)}
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program := filepath.Join(folder, "gateway")
	if err := broken.Build(cmd.Context(), ".", program); err != nil {
		return harness{err}
	}
	cfg := broken.Config(program)
	cfg.Cases, cfg.Only, cfg.Jobs, cfg.Patience = planeg.Cases(), f.only, f.jobs, f.patience
	cfg.Done = func(r killmatrix.Row) {
		word := "killed  "
		if !r.Killed() {
			word = "SURVIVED"
		}
		var by []string
		for _, c := range r.Cells {
			if c.Killed {
				by = append(by, c.Case)
			}
		}
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s %-28s %s (a gateway that %s)\n", word, r.Name, strings.Join(by, " "), r.Does)
	}
	m, err := killmatrix.Gateway(cmd.Context(), cfg)
	if err != nil {
		return harness{err}
	}
	if err := f.write(m); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d mutants killed\n", len(m.Rows)-len(m.Survivors()), len(m.Rows))
	if err := m.Err(); err != nil {
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), err)
		return exit(verdict.ExitNotConformant)
	}
	return nil
}
