package model

import (
	"fmt"

	"pgregory.net/rapid"
)

// Step is one step of a case, as YAML has it.
type Step map[string]any

// Scope says what a campaign may do.
type Scope struct {
	// Steps is the most that happens in one case.
	Steps int
	// Serial: turns of an actor do not interleave, so that calls sent together have one outcome.
	Serial bool
	// Cuts: sockets break, and sessions are resumed.
	Cuts bool
	// Kills: the runner's process is killed. Each case then has one of its own.
	Kills bool
}

// script is a case in the making, with what its actors must be.
type script struct {
	t      *rapid.T
	scope  Scope
	steps  []Step
	actors []*hosted
	calls  int
	starts int
}

// hosted is an actor and the variable that it has now.
type hosted struct {
	*actor
	variable string
}

const maxActors = 3

// draw makes the steps of a case.
func draw(t *rapid.T, scope Scope) []Step {
	s := &script{t: t, scope: scope}
	s.create()
	for range rapid.IntRange(1, scope.Steps).Draw(t, "steps") {
		s.next()
	}
	s.settle()
	return s.steps
}

func (s *script) add(step Step) { s.steps = append(s.steps, step) }

func (s *script) next() {
	does := []func(){s.call, s.call, s.call, s.call, s.memory, s.sleep, s.late, s.store}
	if len(s.actors) < maxActors {
		does = append(does, s.create)
	}
	if s.scope.Serial {
		does = append(does, s.together)
	}
	if s.scope.Cuts {
		does = append(does, s.cut)
	}
	if s.scope.Kills {
		does = append(does, s.kill)
	}
	does[rapid.IntRange(0, len(does)-1).Draw(s.t, "step")]()
}

func (s *script) create() {
	a := &hosted{actor: newActor(nil), variable: s.variable()}
	start := Step{"actor": a.variable, "type": "interp"}
	if rapid.Bool().Draw(s.t, "with input") {
		a.value = drawValue(s.t)
		start["input"] = cbor(a.value)
	}
	s.actors = append(s.actors, a)
	s.add(Step{"start": start})
}

func (s *script) variable() string {
	s.starts++
	return fmt.Sprintf("$a%d", s.starts)
}

func (s *script) someone() *hosted {
	return s.actors[rapid.IntRange(0, len(s.actors)-1).Draw(s.t, "actor")]
}

func (s *script) call() {
	a := s.someone()
	program := drawProgram(s.t, a.value)
	s.add(Step{"call": Step{"actor": a.variable, "action": "run", "args": cbor([]any{anys(program)}), "result": a.answer(program)}})
}

// answer runs a program in the reference, and is the pattern of its result.
func (h *hosted) answer(program []op) Step {
	output, failed := h.run(program)
	if failed == nil {
		return Step{"output": cbor(output), "error": Step{"$absent": true}}
	}
	e := Step{"group": failed.group, "code": failed.code}
	if failed.message != "" {
		e["message"] = failed.message
	}
	return Step{"error": e}
}

func (s *script) memory() {
	a := s.someone()
	a.actor.memory++
	s.add(Step{"call": Step{"actor": a.variable, "action": "memory", "result": Step{"output": cbor(a.actor.memory)}}})
}

// sleep puts an actor to sleep and wakes it up: its state and keys are there, its memory is not.
func (s *script) sleep() {
	a := s.someone()
	s.add(Step{"stop": Step{"actor": a.variable, "reason": "sleep", "stopped": Step{"outcome": "slept"}}})
	s.wake(a)
}

func (s *script) wake(a *hosted) {
	old := a.variable
	a.variable, a.actor.memory = s.variable(), 0
	s.add(Step{"start": Step{"actor": a.variable, "type": "interp", "wake": old}})
}

// late acknowledges what a call commits only after the answer was due.
func (s *script) late() {
	a := s.someone()
	s.add(Step{"hold": Step{"actor": a.variable, "what": []any{"commits"}}})
	var expects []Step
	calls := 1
	if s.scope.Serial {
		calls = rapid.IntRange(1, 3).Draw(s.t, "late calls")
	}
	for range calls {
		expects = append(expects, s.begin(a))
	}
	s.add(Step{"fence": Step{}})
	s.add(Step{"release": Step{"actor": a.variable}})
	s.steps = append(s.steps, expects...)
}

// together sends several calls before the first answer; they run in order [CALL-3] [TURN-1].
func (s *script) together() {
	a := s.someone()
	var expects []Step
	var names []any
	for range rapid.IntRange(2, 4).Draw(s.t, "calls at once") {
		expect := s.begin(a)
		expect["name"] = fmt.Sprintf("answer-%d", s.calls)
		names = append(names, expect["name"])
		expects = append(expects, expect)
	}
	s.steps = append(s.steps, expects...)
	s.add(Step{"order": Step{"steps": names}})
}

// begin sends a call, and is the step that expects its answer.
func (s *script) begin(a *hosted) Step {
	s.calls++
	id := fmt.Sprintf("$c%d", s.calls)
	program := drawProgram(s.t, a.value)
	s.add(Step{"call": Step{"id": id, "actor": a.variable, "action": "run", "args": cbor([]any{anys(program)})}})
	pattern := a.answer(program)
	pattern["id"] = id
	return Step{"expect": Step{"callResult": pattern}}
}

// cut breaks the socket, half of the time under a call; the session goes on over another one [LINK-16].
func (s *script) cut() {
	var expects []Step
	if rapid.Bool().Draw(s.t, "under a call") {
		expects = append(expects, s.begin(s.someone()))
	}
	s.add(Step{"link": Step{"cut": true}})
	s.add(Step{"connect": Step{}})
	s.steps = append(s.steps, expects...)
}

// kill ends the process; what was acknowledged is there in the next one.
func (s *script) kill() {
	s.add(Step{"process": Step{"signal": "KILL"}})
	s.add(Step{"process": Step{"exited": Step{"failure": true}}})
	s.add(Step{"process": Step{"start": true}})
	s.add(Step{"connect": Step{}})
	for _, a := range s.actors {
		s.wake(a)
	}
}

// store compares what was acknowledged with the reference.
func (s *script) store() { s.stored(s.someone()) }

func (s *script) stored(a *hosted) {
	s.add(Step{"fence": Step{"actor": a.variable}})
	look := Step{"actor": a.variable, "state": cbor(Step{"v": a.value})}
	entries := []any{}
	for _, e := range a.list("") {
		entry := e.([]any)
		entries = append(entries, Step{"key": Step{"text": entry[0]}, "value": Step{"text": entry[1]}})
	}
	if len(entries) > 0 {
		look["kv"] = entries
	} else {
		look["noKv"] = true
	}
	s.add(Step{"stored": look})
}

func (s *script) settle() {
	for _, a := range s.actors {
		s.stored(a)
	}
}

func cbor(v any) Step { return Step{"cbor": v} }

func anys(program []op) []any {
	var list []any
	for _, o := range program {
		list = append(list, []any(o))
	}
	return list
}
