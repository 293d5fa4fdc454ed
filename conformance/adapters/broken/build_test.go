package broken_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
	"github.com/stagedoor-dev/stagedoor/conformance/mutant"
)

const root = "../../.."

func TestEveryMistakeCanBeBuilt(t *testing.T) {
	program := filepath.Join(t.TempDir(), "broken")
	if err := broken.Build(context.Background(), root, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), broken.Variable+"=list")
	list, err := cmd.Output()
	if err != nil || string(list) != broken.List() {
		t.Errorf("the program lists %q (%v)", list, err)
	}
}

var writeReadme = flag.Bool("readme", false, "write README.md anew instead of comparing it")

const readmeHeader = `# Mutants inside a runner

Wrong runners, made of the Go one by a change of its sources ([doc.go](doc.go)): mistakes of values, hooks, turns and the process, which no
change of frames makes. Cases name them like those on the wire; ` + "`conform mutants`" + ` builds and tries them. After a change of the table:
` + "`go test ./conformance/adapters/broken -args -readme`" + `. By hand: ` + "`go run ./conformance/adapters/broken/build bin/broken-runner`" + `, then
` + "`CONFORM_MUTANT=forgets-on-sleep bin/broken-runner`" + `.

| mutant | a runner that | breaks |
|---|---|---|
`

func TestReadmeListsTheTable(t *testing.T) {
	want := readmeHeader
	for _, m := range broken.All() {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", m.Name, m.Does, strings.Join(m.Breaks, ", "))
	}
	if *writeReadme {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("README.md")
	if err != nil || string(got) != want {
		t.Errorf("README.md differs from the table (%v); go test ./conformance/adapters/broken -args -readme", err)
	}
}

func TestTheTableIsWhole(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join(root, "spec/protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range broken.All() {
		if slices.Contains(names, m.Name) {
			t.Errorf("two mutants are called %s", m.Name)
		}
		names = append(names, m.Name)
		if _, there := mutant.Find(m.Name); there {
			t.Errorf("package mutant has a mutant %s, too", m.Name)
		}
		if found, ok := broken.Find(m.Name); !ok || found.Does != m.Does {
			t.Errorf("%s is not found", m.Name)
		}
		if m.Does == "" || len(m.Breaks) == 0 {
			t.Errorf("%s does not say what is wrong, or by which requirement", m.Name)
		}
		for _, id := range m.Breaks {
			if !regexp.MustCompile(`\*\*\[` + id + `\]\*\*`).Match(spec) {
				t.Errorf("%s: the spec has no %s", m.Name, id)
			}
		}
	}
	t.Logf("%d mutants", len(names))
}
