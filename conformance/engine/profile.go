package engine

import (
	"slices"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Claims says whether a runner claims a profile by its Hello: everybody does core, a feature is a profile, and the types say how
// their turns run.
func Claims(hello *runnerv1alpha1.Hello, profile string) bool {
	interleaved := slices.ContainsFunc(hello.Types, func(t *runnerv1alpha1.ActorType) bool {
		return t.Concurrency == runnerv1alpha1.Concurrency_CONCURRENCY_INTERLEAVED
	})
	switch profile {
	case "core":
		return true
	case "serial":
		return !interleaved
	case "interleaved":
		return interleaved
	}
	return slices.Contains(hello.Features, profile)
}
