// Command build makes the Go runner with mistakes inside, for `conform mutants --inside`:
//
//	go run ./conformance/adapters/broken/build bin/broken-runner
//
// With --js it fills an empty folder with the JavaScript one instead, and prints the command that runs it:
//
//	go run ./conformance/adapters/broken/build --js /tmp/broken-js
//
// It runs at the root of the repository and needs the go command, or what npm run build makes.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] != "--js":
		err = broken.Build(context.Background(), ".", os.Args[1])
	case len(os.Args) == 3 && os.Args[1] == "--js":
		var command string
		if command, err = broken.BuildJavaScript(".", os.Args[2]); err == nil {
			_, err = fmt.Fprintln(os.Stdout, command)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: build PROGRAM | build --js FOLDER")
		os.Exit(64)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
