package mutant

import (
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// events are mistakes in what is sent to connections.
func events() []Mutant {
	is := (*tap.Frame).GetEmit
	return []Mutant{
		{"drop-emit", "loses events", []string{"CONN-3"}, drop(is)},
		{"double-emit", "sends events twice", []string{"CONN-3"}, double(is)},
		{"emits-swapped", "sends events in another order", []string{"GATE-1", "SESS-3"}, swap(is)},
		{"event-renamed", "sends events under another name", []string{"CONN-3"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Event += "x" })},
		{"event-nameless", "sends events without a name", []string{"CONN-9"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Event = "" })},
		{"event-altered", "changes a bit of the arguments of an event", []string{"PAY-1"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Args = flipped(m.Args) },
			func(m *runnerv1alpha1.Emit) bool { return len(m.Args) > 1 })},
		{"event-no-array", "sends the argument of an event as it is, not as an array", []string{"PAY-1"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Args = m.Args[1:] },
			func(m *runnerv1alpha1.Emit) bool { return len(m.Args) > 1 && m.Args[0] == 0x81 })},
		{"send-as-broadcast", "broadcasts what is for one connection", []string{"CONN-3"}, alter(is, func(m *runnerv1alpha1.Emit) { m.To = nil })},
		{"broadcast-to-all", "broadcasts to connections that have not subscribed, too", []string{"CONN-3"}, alter(is, func(m *runnerv1alpha1.Emit) { m.All = true },
			func(m *runnerv1alpha1.Emit) bool { return len(m.To) == 0 })},
		{"unreliable-as-reliable", "does not say that an event is unreliable", []string{"CONN-11"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Unreliable = false })},
		{"reliable-as-unreliable", "calls every event unreliable", []string{"CONN-11"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Unreliable = true })},
		{"emit-of-another-actor", "sends events of another actor", []string{"LINK-9"}, alter(is, func(m *runnerv1alpha1.Emit) { m.Actor += elsewhere })},
		{"emit-behind-result", "sends an event after the result of the action that sent it", []string{"GATE-1", "SESS-3"}, late(is, isResult)},
		{"emit-outside-group", "sends events before the commit that covers them", []string{"GATE-5"}, emitFirst},
	}
}

func isResult(f *tap.Frame) bool { return f.GetCallResult() != nil }

// emitFirst sends a commit that announces outputs behind the first of them.
func emitFirst() tap.Tap {
	held := map[uint64]*tap.Frame{}
	return fromRunner(func(f *tap.Frame) []*tap.Frame {
		actor := tap.Actor(f)
		if m := f.GetCommit(); m != nil && m.Outputs > 1 {
			held[actor] = f
			return nil
		}
		commit := held[actor]
		if commit == nil || tap.IsLink(f) {
			return []*tap.Frame{f}
		}
		delete(held, actor)
		if f.GetEmit() != nil {
			return []*tap.Frame{f, commit}
		}
		return []*tap.Frame{commit, f}
	})
}

func emit(m *runnerv1alpha1.Emit) *tap.Frame {
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_Emit{Emit: m}}
}
