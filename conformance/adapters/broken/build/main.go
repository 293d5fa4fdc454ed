// Command build makes the Go runner with mistakes inside, for `conform mutants --inside`:
//
//	go run ./conformance/adapters/broken/build bin/broken-runner
//
// It runs at the root of the repository and needs the go command.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: build PROGRAM")
		os.Exit(64)
	}
	if err := broken.Build(context.Background(), ".", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
