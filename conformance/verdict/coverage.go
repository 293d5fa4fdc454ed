package verdict

import (
	"fmt"
	"strings"
)

// Covers says what shows that a requirement is kept.
type Covers string

// From best to worst.
const (
	ByRun     Covers = "run"     // a case of the run that was not skipped
	NotRun    Covers = "notRun"  // a case of this side that the run left out or skipped
	OtherSide Covers = "other"   // only cases of the other side
	Excused   Covers = "excused" // no case, and a reason why there is none
	Nothing   Covers = "nothing"
)

// Coverage lays a run over the spec.
type Coverage struct {
	Total     int `json:"total"` // requirements
	ByRun     int `json:"run"`
	NotRun    int `json:"notRun"`
	OtherSide int `json:"other"`
	Excused   int `json:"excused"`
	Nothing   int `json:"nothing"`

	Requirements []Covered `json:"requirements"` // in the order of the spec
}

// Covered is one requirement.
type Covered struct {
	ID      string   `json:"id"`
	Section string   `json:"section"`
	By      Covers   `json:"by"`
	Status  Status   `json:"status,omitempty"`     // the worst of its cases in the run
	Cases   []string `json:"cases,omitempty"`      // of this side
	Other   []string `json:"otherCases,omitempty"` // of the other side
	Reason  string   `json:"reason,omitempty"`
	HeldBy  []string `json:"heldBy,omitempty"`
}

// Add counts a requirement.
func (c *Coverage) Add(r Covered) {
	c.Requirements = append(c.Requirements, r)
	c.Total++
	switch r.By {
	case ByRun:
		c.ByRun++
	case NotRun:
		c.NotRun++
	case OtherSide:
		c.OtherSide++
	case Excused:
		c.Excused++
	case Nothing:
		c.Nothing++
	}
}

// Line is the coverage in one line; other names the other side.
func (c *Coverage) Line(other string) string {
	parts := []string{fmt.Sprintf("coverage of the spec: %d of %d requirements by this run", c.ByRun, c.Total)}
	for _, p := range []struct {
		n    int
		text string
	}{
		{c.NotRun, "not run"},
		{c.OtherSide, "the " + other + "'s part"},
		{c.Excused, "held otherwise (spec/uncovered.md)"},
		{c.Nothing, "without anything"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	return strings.Join(parts, ", ")
}
