package report

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func TestARunIsLaidOverTheSpec(t *testing.T) {
	r, catalogue := fixture(t)
	c := Cover(r, catalogue)
	want := []verdict.Covered{
		{ID: "AA-1", Section: "1 First", By: verdict.ByRun, Status: verdict.Fail, Cases: []string{"CC-01", "CC-02", "CC-03"}},
		{ID: "AA-2", Section: "1 First", By: verdict.ByRun, Status: verdict.Fail, Cases: []string{"CC-01", "CC-02"}, Other: []string{"GG-01"}},
		{ID: "BB-1", Section: "2 Second", By: verdict.NotRun, Status: verdict.Skip, Cases: []string{"CC-04"}},
		{ID: "BB-2", Section: "Sub", By: verdict.ByRun, Status: verdict.Known, Cases: []string{"KK-01", "CC-09"}},
		{ID: "BB-3", Section: "Sub", By: verdict.Nothing},
		{ID: "BB-4", Section: "Sub", By: verdict.OtherSide, Other: []string{"GG-01"}},
		{ID: "BB-5", Section: "Sub", By: verdict.Excused, Reason: "No case has a hand on the store.", HeldBy: []string{"store/a_test.go", "store/b"}},
	}
	if !reflect.DeepEqual(c.Requirements, want) {
		t.Errorf("covered %+v", c.Requirements)
	}
	line := c.Line("gateway")
	if line != "coverage of the spec: 3 of 7 requirements by this run, 1 not run, 1 the gateway's part, 1 held otherwise (spec/uncovered.md), 1 without anything" {
		t.Errorf("the line is %q", line)
	}
	r.Coverage = c
	text, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"otherCases": [`, `"reason": "No case has a hand on the store."`, `"excused": 1`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("result.json lacks %s", want)
		}
	}
}

func TestTheOtherSideIsLaidOverTheSpecToo(t *testing.T) {
	_, catalogue := fixture(t)
	r := &verdict.Result{Subject: "gateway", Cases: []verdict.Case{
		{ID: "GG-01", Requirements: []string{"AA-2", "BB-4"}, Status: verdict.Pass},
		{ID: "GG-02", Requirements: []string{"BB-3"}, Status: verdict.NoStart},
	}}
	by := map[string]verdict.Covers{}
	for _, q := range Cover(r, catalogue).Requirements {
		by[q.ID] = q.By
	}
	want := map[string]verdict.Covers{
		"AA-1": verdict.OtherSide, "AA-2": verdict.ByRun, "BB-1": verdict.Nothing, "BB-2": verdict.OtherSide,
		"BB-3": verdict.NotRun, "BB-4": verdict.ByRun, "BB-5": verdict.Excused,
	}
	if !reflect.DeepEqual(by, want) {
		t.Errorf("covered %v", by)
	}
}

func TestThePageSaysWhyThereIsNoCase(t *testing.T) {
	page := pageOf(t, first(fixture(t)), second(fixture(t)))
	for _, want := range []string{
		`<p class="reason">No case has a hand on the store.</p>`, `<code>store/a_test.go</code>`, `<tr class="excused">`, `title="BB-5: held otherwise"`,
		`<li class="pass"><b>3</b> covered by this run</li>`, `<li class="other"><b>1</b> the gateway&#39;s part</li>`, `<li class="excused"><b>1</b> held otherwise, with a reason</li>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
