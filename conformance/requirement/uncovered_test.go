package requirement

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const uncoveredFile = "../../spec/uncovered.md"

func TestTheEmbeddedReasonsAreThoseOfTheSpec(t *testing.T) {
	want, err := os.ReadFile(uncoveredFile)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("uncovered.txt", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if uncovered != string(want) {
		t.Error("uncovered.txt is not spec/uncovered.md; go test ./conformance/requirement -args -update")
	}
	reasons, err := Uncovered()
	if err != nil {
		t.Fatal(err)
	}
	if len(reasons) == 0 {
		t.Fatal("no line is read")
	}
	for _, fault := range Unheld(os.DirFS("../.."), reasons) {
		t.Error(fault)
	}
	if !slices.IsSortedFunc(reasons, func(a, b Reason) int { return place(t, a.ID) - place(t, b.ID) }) {
		t.Error("the lines of spec/uncovered.md are not in the order of the spec")
	}
}

// place is a requirement's position in the spec.
func place(t *testing.T, id string) int {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return slices.IndexFunc(all, func(r Requirement) bool { return r.ID == id })
}

const table = `# A table

| requirement | reason | held by |
|---|---|---|
| AA-1 | It is the store's own. | ` + "`store/a_test.go`, `store`" + ` |
| AA-2 | Nobody asks. | nothing |
`

func TestReasonsAreRead(t *testing.T) {
	reasons, err := ParseUncovered(table)
	if err != nil {
		t.Fatal(err)
	}
	if len(reasons) != 2 || reasons[0].ID != "AA-1" || reasons[0].Why != "It is the store's own." ||
		!slices.Equal(reasons[0].Held, []string{"store/a_test.go", "store"}) || reasons[1].Held != nil {
		t.Errorf("read %+v", reasons)
	}
	if _, err := ParseUncovered(table + "| AA-3 | a cell is missing |\n"); err == nil {
		t.Error("a row of two cells is read")
	}
}

func TestGapsAreSeen(t *testing.T) {
	all := []Requirement{{ID: "AA-1"}, {ID: "AA-2"}, {ID: "AA-3"}}
	cases := map[string][]string{"AA-1": {"CC-01", "GG-01"}}
	good := []Reason{{ID: "AA-2", Why: "why"}, {ID: "AA-3", Why: "why"}}
	if faults := Gaps(all, cases, good); len(faults) > 0 {
		t.Errorf("faults %q where there are none", faults)
	}
	for want, reasons := range map[string][]Reason{
		"AA-3 has no case":                       good[:1],
		"AA-1 has the case CC-01, GG-01":         append(slices.Clone(good), Reason{ID: "AA-1", Why: "why"}),
		"excuses AA-9, which is no requirement":  append(slices.Clone(good), Reason{ID: "AA-9", Why: "why"}),
		"excuses AA-2 twice":                     append(slices.Clone(good), good[0]),
		"gives no reason for AA-3":               {good[0], {ID: "AA-3"}},
		"AA-2 has no case: write one, or a line": good[1:],
	} {
		if faults := Gaps(all, cases, reasons); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("faults %q, want one: %s", faults, want)
		}
	}
}

func TestPathsThatHoldNothingAreSeen(t *testing.T) {
	root := fstest.MapFS{"store/a_test.go": {Data: []byte("// [" + "AA-1] [" + "AA-22]")}, "other/b_test.go": {Data: []byte("package other")}}
	for path, want := range map[string]string{
		"store/a_test.go": "", "store": "",
		"store/gone_test.go": "there is no such file or folder", "gone": "there is no such file or folder",
		"other/b_test.go": "it does not name it", "other": "it does not name it",
	} {
		faults := Unheld(root, []Reason{{ID: "AA-1", Held: []string{path}}})
		if (want == "") != (len(faults) == 0) || want != "" && !strings.HasSuffix(faults[0], want) {
			t.Errorf("%s: faults %q, want %q", path, faults, want)
		}
	}
	if faults := Unheld(root, []Reason{{ID: "AA-2", Held: []string{"store"}}}); len(faults) != 1 {
		t.Errorf("AA-22 is taken for AA-2: %q", faults)
	}
	if faults := Unheld(root, []Reason{{ID: "AA-1"}}); len(faults) != 1 || !strings.Contains(faults[0], "names nothing") {
		t.Errorf("a line without a path: %q", faults)
	}
}
