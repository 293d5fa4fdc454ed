package broken

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What the changed packages have besides: wrong, and what the mutants of the table call.
var (
	//go:embed app.go.txt
	appHelp []byte
	//go:embed sdk.go.txt
	sdkHelp []byte
)

// Build makes the program of the Go adapter with all mistakes in it. root is the root of the repository.
func Build(ctx context.Context, root, program string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the sources: %w", err)
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return fmt.Errorf("find the program's place: %w", err)
	}
	folder, err := os.MkdirTemp("", "stagedoor-broken-")
	if err != nil {
		return fmt.Errorf("make an overlay: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	overlay, err := writeOverlay(root, folder)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./"+strings.TrimSuffix(app, "/"))
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the broken runner: %w\n%s", err, out)
	}
	return nil
}

// List is what the program prints where Variable is "list": a line for each mistake, with name, what it does and the requirements,
// apart by tabs.
func List() string {
	var text strings.Builder
	for _, m := range All() {
		fmt.Fprintf(&text, "%s\t%s\t%s\n", m.Name, m.Does, strings.Join(m.Breaks, ","))
	}
	return text.String()
}

// writeOverlay puts the changed files into the folder, with the list of them, whose path it returns.
func writeOverlay(root, folder string) (string, error) {
	files, err := changedFiles(root)
	if err != nil {
		return "", err
	}
	files[app+"wrong.go"] = fmt.Appendf(slices.Clip(appHelp), "\nconst all = %q\n", List())
	files[sdk+"wrong.go"] = sdkHelp
	list := struct{ Replace map[string]string }{map[string]string{}}
	for name, source := range files {
		copied := filepath.Join(folder, strconv.Itoa(len(list.Replace))+".go")
		if err := os.WriteFile(copied, source, 0o600); err != nil {
			return "", fmt.Errorf("write the overlay: %w", err)
		}
		list.Replace[filepath.Join(root, filepath.FromSlash(name))] = copied
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	path := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return path, nil
}

// changedFiles are the files that the table changes, with all its patches.
func changedFiles(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, m := range All() {
		for _, p := range m.patches {
			source, ok := files[p.file]
			if !ok {
				var err error
				if source, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(p.file))); err != nil {
					return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
				}
			}
			if n := strings.Count(string(source), p.find); n != 1 {
				return nil, fmt.Errorf("mutant %s: %s has %q %d times; the table is to follow the code", m.Name, p.file, p.find, n)
			}
			files[p.file] = []byte(strings.Replace(string(source), p.find, p.with, 1))
		}
	}
	return files, nil
}
