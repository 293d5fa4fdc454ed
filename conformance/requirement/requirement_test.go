package requirement

import (
	"flag"
	"os"
	"slices"
	"testing"
)

const specFile = "../../spec/protocol.md"

var update = flag.Bool("update", false, "write requirements.txt anew instead of comparing it")

// After a change of the spec: go test ./conformance/requirement -args -update; the cases whose requirement changed are red then.
func TestTheEmbeddedRequirementsAreThoseOfTheSpec(t *testing.T) {
	spec, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	want := Format(Parse(string(spec)))
	if *update {
		if err := os.WriteFile("requirements.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if embedded != want {
		t.Error("requirements.txt is not what spec/protocol.md says; go test ./conformance/requirement -args -update, then look at the cases that turn red")
	}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if r := Index(all)["LINK-8"]; r.Text == "" || r.Section != "12 Link: the runner protocol" {
		t.Errorf("LINK-8 is %+v", r)
	}
}

func TestRequirementsAreRead(t *testing.T) {
	all := Parse("# 1 First\n\n* **[" + "AA-1]** One  thing\n  over two lines.\n* **[" + "AA-2]** Another.\n\n| a | table |\n\n### Sub\n\n* **[" + "BB-10]** Last.\nrest\n")
	want := []Requirement{
		{"AA-1", Hash("One thing over two lines."), "1 First", "One thing over two lines."},
		{"AA-2", Hash("Another."), "1 First", "Another."},
		{"BB-10", Hash("Last."), "Sub", "Last."},
	}
	if !slices.Equal(all, want) {
		t.Errorf("read %+v", all)
	}
	if Hash("a  b\n c") != Hash("a b c") || len(Hash("")) != 6 {
		t.Error("white space counts in the hash")
	}
}

func TestIdsAreOrderedByNumber(t *testing.T) {
	ids := []string{"B-2", "A-10", "A-9"}
	Sort(ids)
	if !slices.Equal(ids, []string{"A-9", "A-10", "B-2"}) {
		t.Errorf("order %v", ids)
	}
}
