package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg/broken"
	"github.com/stagedoor-dev/stagedoor/conformance/report"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func newListCommand() *cobra.Command {
	plane := ""
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the cases, a line each",
		Long: `Lists the cases, a line each: the id, whether a runner or a gateway is tested, the profile that it belongs to, and the
title. conform run runs those for runners, conform gateway those for gateways.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if plane != "" && plane != planeRunner && plane != planeGateway {
				return fmt.Errorf("--plane %s: want %s or %s", plane, planeRunner, planeGateway)
			}
			all, err := catalogue()
			if err != nil {
				return err
			}
			for _, c := range all.Cases {
				if plane != "" && planeOf(c) != plane {
					continue
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-8s %-7s %-11s %s\n", c.Id, planeOf(c), c.Profile, c.Title); err != nil {
					return harness{err}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&plane, "plane", "", "only the cases for a runner, or for a gateway")
	return cmd
}

// What a case tests.
const (
	planeRunner  = "runner"
	planeGateway = "gateway"
)

func planeOf(c *casefile.Case) string {
	if c.Plane == conformancev1alpha1.Plane_PLANE_GATEWAY {
		return planeGateway
	}
	return planeRunner
}

func newExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CASE",
		Short:   "Explain a case: what the spec says, what is done, which mistakes it finds",
		Example: "  conform explain HS-01",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := catalogue()
			if err != nil {
				return err
			}
			for _, c := range all.Cases {
				if c.Id == args[0] {
					return explain(cmd.OutOrStdout(), c)
				}
			}
			return fmt.Errorf("there is no case %s; conform list has them all", args[0])
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
	fmt.Fprintf(&b, "%s  %s\n", c.Id, c.Title)
	if planeOf(c) == planeGateway {
		fmt.Fprintf(&b, "of the gateway's side (conform gateway), profile %s\n", c.Profile)
	} else {
		fmt.Fprintf(&b, "profile %s, isolation %s\n", c.Profile, shortIsolation(c))
	}
	if c.Note != "" {
		fmt.Fprintf(&b, "%s\n", c.Note)
	}
	for _, link := range c.Requirements {
		fmt.Fprintf(&b, "\n[%s] %s\n", link.Id, index[link.Id].Text)
	}
	if len(c.Steps) > 0 {
		fmt.Fprintf(&b, "\nSteps\n")
	}
	for i, step := range c.Steps {
		text, err := protojson.Marshal(step)
		if err != nil {
			return harness{err}
		}
		fmt.Fprintf(&b, "  %s  %s\n", casefile.StepName(step, i), text)
	}
	if found := mutantsOf(c); len(found) > 0 {
		fmt.Fprintf(&b, "\nFinds the mutants %s\n", strings.Join(found, ", "))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// mutantsOf are the mutants that the case has to kill. Those of gateways name their cases, instead of the other way about.
func mutantsOf(c *casefile.Case) []string {
	names := slices.Clone(c.Mutants)
	for _, m := range broken.All() {
		if slices.Contains(m.Cases, c.Id) {
			names = append(names, m.Name)
		}
	}
	return names
}

func shortIsolation(c *casefile.Case) string {
	return []string{"shared", "shared", "link", "process"}[int(c.Isolation)%4]
}

func newRequirementCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "requirement ID",
		Short: "Print a requirement of the spec, its hash, and the cases that name it, or why there is none",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := catalogue()
			if err != nil {
				return err
			}
			r, known := requirement.Index(all.Requirements)[args[0]]
			if !known {
				return fmt.Errorf("there is no requirement %s", args[0])
			}
			return describe(cmd.OutOrStdout(), r, all)
		},
	}
}

// describe prints a requirement and what shows that it is kept.
func describe(w io.Writer, r requirement.Requirement, all report.Catalogue) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s\nsection %s\nhash %s\n", r.ID, r.Text, r.Section, r.Hash)
	for _, c := range all.Cases {
		for _, link := range c.Requirements {
			if link.Id == r.ID {
				fmt.Fprintf(&b, "%-8s %-7s %s\n", c.Id, planeOf(c), c.Title)
			}
		}
	}
	for _, reason := range all.Reasons {
		if reason.ID == r.ID {
			fmt.Fprintf(&b, "no case: %s\nheld by %s\n", reason.Why, strings.Join(reason.Held, ", "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
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
