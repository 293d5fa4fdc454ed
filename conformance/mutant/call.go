package mutant

import (
	"slices"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// calls are mistakes in how calls are run and answered.
func calls() []Mutant {
	is := (*tap.Frame).GetCallResult
	return append([]Mutant{
		{"drop-call-result", "does not answer calls", []string{"CALL-1"}, drop(is)},
		{"double-call-result", "answers calls twice", []string{"CALL-1", "LINK-9"}, double(is)},
		{"result-of-another-call", "answers under an id that nobody gave", []string{"CALL-1", "LINK-9"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Id += elsewhere })},
		{"result-of-another-actor", "answers for another actor", []string{"LINK-9"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Actor += elsewhere })},
		{"answers-nothing", "answers a call that nobody made, behind each that somebody did", []string{"LINK-9"}, after(is, func(m *runnerv1alpha1.CallResult) *tap.Frame {
			return &tap.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: m.Actor, Id: m.Id + elsewhere, Output: m.Output}}}
		})},
		{"results-swapped", "answers the calls of an actor in another order than it ran them", []string{"CALL-3", "GATE-1"}, resultsSwapped},
		{"results-crossed", "gives each of two calls of an actor the other's answer", []string{"CALL-1"}, resultsCrossed},
		{"output-altered", "changes a bit of what an action returned", []string{"PAY-1"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Output = flipped(m.Output) }, hasOutput)},
		{"output-lost", "answers without what the action returned", []string{"PAY-3"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Output = nil }, hasOutput)},
		{"null-for-nothing", "answers null where an action returned nothing", []string{"PAY-3"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Output = []byte{0xf6} },
			func(m *runnerv1alpha1.CallResult) bool { return m.Output == nil && m.Error == nil })},
		{"output-trailing", "sends a byte too many behind an output", []string{"PAY-4"}, alter(is, func(m *runnerv1alpha1.CallResult) { m.Output = append(slices.Clone(m.Output), 0) }, hasOutput)},
		{"oneway-output", "returns the output of calls for which nobody waits", []string{"CALL-1"}, answers(oneway, alter(is, func(m *runnerv1alpha1.CallResult) { m.Output = []byte{0xf6} }))},
		{"oneway-unanswered", "does not answer calls for which nobody waits", []string{"CALL-1"}, answers(oneway, drop(is))},
		{"canceled-unanswered", "does not answer canceled calls", []string{"CALL-1", "CALL-5"}, answers(canceled, drop(is))},
		{"canceled-twice", "answers canceled calls twice", []string{"CALL-1"}, answers(canceled, double(is))},
		{"ignores-cancel", "does not tell an action that its call was canceled", []string{"CALL-5"}, deaf((*tap.Frame).GetCancelCall)},
		{"deadline-unread", "lets actions run on behind their deadline", []string{"CALL-4"}, mishear((*tap.Frame).GetCall, func(m *runnerv1alpha1.Call) { m.DeadlineMs = 0 })},
		{"runs-twice", "runs each call twice", []string{"CALL-1"}, runsTwice},
		{"arguments-lost", "runs an action without its arguments", []string{"PAY-1"}, mishear((*tap.Frame).GetCall, func(m *runnerv1alpha1.Call) { m.Args = []byte{0x80} })},
		{"caller-lost", "does not tell an action on which connection it was called", []string{"CALL-8"}, mishear((*tap.Frame).GetCall, func(m *runnerv1alpha1.Call) { m.Connection = 0 })},
	}, callErrors()...)
}

// callErrors are mistakes in the errors of answers.
func callErrors() []Mutant {
	return []Mutant{
		{"error-lost", "answers a call that failed as if it had not", []string{"CALL-1", "ERR-3"}, alter((*tap.Frame).GetCallResult, func(m *runnerv1alpha1.CallResult) { m.Error = nil })},
		{"error-code-altered", "changes the code of a user's error", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Code += "x" }, user)},
		{"error-message-altered", "changes the message of a user's error", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Message += "!" }, user)},
		{"error-metadata-lost", "loses the metadata of a user's error", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Metadata = nil }, user)},
		{"error-retryable-inverted", "calls a user's error retryable that is not, and the other way round", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Retryable = !e.Retryable }, user)},
		{"error-as-internal", "makes an internal error of a user's error", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Group, e.Code, e.Metadata = "internal", "error", nil }, user)},
		{"internal-as-user", "makes a user's error of an internal error", []string{"ERR-3"}, wrongError(func(e *commonv1alpha1.Error) { e.Group = "user" }, group("internal"))},
		{"error-not-registered", "sends an error that is not in the registry", []string{"ERR-1", "ERR-2"}, wrongError(func(e *commonv1alpha1.Error) { e.Group, e.Code = "runner", "oops" }, anyError)},
		{"error-of-the-gateway", "sends an error that only a gateway may send", []string{"ERR-2"}, wrongError(func(e *commonv1alpha1.Error) { e.Group, e.Code = "actor", "not_found" }, anyError)},
		{"error-without-ran", "does not say of a failed call whether it ran", []string{"ERR-4"}, wrongError(func(e *commonv1alpha1.Error) { e.Ran = commonv1alpha1.Ran_RAN_UNSPECIFIED }, anyError)},
		{"ran-claimed", "says of a call that never began that it ran", []string{"ERR-4", "CALL-11"}, wrongError(func(e *commonv1alpha1.Error) { e.Ran = commonv1alpha1.Ran_RAN_YES }, ranNo)},
		{"ran-denied", "says of a failed call that it did not run", []string{"ERR-4"}, wrongError(func(e *commonv1alpha1.Error) { e.Ran = commonv1alpha1.Ran_RAN_NO }, ranYes)},
		{"not-run-claimed", "says of a call that failed that another runner may run it", []string{"CALL-9", "CALL-7"}, alter((*tap.Frame).GetCallResult, func(m *runnerv1alpha1.CallResult) { m.NotRun = true },
			func(m *runnerv1alpha1.CallResult) bool { return m.Error != nil })},
		{"not-run-lost", "does not say of a call that another runner may run it", []string{"LIFE-9", "CALL-7"}, alter((*tap.Frame).GetCallResult, func(m *runnerv1alpha1.CallResult) { m.NotRun = false })},
	}
}

func hasOutput(m *runnerv1alpha1.CallResult) bool { return len(m.Output) > 0 }

func user(e *commonv1alpha1.Error) bool { return e.Group == "user" }

func group(name string) which[commonv1alpha1.Error] {
	return func(e *commonv1alpha1.Error) bool { return e.Group == name }
}

func anyError(*commonv1alpha1.Error) bool { return true }

func ranNo(e *commonv1alpha1.Error) bool { return e.Ran == commonv1alpha1.Ran_RAN_NO }

// ranYes: what is not said follows from the code, and most codes of a runner mean that it ran.
func ranYes(e *commonv1alpha1.Error) bool { return e.Ran != commonv1alpha1.Ran_RAN_NO }

func wrongError(change func(*commonv1alpha1.Error), of which[commonv1alpha1.Error]) rule {
	return alter((*tap.Frame).GetCallResult, func(m *runnerv1alpha1.CallResult) { change(m.Error) },
		func(m *runnerv1alpha1.CallResult) bool { return m.Error != nil && of(m.Error) })
}

func oneway(f *tap.Frame) (uint64, bool) { return f.GetCall().GetId(), f.GetCall().GetOneway() }

func canceled(f *tap.Frame) (uint64, bool) {
	return f.GetCancelCall().GetId(), f.GetCancelCall() != nil
}

// flipped is b with the lowest bit of its last byte inverted: of CBOR's small integers, texts and bytes another value, still
// well-formed.
func flipped(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// openCalls counts the unanswered calls of actors, by ref.
type openCalls map[uint64]int

func (o openCalls) told(f *tap.Frame) tap.Out {
	if m := f.GetCall(); m != nil {
		o[m.Actor]++
	}
	return tap.Out{Runner: []*tap.Frame{f}}
}

// resultsSwapped holds an answer back while another call of the actor is open, until that one is answered.
func resultsSwapped() tap.Tap {
	open, held := openCalls{}, map[uint64]*tap.Frame{}
	return tap.Tap{ToRunner: open.told, FromRunner: func(f *tap.Frame) tap.Out {
		m := f.GetCallResult()
		if m == nil {
			return tap.Out{Gateway: []*tap.Frame{f}}
		}
		open[m.Actor]--
		first := held[m.Actor]
		switch {
		case first != nil:
			delete(held, m.Actor)
			return tap.Out{Gateway: []*tap.Frame{f, first}}
		case open[m.Actor] > 0:
			held[m.Actor] = f
			return tap.Out{}
		}
		return tap.Out{Gateway: []*tap.Frame{f}}
	}}
}

// resultsCrossed does so, and exchanges the ids too.
func resultsCrossed() tap.Tap {
	swapped := resultsSwapped()
	return tap.Tap{ToRunner: swapped.ToRunner, FromRunner: func(f *tap.Frame) tap.Out {
		out := swapped.FromRunner(f)
		if len(out.Gateway) == 2 {
			a, b := tap.Clone(out.Gateway[0]), tap.Clone(out.Gateway[1])
			a.GetCallResult().Id, b.GetCallResult().Id = b.GetCallResult().Id, a.GetCallResult().Id
			out.Gateway = []*tap.Frame{b, a}
		}
		return out
	}}
}

// runsTwice gives the runner each call a second time under another id, whose answer nobody sees.
func runsTwice() tap.Tap {
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if f.GetCall() == nil {
				return tap.Out{Runner: []*tap.Frame{f}}
			}
			again := tap.Clone(f)
			again.GetCall().Id += elsewhere
			return tap.Out{Runner: []*tap.Frame{f, again}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetCallResult(); m != nil && m.Id >= elsewhere {
				return tap.Out{}
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
	}
}
