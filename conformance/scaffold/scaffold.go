// Package scaffold writes a contract app to begin with: what `conform init` does. The app is the adapter of the suite's own in that
// language, with the files that make a project of it; it is conformant before its first change.
//
// It writes into an empty or missing folder, never over a file. Nothing here starts a process or goes to the network.
package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/app"
)

// Languages are those that Write knows.
func Languages() []string { return []string{"go", "js"} }

// ErrLanguage is wrapped where there is no app in a language.
var ErrLanguage = errors.New("unknown language")

// Project says what was written.
type Project struct {
	// Files are the paths in the folder, sorted.
	Files []string
	// Next are the commands that run the suite on it, from that folder.
	Next []string
}

// template is one language's app.
type template struct {
	sources func() (fs.FS, error)
	folder  string // of the sources
	files   map[string]string
	next    []string
}

// Write writes the app of a language into a folder.
func Write(language, folder string) (Project, error) {
	t, ok := templates[language]
	if !ok {
		return Project{}, fmt.Errorf("%w %q: there are %s", ErrLanguage, language, strings.Join(Languages(), " and "))
	}
	if err := checkEmpty(folder); err != nil {
		return Project{}, err
	}
	files, err := t.collect()
	if err != nil {
		return Project{}, err
	}
	p := Project{Next: t.next}
	for path, text := range files {
		if err := write(filepath.Join(folder, filepath.FromSlash(path)), text); err != nil {
			return Project{}, err
		}
		p.Files = append(p.Files, path)
	}
	slices.Sort(p.Files)
	return p, nil
}

func checkEmpty(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look into %s: %w", folder, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty", folder)
	}
	return nil
}

// collect is all that is to be written, by path.
func (t template) collect() (map[string]string, error) {
	files := map[string]string{"CONTRACT.md": string(app.Contract)}
	for path, text := range t.files {
		files[path] = text
	}
	sources, err := t.sources()
	if err != nil {
		return nil, fmt.Errorf("find the template: %w", err)
	}
	names, err := fs.Glob(sources, "*")
	if err != nil {
		return nil, fmt.Errorf("list the template: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, fmt.Errorf("read the template: %w", err)
		}
		files[t.folder+name] = own(string(text))
	}
	return files, nil
}

// own takes out of a source what holds only in our repository.
func own(text string) string {
	return strings.ReplaceAll(text, "conformance/app/README.md", "CONTRACT.md")
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
