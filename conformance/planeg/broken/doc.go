// Package broken is our gateway with mistakes inside: what proves that the cases of plane G can fail, as conformance/adapters/broken
// does for the runner.
//
// Each mistake is a change of a few words of the gateway's sources, guarded by its name, and names the cases that must find it. Build
// applies all of them at once in an overlay (package overlay), so no file of the tree changes and one program is built; it does what
// CONFORM_MUTANT names, and nothing wrong without.
//
// `conform mutants --plane gateway` and this package's test try them. All functions are safe for concurrent use.
package broken
