package stagedoor

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const buf = "node_modules/@bufbuild/buf-linux-x64/bin/buf"

// generated is everything that a generator writes, as the Makefile has it.
func generated(t *testing.T) []string {
	t.Helper()
	for line := range strings.Lines(string(readText(t, "Makefile"))) {
		if list, ok := strings.CutPrefix(line, "GENERATED := "); ok {
			return strings.Fields(list)
		}
	}
	t.Fatal("the Makefile does not list what is generated")
	return nil
}

// The generators run in a copy of what they read, so that a stale file is told and not overwritten.
func TestGeneratedCodeIsFresh(t *testing.T) {
	if _, err := os.Stat(buf); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("buf is not installed: %v", err)
		}
		t.Skip("buf is not installed; `make test` installs it")
	}
	fresh := t.TempDir()
	copyTree(t, "spec", fresh)
	for _, dir := range []string{"internal/wire", "clients/go", "clients/js/src/gen", "runner-js/src/gen", "spec/vectors"} {
		if err := os.MkdirAll(filepath.Join(fresh, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool := filepath.Join(t.TempDir(), "spectool")
	run(t, ".", "go", "build", "-o", tool, "./internal/spectool")
	run(t, ".", buf, "generate", "-o", fresh)
	for pkg, protocol := range map[string]string{"clients/js": "client", "runner-js": "runner"} {
		run(t, ".", buf, "generate", "--template", "buf.gen.es.yaml", "--path", "spec/proto/stagedoor/common",
			"--path", "spec/proto/stagedoor/"+protocol, "-o", filepath.Join(fresh, pkg, "src/gen"))
	}
	run(t, fresh, tool, "errors")
	run(t, fresh, tool, "vectors")
	for _, path := range generated(t) {
		compare(t, path, fresh)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// copyTree copies a folder except what is generated in it.
func copyTree(t *testing.T, folder, to string) {
	t.Helper()
	made := generated(t)
	for _, file := range theTree(t).files {
		if !under(file, folder) || underAny(file, made) {
			continue
		}
		target := filepath.Join(to, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, readText(t, file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func underAny(file string, folders []string) bool {
	for _, folder := range folders {
		if under(file, folder) {
			return true
		}
	}
	return false
}

// compare holds what is in the tree below path against what the generators wrote, both ways.
func compare(t *testing.T, path, fresh string) {
	t.Helper()
	for _, root := range []string{".", fresh} {
		if _, err := os.Stat(filepath.Join(root, path)); os.IsNotExist(err) {
			continue
		}
		err := filepath.WalkDir(filepath.Join(root, path), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			ours, _ := os.ReadFile(rel) // a missing one differs
			made, _ := os.ReadFile(filepath.Join(fresh, rel))
			if !bytes.Equal(ours, made) {
				t.Errorf("%s is not what the generators write; run `make generate`", rel)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
