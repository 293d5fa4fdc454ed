//go:build unix

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Missing is why a scenario cannot be run here, and what to do about it.
type Missing struct{ Text string }

// Error implements error.
func (m *Missing) Error() string { return m.Text }

func missing(format string, args ...any) error { return &Missing{fmt.Sprintf(format, args...)} }

// scripts are the programs of the bench that Node runs. They use what the repository that they are in has installed.
type scripts struct {
	node, version string // the binary
	dir           string // bench/js
}

// scriptsIn is where the scripts are in the repository.
var scriptsIn = filepath.Join("bench", "js")

// findScripts looks in Options.JS, or else in the folders above the working directory and above the program.
func (o Options) findScripts(ctx context.Context) (*scripts, error) {
	dir := o.JS
	if dir == "" {
		dir = o.searchScripts()
	}
	if !exists(dir, "runner.mjs") {
		return nil, missing("the JavaScript programs of the bench are not here: run it in the repository, or name the repository's folder %s with --js", scriptsIn)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, missing("node is not there: install Node.js 20.19 or newer")
	}
	repository := filepath.Dir(filepath.Dir(dir))
	if !exists(repository, "node_modules", "stagedoor", "dist", "index.js") {
		return nil, missing("the JavaScript packages are not built: run `npm ci && npm run build` in %s", repository)
	}
	return (&scripts{dir: dir}).with(ctx, node)
}

// searchScripts is "" if they are nowhere.
func (o Options) searchScripts() string {
	here, err := os.Getwd()
	if err != nil {
		here = "."
	}
	for _, start := range []string{here, filepath.Dir(o.Program)} {
		for dir := start; ; dir = filepath.Dir(dir) {
			if found := filepath.Join(dir, scriptsIn); exists(found, "runner.mjs") {
				return found
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return ""
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

// with are the same scripts, run by this binary.
func (s *scripts) with(ctx context.Context, node string) (*scripts, error) {
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", node, err)
	}
	return &scripts{node: node, version: strings.TrimSpace(string(out)), dir: s.dir}, nil
}

// command runs a script. profile, if not empty, is the file of its CPU profile.
func (s *scripts) command(profile, script string, args ...string) []string {
	command := []string{s.node}
	if profile != "" {
		command = append(command, "--cpu-prof", "--cpu-prof-dir="+filepath.Dir(profile), "--cpu-prof-name="+filepath.Base(profile))
	}
	return append(append(command, filepath.Join(s.dir, script)), args...)
}

// peerScripts are those beside ours that host and call actors with rivetkit, installed in their own folder.
func (s *scripts) peerScripts(ctx context.Context) (peer *scripts, version string, err error) {
	dir := filepath.Join(filepath.Dir(s.dir), "peer")
	installed := filepath.Join(dir, "node_modules")
	node := filepath.Join(installed, ".bin", "node")
	manifest, err := os.ReadFile(filepath.Join(installed, "rivetkit", "package.json"))
	if err != nil || !exists(node) {
		return nil, "", missing("the peer, rivetkit, is not installed: run `npm install` in %s", dir)
	}
	var about struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(manifest, &about); err != nil {
		return nil, "", fmt.Errorf("the peer's package.json: %w", err)
	}
	peer, err = (&scripts{dir: dir}).with(ctx, node)
	return peer, about.Version, err
}
