// Package broken is the Go runner with the mistakes that a newcomer makes inside of one: in the app, in the SDK, in the process.
// What shows in frames alone is package mutant's, which works on any runner; here is what needs the runner's own code.
//
// Each mistake is a change of a few words of the sources of conformance/adapters/runner-go or runner-go, guarded by its name. Build applies
// all of them at once, in an overlay of the go command's, so no file of the tree changes; the program does what CONFORM_MUTANT names,
// and nothing wrong without; with CONFORM_MUTANT=list it prints the table. A change whose place is not there any more is an error of Build: it is to follow the code.
// Some of them are in the JavaScript runner, too: BuildJavaScript makes a copy of what its sources are compiled to, which does the same.
//
// Its command build and the tests call it; `conform mutants --inside` runs the program. All functions are safe for concurrent use.
package broken
