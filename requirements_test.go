package stagedoor

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const protocolFile = "spec/protocol.md"

var (
	definition = regexp.MustCompile(`\*\*\[([A-Z]+-[0-9]+)\]\*\*`)
	reference  = regexp.MustCompile(`\[?\b([A-Z]{2,})-([0-9]+)\b\]?`)
)

// requirements are the ids that protocol.md defines, with the number of their definitions.
func requirements(spec string) map[string]int {
	defined := map[string]int{}
	for _, m := range definition.FindAllStringSubmatch(spec, -1) {
		defined[m[1]]++
	}
	return defined
}

// references are the ids that a text names: in brackets, or bare if some requirement has the same area. Thus UTF-8 and
// SHA-256 are none.
func references(text string, areas map[string]bool) []string {
	var ids []string
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		bracketed := strings.HasPrefix(m[0], "[") && strings.HasSuffix(m[0], "]")
		if bracketed || areas[m[1]] {
			ids = append(ids, m[1]+"-"+m[2])
		}
	}
	return ids
}

func areasOf(defined map[string]int) map[string]bool {
	areas := map[string]bool{}
	for id := range defined {
		area, _, _ := strings.Cut(id, "-")
		areas[area] = true
	}
	return areas
}

// named is every id that the tree names, each with the files that do.
func named(t *testing.T, areas map[string]bool) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, file := range theTree(t).files {
		switch path.Ext(file) {
		case ".go", ".md", ".proto", ".yaml", ".yml", ".toml", ".ts", ".rs", ".json":
		default:
			continue
		}
		if file == "package-lock.json" {
			continue // integrity hashes hold anything
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range references(string(text), areas) {
			found[id] = append(found[id], file)
		}
	}
	return found
}

func readSpec(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(protocolFile)
	if err != nil {
		t.Fatal(err)
	}
	return requirements(string(text))
}

func TestRequirementsAreDefinedOnce(t *testing.T) {
	defined := readSpec(t)
	if len(defined) == 0 {
		t.Fatalf("%s defines nothing", protocolFile)
	}
	for id, times := range defined {
		if times > 1 {
			t.Errorf("[%s] is defined %d times", id, times)
		}
	}
}

func TestNamedRequirementsExist(t *testing.T) {
	defined := readSpec(t)
	for id, files := range named(t, areasOf(defined)) {
		if defined[id] == 0 {
			t.Errorf("[%s] is not defined in %s; named in %s", id, protocolFile, strings.Join(slices.Compact(files), ", "))
		}
	}
}

func TestOrphanIdsAreSeen(t *testing.T) {
	spec := fmt.Sprintf("* **[%s]** one\n* **[%[1]s]** again, see [%s]\n", "AREA-1", "AREA-2")
	defined := requirements(spec)
	if len(defined) != 1 || defined["AREA-1"] != 2 {
		t.Errorf("defined %v", defined)
	}
	text := fmt.Sprintf("// [%s], %s and [%s], but not SHA-256", "AREA-1", "AREA-3", "OTHER-7")
	if got := references(text, areasOf(defined)); !slices.Equal(got, []string{"AREA-1", "AREA-3", "OTHER-7"}) {
		t.Errorf("references %v", got)
	}
}
