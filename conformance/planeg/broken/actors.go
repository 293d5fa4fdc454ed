package broken

// Where the changed packages are.
const (
	gate    = "gateway/gate/"
	link    = "gateway/link/"
	route   = "gateway/route/"
	place   = "gateway/place/"
	session = "gateway/session/"
	api     = "gateway/api/"
	state   = "internal/linkstate/"
	wire    = "internal/wire/"
)

// gates are mistakes of the output gate: of what leaves, when and in which order.
func gates() []Mutant {
	return []Mutant{
		mutant("results-unheld", "lets results leave before the commit that covers them", "GGATE-01 GGATE-05", patch{
			route + "incarnation.go",
			"func (inc *incarnation) take(msg any, state frameState) (kept bool) {\n",
			"func (inc *incarnation) take(msg any, state frameState) (kept bool) {\n" +
				"\tif unheld(msg) { inc.effect(msg); return false }\n",
		}),
		mutant("events-unheld", "lets events leave before the commit that covers them", "GCRD-01"),
		mutant("closes-unheld", "closes connections before the commit that covers it", "GGATE-07"),
		mutant("states-unheld", "takes a connection's state before the commit that covers it", "GGATE-08"),
		mutant("fences-overtake", "answers an actor's fence before the commits that came before it", "GGATE-10"),
		mutant("groups-unawaited", "gives a commit to the store before its group is complete", "GGATE-01 GGATE-02 GGATE-06", patch{
			gate + "gate.go",
			`return g.open && g.missing == 0`,
			`return g.open && (g.missing == 0 || wrong("groups-unawaited"))`,
		}),
		mutant("reads-in-groups", "counts reads as outputs of a group", "GGATE-06",
			patch{gate + "gate.go", `if output && g.missing > 0 {`, `if (output || wrong("reads-in-groups")) && g.missing > 0 {`}),
		mutant("outputs-reversed", "releases the outputs of a group with the last one first", "GGATE-04 GGATE-05", behind(
			"outputs-reversed", gate+"gate.go",
			`group, behind = g.group, g.behind`,
			`for i, j := 0, len(group)-1; i < j; i, j = i+1, j-1 { group[i], group[j] = group[j], group[i] }`,
		)),
		mutant("unchanged-delayed", "holds back an answer without change until there is a commit", "GGATE-03", patch{
			route + "incarnation.go",
			"\tcase inc.gate.Passes():\n",
			"\tcase inc.gate.Passes() && wrong(\"unchanged-delayed\") && isResult(msg):\n\t\treturn false\n\tcase inc.gate.Passes():\n",
		}),
		mutant("commits-unwritten", "acknowledges commits that no store has", "GGATE-09 GLIFE-05", patch{
			route + "commit.go",
			"\tinc.write()\n}\n\n",
			"\tif wrong(\"commits-unwritten\") && inc.version > 0 { inc.committedLocked(nil); return }\n\tinc.write()\n}\n\n",
		}),
	}
}

// fencing are mistakes with what an actor's runner may not do.
func fencing() []Mutant {
	return []Mutant{
		mutant("versions-unchecked", "leaves it to the store whether a commit's version fits", "GFNC-01",
			never("versions-unchecked", route+"commit.go", `if m.Version != inc.version+1 && !repeated`, ` {`)),
		mutant("stray-answers-ignored", "ignores answers to what nobody asked", "GFNC-02 GFNC-08",
			unless("stray-answers-ignored", route+"call.go", `inc.violation("an answer to nothing")`)),
		mutant("second-commits-ignored", "ignores a commit while one is open", "GFNC-03",
			unless("second-commits-ignored", route+"commit.go", `inc.violation(gate.ErrOpen.Error())`)),
		mutant("unreadable-changes-taken", "takes changes that it cannot read for none", "GFNC-04", behind(
			"unreadable-changes-taken", route+"commit.go",
			`changes, err := wire.DecodeChanges(c.changes)`,
			`if err != nil { changes, err = &runnerv1alpha1.Changes{}, nil }`,
		)),
		mutant("damage-ignored", "ignores messages that are damaged inside", "GFNC-05",
			unless("damage-ignored", link+"receive.go", `m.to.actor.Malformed(m.err)`)),
		mutant("damage-costs-the-link", "ends the link for a message that is damaged inside", "GFNC-05", patch{
			link + "receive.go",
			"l.cfg.Stats.FramesMalformed.Inc()\n\t}\n\tif m.ref == 0 {",
			"l.cfg.Stats.FramesMalformed.Inc()\n\t}\n\tif m.ref == 0 || wrong(\"damage-costs-the-link\") {",
		}),
		mutant("second-ready-ignored", "ignores a second ActorReady", "GFNC-06",
			unless("second-ready-ignored", route+"output.go", `inc.violation("ActorReady when it was not starting")`)),
		mutant("parts-unbounded", "puts together whatever comes in parts", "GFNC-07",
			patch{link + "parts.go", `frame, err = o.Add(m, p.limit)`, `frame, err = o.Add(m, map[bool]int{false: p.limit, true: 1 << 30}[wrong("parts-unbounded")])`},
			patch{link + "parts.go", `case int(p.held.Load())+o.charge() > max(p.limit, minPart):`, `case int(p.held.Load())+o.charge() > max(p.limit, minPart) && !wrong("parts-unbounded"):`},
		),
		mutant("old-generations-heard", "hears what an earlier generation of an actor says", "GFNC-09",
			unless("old-generations-heard", link+"link.go", `delete(l.actors, b.Ref)`),
			patch{route + "incarnation.go", "\tif inc.actor.inc != inc || inc.ending != nil {\n\t\treturn false\n\t}\n\treturn inc.take(msg, fresh)", "\tif (inc.actor.inc != inc || inc.ending != nil) && !wrong(\"old-generations-heard\") {\n\t\treturn false\n\t}\n\treturn inc.take(msg, fresh)"},
		),
		mutant("stops-unbounded", "waits for an actor's end as long as it takes", "GFNC-10",
			unless("stops-unbounded", route+"stop.go", `inc.clock = time.AfterFunc(grace, inc.stopTimedOut)`)),
	}
}

// credits are mistakes with the credit for events.
func credits() []Mutant {
	return []Mutant{
		mutant("overdrafts-taken", "takes events beyond the credit of their actor", "GCRD-01",
			never("overdrafts-taken", link+"credit.go", `if err := m.to.window.Take(m.cost); err != nil`, ` {`)),
		mutant("credit-kept", "gives no credit back", "GCRD-02",
			never("credit-kept", link+"credit.go", `if offset, tell := w.Release(cost); tell`, ` {`)),
		mutant("credit-doubled", "gives more credit back than was used", "GCRD-02",
			patch{link + "credit.go", `if offset, tell := w.Release(cost); tell`, `if wrong("credit-doubled") { cost *= 4 }; if offset, tell := w.Release(cost); tell`}),
	}
}
