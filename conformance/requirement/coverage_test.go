package requirement_test

import (
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
)

// Every requirement has a case of either side, or a line in spec/uncovered.md.
func TestEveryRequirementHasACaseOrAReason(t *testing.T) {
	all, err := requirement.All()
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := requirement.Uncovered()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range requirement.Gaps(all, named(t), reasons) {
		t.Error(fault)
	}
}

// named is the cases of both sides by the requirements that they name.
func named(t *testing.T) map[string][]string {
	t.Helper()
	files, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := casefile.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string][]string{}
	for _, c := range cases {
		for _, link := range c.Requirements {
			requirement.Named(by, c.Id, link.Id)
		}
	}
	for _, c := range planeg.Cases() {
		for _, link := range c.Requirements {
			id, _, _ := strings.Cut(link, ":")
			requirement.Named(by, c.ID, id)
		}
	}
	return by
}

// The check of the build would see a case that is gone, and a line that is not needed any more.
func TestTheBuildsOwnGapsAreSeen(t *testing.T) {
	all, err := requirement.All()
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := requirement.Uncovered()
	if err != nil {
		t.Fatal(err)
	}
	by := named(t)
	delete(by, "LINK-8")
	if faults := requirement.Gaps(all, by, reasons); len(faults) != 1 || !strings.HasPrefix(faults[0], "LINK-8 has no case") {
		t.Errorf("without the cases of LINK-8: %q", faults)
	}
	by = named(t)
	if faults := requirement.Gaps(all, by, reasons[1:]); len(faults) != 1 || !strings.HasPrefix(faults[0], reasons[0].ID) {
		t.Errorf("without the line of %s: %q", reasons[0].ID, faults)
	}
	by[reasons[0].ID] = []string{"NEW-01"}
	if faults := requirement.Gaps(all, by, reasons); len(faults) != 1 || !strings.Contains(faults[0], "remove its line") {
		t.Errorf("with a case for %s: %q", reasons[0].ID, faults)
	}
}
