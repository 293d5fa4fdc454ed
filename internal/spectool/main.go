// Command spectool makes what is derived from spec/: the error codes of each language from spec/errors.md and the
// byte-exact test vectors. Run it from the repository's root: `go run ./internal/spectool errors|vectors`. The
// Makefile's generate target does; check-generated proves that its output is checked in.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func() error{"errors": generateErrors, "vectors": generateVectors}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: spectool errors|vectors")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](); err != nil {
		fmt.Fprintf(os.Stderr, "spectool %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
