package broken

// newcomers are mistakes that somebody makes who writes the SDK itself, for a new language.
func newcomers() []Mutant {
	never := func(name, file, statement string) []patch { return []patch{unless(name, file, statement)} }
	return []Mutant{
		{"forgets-acknowledged", "acknowledges a call before it has run, and forgets it when the socket breaks", []string{"LINK-14", "CALL-1"}, []patch{first(
			"forgets-acknowledged", sdk+"hosting.go",
			`d.sess.link.detach()`,
			`for _, in := range d.sess.all() { in.mu.Lock(); for in.unqueue(func(t *turn) bool { return t.kind == turnCall }) != nil { continue }; in.mu.Unlock() }`,
		)}},
		{"answers-twice", "answers each call twice", []string{"CALL-1", "LINK-9"}, []patch{behind(
			"answers-twice", sdk+"flush.go",
			`in.held = append(in.held, &w.result)`,
			`in.held = append(in.held, &w.result)`,
		)}},
		{"cancel-unheard", "does not hear CancelCall", []string{"CALL-5"}, never(
			"cancel-unheard", sdk+"deliver.go",
			`s.with(m.Actor, func(in *instance) { in.cancelCall(m.Id, m.Reason) })`,
		)},
		{"stop-unheard", "does not hear StopActor", []string{"SLEEP-2"}, never(
			"stop-unheard", sdk+"deliver.go",
			`s.with(m.Actor, func(in *instance) { in.stopActor(m) })`,
		)},
		{"wake-as-creation", "creates an actor anew that only wakes up", []string{"LIFE-2", "STATE-1"}, []patch{{
			sdk + "start.go",
			`if !m.Create {`,
			`if !m.Create && !wrong("wake-as-creation") {`,
		}}},
		{"versions-restart", "counts the versions of an actor from 1 again when it wakes up", []string{"COMMIT-2"}, []patch{behind(
			"versions-restart", sdk+"start.go",
			`in.version = m.Version`,
			`in.version = 0`,
		)}},
		{"events-newest-first", "sends the events of a turn with the newest first", []string{"GATE-1", "SESS-3"}, []patch{{
			sdk + "flush.go",
			"held = in.held\n\t\tdefer",
			"held = in.held\n\t\tif wrong(\"events-newest-first\") {\n\t\t\tnewestFirst(held)\n\t\t}\n\t\tdefer",
		}}},
		{"answer-before-commit", "answers a call, and commits then what it has changed", []string{"GATE-1", "GATE-5"}, []patch{{
			sdk + "commit.go",
			`in.commit(g, outputs[:n])`,
			`early, covered := outrun(outputs[:n]); if len(early) > 0 { in.sess().link.pushGroup(&in.lane, nil, early) }; in.commit(g, covered)`,
		}}},
		{"events-before-commit", "sends an event before the commit of the change that it tells of", []string{"GATE-1", "GATE-5"}, nil}, // the same patch
		{"commits-unawaited", "makes the next commit while one is unanswered", []string{"COMMIT-1"}, []patch{{
			sdk + "commit.go",
			`if in.adrift || g != nil && in.inflight {`,
			`if in.adrift || g != nil && in.inflight && !wrong("commits-unawaited") {`,
		}}},
		{"refusal-unheard", "goes on with an actor whose commit was refused", []string{"COMMIT-5"}, []patch{{
			sdk + "commit.go",
			`if m.Error != nil {`,
			`if m.Error != nil && !wrong("refusal-unheard") {`,
		}}},
		{"unsubscribed-unsent", "sends a connection no event to which it has not subscribed, also where the event is for it alone", []string{"CONN-3"}, []patch{behind(
			"unsubscribed-unsent", sdk+"connection.go",
			`c.ref, c.id, c.params = m.Connection, m.ConnectionId, m.Params`,
			`subscribed.Store(c.ref, m.Subscriptions)`,
		), {
			sdk + "connection.go",
			`return c.ref != 0 && c.index >= 0`,
			`return c.ref != 0 && c.index >= 0 && (!wrong("unsubscribed-unsent") || subscribes(c.ref, string(m.Event)))`,
		}}},
		{"unexpected-errors-shown", "tells callers the text of any error", []string{"ERR-3"}, []patch{{
			sdk + "error.go",
			`if f.development {`,
			`if f.development || wrong("unexpected-errors-shown") {`,
		}}},
		{"unknown-kind-kills", "cannot go on behind a frame of a kind that it does not know", []string{"FRAME-4"}, []patch{{
			sdk + "deliver.go",
			"func (s *session) unsupported(kind wire.Kind, number uint64) {",
			"func (s *session) unsupported(kind wire.Kind, number uint64) {\n\tif wrong(\"unknown-kind-kills\") {\n\t\tpanic(\"a frame of an unknown kind\")\n\t}",
		}}},
	}
}
