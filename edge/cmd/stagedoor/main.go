// Command stagedoor is the gateway process and its tools: dev, gateway, actors, store, bench, version.
package main

import (
	"os"

	"github.com/stagedoor-dev/stagedoor/edge/assemble"
	"github.com/stagedoor-dev/stagedoor/edge/cli"
	"github.com/stagedoor-dev/stagedoor/internal/gcfloor"
)

func main() {
	gcfloor.Set(gcfloor.Default)
	os.Exit(cli.Main(cli.Program{
		Args:     os.Args[1:],
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Env:      os.Getenv,
		Assemble: assemble.Gateway,
		Stores:   assemble.Stores{},
		Exit:     os.Exit,
	}))
}
