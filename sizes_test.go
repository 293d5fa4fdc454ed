package stagedoor

import (
	"cmp"
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

// Sizes over which a file or a function is split. Usual are 80 to 300 lines, and 6 to 25.
const (
	maxFileLines     = 800
	maxFunctionLines = 100
)

type sized struct {
	name  string
	lines int
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	found := theTree(t)
	var files, functions []sized
	for _, file := range found.sources {
		if file.generated {
			continue
		}
		files = append(files, sized{file.path, file.lines})
		for _, decl := range file.syntax.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				from, to := found.tokens.Position(f.Pos()), found.tokens.Position(f.End())
				name := fmt.Sprintf("%s:%d %s", file.path, from.Line, f.Name.Name)
				functions = append(functions, sized{name, to.Line - from.Line + 1})
			}
		}
	}
	reportLongest(t, "files", files, maxFileLines)
	reportLongest(t, "functions", functions, maxFunctionLines)
}

func reportLongest(t *testing.T, what string, all []sized, limit int) {
	t.Helper()
	slices.SortFunc(all, func(a, b sized) int { return cmp.Compare(b.lines, a.lines) })
	t.Logf("the longest %s:", what)
	for i, s := range all {
		if s.lines > limit {
			t.Errorf("%s has %d lines; split it (at most %d)", s.name, s.lines, limit)
		} else if i < 10 {
			t.Logf("%5d %s", s.lines, s.name)
		}
	}
}
