package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func newListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the cases, a line each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cases, err := loadCases()
			if err != nil {
				return err
			}
			for _, c := range cases {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-8s %-11s %s\n", c.Id, c.Profile, c.Title); err != nil {
					return harness{err}
				}
			}
			return nil
		},
	}
}

func newExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CASE",
		Short:   "Explain a case: what the spec says, what is done, which mistakes it finds",
		Example: "  conform explain HS-01",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cases, err := loadCases()
			if err != nil {
				return err
			}
			for _, c := range cases {
				if c.Id == args[0] {
					return explain(cmd.OutOrStdout(), c)
				}
			}
			return fmt.Errorf("there is no case %s", args[0])
		},
	}
}

func explain(w io.Writer, c *casefile.Case) error {
	all, err := requirement.All()
	if err != nil {
		return harness{err}
	}
	index := requirement.Index(all)
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\nprofile %s, isolation %s\n", c.Id, c.Title, c.Profile, shortIsolation(c))
	if c.Note != "" {
		fmt.Fprintf(&b, "%s\n", c.Note)
	}
	for _, link := range c.Requirements {
		fmt.Fprintf(&b, "\n[%s] %s\n", link.Id, index[link.Id].Text)
	}
	fmt.Fprintf(&b, "\nSteps\n")
	for i, step := range c.Steps {
		text, err := protojson.Marshal(step)
		if err != nil {
			return harness{err}
		}
		fmt.Fprintf(&b, "  %s  %s\n", casefile.StepName(step, i), text)
	}
	if len(c.Mutants) > 0 {
		fmt.Fprintf(&b, "\nFinds the mutants %s\n", strings.Join(c.Mutants, ", "))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func shortIsolation(c *casefile.Case) string {
	return []string{"shared", "shared", "link", "process"}[int(c.Isolation)%4]
}

func newRequirementCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "requirement ID",
		Short: "Print a requirement of the spec, its hash, and the cases that name it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := requirement.All()
			if err != nil {
				return harness{err}
			}
			r, known := requirement.Index(all)[args[0]]
			if !known {
				return fmt.Errorf("there is no requirement %s", args[0])
			}
			cases, err := loadCases()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			_, _ = fmt.Fprintf(out, "[%s] %s\nsection %s\nhash %s\n", r.ID, r.Text, r.Section, r.Hash)
			for _, c := range cases {
				for _, link := range c.Requirements {
					if link.Id == r.ID {
						_, _ = fmt.Fprintf(out, "%-8s %s\n", c.Id, c.Title)
					}
				}
			}
			return nil
		},
	}
}

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check TRACE",
		Short: "Look for breaches in a recorded trace, without a runner",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("check: %w", err)
			}
			defer func() { _ = file.Close() }()
			reader, err := trace.NewReader(file)
			if err != nil {
				return fmt.Errorf("check %s: %w", args[0], err)
			}
			events, err := reader.All()
			if err != nil {
				return fmt.Errorf("check %s: %w", args[0], err)
			}
			return check(cmd.OutOrStdout(), events)
		},
	}
}

func check(w io.Writer, events []*trace.Event) error {
	m, n := monitor.New(), 0
	for _, e := range events {
		for _, f := range m.Observe(e) {
			n++
			_, _ = fmt.Fprintf(w, "%-8s %s\n", f.Case, f)
		}
	}
	_, _ = fmt.Fprintf(w, "%d events, %d breaches\n", len(events), n)
	if n > 0 {
		return exit(verdict.ExitNotConformant)
	}
	return nil
}
