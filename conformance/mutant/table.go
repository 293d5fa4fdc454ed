package mutant

import (
	"slices"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// Mutant is one mistake.
type Mutant struct {
	// Name is what cases call it in their list `mutants`.
	Name string
	// Does says what is wrong with the runner, as one reads it.
	Does string
	// Breaks are the ids of the requirements that forbid it.
	Breaks []string
	rule   rule
}

// New is the mutant's tap, for all sessions of a runner: refs and ids are those of one gateway, and never used again.
func (m Mutant) New() tap.Tap { return tap.Locked(m.rule()) }

// All is the whole table, by area, in a fixed order.
func All() []Mutant {
	return slices.Concat(hello(), life(), calls(), commits(), reads(), events(), connections(), link(), resume())
}

// Find is the mutant of that name.
func Find(name string) (Mutant, bool) {
	all := All()
	at := slices.IndexFunc(all, func(m Mutant) bool { return m.Name == name })
	if at < 0 {
		return Mutant{}, false
	}
	return all[at], true
}
