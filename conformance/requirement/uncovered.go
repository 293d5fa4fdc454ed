package requirement

import (
	_ "embed" // for uncovered.txt
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// Reason says of a requirement why no case of the suite shows it, and what holds it instead.
type Reason struct {
	ID   string
	Why  string
	Held []string // files and folders of the repository, with slashes
}

// uncovered is spec/uncovered.md, held equal by a test. It is no .md here, for what stands in this folder counts as proof.
//
//go:embed uncovered.txt
var uncovered string

// Uncovered is every requirement without a case, as of the build.
func Uncovered() ([]Reason, error) { return ParseUncovered(uncovered) }

var quoted = regexp.MustCompile("`([^`]+)`")

// ParseUncovered reads the table of spec/uncovered.md: id, reason, paths in backticks.
func ParseUncovered(text string) ([]Reason, error) {
	var all []Reason
	rows := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		if rows++; rows <= 2 {
			continue // the head, and the line below it
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			return nil, fmt.Errorf("read spec/uncovered.md: %d cells instead of 3 in %q", len(cells), line)
		}
		r := Reason{ID: strings.TrimSpace(cells[0]), Why: strings.TrimSpace(cells[1])}
		for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
			r.Held = append(r.Held, m[1])
		}
		all = append(all, r)
	}
	return all, nil
}

// Gaps says what is wrong between the spec, the cases by the requirements that they name, and the reasons: every requirement
// has a case or a reason, and not both.
func Gaps(all []Requirement, cases map[string][]string, reasons []Reason) []string {
	var faults []string
	excused := map[string]bool{}
	index := Index(all)
	for _, r := range reasons {
		_, known := index[r.ID]
		switch {
		case !known:
			faults = append(faults, fmt.Sprintf("spec/uncovered.md excuses %s, which is no requirement: remove the line", r.ID))
		case excused[r.ID]:
			faults = append(faults, fmt.Sprintf("spec/uncovered.md excuses %s twice: keep one line", r.ID))
		case len(cases[r.ID]) > 0:
			faults = append(faults, fmt.Sprintf("%s has the case %s: remove its line from spec/uncovered.md", r.ID, strings.Join(cases[r.ID], ", ")))
		case r.Why == "":
			faults = append(faults, fmt.Sprintf("spec/uncovered.md gives no reason for %s", r.ID))
		}
		excused[r.ID] = true
	}
	for _, r := range all {
		if len(cases[r.ID]) == 0 && !excused[r.ID] {
			faults = append(faults, fmt.Sprintf("%s has no case: write one, or a line in spec/uncovered.md that says why there is none, and what holds it", r.ID))
		}
	}
	return faults
}

// Unheld says which reasons name nothing that holds their requirement: each path is a file that names the id, or a folder with
// such a file. root is the repository.
func Unheld(root fs.FS, reasons []Reason) []string {
	var faults []string
	for _, r := range reasons {
		if len(r.Held) == 0 {
			faults = append(faults, fmt.Sprintf("spec/uncovered.md names nothing that holds %s: give the path of a test", r.ID))
		}
		for _, path := range r.Held {
			if why := unheld(root, r.ID, path); why != "" {
				faults = append(faults, fmt.Sprintf("spec/uncovered.md says that %s holds %s, but %s", path, r.ID, why))
			}
		}
	}
	return faults
}

func unheld(root fs.FS, id, path string) string {
	if _, err := fs.Stat(root, path); err != nil {
		return "there is no such file or folder"
	}
	named := regexp.MustCompile(`\b` + regexp.QuoteMeta(id) + `\b`)
	found := false
	err := fs.WalkDir(root, path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || found || !entry.Type().IsRegular() {
			return err
		}
		text, err := fs.ReadFile(root, file)
		found = named.Match(text)
		return err
	})
	switch {
	case err != nil:
		return err.Error()
	case !found:
		return "it does not name it"
	}
	return ""
}

// Named gathers, by requirement, the cases that name it, in order.
func Named(into map[string][]string, caseID string, requirements ...string) {
	for _, id := range requirements {
		if !slices.Contains(into[id], caseID) {
			into[id] = append(into[id], caseID)
		}
	}
}
