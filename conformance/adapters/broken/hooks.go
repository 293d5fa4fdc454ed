package broken

// hooks are mistakes with what runs when an actor begins and ends.
func hooks() []Mutant {
	forgets := func(name, hook string) []patch {
		return []patch{unless(name, app+"plain.go", `runner.`+hook)}
	}
	return []Mutant{
		{"forgets-on-create", "does not run onCreate", []string{"LIFE-2"}, forgets("forgets-on-create", `OnCreate(t, hook("onCreate"))`)},
		{"forgets-create-vars", "does not run createVars", []string{"LIFE-2"}, forgets("forgets-create-vars", `CreateVars(t, hook("createVars"))`)},
		{"forgets-on-wake", "does not run onWake", []string{"LIFE-2"}, forgets("forgets-on-wake", `OnWake(t, hook("onWake"))`)},
		{"forgets-on-sleep", "does not run onSleep", []string{"SLEEP-2"}, forgets("forgets-on-sleep", `OnSleep(t, hook("onSleep"))`)},
		{"forgets-on-destroy", "does not run onDestroy", []string{"LIFE-6"}, forgets("forgets-on-destroy", `OnDestroy(t, hook("onDestroy"))`)},
		{"forgets-run", "does not start run", []string{"LIFE-2"}, forgets("forgets-run", `Run(t, (*lifecycle).run)`)},
		{"on-create-at-each-start", "runs onCreate when an actor wakes up, too", []string{"LIFE-2"}, []patch{{
			sdk + "start.go",
			"return in.wakeState(m.State)",
			"err := in.wakeState(m.State); if err == nil && wrong(\"on-create-at-each-start\") { err = in.callHook(in.def.onCreate, t) }; return err",
		}}},
		{"on-wake-before-create-vars", "runs onWake before createVars", []string{"LIFE-2"}, []patch{{
			sdk + "start.go",
			`for _, hook := range []hook{in.def.createVars, in.def.onWake} {`,
			`hooks := []hook{in.def.createVars, in.def.onWake}; if wrong("on-wake-before-create-vars") { hooks[0], hooks[1] = hooks[1], hooks[0] }; for _, hook := range hooks {`,
		}}},
		{"start-errors-swallowed", "is ready although a start hook has failed", []string{"LIFE-3"}, []patch{first(
			"start-errors-swallowed", app+"plain.go",
			`return cmp.Or(write(l.KV(), &l.State().Seq, name), l.View().Plans[name].follow(ctx, name, l, nil))`,
			`_ = write(l.KV(), &l.State().Seq, name); _ = l.View().Plans[name].follow(ctx, name, l, nil); return nil`,
		)}},
		{"sleep-fails-with-on-sleep", "does not go to sleep where onSleep has failed", []string{"SLEEP-2"}, []patch{{
			sdk + "sleep.go",
			"return in.callHook(in.def.onSleep, t) }); err != nil {",
			"return in.callHook(in.def.onSleep, t) }); err != nil { if wrong(\"sleep-fails-with-on-sleep\") { in.mu.Lock(); in.closing = false; in.mu.Unlock(); return }",
		}}},
		{"never-sleeps", "does not ask to sleep", []string{"SLEEP-1"}, []patch{{
			app + "plain.go",
			`runner.WithSleepAfter(300*time.Millisecond))`,
			`runner.WithSleepAfter(300*time.Millisecond), func() runner.Option { if wrong("never-sleeps") { return runner.WithStayAwake() }; return runner.WithSleepAfter(300*time.Millisecond) }())`,
		}}},
		{"keep-awake-ignored", "asks to sleep while it is kept awake", []string{"SLEEP-1"}, []patch{behind(
			"keep-awake-ignored", app+"kit.go",
			`release := a.KeepAwake()`,
			`release()`,
		)}},
		{"wait-until-keeps-awake", "does not ask to sleep while a stop would wait for something", []string{"SLEEP-1"}, []patch{{
			sdk + "sleep.go",
			`return !in.working && in.head == nil && in.holds == 0 &&`,
			`return !(wrong("wait-until-keeps-awake") && in.rim != nil && in.rim.tasks > 0) && !in.working && in.head == nil && in.holds == 0 &&`,
		}}},
		{"ready-before-waiting", "says that an actor is ready while what its hooks have changed waits", []string{"LINK-20"}, []patch{{
			sdk + "start.go",
			`in.say(wire.Runner(&runnerv1alpha1.ActorReady{Actor: in.ref}))`,
			`if ready := wire.Runner(&runnerv1alpha1.ActorReady{Actor: in.ref}); wrong("ready-before-waiting") { in.push(ready) } else { in.say(ready) }`,
		}}},
		{"run-sleeps", "asks to sleep while run goes on", []string{"SLEEP-1"}, []patch{{
			sdk + "sleep.go",
			`in.idle() && !in.runs()`,
			`in.idle() && (wrong("run-sleeps") || !in.runs())`,
		}}},
		{"wish-waits-for-run", "keeps the actor's own wish to sleep back until run is over", []string{"SLEEP-1"}, []patch{{
			sdk + "sleep.go",
			`if in.wantsSleep && in.ready`,
			`if !(wrong("wish-waits-for-run") && in.runs()) && in.wantsSleep && in.ready`,
		}}},
	}
}
