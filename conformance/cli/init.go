package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/scaffold"
)

func newInitCommand() *cobra.Command {
	language := ""
	cmd := &cobra.Command{
		Use:   "init [flags] [FOLDER]",
		Short: "Write a contract app to begin with",
		Long: `Writes the contract app, conformant before its first change, into a folder that is empty or not there yet
(contract-app, unless one is named), and says how to run the suite on it.`,
		Example: "  conform init --lang go my-runner",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "contract-app"
			if len(args) == 1 {
				folder = args[0]
			}
			project, err := scaffold.Write(language, folder)
			if errors.Is(err, scaffold.ErrLanguage) {
				return fmt.Errorf("--lang: %w", err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%[1]s holds a contract app of %[2]d files. Next:\n\n  cd %[1]s\n  %[3]s\n",
				folder, len(project.Files), strings.Join(project.Next, "\n  "))
			return err
		},
	}
	cmd.Flags().StringVar(&language, "lang", "", "language: "+strings.Join(scaffold.Languages(), ", "))
	return cmd
}
