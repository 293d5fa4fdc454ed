package stagedoor

import (
	"strings"
	"testing"
)

// A package comment is the first thing that a reader looks for, and the only place for what a package promises as a whole.
func TestEveryPackageHasAComment(t *testing.T) {
	type state struct {
		name      string
		commented bool
	}
	packages := map[string]*state{}
	for _, file := range theTree(t).sources {
		if file.test || file.generated {
			continue
		}
		p := packages[file.folder]
		if p == nil {
			p = &state{name: file.syntax.Name.Name}
			packages[file.folder] = p
		}
		if file.syntax.Doc == nil {
			continue
		}
		if p.commented {
			t.Errorf("%s: the package comment stands in two files; keep one", file.path)
		}
		p.commented = true
		if first := file.syntax.Doc.Text(); !opens(first, file.syntax.Name.Name) {
			t.Errorf("%s: the package comment does not begin with its name: %.60q", file.path, first)
		}
	}
	for folder, p := range packages {
		if !p.commented {
			t.Errorf("package %s in %s has no comment", p.name, folder)
		}
	}
}

func opens(comment, name string) bool {
	if name == "main" {
		return strings.HasPrefix(comment, "Command ")
	}
	return strings.HasPrefix(comment, "Package "+name+" ")
}
