package report

import (
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func pageOf(t *testing.T, r *verdict.Result, catalogue Catalogue) string {
	t.Helper()
	page, err := HTML(r, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestThePageNeedsNothingElse(t *testing.T) {
	page := pageOf(t, first(fixture(t)), second(fixture(t)))
	for _, forbidden := range []string{"<script", "<link", "<img", "@import", "url(", "javascript:", "ZgotmplZ"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page holds %s", forbidden)
		}
	}
	if n := strings.Count(page, "</style"); n != 1 {
		t.Errorf("the page ends %d style sheets", n)
	}
	if !strings.Contains(page, "prefers-color-scheme: dark") {
		t.Error("the page knows no dark colours")
	}
}

func first(r *verdict.Result, _ Catalogue) *verdict.Result { return r }
func second(_ *verdict.Result, c Catalogue) Catalogue      { return c }

func TestTheMatrixShowsEveryRequirement(t *testing.T) {
	r, catalogue := fixture(t)
	sections := matrix(r, catalogue)
	if len(sections) != 3 || sections[2].Name != "2 Sub" || sections[0].Failing != 2 || sections[2].Failing != 0 {
		t.Fatalf("sections %+v", sections)
	}
	for _, want := range []struct {
		section, at int
		id, word    string
		cases       string
	}{
		{0, 0, "AA-1", "fails", "CC-01 fails, CC-02 fails, CC-03 passes"},
		{0, 1, "AA-2", "fails", "CC-01 fails, CC-02 fails, GG-01 gateway's side"},
		{1, 0, "BB-1", "skipped", "CC-04 skipped"},
		{2, 0, "BB-2", "known failure", "KK-01 known failure, CC-09 not run"},
		{2, 1, "BB-3", "no case", ""},
		{2, 2, "BB-4", "gateway's side", "GG-01 gateway's side"},
		{2, 3, "BB-5", "held otherwise", ""},
	} {
		q := sections[want.section].Requirements[want.at]
		var cases []string
		for _, c := range q.Cases {
			cases = append(cases, c.ID+" "+c.Word)
		}
		if q.ID != want.id || q.Word != want.word || strings.Join(cases, ", ") != want.cases {
			t.Errorf("%s %s: %v", q.ID, q.Word, cases)
		}
	}
	for i, want := range []string{"2 by this run", "1 not run", "1 by this run, 1 the gateway's part, 1 held otherwise, 1 without anything"} {
		if sections[i].Note != want {
			t.Errorf("section %s: %s", sections[i].Name, sections[i].Note)
		}
	}
	if text := sections[0].Requirements[0].Text; len(text) != 3 || text[1] != (span{"count", true}) {
		t.Errorf("the text is %+v", text)
	}
}

func TestAFailureNamesTheStepThatWasExpected(t *testing.T) {
	r, catalogue := fixture(t)
	all := failures(r, catalogue)
	if len(all) != 3 {
		t.Fatalf("%d failures", len(all))
	}
	f := all[0]
	if f.Step != "look" || !strings.Contains(f.Expected, "call:\n  action: get\n") || strings.Contains(f.Expected, "name:") {
		t.Errorf("step %s is\n%s", f.Step, f.Expected)
	}
	if f.Requirements[0].Text[0].Text != "A " || len(f.Table) != len(f.Lines) {
		t.Errorf("requirements %+v, %d lines", f.Requirements, len(f.Table))
	}
	if all[1].Expected != "" || all[1].Diagram == nil || all[2].Diagram != nil {
		t.Error("a case that is not in the catalogue, or has no trace, shows what it cannot have")
	}
}

func TestStepsInRepetitionsAreFound(t *testing.T) {
	_, catalogue := fixture(t)
	inner := catalogue.Cases[0].Steps
	seen := map[string]bool{}
	walk(inner, "3.", func(name string, _ *casefile.Step) { seen[name] = true })
	if !seen["3.1"] || !seen["3.look"] {
		t.Errorf("names %v", seen)
	}
}

func TestARunnerThatDidNotStartIsToldOnce(t *testing.T) {
	r := &verdict.Result{Subject: "runner"}
	for _, id := range []string{"AA-1", "AA-2", "AA-3"} {
		r.Cases = append(r.Cases, verdict.Case{ID: id, Status: verdict.NoStart, Code: id + "/start", Message: "no Hello within 20s", Repeat: "conform run"})
	}
	r.Conclude()
	page := pageOf(t, r, Catalogue{})
	if !strings.Contains(page, "The runner did not start") || strings.Count(page, `class="actual"`) != 1 || !strings.Contains(page, "3 cases could not run") {
		t.Error("the page does not say once why nothing ran")
	}
}

func TestAConformantRunnerHasAPageToo(t *testing.T) {
	r := &verdict.Result{Subject: "runner", Suite: "1", Protocol: 1, Claimed: []string{"core"}, Cases: []verdict.Case{{ID: "AA-1", Profile: "core", Status: verdict.Pass, Runs: 1, Passes: 1}}}
	r.Conclude()
	page := pageOf(t, r, Catalogue{})
	for _, want := range []string{"<h1>Conformant</h1>", r.Verdict, "Nothing failed", "1 of 1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestLongPagesLeaveTablesOut(t *testing.T) {
	r, catalogue := fixture(t)
	many := r.Cases[1]
	r.Cases = nil
	for range maxTableLines/len(many.Lines) + 2 {
		r.Cases = append(r.Cases, many)
	}
	all := failures(r, catalogue)
	last := all[len(all)-1]
	if all[0].LeftOut || len(all[0].Table) == 0 || !last.LeftOut || len(last.Table) > 0 || last.Diagram == nil {
		t.Errorf("the first has %d lines, the last of %d has %d", len(all[0].Table), len(all), len(last.Table))
	}
}
