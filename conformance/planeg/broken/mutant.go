package broken

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/overlay"
)

// Variable names the mistake in the environment of the program that Build makes.
const Variable = "CONFORM_MUTANT"

// Mutant is one mistake.
type Mutant struct {
	Name string
	// Does says what is wrong with the gateway, as one reads it.
	Does string
	// Cases are the ids of those that must fail.
	Cases   []string
	patches []patch
}

// patch changes one place of a source file.
type patch struct {
	file string // from the root
	find string // stands there exactly once
	with string
}

// All is the whole table, by area, in a fixed order.
func All() []Mutant {
	return slices.Concat(gates(), fencing(), credits(), calls(), lives(), places(), errs(), handshakes(), frames(), resumes(), clients(), sessions(), requests(), values(), streams(), lanes(), loose())
}

// main is the gateway's program.
const main = "edge/cmd/stagedoor"

// Build makes the gateway with all mistakes in it. root is the root of the repository.
func Build(ctx context.Context, root, program string) error {
	var patches []overlay.Patch
	for _, m := range All() {
		for _, p := range m.patches {
			patches = append(patches, overlay.Patch{Name: m.Name, File: p.file, Find: p.find, With: p.with})
		}
	}
	files, err := overlay.Apply(root, patches)
	if err != nil {
		return err
	}
	for _, p := range patches {
		folder := path.Dir(p.File)
		files[folder+"/wrong.go"] = wrong(folder)
	}
	return overlay.Build(ctx, root, program, main, files)
}

// wrong is what a changed package has besides.
func wrong(folder string) []byte {
	more := helpers[folder]
	return []byte("package " + path.Base(folder) + "\n\nimport (\n\"os\"\n" + more.imports + ")\n\n" +
		"var mutant = os.Getenv(\"" + Variable + "\")\n\nfunc wrong(name string) bool { return mutant == name }\n" + more.code)
}

// helpers are what some packages need more.
var helpers = map[string]struct{ imports, code string }{
	"gateway/route": {`
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
`, `
// heldCall sends the call that another one is to overtake.
var heldCall func()

// unheld says whether the gate lets an output through.
func unheld(msg any) bool {
	switch msg := msg.(type) {
	case *wire.CallResult:
		return wrong("results-unheld")
	case *wire.Emit:
		return wrong("events-unheld") || wrong("loose-unheld") && msg.Unreliable
	case *runnerv1alpha1.ConnectionClose:
		return wrong("closes-unheld")
	case *runnerv1alpha1.ConnectionState:
		return wrong("states-unheld")
	case *runnerv1alpha1.Fence:
		return wrong("fences-overtake")
	}
	return false
}

func isResult(msg any) bool { _, is := msg.(*wire.CallResult); return is }
`},
	"gateway/api": {`"net/url"
`, `
func unescaped(segment string) string {
	whole, err := url.PathUnescape(segment)
	if err != nil {
		return segment
	}
	return whole
}
`},
}

// unless guards a statement: the mutant leaves it out.
func unless(name, file, statement string) patch {
	return patch{file, statement, `if !wrong("` + name + `") { ` + statement + ` }`}
}

// first has the mutant do something else before a statement.
func first(name, file, statement, what string) patch {
	return patch{file, statement, `if wrong("` + name + `") { ` + what + ` }; ` + statement}
}

// behind has it do something behind a statement.
func behind(name, file, statement, what string) patch {
	return patch{file, statement, statement + `; if wrong("` + name + `") { ` + what + ` }`}
}

// never has it take a condition for false, always for true; rest stands behind the condition.
func never(name, file, condition, rest string) patch {
	return patch{file, condition + rest, condition + ` && !wrong("` + name + `")` + rest}
}

func always(name, file, condition, rest string) patch {
	return patch{file, condition + rest, condition + ` || wrong("` + name + `")` + rest}
}

// mutant is one whose mistake stands in one place.
func mutant(name, does, cases string, p ...patch) Mutant {
	return Mutant{name, does, strings.Fields(cases), p}
}
