// Package nettest tests a gateway in a process of its own over real sockets: on paths that lose and delay packets, for clients
// whose addresses change, and against clients that mean harm. It has no code of its own.
package nettest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(gatewayEnv); settings != "" {
		os.Exit(gatewayProcess(settings))
	}
	goleak.VerifyTestMain(m)
}
