package stagedoor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/stagedoor-dev/stagedoor"

// goFile is one Go source of the tree.
type goFile struct {
	path      string // slash-separated, from the root
	folder    string // "." for the root
	test      bool
	generated bool
	imports   []string
	syntax    *ast.File
	lines     int
}

// tree is everything below the root but for what tools, builds and runs leave there.
type tree struct {
	files   []string
	sources []goFile
	tokens  *token.FileSet
}

var readTree = sync.OnceValues(func() (*tree, error) {
	t := &tree{tokens: token.NewFileSet()}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(path):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		t.files = append(t.files, filepath.ToSlash(path))
		if filepath.Ext(path) != ".go" {
			return nil
		}
		return t.parse(filepath.ToSlash(path))
	})
	return t, err
})

func skipped(dir string) bool {
	switch filepath.ToSlash(dir) {
	case ".git", ".tools", ".stagedoor", "stagedoor-data", "bin", "target", ".idea", ".vscode":
		return true
	}
	return filepath.Base(dir) == "node_modules" || filepath.Base(dir) == "dist"
}

func (t *tree) parse(path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.tokens, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	file := goFile{
		path: path, folder: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"),
		generated: ast.IsGenerated(syntax), syntax: syntax, lines: t.tokens.Position(syntax.FileEnd).Line,
	}
	for _, spec := range syntax.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		file.imports = append(file.imports, name)
	}
	t.sources = append(t.sources, file)
	return nil
}

func theTree(t *testing.T) *tree {
	t.Helper()
	found, err := readTree()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found.files, "go.mod") {
		t.Fatal("the test does not run at the root of the repository")
	}
	return found
}

// ours is the folder of an import of this module.
func ours(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// under reports whether a folder is dir or below it.
func under(folder, dir string) bool {
	return folder == dir || strings.HasPrefix(folder, dir+"/")
}
