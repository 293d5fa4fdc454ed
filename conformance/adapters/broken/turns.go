package broken

// turns are mistakes with calls, and with what runs beside what.
func turns() []Mutant {
	return []Mutant{
		{"panic-kills", "ends the process where an action panics", []string{"TURN-7"}, []patch{{
			sdk + "turn.go",
			"if r := recover(); r != nil {",
			"if r := recover(); r != nil { if wrong(\"panic-kills\") { os.Exit(2) }",
		}, {sdk + "turn.go", "import (", "import (\n\t\"os\""}}},
		{"background-kills", "ends the process where work beside the turns fails", []string{"TURN-7"}, []patch{{
			app + "plain.go",
			`c.WaitUntil(func(turn) error { return errors.New(text) })`,
			`c.WaitUntil(func(turn) error { if wrong("background-kills") { os.Exit(1) }; return errors.New(text) })`,
		}}},
		{"actors-one-by-one", "lets a waiting actor keep all others from running", []string{"TURN-1"}, []patch{first(
			"actors-one-by-one", sdk+"turn.go",
			"return f()\n}\n\n// mustTurn",
			`turns.Lock(); defer turns.Unlock()`,
		)}},
		{"link-waits-for-turns", "answers no Ping while an action runs", []string{"LINK-8"}, []patch{first(
			"link-waits-for-turns", sdk+"mailbox.go",
			`w := t.work`,
			`turns.Lock(); defer turns.Unlock()`,
		), first(
			"link-waits-for-turns", sdk+"deliver.go",
			"if !wire.Negotiated(f.Kind, s.features) {",
			`turns.Lock(); turns.Unlock()`,
		)}},
		{"calls-newest-first", "runs the newest of the waiting calls first", []string{"CALL-3"}, []patch{{
			sdk + "mailbox.go",
			"func (in *instance) enqueue(t *turn) {\n\tif in.tail == nil {",
			"func (in *instance) enqueue(t *turn) {\n\tif wrong(\"calls-newest-first\") && t.kind == turnCall && in.head != nil {\n\t\tt.next, in.head = in.head, t\n\t\treturn\n\t}\n\tif in.tail == nil {",
		}}},
		{"begins-late-calls", "runs a call whose deadline has passed while it waited", []string{"CALL-11"}, []patch{{
			sdk + "mailbox.go",
			`case !t.deadline.IsZero() && !at.Before(t.deadline):`,
			`case !wrong("begins-late-calls") && !t.deadline.IsZero() && !at.Before(t.deadline):`,
		}}},
		{"fence-before-waiting", "answers the fence of an actor before the outputs that wait for a commit", []string{"LINK-20"}, []patch{{
			sdk + "mailbox.go",
			`in.say(wire.Runner(&runnerv1alpha1.FenceReached{Nonce: t.what.(*runnerv1alpha1.Fence).Nonce, Actor: in.ref}))`,
			`say := in.say; if wrong("fence-before-waiting") { say = in.push }; say(wire.Runner(&runnerv1alpha1.FenceReached{Nonce: t.what.(*runnerv1alpha1.Fence).Nonce, Actor: in.ref}))`,
		}}},
		{"unknown-action-as-internal", "does not tell an unknown action from one that failed", []string{"CALL-9"}, []patch{first(
			"unknown-action-as-internal", sdk+"mailbox.go",
			`in.answerUnrun(t, wire.ActorActionNotFound`,
			`in.answerUnrun(t, wire.InternalError.New()); return true`,
		)}},
		{"unknown-refs-dropped", "drops calls for actors that it does not host", []string{"LIFE-9"}, []patch{{
			sdk + "deliver.go",
			"func (s *session) notHere(ref, id uint64) {",
			"func (s *session) notHere(ref, id uint64) {\n\tif wrong(\"unknown-refs-dropped\") {\n\t\treturn\n\t}",
		}}},
	}
}

// processes are mistakes of the process and its link.
func processes() []Mutant {
	const main = "func main() { runner.Main(types()...) }"
	return []Mutant{
		{"killed-by-sigterm", "ends at SIGTERM without handing its actors over", []string{"LINK-10"}, []patch{{
			app + "main.go", main,
			"func main() {\n\tif wrong(\"killed-by-sigterm\") { go func() { c := make(chan os.Signal, 1); signal.Notify(c, syscall.SIGTERM); <-c; os.Exit(0) }() }\n" +
				"\tif wrong(\"deaf-to-sigterm\") { r, _ := runner.New(runner.Config{Endpoint: os.Getenv(\"STAGEDOOR_ENDPOINT\"), Token: os.Getenv(\"STAGEDOOR_TOKEN\")}, types()...); signal.Ignore(syscall.SIGTERM); _ = r.Serve(context.Background()) }\n" +
				"\trunner.Main(types()...)\n}",
		}, {app + "main.go", "import runner", "import (\n\"context\"\n\"os\"\n\"os/signal\"\n\"syscall\"\n)\n\nimport runner"}}},
		{"deaf-to-sigterm", "does not hear SIGTERM", []string{"LINK-10"}, nil},
		{"reconnects-at-once", "dials again and again without a pause", []string{"LINK-11"}, []patch{first(
			"reconnects-at-once", sdk+"backoff.go",
			"bound := b.min\n",
			`return 0`,
		)}},
		{"gives-up", "ends when its socket does", []string{"LINK-11"}, []patch{{
			sdk + "backoff.go",
			"func (b *backoff) next() time.Duration {",
			"func (b *backoff) next() time.Duration {\n\tif wrong(\"gives-up\") {\n\t\tos.Exit(1)\n\t}",
		}, {sdk + "backoff.go", "import (", "import (\n\t\"os\""}}},
	}
}
