package broken

import "slices"

// Variable names the mistake in the environment of the program that Build makes.
const Variable = "CONFORM_MUTANT"

// Mutant is one mistake.
type Mutant struct {
	// Name is what cases call it in their list `mutants`.
	Name string
	// Does says what is wrong with the runner, as one reads it.
	Does string
	// Breaks are the ids of the requirements that forbid it.
	Breaks  []string
	patches []patch
}

// patch changes one place of a source file.
type patch struct {
	file string // from the root
	find string // stands there exactly once
	with string
}

// All is the whole table, by area, in a fixed order.
func All() []Mutant {
	return slices.Concat(values(), states(), hooks(), connections(), stores(), turns(), processes(), newcomers())
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

// Where the changed files are.
const (
	app = "conformance/adapters/runner-go/"
	sdk = "runner-go/"
)

// unless guards a statement: the mutant leaves it out.
func unless(name, file, statement string) patch {
	return patch{file, statement, `if !wrong("` + name + `") { ` + statement + ` }`}
}

// first has the mutant do something else before a statement.
func first(name, file, statement, what string) patch {
	return patch{file, statement, `if wrong("` + name + `") { ` + what + ` }; ` + statement}
}

// behind has it do something behind a statement.
func behind(name, file, statement, what string) patch {
	return patch{file, statement, statement + `; if wrong("` + name + `") { ` + what + ` }`}
}
