package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/report"
)

func newBadgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "badge RESULT.json",
		Short:   "Draw the verdict of a run as a small picture (SVG) for a README",
		Example: "  conform run --runner ./app --report json=result.json\n  conform badge result.json >badge.svg",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("badge: %w", err)
			}
			result, err := report.Parse(text)
			if err != nil {
				return fmt.Errorf("badge: %w", err)
			}
			picture, err := report.Badge(result)
			if err != nil {
				return harness{err}
			}
			if _, err := cmd.OutOrStdout().Write(picture); err != nil {
				return harness{err}
			}
			return nil
		},
	}
}
