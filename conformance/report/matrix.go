package report

import (
	"slices"
	"strings"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// section is a part of the spec with its requirements.
type section struct {
	Name         string
	Requirements []requirementView
	Note         string // what covers them, in few words
	Failing      int
}

// requirementView is a requirement with all cases that name it.
type requirementView struct {
	ID    string
	Text  []span
	State string // worst of its cases; of one without: "excused" or "open"
	Word  string
	Cases []caseMark
	// Of one without a case: why it has none, and what holds it.
	Reason string
	HeldBy []string
}

// caseMark is a case with its outcome, in few characters.
type caseMark struct {
	ID, Title string
	Status    verdict.Status // "": it is of the other side
	State     string
	Word      string
	Linked    bool // it has a section of its own, or a row in the list of cases
}

// span is a piece of a requirement's text.
type span struct {
	Text string
	Code bool
}

// notRun is the state of a case that the run left out.
const notRun = verdict.Status("not run")

// words say a status in a sentence; worst is their order.
var (
	words = map[verdict.Status]string{
		verdict.Pass: "passes", verdict.Fail: "fails", verdict.Skip: "skipped", verdict.Known: "known failure",
		verdict.Unknown: "not decided", verdict.NoStart: "did not start", verdict.Error: "suite went wrong", notRun: "not run",
	}
	worst = []verdict.Status{
		notRun, verdict.Skip, verdict.Pass, verdict.Known, verdict.Unknown, verdict.NoStart, verdict.Error, verdict.Fail,
	}
)

// wordOf is also for statuses that a later suite may have.
func wordOf(s verdict.Status) string {
	if word, known := words[s]; known {
		return word
	}
	return string(s)
}

// class is a status as a name for the style sheet.
func class(s verdict.Status) string {
	switch s {
	case verdict.Pass, verdict.Fail, verdict.Skip, verdict.Known:
		return string(s)
	case verdict.NoStart:
		return string(verdict.Fail)
	case notRun:
		return "notrun"
	default: // that nothing is known of the runner
		return string(verdict.Unknown)
	}
}

// matrix lays the outcomes over the spec. Sections under an unnumbered heading are named with their chapter's number.
func matrix(r *verdict.Result, catalogue Catalogue) []section {
	marks, coverage := marksByRequirement(r, catalogue), Cover(r, catalogue)
	var sections []section
	var within verdict.Coverage // of the last section
	chapter, last := "", ""
	for i, q := range catalogue.Requirements {
		if q.Section != "" && q.Section[0] >= '0' && q.Section[0] <= '9' {
			chapter = q.Section
		}
		name := q.Section
		if name != chapter && chapter != "" {
			number, _, _ := strings.Cut(chapter, " ")
			name = number + " " + q.Section
		}
		if name != last || len(sections) == 0 {
			sections = append(sections, section{Name: name})
			last, within = name, verdict.Coverage{}
		}
		s := &sections[len(sections)-1]
		covered := coverage.Requirements[i]
		within.Add(covered)
		s.Note = note(&within, otherSide(r))
		view := requirementView{ID: q.ID, Text: spans(q.Text), Cases: marks[q.ID], Reason: covered.Reason, HeldBy: covered.HeldBy}
		view.State, view.Word = stateOf(view.Cases)
		if covered.By == verdict.Excused {
			view.State, view.Word = "excused", "held otherwise"
		}
		if view.State == string(verdict.Fail) || view.State == class(verdict.Unknown) {
			s.Failing++
		}
		s.Requirements = append(s.Requirements, view)
	}
	return sections
}

// marksByRequirement has the cases that ran with their outcomes, and of the catalogue those that did not.
func marksByRequirement(r *verdict.Result, catalogue Catalogue) map[string][]caseMark {
	marks, ran := map[string][]caseMark{}, map[string]bool{}
	for _, c := range r.Cases {
		ran[c.ID] = true
		for _, id := range c.Requirements {
			marks[id] = append(marks[id], markOf(c))
		}
	}
	for _, c := range catalogue.Cases {
		if ran[c.Id] {
			continue
		}
		mark := caseMark{ID: c.Id, Title: c.Title, Status: notRun, State: class(notRun), Word: wordOf(notRun)}
		if (c.Plane == conformancev1alpha1.Plane_PLANE_GATEWAY) != (r.Subject == "gateway") {
			mark.Status, mark.State, mark.Word = "", "other", otherSide(r)+"'s side"
		}
		for _, link := range c.Requirements {
			marks[link.Id] = append(marks[link.Id], mark)
		}
	}
	return marks
}

func otherSide(r *verdict.Result) string {
	if subject(r) == "runner" {
		return "gateway"
	}
	return "runner"
}

func markOf(c verdict.Case) caseMark {
	return caseMark{ID: c.ID, Title: visible(c.Title), Status: c.Status, State: class(c.Status), Word: wordOf(c.Status), Linked: true}
}

func stateOf(cases []caseMark) (state, word string) {
	if len(cases) == 0 {
		return "open", "no case"
	}
	bad := slices.MaxFunc(cases, func(a, b caseMark) int { return slices.Index(worst, a.Status) - slices.Index(worst, b.Status) })
	return bad.State, bad.Word
}

// spans splits a requirement's Markdown at its backticks.
func spans(text string) []span {
	var out []span
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			out = append(out, span{Text: piece, Code: i%2 == 1})
		}
	}
	return out
}
