// Command conform says whether a runner keeps the runner protocol, and a gateway its part.
package main

import (
	"os"

	"github.com/stagedoor-dev/stagedoor/conformance/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
