package broken

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/conformance/overlay"
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
	files, err := overlay.Apply(root, patchesOf(All()))
	if err != nil {
		return err
	}
	files[app+"wrong.go"] = fmt.Appendf(slices.Clip(appHelp), "\nconst all = %q\n", List())
	files[sdk+"wrong.go"] = sdkHelp
	return overlay.Build(ctx, root, program, strings.TrimSuffix(app, "/"), files)
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

func patchesOf(mutants []Mutant) []overlay.Patch {
	var all []overlay.Patch
	for _, m := range mutants {
		for _, p := range m.patches {
			all = append(all, overlay.Patch{Name: m.Name, File: p.file, Find: p.find, With: p.with})
		}
	}
	return all
}
