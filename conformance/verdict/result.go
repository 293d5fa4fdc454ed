// Package verdict turns what the cases of a run came to into one word, an exit status and the result that reports are made of.
//
// Result is the model of result.json, the only source of every report; its schema grows by fields only. The package does no
// I/O but reading known failures that it is given, and has no state.
package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/conformance/plain"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

// Status is how a case ended, over all its runs.
type Status string

// The statuses. A case that was repeated has the worst of its runs; a mix of pass and fail is a fail.
const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Skip    Status = "skip"    // the runner does not claim the profile
	Known   Status = "known"   // failed as the list of known failures says
	Unknown Status = "unknown" // could not be decided
	NoStart Status = "nostart" // the program under test did not come up
	Error   Status = "error"   // the suite itself went wrong
)

// Exit statuses of the command.
const (
	ExitConformant    = 0
	ExitNotConformant = 1
	ExitInconclusive  = 2
	ExitStale         = 3
	ExitNoStart       = 4
	ExitHarness       = 5
	ExitUsage         = 64
)

// Result is one run of the suite against one runner.
type Result struct {
	Schema   int    `json:"schema"` // 1
	Suite    string `json:"suite"`  // version of the command
	Verdict  string `json:"verdict"`
	Exit     int    `json:"exit"`
	Subject  string `json:"subject"` // runner or gateway
	Command  string `json:"command"`
	Runner   Runner `json:"runner"`
	Protocol int    `json:"protocol"`

	Seed    uint64    `json:"seed"`
	Jobs    int       `json:"jobs"`
	Repeat  int       `json:"repeat"`
	Started time.Time `json:"started"`
	TookMs  int64     `json:"tookMs"`

	Claimed    []string `json:"claimed"`    // profiles
	NotClaimed []string `json:"notClaimed"` // profiles that the suite has cases for
	Counts     Counts   `json:"counts"`

	// Output is the end of what the program under test wrote that did not come up.
	Output string `json:"output,omitempty"`

	Cases  []Case   `json:"cases"`
	Faults []string `json:"faults,omitempty"` // of the run as a whole: a stale list, a suite that went wrong

	Coverage *Coverage `json:"coverage,omitempty"` // of the spec

	Trace []*trace.Event `json:"-"` // of the whole run, if it was recorded
}

// Runner is what the program under test said of itself in Hello.
type Runner struct {
	SDK        string   `json:"sdk"`
	SDKVersion string   `json:"sdkVersion"`
	Features   []string `json:"features"`
	Types      []string `json:"types"`
}

// Counts are of cases by status.
type Counts struct {
	Total   int `json:"total"`
	Pass    int `json:"pass"`
	Fail    int `json:"fail"`
	Skip    int `json:"skip"`
	Known   int `json:"known"`
	Unknown int `json:"unknown"`
	NoStart int `json:"noStart"`
	Error   int `json:"error"`
}

// Case is what one case came to.
type Case struct {
	ID           string    `json:"id"`
	Title        string    `json:"title"`
	Category     string    `json:"category"`
	Profile      string    `json:"profile"`
	Requirements []string  `json:"requirements"`
	Status       Status    `json:"status"`
	Code         string    `json:"code,omitempty"` // stable: CASE/step or CASE/MON-nn
	Message      string    `json:"message,omitempty"`
	Runs         int       `json:"runs"`
	Passes       int       `json:"passes"`
	TookMs       float64   `json:"tookMs"`             // of the slowest run
	Findings     []Finding `json:"findings,omitempty"` // the first of them
	MoreFindings int       `json:"moreFindings,omitempty"`
	Output       string    `json:"output,omitempty"` // end of what the runner wrote
	Repeat       string    `json:"repeat,omitempty"` // the command that repeats it
	Lines        []Line    `json:"trace,omitempty"`  // of the failed run, shortened

	Events []*trace.Event `json:"-"` // of the failed run, whole
}

// Finding is one of a monitor's.
type Finding struct {
	Monitor string `json:"monitor"`
	Text    string `json:"text"`
	Seq     uint64 `json:"seq"`
}

// Line is one event of a trace, for people.
type Line struct {
	Seq    uint64 `json:"seq"`
	AtUs   int64  `json:"atUs"`
	Socket uint32 `json:"socket,omitempty"`
	// From is "runner" or "gateway"; empty: something happened.
	From string `json:"from,omitempty"`
	// Kind of the frame as in case files, or what happened.
	Kind string `json:"kind"`
	// Text is the frame's content, shortened, or a note.
	Text string `json:"text,omitempty"`
	// Actor is the ref that the frame is about.
	Actor uint64 `json:"actor,omitempty"`
}

// Conclude counts, and says what it comes to: the severest of what is there.
func (r *Result) Conclude() {
	r.Counts = Counts{Total: len(r.Cases)}
	for _, c := range r.Cases {
		*r.Counts.of(c.Status)++
	}
	n := r.Counts
	switch {
	case n.Error > 0:
		r.end(ExitHarness, "NOT CONFORMANT", fmt.Sprintf("the suite itself went wrong: %s", r.first(Error)))
	case n.NoStart > 0 && n.Pass+n.Fail+n.Known == 0:
		r.end(ExitNoStart, "NOT CONFORMANT", r.first(NoStart))
	case n.Fail+n.NoStart > 0:
		r.end(ExitNotConformant, "NOT CONFORMANT", fmt.Sprintf("%d of %d cases failed: %s", n.Fail+n.NoStart, n.Total-n.Skip, r.codes()))
	case len(r.Faults) > 0:
		r.end(ExitStale, "NOT CONFORMANT", "the list of known failures is stale: "+strings.Join(r.Faults, "; "))
	case n.Unknown > 0:
		r.end(ExitInconclusive, "NOT CONFORMANT", fmt.Sprintf("inconclusive: %d of %d cases could not be decided: %s", n.Unknown, n.Total-n.Skip, r.first(Unknown)))
	case n.Pass == 0:
		r.end(ExitInconclusive, "NOT CONFORMANT", "inconclusive: no case was run")
	case n.Known > 0:
		r.end(ExitConformant, fmt.Sprintf("CONFORMANT WITH %d KNOWN FAILURES", n.Known), r.summary())
	default:
		r.end(ExitConformant, "CONFORMANT", r.summary())
	}
}

func (c *Counts) of(s Status) *int {
	switch s {
	case Pass:
		return &c.Pass
	case Fail:
		return &c.Fail
	case Skip:
		return &c.Skip
	case Known:
		return &c.Known
	case Unknown:
		return &c.Unknown
	case NoStart:
		return &c.NoStart
	default:
		return &c.Error
	}
}

// maxWhy bounds the reason in the verdict, which is one line whatever the program under test says.
const maxWhy = 1000

func (r *Result) end(exit int, word, why string) {
	r.Exit = exit
	r.Verdict = word
	if len(r.Claimed) > 0 {
		r.Verdict += " " + strings.Join(r.Claimed, ",")
	}
	r.Verdict += fmt.Sprintf(" @ protocol %d, suite %s (%s)", r.Protocol, r.Suite, plain.Clip(plain.Line(why), maxWhy))
}

func (r *Result) summary() string {
	text := fmt.Sprintf("%d of %d cases passed", r.Counts.Pass, r.Counts.Total-r.Counts.Skip)
	if r.Counts.Skip > 0 {
		text += fmt.Sprintf(", %d skipped: not claimed %s", r.Counts.Skip, strings.Join(r.NotClaimed, ","))
	}
	return text
}

// first is the first case of that status, in words.
func (r *Result) first(s Status) string {
	at := slices.IndexFunc(r.Cases, func(c Case) bool { return c.Status == s })
	if at < 0 {
		return ""
	}
	if s == NoStart {
		return r.Cases[at].Message
	}
	return r.Cases[at].Code + ": " + r.Cases[at].Message
}

// codes are of what failed, the first ten.
func (r *Result) codes() string {
	var codes []string
	for _, c := range r.Cases {
		if c.Status == Fail || c.Status == NoStart {
			codes = append(codes, c.Code)
		}
	}
	if len(codes) > 10 {
		codes = append(codes[:10], "…")
	}
	return strings.Join(codes, ", ")
}

// maxFindings is how many are kept of one case.
const maxFindings = 50

// Find adds what a monitor found; those beyond the first few are only counted.
func (c *Case) Find(f Finding) {
	if len(c.Findings) == maxFindings {
		c.MoreFindings++
		return
	}
	c.Findings = append(c.Findings, f)
}
