package mutant

import (
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// connections are mistakes in how connections are opened, kept and closed.
func connections() []Mutant {
	is, state, open := (*tap.Frame).GetConnectionClose, (*tap.Frame).GetConnectionState, (*tap.Frame).GetConnectionOpen
	result := (*tap.Frame).GetCallResult
	restored := func(m *runnerv1alpha1.ConnectionOpen) bool { return m.Restored }
	return []Mutant{
		{"open-unanswered", "does not answer opens", []string{"CONN-1", "CALL-1"}, answers(opened, drop(result))},
		{"open-answered-twice", "answers opens twice", []string{"LINK-9"}, answers(opened, double(result))},
		{"open-always-accepted", "accepts connections that the actor refuses", []string{"CONN-2"}, answers(opened, alter(result, func(m *runnerv1alpha1.CallResult) { m.Error = nil }))},
		{"refusal-code-lost", "refuses connections with a code of its own", []string{"CONN-2"}, answers(opened, alter(result, func(m *runnerv1alpha1.CallResult) {
			m.Error.Group, m.Error.Code = "connection", "rejected"
		}, func(m *runnerv1alpha1.CallResult) bool { return m.Error != nil }))},
		{"params-lost", "opens connections without their params", []string{"CONN-1"}, mishear(open, func(m *runnerv1alpha1.ConnectionOpen) { m.Params = nil })},
		{"restored-as-new", "runs the hooks of an open for connections that are restored", []string{"CONN-6"}, mishear(open, func(m *runnerv1alpha1.ConnectionOpen) { m.Restored = false }, restored)},
		{"restored-without-state", "restores connections without their state", []string{"CONN-6"}, mishear(open, func(m *runnerv1alpha1.ConnectionOpen) { m.State = nil }, restored)},
		{"restored-answered", "answers the open of connections that are restored", []string{"CONN-6", "LINK-9"}, restoredAnswered},
		{"ignores-disconnect", "does not run onDisconnect when a client leaves", []string{"CONN-4"}, deaf(is)},
		{"drop-connection-close", "does not close connections that the actor disconnects", []string{"CONN-4"}, drop(is)},
		{"double-connection-close", "closes connections twice", []string{"CONN-4"}, double(is)},
		{"close-of-another", "closes another connection", []string{"CONN-4"}, alter(is, func(m *runnerv1alpha1.ConnectionClose) { m.Connection += elsewhere })},
		{"close-reason-lost", "does not say why it closes a connection", []string{"CONN-4"}, alter(is, func(m *runnerv1alpha1.ConnectionClose) { m.Reason = "" })},
		{"close-code-altered", "closes a connection with a code that only a gateway may send", []string{"CONN-4", "ERR-2"}, alter(is, func(m *runnerv1alpha1.ConnectionClose) { m.Code = "connection.too_many" })},
		{"drop-connection-state", "does not tell the state of connections", []string{"CONN-6"}, drop(state)},
		{"connection-state-altered", "changes a bit of a connection's state", []string{"CONN-6"}, alter(state, func(m *runnerv1alpha1.ConnectionState) { m.State = flipped(m.State) },
			func(m *runnerv1alpha1.ConnectionState) bool { return len(m.State) > 0 })},
		{"state-of-another", "tells the state of another connection", []string{"CONN-6"}, alter(state, func(m *runnerv1alpha1.ConnectionState) { m.Connection += elsewhere })},
	}
}

func opened(f *tap.Frame) (uint64, bool) {
	m := f.GetConnectionOpen()
	return m.GetCall(), m != nil && !m.Restored
}

// restoredAnswered answers restored opens, which ask for nothing, before the actor's next frame.
func restoredAnswered() tap.Tap {
	owed := map[uint64][]*tap.Frame{}
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetConnectionOpen(); m != nil && m.Restored {
				owed[m.Actor] = append(owed[m.Actor], &tap.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: m.Actor, Id: m.Call}}})
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			actor := tap.Actor(f)
			out := append(owed[actor], f)
			delete(owed, actor)
			return tap.Out{Gateway: out}
		},
	}
}
