// Command runner-go is the contract app of the Stagedoor conformance suite on the Go SDK: the actor types that
// conformance/app/README.md describes. It finds its gateway by the SDK's own environment, and gates by CONFORM_GATE_URL.
//
// Every type is serial, so no code here needs a lock. The files are also what `conform init --lang go` writes.
package main

import runner "github.com/stagedoor-dev/stagedoor/runner-go"

func main() { runner.Main(types()...) }

// types are what this runner hosts.
func types() []runner.Definition {
	return []runner.Definition{
		manifestType(), echoType(), counterType(), lifecycleType(), sleeperType(),
		interpType(), crasherType(), kvType(), eventsType(), connType(),
	}
}
