package stagedoor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// order is a message's way to its actor, top to bottom. A package imports only what stands below its line. A line that
// ends in /... is a folder with all below it, whose packages may import each other; the first line that fits counts.
var order = []string{
	"edge/cmd/...",
	"edge/cli/...",
	"edge/...",
	"gateway/gatewaytest/...",
	"gateway",
	"gateway/api",
	"gateway/alarm",
	"gateway/session",
	"gateway/route",
	"gateway/fanout",
	"gateway/place",
	"gateway/gate",
	"gateway/link",
	"gateway/quota",
	"gateway/auth",
	"gateway/budget",
	"gateway/stats",
	"gateway/store/storetest",
	"gateway/store/transfer",
	"gateway/store/embedded",
	"gateway/store/redis",
	"gateway/store",
	"gateway/address",
	"internal/linkstate",
	"internal/wire/clientjson",
	"internal/wire",
	"internal/jsoncbor",
	"internal/payload",
	"internal/crew",
	"internal/gcfloor",
	"internal/gen/...",
}

// beside are the packages that stand beside that way, with all that each may import of ours.
var beside = []struct {
	folder string
	may    []string
}{
	{"runner-go", []string{"runner-go", "internal/linkstate", "internal/wire", "internal/payload", "internal/crew", "internal/gcfloor", "internal/gen"}},
	{"clients/go", []string{"clients/go", "internal/wire", "internal/payload", "internal/gen"}},
	{"examples", []string{"examples", "runner-go", "clients/go"}},
	{"conformance/adapters", []string{"conformance", "runner-go", "clients/go", "internal/gen"}},
	{"conformance", []string{"conformance", "internal/gen"}},
	// Of the bench only this one knows stores, for baselines and for what no gateway does yet.
	{"edge/bench/stores", []string{"edge/bench/load", "edge/bench/task", "gateway/store", "gateway/address"}},
	{"edge/bench", []string{"edge/bench", "edge/dev", "clients/go", "runner-go", "internal/wire", "internal/payload", "internal/gen"}},
	{"internal/spectool", []string{"internal/wire", "internal/payload", "internal/gen", "gateway/address"}},
	{".", nil},
}

// sdks may have these modules in their import closure, and no others: whoever uses an SDK takes them along.
var sdks = map[string][]string{
	"runner-go": {
		"google.golang.org/protobuf", "github.com/lxzan/gws", "github.com/fxamacker/cbor/v2",
	},
	"clients/go": {
		"google.golang.org/protobuf", "github.com/lxzan/gws", "github.com/fxamacker/cbor/v2",
		"github.com/quic-go/quic-go", "github.com/quic-go/webtransport-go",
	},
}

// supports are the packages made for tests; only tests and other such packages import them.
var supports = []string{"gateway/gatewaytest", "gateway/store/redistest", "gateway/store/storetest", "edge/serve/servetest", "runner-go/runnertest"}

func TestImportsFollowTheLayers(t *testing.T) {
	for _, file := range theTree(t).sources {
		for _, fault := range importFaults(file) {
			t.Error(fault)
		}
	}
}

// importFaults checks one file. Tests are free to bring their own neighbours, except those of the conformance suite, which
// would otherwise share our mistakes.
func importFaults(file goFile) []string {
	var faults []string
	for _, path := range file.imports {
		folder, isOurs := ours(path)
		if !isOurs || file.test && !under(file.folder, "conformance") {
			continue
		}
		if why := refusal(file.folder, folder); why != "" {
			faults = append(faults, fmt.Sprintf("%s imports %s: %s", file.path, folder, why))
		}
	}
	return faults
}

// refusal says why a package may not import another one; empty: it may.
func refusal(from, to string) string {
	if slices.Contains(supports, to) && !slices.ContainsFunc(supports, func(s string) bool { return under(from, s) }) {
		return "it is made for tests"
	}
	for _, entry := range beside {
		if under(from, entry.folder) && (entry.folder != "." || from == ".") {
			if slices.ContainsFunc(entry.may, func(dir string) bool { return under(to, dir) }) {
				return ""
			}
			return fmt.Sprintf("%s may import only %s", entry.folder, strings.Join(entry.may, ", "))
		}
	}
	upper, lower := place(from), place(to)
	switch {
	case upper < 0:
		return "layers_test.go has no place for " + from
	case lower < 0:
		return fmt.Sprintf("%s is not on the way from %s to an actor", to, from)
	case upper < lower, upper == lower && strings.HasSuffix(order[upper], "/..."):
		return ""
	}
	return fmt.Sprintf("it stands above %s in the order of layers", from)
}

func place(folder string) int {
	return slices.IndexFunc(order, func(line string) bool {
		dir, whole := strings.CutSuffix(line, "/...")
		return folder == dir || whole && under(folder, dir)
	})
}

func TestIllegalImportsAreCaught(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"gateway/link", "gateway/place"},
		{"gateway/link", "gateway"},
		{"gateway", "edge/serve"},
		{"edge/bench", "gateway"},
		{"edge/bench", "gateway/store/redis"},
		{"edge/bench/bare", "gateway/store"},
		{"edge/bench/stores", "gateway"},
		{"gateway/session", "gateway/gatewaytest"},
		{"gateway/store", "gateway/store/embedded"},
		{"gateway/route", "runner-go"},
		{"gateway/nowhere", "internal/wire"},
		{"internal/wire", "gateway/address"},
		{"internal/wire", "internal/wire/clientjson"},
		{"runner-go", "gateway/address"},
		{"runner-go/runnertest", "gateway"},
		{"clients/go", "runner-go"},
		{"conformance/suite", "internal/wire"},
		{"conformance/suite", "runner-go"},
		{"conformance/adapters/go", "internal/wire"},
		{"examples/chat", "internal/payload"},
		{"internal/spectool", "gateway/store"},
	} {
		file := goFile{path: c.from + "/illegal.go", folder: c.from, imports: []string{"fmt", module + "/" + c.to}}
		if len(importFaults(file)) != 1 {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
}

func TestLegalImportsAreNotRefused(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"edge/cmd/stagedoor", "edge/cli"},
		{"edge/cli", "edge/dev"},
		{"edge/serve", "gateway"},
		{"edge/cli", "edge/bench"},
		{"edge/bench/bare", "edge/bench/load"},
		{"edge/bench", "edge/bench/stores"},
		{"edge/bench/stores", "gateway/store/redis"},
		{"gateway/gatewaytest", "gateway"},
		{"gateway/route", "gateway/place"},
		{"gateway/address", "internal/payload"},
		{"internal/gen/stagedoor/client/v1alpha1", "internal/gen/stagedoor/common/v1alpha1"},
		{"runner-go/runnertest", "runner-go"},
		{"conformance/adapters/go", "runner-go"},
		{"examples/chat", "clients/go"},
		{"internal/spectool", "gateway/address"},
	} {
		if why := refusal(c.from, c.to); why != "" {
			t.Errorf("%s imports %s: %s", c.from, c.to, why)
		}
	}
}

func TestSDKsTakeFewModulesAlong(t *testing.T) {
	sources := theTree(t).sources
	for sdk, allowed := range sdks {
		for path, by := range foreignImports(sources, sdk) {
			if !slices.ContainsFunc(allowed, func(m string) bool { return under(path, m) }) {
				t.Errorf("%s imports %s by way of %s; its users would have to take it along", sdk, path, by)
			}
		}
	}
}

// foreignImports is what the packages below a folder import from elsewhere, directly or by way of packages of ours, each
// with one file that does.
func foreignImports(sources []goFile, root string) map[string]string {
	found, seen := map[string]string{}, map[string]bool{}
	var visit func(inside func(string) bool)
	visit = func(inside func(string) bool) {
		for _, file := range sources {
			if file.test || !inside(file.folder) {
				continue
			}
			for _, path := range file.imports {
				folder, isOurs := ours(path)
				switch {
				case isOurs && !seen[folder]:
					seen[folder] = true
					visit(func(f string) bool { return f == folder })
				case !isOurs && strings.Contains(strings.Split(path, "/")[0], "."):
					found[path] = file.path
				}
			}
		}
	}
	visit(func(f string) bool { return under(f, root) })
	return found
}

func TestForeignImportsAreFoundThroughOurPackages(t *testing.T) {
	sources := []goFile{
		{path: "runner-go/a.go", folder: "runner-go", imports: []string{"fmt", module + "/internal/wire"}},
		{path: "internal/wire/b.go", folder: "internal/wire", imports: []string{"example.com/heavy"}},
		{path: "internal/wire/b_test.go", folder: "internal/wire", test: true, imports: []string{"example.com/rapid"}},
	}
	found := foreignImports(sources, "runner-go")
	if len(found) != 1 || found["example.com/heavy"] != "internal/wire/b.go" {
		t.Errorf("found %v", found)
	}
}
