// Package mutant makes wrong runners out of right ones, on the wire: each mutant is a rule that drops, doubles, reorders,
// alters or invents frames that a runner sends, before the virtual gateway reads them. It works on a runner in any language.
//
// A mutant stands for a mistake that somebody could make in a runner, so some case of the suite must fail on it: the kill
// matrix (package killmatrix) holds the suite to that. What a mutant does is never allowed by the protocol; what is allowed
// but odd is a variant (package variant). Mistakes that cannot be seen as a change of frames, such as a hook that runs twice,
// are made inside a runner: see the adapter of runner-go.
//
// The package does no I/O and knows no case. A Tap is made anew for each run and belongs to one goroutine at a time; the
// table is read-only.
package mutant
