package verdict

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Again is a command line that a person can paste into a shell, to see a failure once more.
type Again struct {
	// Environment are variables that have to be as they were, as name=value: see Environment.
	Environment []string
	// Program is the suite; empty: conform.
	Program string
}

// Line is the command with these words.
func (a Again) Line(words ...string) string {
	var line []string
	for _, variable := range a.Environment {
		name, value, _ := strings.Cut(variable, "=")
		line = append(line, name+"="+Quote(value))
	}
	program := a.Program
	if program == "" {
		program = "conform"
	}
	for _, word := range append([]string{program}, words...) {
		line = append(line, Quote(word))
	}
	return strings.Join(line, " ")
}

// With has more variables, in the order of their names.
func (a Again) With(env map[string]string) Again {
	a.Environment = slices.Clone(a.Environment)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		a.Environment = slices.DeleteFunc(a.Environment, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		a.Environment = append(a.Environment, name+"="+env[name])
	}
	return a
}

// ours are variables that the suite sets itself for every runner.
var ours = []string{"CONFORM_GATE_URL", "STAGEDOOR_RUNNER_NAME"}

// Environment is what of an environment decides how a contract app behaves: CONFORM_MUTANT, CONFORM_CONCURRENCY, the settings of
// an SDK. Where there may be a secret nothing is told.
func Environment(environ []string) []string {
	var kept []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		secret := strings.Contains(name, "TOKEN") || strings.Contains(name, "ENDPOINT")
		if !secret && !slices.Contains(ours, name) && (strings.HasPrefix(name, "CONFORM_") || strings.HasPrefix(name, "STAGEDOOR_")) {
			kept = append(kept, variable)
		}
	}
	slices.Sort(kept)
	return kept
}

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote makes one word for a shell.
func Quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
