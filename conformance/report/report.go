// Package report makes of a run's Result what people and machines read: JSON, JUnit XML, a badge, and a page of HTML.
//
// The page is one file without scripts and without anything from elsewhere; whatever a runner said is text in it, never markup.
// The command calls these functions with a result that is concluded, or read back from result.json; they only read it, do no
// I/O and have no state.
package report

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Catalogue is what the suite could have asked: a page shows next to the outcomes what each case does, and which requirements
// have no case, with the reason.
type Catalogue struct {
	Cases        []*casefile.Case          // of both sides
	Requirements []requirement.Requirement // in the order of the spec
	Reasons      []requirement.Reason
}

// JSON is result.json, which every other report can be made from.
func JSON(r *verdict.Result) ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	return append(b, '\n'), nil
}

// Parse reads result.json back.
func Parse(text []byte) (*verdict.Result, error) {
	r := &verdict.Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the result: %w", err)
	}
	if r.Schema != 1 {
		return nil, fmt.Errorf("read the result: schema %d is not known, only 1", r.Schema)
	}
	return r, nil
}

// headline is the verdict in a few words.
func headline(r *verdict.Result) string {
	switch {
	case r.Exit == verdict.ExitConformant && r.Counts.Known == 1:
		return "Conformant, with 1 known failure"
	case r.Exit == verdict.ExitConformant && r.Counts.Known > 1:
		return fmt.Sprintf("Conformant, with %d known failures", r.Counts.Known)
	case r.Exit == verdict.ExitConformant:
		return "Conformant"
	case r.Exit == verdict.ExitInconclusive:
		return "Inconclusive"
	case r.Exit == verdict.ExitStale:
		return "The list of known failures is stale"
	case r.Exit == verdict.ExitNoStart:
		return "The " + subject(r) + " did not start"
	case r.Exit == verdict.ExitHarness:
		return "The suite went wrong"
	}
	return "Not conformant"
}

// tone is how good that is: good, mixed or bad.
func tone(r *verdict.Result) string {
	switch {
	case r.Exit == verdict.ExitConformant && r.Counts.Known == 0:
		return "good"
	case r.Exit == verdict.ExitConformant, r.Exit == verdict.ExitInconclusive, r.Exit == verdict.ExitStale:
		return "mixed"
	}
	return "bad"
}

// CoverageLine is the coverage of the spec in one line.
func CoverageLine(r *verdict.Result) string { return r.Coverage.Line(otherSide(r)) }

func subject(r *verdict.Result) string {
	if r.Subject == "gateway" {
		return "gateway"
	}
	return "runner"
}

var terminalColours = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// visible makes a foreign text safe to show: terminal colours go, and what is invisible or turns the direction of writing is
// shown as a replacement character.
func visible(text string) string {
	text = terminalColours.ReplaceAllString(text, "")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// clip shortens a text to n characters.
func clip(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}
