package broken

// values are mistakes of encoders and decoders.
func values() []Mutant {
	echo := patch{
		app + "plain.go",
		`func(_ *echo, _ turn, v any) (any, error) { return v, nil })`,
		`func(_ *echo, _ turn, v any) (any, error) { return echoed(v), nil })`,
	}
	return []Mutant{
		{"integers-as-floats", "returns integers as floats", []string{"PAY-1"}, []patch{echo}},
		{"integers-cut", "keeps 32 bits of an integer", []string{"PAY-1"}, nil},
		{"bytes-as-numbers", "returns bytes as an array of numbers", []string{"PAY-1"}, nil},
		{"bytes-as-text", "returns bytes as text", []string{"PAY-1", "PAY-4"}, nil},
		{"null-as-empty-text", "takes null for an empty text", []string{"PAY-3"}, nil},
		{"key-parts-joined", "joins the parts of a key, and splits them again", []string{"ADDR-2"}, []patch{behind(
			"key-parts-joined", app+"plain.go",
			`key := append([]string{}, e.Key()...)`,
			`key = strings.Split(strings.Join(key, "/"), "/")`,
		)}},
	}
}

// states are mistakes with what an actor remembers.
func states() []Mutant {
	return []Mutant{
		{"state-shared", "keeps one state for all actors of a type", []string{"STATE-1"}, []patch{behind(
			"state-shared", app+"plain.go",
			"func (c *counter) add(_ turn, d int) (int, error) {\n\tc.State().N += d",
			`c.State().N = shared(d)`,
		)}},
		{"memory-outlives-sleep", "goes on with the memory of an actor that has slept", []string{"LIFE-2", "SLEEP-2"}, []patch{first(
			"memory-outlives-sleep", app+"kit.go",
			`return P(a).count(), nil`,
			`return recalled(a), nil`,
		)}},
		{"rolls-back", "undoes what a failed turn has changed", []string{"TURN-6"}, []patch{first(
			"rolls-back", app+"plain.go",
			`c.State().N += d; return planned(code)`,
			`return planned(code)`,
		)}},
		{"save-forgotten", "does not wait where it is told to wait until state is saved", []string{"FLUSH-1"}, []patch{{
			app + "plain.go",
			`err := c.SaveState(ctx)`,
			`var err error; if !wrong("save-forgotten") { err = c.SaveState(ctx) }`,
		}}},
		{"updates-lost", "runs turns of one actor at the same time", []string{"TURN-1"}, []patch{behind(
			"updates-lost", app+"plain.go",
			`n := c.View().N`,
			`n = outdated(c.ID(), n)`,
		)}},
	}
}
