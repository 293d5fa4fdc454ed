// Package requirement knows the numbered requirements of spec/protocol.md: their text, and the hash of it by which a case says
// for which text it was written. When the text changes, the case is suspect until somebody has looked.
//
// The command carries the requirements as of its build (requirements.txt, held equal to the spec by a test). The package has no
// state.
package requirement

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // for requirements.txt
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Requirement is one numbered bullet of the spec.
type Requirement struct {
	ID      string // AREA-n
	Hash    string // 6 hexadecimal digits
	Section string // heading that it stands under
	Text    string // white space normalised
}

//go:embed requirements.txt
var embedded string

// All is every requirement in the order of the spec, as of the build.
func All() ([]Requirement, error) {
	var all []Requirement
	for line := range strings.Lines(embedded) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("read the embedded requirements: %d fields in %q", len(fields), line)
		}
		all = append(all, Requirement{fields[0], fields[1], fields[2], fields[3]})
	}
	return all, nil
}

// Index finds requirements by id.
func Index(all []Requirement) map[string]Requirement {
	index := make(map[string]Requirement, len(all))
	for _, r := range all {
		index[r.ID] = r
	}
	return index
}

var bullet = regexp.MustCompile(`^\* \*\*\[([A-Z]+-[0-9]+)\]\*\*\s*(.*)$`)

// Parse reads the spec.
func Parse(spec string) []Requirement {
	var all []Requirement
	section := ""
	var open *Requirement
	end := func() {
		if open != nil {
			open.Text = strings.Join(strings.Fields(open.Text), " ")
			open.Hash = Hash(open.Text)
			all = append(all, *open)
			open = nil
		}
	}
	for line := range strings.Lines(spec) {
		line = strings.TrimRight(line, "\n")
		switch m := bullet.FindStringSubmatch(line); {
		case m != nil:
			end()
			open = &Requirement{ID: m[1], Section: section, Text: m[2]}
		case strings.HasPrefix(line, "#"):
			end()
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case strings.HasPrefix(line, " ") && open != nil:
			open.Text += " " + line
		default:
			end()
		}
	}
	end()
	return all
}

// Hash is of a requirement's text, its white space normalised.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(text), " ")))
	return hex.EncodeToString(sum[:3])
}

// Format is Parse's result as requirements.txt holds it.
func Format(all []Requirement) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", r.ID, r.Hash, r.Section, r.Text)
	}
	return b.String()
}

// Compare orders ids by area and number.
func Compare(a, b string) int {
	areaA, numberA := split(a)
	areaB, numberB := split(b)
	return cmp.Or(cmp.Compare(areaA, areaB), cmp.Compare(numberA, numberB))
}

func split(id string) (area string, number int) {
	area, digits, _ := strings.Cut(id, "-")
	number, _ = strconv.Atoi(digits)
	return area, number
}

// Sort orders ids.
func Sort(ids []string) { slices.SortFunc(ids, Compare) }
