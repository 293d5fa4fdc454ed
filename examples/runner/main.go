// Command runner hosts the actors of the examples. It finds its gateway by STAGEDOOR_ENDPOINT, which `stagedoor dev` sets.
package main

import (
	"github.com/stagedoor-dev/stagedoor/examples/chat"
	"github.com/stagedoor-dev/stagedoor/examples/counter"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func main() {
	runner.Main(counter.Type(), chat.Type())
}
