package report

import (
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

func TestJSONIsReadBack(t *testing.T) {
	r, catalogue := fixture(t)
	text, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Cases {
		r.Cases[i].Events = nil // for the trace file
	}
	if !reflect.DeepEqual(back, r) {
		t.Errorf("came back as %+v", back)
	}
	page, err := HTML(r, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := HTML(back, catalogue); err != nil || string(again) != string(page) {
		t.Errorf("the page of what was read back differs (%v)", err)
	}
}

func TestOtherFilesAreNoResults(t *testing.T) {
	for _, text := range []string{"", "[]", "{}", `{"schema": 2}`, `{"schema": 1`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func junitSuiteOf(t *testing.T, r *verdict.Result) junitSuite {
	t.Helper()
	text, err := JUnit(r)
	if err != nil {
		t.Fatal(err)
	}
	var suites junitSuites
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	return suites.Suites[0]
}

func TestJUnitSaysWhatEachCaseCameTo(t *testing.T) {
	r, _ := fixture(t)
	suite := junitSuiteOf(t, r)
	if suite.Tests != 5 || suite.Failures != 2 || suite.Errors != 0 || suite.Skipped != 2 || suite.Time != "61.500" {
		t.Errorf("the suite is %+v", suite)
	}
	first := suite.Cases[0]
	if first.Name != "CC-01" || !strings.HasPrefix(first.Class, "elixir") || !strings.HasSuffix(first.Class, ".CC") || first.Time != "1.234" {
		t.Errorf("the first case is %+v", first)
	}
	if first.Failure == nil || first.Failure.Type != "CC-01/look" || !strings.Contains(first.Failure.Message, hostile) || !strings.Contains(first.Output, "panic") {
		t.Errorf("its failure is %+v, its output %q", first.Failure, first.Output)
	}
	want := []junitProperty{{"title", first.Properties[0].Value}, {"requirements", "AA-1,AA-2"}, {"profile", "core"}, {"seed", "18446744073709551615"}}
	if !reflect.DeepEqual(first.Properties, want) {
		t.Errorf("its properties are %v", first.Properties)
	}
	if s := suite.Cases[3].Skipped; s == nil || s.Message != "the profile adopt is not claimed" {
		t.Errorf("the skipped case is %+v", suite.Cases[3])
	}
	if s := suite.Cases[4].Skipped; s == nil || s.Message != "known failure KK-01/3: known" {
		t.Errorf("the known failure is %+v", suite.Cases[4])
	}
}

func TestJUnitIsRedWhereTheVerdictIs(t *testing.T) {
	for name, c := range map[string]struct {
		result verdict.Result
		red    int
	}{
		"conformant":      {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.Pass}}}, 0},
		"known":           {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.Pass}, {ID: "A-2", Status: verdict.Known}}}, 0},
		"stale list":      {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.Pass}}, Faults: []string{"expired"}}, 1},
		"nothing was run": {verdict.Result{}, 1},
		"not decided":     {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.Unknown}}}, 1},
		"did not start":   {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.NoStart}}}, 1},
		"suite":           {verdict.Result{Cases: []verdict.Case{{ID: "A-1", Status: verdict.Error}}}, 1},
	} {
		c.result.Conclude()
		suite := junitSuiteOf(t, &c.result)
		if red := suite.Failures + suite.Errors; red != c.red || red > 0 != (c.result.Exit != 0) {
			t.Errorf("%s: %d red, exit status %d", name, red, c.result.Exit)
		}
	}
}

func TestTheBadgeShowsTheVerdict(t *testing.T) {
	for want, statuses := range map[string][]verdict.Status{
		"conformant · core kv":                     {verdict.Pass},
		"conformant, with 1 known failure · core":  {verdict.Pass, verdict.Known},
		"conformant, with 2 known failures · core": {verdict.Pass, verdict.Known, verdict.Known},
		"not conformant":                           {verdict.Pass, verdict.Fail},
		"inconclusive":                             {verdict.Unknown},
		"the runner did not start":                 {verdict.NoStart},
		"the suite went wrong":                     {verdict.Error},
	} {
		r := &verdict.Result{Claimed: []string{"core", "kv"}, Suite: "</title>" + hostile}
		for _, s := range statuses {
			r.Cases = append(r.Cases, verdict.Case{ID: "A-1", Status: s})
		}
		r.Conclude()
		picture, err := Badge(r)
		if err != nil {
			t.Fatal(err)
		}
		elements := map[string]int{}
		text := ""
		for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
			token, err := d.Token()
			if err == io.EOF { //nolint:errorlint // Token gives io.EOF itself
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				elements[e.Name.Local]++
			case xml.CharData:
				text += string(e)
			}
		}
		if !strings.Contains(text, want) || elements["text"] != 2 || elements["script"]+elements["img"] != 0 {
			t.Errorf("want %q; the badge says %q with %v", want, text, elements)
		}
	}
}

func TestInvisibleCharactersAreShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext":            "plain\n\ttext",
		"\x1b[1;31mred\x1b[0m":     "red",
		"user\u202egnp.exe":        "user\ufffdgnp.exe",
		"nul\x00 bell\x07 z\u200b": "nul\ufffd bell\ufffd z\ufffd",
		"ünï 😀":                    "ünï 😀",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}
