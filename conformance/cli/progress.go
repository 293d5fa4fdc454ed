package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

const (
	// maxFindings and maxLines are how many are printed of one case; with -v all that is kept.
	maxFindings = 5
	maxLines    = 8
)

// progress prints what a case came to: failures always, the rest if asked for.
func progress(cmd *cobra.Command, f *runFlags, c verdict.Case) {
	bad := c.Status != verdict.Pass && c.Status != verdict.Skip
	if !bad && !f.verbose {
		return
	}
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%-7s %-8s %6.0f ms  %s\n", c.Status, c.ID, c.TookMs, c.Title)
	if !bad {
		return
	}
	_, _ = fmt.Fprintf(out, "        %s: %s\n", c.Code, plain.Line(c.Message))
	findings(out, c, f.verbose)
	wrote(out, c.Output, f.verbose)
	_, _ = fmt.Fprintf(out, "        again: %s\n", c.Repeat)
}

// findings prints each text once.
func findings(out io.Writer, c verdict.Case, all bool) {
	var told []string
	for _, finding := range c.Findings {
		line := finding.Monitor + ": " + plain.Line(finding.Text)
		if slices.Contains(told, line) || len(told) == maxFindings && !all {
			continue
		}
		told = append(told, line)
		_, _ = fmt.Fprintf(out, "        %s\n", line)
	}
	if more := len(c.Findings) + c.MoreFindings - len(told); more > 0 {
		_, _ = fmt.Fprintf(out, "        … and %d more breaches\n", more)
	}
}

// wrote prints the end of what the program under test printed, so that it can do nothing to the terminal.
func wrote(out io.Writer, output string, all bool) {
	n := maxLines
	if all {
		n = len(output)
	}
	lines, before := plain.Last(output, n)
	if len(lines) == 0 {
		return
	}
	if before > 0 {
		lines = append([]string{"…"}, lines...)
	}
	_, _ = fmt.Fprintln(out, "        the end of what it printed:")
	for _, line := range lines {
		_, _ = fmt.Fprintf(out, "        | %s\n", line)
	}
}

// aftermath prints, before the verdict, what helps to understand it.
func aftermath(out io.Writer, f *runFlags, result *verdict.Result) {
	wrote(out, result.Output, f.verbose)
	if slices.ContainsFunc(result.Cases, func(c verdict.Case) bool { return c.Status == verdict.Fail }) {
		explain := verdict.Again{Program: again().Program}.Line("explain", "CASE")
		_, _ = fmt.Fprintf(out, "What a case does, and what the specification says: %s\n", explain)
	}
}

// again is what lines begin with that repeat something: this program as it was called, with the variables that count.
func again() verdict.Again {
	program := os.Args[0]
	if filepath.Base(program) != "conform" || strings.Contains(program, "go-build") { // a test, or go run
		program = "conform"
	}
	return verdict.Again{Environment: verdict.Environment(os.Environ()), Program: program}
}
