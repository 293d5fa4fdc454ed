package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
)

// adapter is where the contract app in Go stands in this repository.
const adapter = "conformance/adapters/runner-go"

// nullRunner is the program that is every null runner, by its argument.
const nullRunner = "conformance/nullrunner"

// nullKinds are those that are tried: what each does stands in the program.
var nullKinds = []string{"absent", "babble", "silent", "garbage", "handshake", "crash", "flood", "parrot", "always-ok", "refusing"}

// build makes the runner of this repository, if none was named, and the one with mutants inside. done removes them.
func (f *mutantsFlags) build(ctx context.Context, withInside bool) (done func(), err error) {
	if f.runner != "" {
		f.given = append(f.given, "--runner", f.runner)
	}
	if f.inside != "" {
		f.given = append(f.given, "--inside", f.inside)
	}
	if f.runner != "" {
		return func() {}, nil
	}
	if _, err := os.Stat(adapter); err != nil {
		return nil, fmt.Errorf("--runner is missing, and this is not the root of the repository: %w", err)
	}
	folder, err := os.MkdirTemp("", "conform")
	if err != nil {
		return nil, harness{fmt.Errorf("make a folder for the runner: %w", err)}
	}
	done = func() { _ = os.RemoveAll(folder) }
	f.runner = filepath.Join(folder, "runner")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", f.runner, "./"+adapter).CombinedOutput(); err != nil {
		done()
		return nil, harness{fmt.Errorf("build the contract app: %w\n%s", err, text)}
	}
	if !withInside {
		return done, nil
	}
	f.nulls = filepath.Join(folder, "nullrunner")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", f.nulls, "./"+nullRunner).CombinedOutput(); err != nil {
		done()
		return nil, harness{fmt.Errorf("build the null runner: %w\n%s", err, text)}
	}
	f.inside = filepath.Join(folder, "inside")
	if err := broken.Build(ctx, ".", f.inside); err != nil {
		done()
		return nil, harness{err}
	}
	return done, nil
}
