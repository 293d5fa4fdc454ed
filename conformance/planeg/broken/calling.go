package broken

// calls are mistakes with calls.
func calls() []Mutant {
	return []Mutant{
		mutant("calls-before-ready", "gives calls to an actor that is not ready", "GCALL-01 GCALL-04 GLIFE-01", behind(
			"calls-before-ready", route+"start.go",
			`inc.send(a.startActor(acquired, left))`,
			`for _, v := range a.takeWaiting() { if c, is := v.(*Call); is { c.deliver(a) } else { a.waiting = append(a.waiting, v) } }`,
		)),
		mutant("calls-in-pairs", "delivers calls in pairs, the second first", "GCALL-02", patch{
			route + "call.go",
			`c.unsent = !inc.runner.Link.SendCall(inc.binding, m)`,
			`if !wrong("calls-in-pairs") { c.unsent = !inc.runner.Link.SendCall(inc.binding, m) } else if heldCall == nil { heldCall = func() { inc.runner.Link.SendCall(inc.binding, m) } } else { inc.runner.Link.SendCall(inc.binding, m); heldCall(); heldCall = nil }`,
		}),
		mutant("deadlines-unwatched", "lets calls wait for ever that went to their runner at once", "GHTTP-04", patch{
			route + "call.go",
			"inc.calls.add(c)\n\ta.expireBy(c.Deadline)",
			"inc.calls.add(c)\n\tif !wrong(\"deadlines-unwatched\") { a.expireBy(c.Deadline) }",
		}),
		mutant("late-runners-untold", "does not tell the runner that a call's deadline is over", "GCALL-03", patch{
			route + "call.go",
			"c.fail(wire.ActionTimedOut.New())\n\t\t\tinc.cancel(c.id,",
			"c.fail(wire.ActionTimedOut.New())\n\t\t\tif wrong(\"late-runners-untold\") { late(c.Deadline); continue }\n\t\t\tinc.cancel(c.id,",
		}),
		mutant("waiting-unwatched", "lets calls that wait for an actor do so for ever", "GCALL-04", patch{
			route + "actor.go",
			"\ta.expireBy(v.request().Deadline)\n\tif a.phase == idle {",
			"\tif !wrong(\"waiting-unwatched\") { a.expireBy(v.request().Deadline) }\n\tif a.phase == idle {",
		}),
		mutant("cancels-kept", "does not pass on that a caller cancels", "GCALL-05 GCLI-15",
			unless("cancels-kept", route+"call.go", `a.inc.cancel(c.id, reason)`)),
		mutant("losses-as-crashes", "says that an actor crashed where its runner was lost", "GCALL-06 GGATE-02 GRES-04", patch{
			route + "ending.go",
			`unanswered: wire.ActionOutcomeUnknown.New(), handOver: true,`,
			`unanswered: map[bool]*wire.Error{false: wire.ActionOutcomeUnknown.New(), true: wire.ActorCrashed.New()}[wrong("losses-as-crashes")], handOver: true,`,
		}),
		mutant("lost-calls-repeated", "runs calls again whose runner was lost", "GCALL-06 GGATE-02", patch{
			route + "ending.go", `return c.unsent })`, `return c.unsent || wrong("lost-calls-repeated") })`,
		}),
		mutant("not-run-as-answered", "takes a call that came back not run for answered", "GCALL-07",
			never("not-run-as-answered", route+"call.go", `case m.NotRun`, `:`)),
		mutant("oneway-answered", "answers one-way calls", "GCALL-08", patch{
			session + "call.go", "if !c.Oneway {\n\t\ts.calls", "if !c.Oneway || wrong(\"oneway-answered\") {\n\t\ts.calls",
		}),
		mutant("long-outputs-passed", "passes on outputs over the limit", "GCALL-09",
			never("long-outputs-passed", route+"call.go", `case len(m.Output) > inc.actor.router.cfg.Limits.MaxOutput`, `:`)),
		mutant("last-parts-cut", "cuts the last part of a long frame short", "GCALL-10", behind(
			"last-parts-cut", wire+"parts.go",
			`part := Part{Actor: actor, Data: frame[:n], Last: n == len(frame)}`,
			`if part.Last { part.Data = part.Data[:n/2] }`,
		)),
		mutant("unknown-types-awaited", "waits for a runner of a type that nobody ever announced", "GCALL-11",
			never("unknown-types-awaited", place+"place.go", `case hopeless`, `:`),
			never("unknown-types-awaited", route+"start.go", `case !a.router.cfg.Placer.Knows(a.address.Type)`, `:`),
		),
		mutant("deaf-runners-kept", "keeps a runner that answers no Ping", "GCALL-12",
			never("deaf-runners-kept", link+"conn.go", `case time.Since(time.Unix(0, c.heard.Load())) >= c.cfg.LostAfter`, `:`)),
		mutant("hung-calls-kept", "keeps an actor that never answers a call", "GCALL-13",
			always("hung-calls-kept", route+"call.go", `case !hung`, `:`)),
	}
}

// lives are mistakes with how actors begin, sleep and end, and with their connections.
func lives() []Mutant {
	return []Mutant{
		mutant("restored-without-state", "restores connections without their state", "GLIFE-01 GGATE-08", patch{
			route + "connection.go", "m.Restored = true\n\tif c.hasState {", "m.Restored = true\n\tif c.hasState && !wrong(\"restored-without-state\") {",
		}),
		mutant("sleep-granted-always", "puts actors to sleep that have a call to answer", "GLIFE-02", patch{
			route + "stop.go",
			`if len(inc.calls) == 0 && len(inc.opens) == 0 && inc.reads == 0 {`,
			`if wrong("sleep-granted-always") || len(inc.calls) == 0 && len(inc.opens) == 0 && inc.reads == 0 {`,
		}),
		mutant("draining-runners-used", "gives actors to a runner that drains", "GLIFE-03", patch{
			place + "runner.go", "\tr.ready = false\n\tguests :=", "\tr.ready = wrong(\"draining-runners-used\")\n\tguests :=",
		}),
		mutant("creations-unsettled", "lets every creation of a key have its actor", "GLIFE-04",
			never("creations-unsettled", route+"actor.go", `case req.Mode == commonv1alpha1.Mode_MODE_CREATE && !req.created`, `:`),
			never("creations-unsettled", route+"start.go", `if req := v.request(); req.Mode == commonv1alpha1.Mode_MODE_CREATE && !req.created`, ` {`),
		),
		mutant("connections-outlive-actor", "tells no connection that its actor was destroyed", "GLIFE-05",
			unless("connections-outlive-actor", route+"destroy.go", `c.end(e, commonv1alpha1.Reconnect_RECONNECT_NEVER)`)),
		mutant("unsubscribe-ignored", "goes on with events behind Unsubscribe", "GLIFE-06",
			patch{route + "connection.go", "delete(c.events, event)\n\t\t\ta.audience", "if wrong(\"unsubscribe-ignored\") { continue }\n\t\t\tdelete(c.events, event)\n\t\t\ta.audience"}),
		mutant("subscriptions-unread", "sends events to connections that did not subscribe", "GLIFE-06",
			patch{route + "output.go", `case m.All:`, `case m.All || wrong("subscriptions-unread"):`}),
	}
}

// places are mistakes with which runner gets what.
func places() []Mutant {
	return []Mutant{
		mutant("oldest-version-first", "gives new actors to the runners of the lowest version", "GPLC-01", patch{
			place + "place.go", `if best == nil || r.version > best.version ||`, `if best == nil || (r.version > best.version) != wrong("oldest-version-first") && r.version != best.version ||`,
		}),
		mutant("load-unread", "gives new actors to the most loaded runner", "GPLC-01",
			patch{place + "place.go", `len(r.guests) < len(best.guests)`, `(len(r.guests) < len(best.guests)) != wrong("load-unread")`}),
		mutant("opens-forgotten", "forgets an open whose runner was lost", "GPLC-02",
			patch{route + "ending.go", "\t\tbyID[id] = c\n", "\t\tif !wrong(\"opens-forgotten\") { byID[id] = c }\n"}),
		mutant("crashes-unpaused", "starts an actor again at once however often it has failed", "GPLC-03",
			always("crashes-unpaused", route+"failure.go", `if failures <= 1`, ` {`)),
		mutant("one-nonce", "gives all lives one nonce", "GPLC-04 GGATE-02",
			patch{route + "start.go", `Nonce: rec.Nonce[:],`, `Nonce: map[bool][]byte{false: rec.Nonce[:], true: make([]byte, 16)}[wrong("one-nonce")],`}),
		mutant("fast-refused", "refuses the class fast", "GPLC-05",
			patch{place + "runner.go", `if !p.cfg.Store.Supports(class) {`, `if !p.cfg.Store.Supports(class) || wrong("fast-refused") && class == store.Fast {`}),
	}
}

// errs are mistakes with errors.
func errs() []Mutant {
	accepted := `accepted, ok := e.Accept(wire.FromRunner)`
	return []Mutant{
		mutant("any-code-passed", "passes on errors that runners may not send", "GERR-01 GERR-02", behind(
			"any-code-passed", route+"call.go", accepted, `accepted, ok = e, true`,
		)),
		mutant("user-errors-hidden", "makes internal errors of the users' errors", "GERR-03 GERR-04 GERR-05", patch{
			route + "call.go", "\town := *accepted\n", "\tif wrong(\"user-errors-hidden\") { accepted = wire.InternalError.New() }\n\town := *accepted\n",
		}),
		mutant("refusals-repeatable", "lets clients come back whom an actor has refused for good", "GERR-04",
			always("refusals-repeatable", route+"connection.go", `if e.Retryable`, ` {`)),
		mutant("status-500", "answers every error over HTTP with the status 500", "GERR-05 GHTTP-01 GHTTP-03",
			patch{api + "body.go", `h.reply(w, r, e.HTTPStatus(), `, `h.reply(w, r, map[bool]int{false: e.HTTPStatus(), true: 500}[wrong("status-500")], `}),
		mutant("ran-unsaid", "does not say over HTTP whether a failed call ran", "GERR-05",
			patch{api + "body.go", `Ran: e.Ran.String()}`, `Ran: map[bool]string{false: e.Ran.String()}[wrong("ran-unsaid")]}`}),
		mutant("start-failures-unsaid", "does not say that an actor could not start", "GERR-06", behind(
			"start-failures-unsaid", route+"start.go", `e := startFailed(cause)`, `e = wire.ActionOutcomeUnknown.New()`,
		)),
		mutant("failed-creations-kept", "keeps an actor whose creation failed", "GERR-06",
			always("failed-creations-kept", route+"start.go", "\tif inc.version > 0", ` {`)),
	}
}
