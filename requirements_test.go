package stagedoor

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	protocolFile  = "spec/protocol.md"
	uncoveredFile = "spec/uncovered.txt"
)

var writeUncovered = flag.Bool("uncovered", false, "write "+uncoveredFile+" anew instead of comparing it")

const uncoveredHeader = `# Requirements of protocol.md that no test names. A listed one that a test names fails the build, as does one that is
# missing here: the list only shrinks. After adding tests: go test . -run Requirements -args -uncovered
`

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

// covers tells the files that prove something: tests, what is made for tests, and conformance cases.
func covers(file string) bool {
	dir := path.Dir(file)
	return dir != "." && strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, ".test.ts") || under(dir, "conformance") ||
		slices.ContainsFunc(supports, func(s string) bool { return under(dir, s) })
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

func TestRequirementsAreCovered(t *testing.T) {
	defined := readSpec(t)
	mentions := named(t, areasOf(defined))
	uncovered := slices.DeleteFunc(slices.Collect(maps.Keys(defined)), func(id string) bool {
		return slices.ContainsFunc(mentions[id], covers)
	})
	slices.SortFunc(uncovered, byAreaAndNumber)
	if *writeUncovered {
		text := uncoveredHeader + strings.Join(append(uncovered, ""), "\n")
		if err := os.WriteFile(uncoveredFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compareUncovered(t, uncovered, defined)
}

func compareUncovered(t *testing.T, uncovered []string, defined map[string]int) {
	t.Helper()
	listed := readUncovered(t)
	for _, id := range uncovered {
		if !slices.Contains(listed, id) {
			t.Errorf("no test names [%s]; name it where it is proven, or list it in %s", id, uncoveredFile)
		}
	}
	for _, id := range listed {
		switch {
		case defined[id] == 0:
			t.Errorf("%s lists [%s], which is not defined", uncoveredFile, id)
		case !slices.Contains(uncovered, id):
			t.Errorf("[%s] is covered; remove it from %s", id, uncoveredFile)
		}
	}
	t.Logf("%d of %d requirements are named by tests", len(defined)-len(uncovered), len(defined))
}

func readUncovered(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(uncoveredFile)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			ids = append(ids, line)
		}
	}
	return ids
}

func byAreaAndNumber(a, b string) int {
	areaA, numberA, _ := strings.Cut(a, "-")
	areaB, numberB, _ := strings.Cut(b, "-")
	x, _ := strconv.Atoi(numberA)
	y, _ := strconv.Atoi(numberB)
	return cmp.Or(cmp.Compare(areaA, areaB), cmp.Compare(x, y))
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
