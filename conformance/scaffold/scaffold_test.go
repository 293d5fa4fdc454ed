package scaffold_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/scaffold"
)

const root = "../.."

func TestTheGoAppBuilds(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "app")
	p, err := scaffold.Write("go", folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "main.go", "CONTRACT.md"} {
		if !slices.Contains(p.Files, name) {
			t.Errorf("there is no %s in %q", name, p.Files)
		}
	}
	replaceStagedoor(t, folder)
	run(t, folder, "go", "build", "-mod=mod", "-o", "contract-app", ".")
	if len(p.Next) == 0 || !strings.HasPrefix(p.Next[len(p.Next)-1], "conform run --runner ") {
		t.Errorf("what comes next is %q", p.Next)
	}
}

// replaceStagedoor has the module use our sources, with their own versions of everything.
func replaceStagedoor(t *testing.T, folder string) {
	t.Helper()
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "go.mod")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(ours), "require ")
	text := string(written) + "\nrequire " + requires + "\nrequire github.com/stagedoor-dev/stagedoor v0.0.0\nreplace github.com/stagedoor-dev/stagedoor => " + absolute + "\n"
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.WriteFile(filepath.Join(folder, "go.sum"), sums, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestTheJavaScriptAppBuilds(t *testing.T) {
	modules, err := filepath.Abs(filepath.Join(root, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "runner-js", "dist", "index.d.ts")); err != nil {
		t.Skip("runner-js is not built")
	}
	folder := t.TempDir()
	if _, err := scaffold.Write("js", folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	run(t, folder, "node_modules/.bin/tsc")
	if _, err := os.Stat(filepath.Join(folder, "dist", "main.js")); err != nil {
		t.Error(err)
	}
}

func run(t *testing.T, folder string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
}

func TestNothingIsWrittenOverFiles(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "main.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write("go", folder); err == nil {
		t.Error("it writes into a folder that is not empty")
	}
	if _, err := scaffold.Write("cobol", filepath.Join(folder, "new")); !errors.Is(err, scaffold.ErrLanguage) {
		t.Errorf("an unknown language is %v", err)
	}
}
