package report

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// The elements of JUnit XML, as CI systems read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class      string          `xml:"classname,attr"`
		Name       string          `xml:"name,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Failure    *junitOutcome   `xml:"failure"`
		Error      *junitOutcome   `xml:"error"`
		Skipped    *junitOutcome   `xml:"skipped"`
		Output     string          `xml:"system-out,omitempty"`
	}
	junitOutcome struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is the result as JUnit XML. It is red if and only if the exit status is not 0: where no case says why, one named
// "verdict" does.
func JUnit(r *verdict.Result) ([]byte, error) {
	suite := junitSuite{
		Name: "conform " + language(r), Time: seconds(float64(r.TookMs)), Timestamp: r.Started.UTC().Format(time.RFC3339),
		Properties: []junitProperty{
			{"verdict", r.Verdict},
			{"suite", r.Suite},
			{"sdkVersion", r.Runner.SDKVersion},
			{"claimed", strings.Join(r.Claimed, ",")},
			{"notClaimed", strings.Join(r.NotClaimed, ",")},
			{"seed", strconv.FormatUint(r.Seed, 10)},
		},
	}
	for i := range r.Cases {
		suite.add(junitOf(r, &r.Cases[i]))
	}
	if r.Exit != verdict.ExitConformant && suite.Failures+suite.Errors == 0 {
		suite.add(junitCase{Class: language(r), Name: "verdict", Time: seconds(0), Failure: &junitOutcome{
			Type: strconv.Itoa(r.Exit), Message: r.Verdict, Text: strings.Join(r.Faults, "\n"),
		}})
	}
	b, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write JUnit XML: %w", err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func junitOf(r *verdict.Result, c *verdict.Case) junitCase {
	out := junitCase{
		Class: language(r) + "." + c.Category, Name: c.ID, Time: seconds(c.TookMs),
		Properties: []junitProperty{
			{"title", c.Title},
			{"requirements", strings.Join(c.Requirements, ",")},
			{"profile", c.Profile},
			{"seed", strconv.FormatUint(r.Seed, 10)},
		},
	}
	why := &junitOutcome{Type: c.Code, Message: c.Message}
	switch c.Status {
	case verdict.Pass:
	case verdict.Skip:
		out.Skipped = &junitOutcome{Message: c.Message}
	case verdict.Known:
		out.Skipped = &junitOutcome{Message: fmt.Sprintf("known failure %s: %s", c.Code, c.Message)}
	case verdict.Fail, verdict.NoStart:
		out.Failure = why
	default:
		out.Error = why
	}
	if out.Failure != nil || out.Error != nil {
		why.Text, out.Output = because(c), visible(c.Output)
	}
	return out
}

// because is a failure in a few lines.
func because(c *verdict.Case) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s: %s\n", c.Title, c.Code, c.Message)
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "%s: %s\n", f.Monitor, f.Text)
	}
	if c.Repeat != "" {
		fmt.Fprintf(&b, "again: %s\n", c.Repeat)
	}
	return b.String()
}

// language stands before the categories in class names, as "go.LC".
func language(r *verdict.Result) string {
	if r.Runner.SDK == "" {
		return subject(r)
	}
	return strings.ReplaceAll(visible(r.Runner.SDK), ".", "-")
}

func seconds(ms float64) string { return strconv.FormatFloat(ms/1000, 'f', 3, 64) }
