package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// Cover lays a run over the spec: what its cases show, what those of the other side do, and why the rest has none.
func Cover(r *verdict.Result, catalogue Catalogue) *verdict.Coverage {
	marks, reasons := marksByRequirement(r, catalogue), map[string]requirement.Reason{}
	for _, reason := range catalogue.Reasons {
		reasons[reason.ID] = reason
	}
	c := &verdict.Coverage{}
	for _, q := range catalogue.Requirements {
		covered := verdict.Covered{ID: q.ID, Section: q.Section, By: verdict.Nothing}
		for _, m := range marks[q.ID] {
			if m.Status == "" {
				covered.Other = append(covered.Other, m.ID)
				continue
			}
			covered.Cases = append(covered.Cases, m.ID)
			if m.Status != notRun && slices.Index(worst, m.Status) > slices.Index(worst, covered.Status) {
				covered.Status = m.Status
			}
		}
		reason, excused := reasons[q.ID]
		switch {
		case slices.ContainsFunc(marks[q.ID], ran):
			covered.By = verdict.ByRun
		case len(covered.Cases) > 0:
			covered.By = verdict.NotRun
		case len(covered.Other) > 0:
			covered.By = verdict.OtherSide
		case excused:
			covered.By, covered.Reason, covered.HeldBy = verdict.Excused, reason.Why, reason.Held
		}
		c.Add(covered)
	}
	return c
}

// ran says whether a case said something of what was tested.
func ran(m caseMark) bool {
	return slices.Contains([]verdict.Status{verdict.Pass, verdict.Fail, verdict.Known, verdict.Unknown}, m.Status)
}

// coverageBar is the coverage as a bar like that of the cases.
func coverageBar(c *verdict.Coverage, other string) []share {
	var out []share
	for _, s := range []share{
		{State: "pass", Word: "covered by this run", N: c.ByRun},
		{State: "skip", Word: "with cases that were not run", N: c.NotRun},
		{State: "other", Word: "the " + other + "'s part", N: c.OtherSide},
		{State: "excused", Word: "held otherwise, with a reason", N: c.Excused},
		{State: "fail", Word: "that nothing holds", N: c.Nothing},
	} {
		if s.N > 0 {
			s.Percent = 100 * float64(s.N) / float64(c.Total)
			out = append(out, s)
		}
	}
	return out
}

// note is what a section's requirements are covered by, in few words.
func note(c *verdict.Coverage, other string) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{
		{c.ByRun, "by this run"},
		{c.NotRun, "not run"},
		{c.OtherSide, "the " + other + "'s part"},
		{c.Excused, "held otherwise"},
		{c.Nothing, "without anything"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(parts, ", ")
}
