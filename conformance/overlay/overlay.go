// Package overlay builds programs of this repository with changes of a few words in their sources, which stand in a table instead of the
// tree: wrong runners and gateways that prove that cases can fail.
//
// A change is text that stands in a file exactly once, and what stands there instead; one whose place is not there any more is an error,
// so that a table follows the code. The go command's -overlay does the rest. The tables call it (conformance/adapters/broken,
// conformance/planeg/broken). All functions are safe for concurrent use.
package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Patch changes one place of a source file.
type Patch struct {
	// Name of the mutant that it belongs to, for errors.
	Name string
	// File is its path from the root, with slashes.
	File string
	// Find stands there exactly once, when the patches before have been made.
	Find, With string
}

// Apply gives the changed files, by their paths from root.
func Apply(root string, patches []Patch) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range patches {
		source, ok := files[p.File]
		if !ok {
			var err error
			if source, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(p.File))); err != nil {
				return nil, fmt.Errorf("mutant %s: %w", p.Name, err)
			}
		}
		if n := strings.Count(string(source), p.Find); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has %q %d times; the table is to follow the code", p.Name, p.File, p.Find, n)
		}
		files[p.File] = []byte(strings.Replace(string(source), p.Find, p.With, 1))
	}
	return files, nil
}

// Build makes a program of the package at that path from root, with these files in place of the tree's or besides.
func Build(ctx context.Context, root, program, main string, files map[string][]byte) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the sources: %w", err)
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return fmt.Errorf("find the program's place: %w", err)
	}
	folder, err := os.MkdirTemp("", "stagedoor-overlay-")
	if err != nil {
		return fmt.Errorf("make an overlay: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	list, err := write(root, folder, files)
	if err != nil {
		return fmt.Errorf("write the overlay: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", list, "-o", program, "./"+main)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s with mistakes: %w\n%s", main, err, out)
	}
	return nil
}

// write puts the files into the folder, with the list of them, whose path it returns.
func write(root, folder string, files map[string][]byte) (string, error) {
	list := struct{ Replace map[string]string }{map[string]string{}}
	for name, source := range files {
		copied := filepath.Join(folder, strconv.Itoa(len(list.Replace))+".go")
		if err := os.WriteFile(copied, source, 0o600); err != nil {
			return "", err
		}
		list.Replace[filepath.Join(root, filepath.FromSlash(name))] = copied
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}
