package broken_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/planeg"
	"github.com/stagedoor-dev/stagedoor/conformance/planeg/broken"
)

func TestTheTableIsWhole(t *testing.T) {
	var names []string
	named := map[string]bool{}
	for _, m := range broken.All() {
		if slices.Contains(names, m.Name) {
			t.Errorf("two mutants are called %s", m.Name)
		}
		names = append(names, m.Name)
		if m.Does == "" || len(m.Cases) == 0 {
			t.Errorf("%s does not say what is wrong, or which cases find it", m.Name)
		}
		for _, id := range m.Cases {
			named[id] = true
		}
	}
	for _, c := range planeg.Cases() {
		if !named[c.ID] {
			t.Errorf("%s finds no mutant: %s; give it one", c.ID, c.Title)
		}
		delete(named, c.ID)
	}
	if len(named) > 0 {
		t.Errorf("there are no such cases: %v", named)
	}
	t.Logf("%d mutants", len(names))
}

var writeReadme = flag.Bool("readme", false, "write README.md anew instead of comparing it")

const readmeHeader = `# Mutants of the gateway

Wrong gateways, made of ours by a change of its sources ([doc.go](doc.go)): what proves that the cases of plane G can fail.
` + "`conform mutants --plane gateway`" + ` builds and tries them, each with the cases that name it here; so does this package's test, which writes the
outcome with ` + "`go test ./conformance/planeg/broken -args -matrix FILE`" + `. A new case of plane G needs a mutant here. After a change of the table:
` + "`go test ./conformance/planeg/broken -run Readme -args -readme`" + `.

| mutant | a gateway that | is found by |
|---|---|---|
`

func TestReadmeListsTheTable(t *testing.T) {
	want := readmeHeader
	for _, m := range broken.All() {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", m.Name, m.Does, strings.Join(m.Cases, ", "))
	}
	if *writeReadme {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("README.md")
	if err != nil || string(got) != want {
		t.Errorf("README.md differs from the table (%v); go test ./conformance/planeg/broken -run Readme -args -readme", err)
	}
}
