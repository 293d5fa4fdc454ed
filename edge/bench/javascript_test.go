//go:build unix

package bench_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/bench"
)

// inRepository is a file of the repository.
func inRepository(path string) string { return filepath.Join("..", "..", filepath.FromSlash(path)) }

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// hasJavaScript tells whether the JavaScript packages can be used: `make test` builds them first.
func hasJavaScript() bool {
	_, err := exec.LookPath("node")
	return err == nil && isThere(inRepository("node_modules/stagedoor/dist/index.js"))
}

// Without what a scenario needs it has to say what that is, so that each of these tests does something everywhere.
func TestTheRunnerOfJavaScriptIsMeasured(t *testing.T) {
	code, printed, said := try(t, append([]string{"js", "--json", "--connections", "4", "--in-flight", "2"}, tiny...)...)
	if !hasJavaScript() {
		checkMissed(t, code, said)
		return
	}
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	found := rows(t, printed)
	for _, name := range []string{"js-calls", "js-calls-1x1", "js-commits"} {
		if found[name] == nil {
			t.Errorf("no row %s in %s", name, printed)
			continue
		}
		checkRow(t, found[name])
		checkNode(t, found[name])
	}
	if len(found) != 3 {
		t.Errorf("%d rows: %s", len(found), printed)
	}
}

func TestThePeerIsMeasuredBesideIt(t *testing.T) {
	code, printed, said := try(t, append([]string{"peer", "--json", "--connections", "4", "--in-flight", "2"}, tiny...)...)
	if !hasJavaScript() || !isThere(inRepository("bench/peer/node_modules/rivetkit/package.json")) {
		checkMissed(t, code, said)
		return
	}
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	loads := 0
	for line := range strings.Lines(printed) {
		loads++
		for _, row := range rows(t, line) {
			checkRow(t, row)
			checkNode(t, row)
			if note, _ := row["note"].(string); !strings.HasPrefix(note, "bare is rivetkit ") {
				t.Errorf("%v: the note is %q", row["name"], note)
			}
		}
	}
	if loads != 6 {
		t.Errorf("%d rows: %s", loads, printed)
	}
}

func checkNode(t *testing.T, row map[string]any) {
	t.Helper()
	if node, _ := row["node"].(string); !strings.HasPrefix(node, "v") {
		t.Errorf("%v: the version of Node is %q", row["name"], node)
	}
}

func checkMissed(t *testing.T, code int, said string) {
	t.Helper()
	if code == 0 || !strings.Contains(said, "npm install") && !strings.Contains(said, "npm ci") && !strings.Contains(said, "install Node.js") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// write makes a file in a folder, with the folders above it.
func write(t *testing.T, dir, path, text string) {
	t.Helper()
	path = filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsMissingIsNamedWithItsRemedy(t *testing.T) {
	tools, repository := t.TempDir(), t.TempDir()
	t.Setenv("PATH", tools)
	for _, step := range []struct{ scenario, file, want string }{
		{"js", "bench/peer/package.json", "name the repository's folder bench/js with --js"},
		{"js", "bench/js/runner.mjs", "install Node.js 20.19 or newer"},
		{"js", "node", "the JavaScript packages are not built: run `npm ci && npm run build` in " + repository},
		{"peer", "node_modules/stagedoor/dist/index.js", "rivetkit, is not installed: run `npm install` in " + filepath.Join(repository, "bench", "peer")},
	} {
		if step.file == "node" {
			write(t, tools, step.file, "#!/bin/sh\necho v99\n")
		} else {
			write(t, repository, step.file, "")
		}
		s := scenario(t, step.scenario)
		o := options(t, s)
		o.JS = filepath.Join(repository, "bench", "js")
		_, err := s.Run(t.Context(), o)
		if absent := new(bench.Missing); !errors.As(err, &absent) || !strings.HasSuffix(err.Error(), step.want) {
			t.Errorf("after %s: %v", step.file, err)
		}
	}
}

func TestANodeThatDoesNotRunIsNoMissingOne(t *testing.T) {
	tools, repository := t.TempDir(), t.TempDir()
	t.Setenv("PATH", tools)
	write(t, tools, "node", "#!/bin/sh\nexit 7\n")
	write(t, repository, "bench/js/runner.mjs", "")
	write(t, repository, "node_modules/stagedoor/dist/index.js", "")
	s := scenario(t, "js")
	o := options(t, s)
	o.JS = filepath.Join(repository, "bench", "js")
	_, err := s.Run(t.Context(), o)
	if absent := new(bench.Missing); errors.As(err, &absent) || err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v", err)
	}
}
