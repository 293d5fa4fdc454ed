package mutant

import (
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// elsewhere is added to a ref, id or nonce to make it one that nobody gave.
const elsewhere = 1 << 40

// life are mistakes in how actors begin and end.
func life() []Mutant {
	ready, stopped, intent := (*tap.Frame).GetActorReady, (*tap.Frame).GetActorStopped, (*tap.Frame).GetActorIntent
	start := (*tap.Frame).GetStartActor
	return []Mutant{
		{"drop-actor-ready", "does not say that an actor is ready", []string{"LIFE-2"}, drop(ready)},
		{"double-actor-ready", "says twice that an actor is ready", []string{"LINK-9"}, double(ready)},
		{"ready-of-another", "says it of an actor that nobody started", []string{"LIFE-9"}, alter(ready, func(m *runnerv1alpha1.ActorReady) { m.Actor += elsewhere })},
		{"ready-before-commit", "says that an actor is ready before it commits the creation", []string{"LIFE-2", "STATE-1"}, late((*tap.Frame).GetCommit, is(ready), func(m *runnerv1alpha1.Commit) bool {
			return m.Version == 1
		})},
		{"ready-behind-result", "answers a call before it says that the actor is ready", []string{"LIFE-2"}, late(ready, is((*tap.Frame).GetCallResult))},
		{"drop-actor-stopped", "does not say that an actor has stopped", []string{"SLEEP-2"}, drop(stopped)},
		{"double-actor-stopped", "says twice that an actor has stopped", []string{"LIFE-9"}, double(stopped)},
		{"slept-as-crashed", "calls an actor crashed that slept", []string{"SLEEP-2"}, outcome(runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT, runnerv1alpha1.StopOutcome_STOP_OUTCOME_CRASHED)},
		{"destroyed-as-slept", "calls an actor asleep that was destroyed", []string{"LIFE-6"}, outcome(runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED, runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT)},
		{"fenced-as-slept", "calls an actor asleep that was fenced", []string{"LIFE-10", "COMMIT-5"}, outcome(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT)},
		{"start-failed-as-slept", "calls an actor asleep whose start failed", []string{"LIFE-3"}, outcome(runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED, runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT)},
		{"start-failed-without-error", "does not say why a start failed", []string{"LIFE-3"}, alter(stopped, func(m *runnerv1alpha1.ActorStopped) { m.Error = nil })},
		{"ready-then-failed", "says of an actor whose start failed that it is ready", []string{"LIFE-3"}, before(stopped, func(m *runnerv1alpha1.ActorStopped) *tap.Frame {
			return &tap.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: m.Actor}}}
		}, func(m *runnerv1alpha1.ActorStopped) bool {
			return m.Outcome == runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED
		})},
		{"result-behind-stopped", "answers a call after the actor has stopped", []string{"LIFE-10", "SLEEP-3"}, onceTold(is((*tap.Frame).GetStopActor), late((*tap.Frame).GetCallResult, is(stopped)))},
		{"commit-behind-stopped", "makes the final commit after the actor has stopped", []string{"SLEEP-2", "SLEEP-3"}, onceTold(is((*tap.Frame).GetStopActor), late((*tap.Frame).GetCommit, is(stopped)))},
		{"talks-when-stopped", "sends events of an actor that has stopped", []string{"LIFE-9"}, after(stopped, func(m *runnerv1alpha1.ActorStopped) *tap.Frame {
			return emit(&runnerv1alpha1.Emit{Actor: m.Actor, Event: "tick", Args: []byte{0x80}})
		})},
		{"drop-actor-intent", "never asks to sleep", []string{"SLEEP-1"}, drop(intent)},
		{"intent-inverted", "asks to be destroyed where it means to sleep, and the other way round", []string{"SLEEP-1", "LIFE-6"}, alter(intent, func(m *runnerv1alpha1.ActorIntent) {
			if m.Intent == runnerv1alpha1.Intent_INTENT_SLEEP {
				m.Intent = runnerv1alpha1.Intent_INTENT_DESTROY
			} else {
				m.Intent = runnerv1alpha1.Intent_INTENT_SLEEP
			}
		})},
		{"sleeps-at-once", "asks to sleep as soon as the actor is ready", []string{"SLEEP-1"}, after(ready, func(m *runnerv1alpha1.ActorReady) *tap.Frame {
			return &tap.Frame{Kind: &runnerv1alpha1.Frame_ActorIntent{ActorIntent: &runnerv1alpha1.ActorIntent{Actor: m.Actor, Intent: runnerv1alpha1.Intent_INTENT_SLEEP}}}
		})},
		{"ignores-stop", "does not stop actors that are to stop", []string{"SLEEP-2"}, deaf((*tap.Frame).GetStopActor)},
		{"destroy-as-sleep", "puts an actor to sleep that is to be destroyed", []string{"LIFE-6"}, mishear((*tap.Frame).GetStopActor, func(m *runnerv1alpha1.StopActor) {
			m.Reason = runnerv1alpha1.StopReason_STOP_REASON_SLEEP
		}, reason(runnerv1alpha1.StopReason_STOP_REASON_DESTROY))},
		{"fence-as-sleep", "runs onSleep, and commits, in an actor that was fenced", []string{"LIFE-10", "COMMIT-5"}, mishear((*tap.Frame).GetStopActor, func(m *runnerv1alpha1.StopActor) {
			m.Reason = runnerv1alpha1.StopReason_STOP_REASON_SLEEP
		}, reason(runnerv1alpha1.StopReason_STOP_REASON_FENCED))},
		{"recreates-on-wake", "creates an actor anew that wakes up", []string{"LIFE-2", "STATE-1"}, mishear(start, func(m *runnerv1alpha1.StartActor) {
			m.Create, m.State, m.Version = true, nil, 0
		}, woken)},
		{"wakes-with-version-0", "counts the versions of an actor that wakes up from the beginning", []string{"COMMIT-2"}, mishear(start, func(m *runnerv1alpha1.StartActor) { m.Version = 0 }, woken)},
		{"wakes-with-old-state", "wakes an actor up with the state that it was created with", []string{"STATE-1"}, oldState},
		{"input-lost", "creates an actor without its input", []string{"LIFE-4"}, mishear(start, func(m *runnerv1alpha1.StartActor) { m.Input = nil })},
		{"key-lost", "does not tell an actor its key", []string{"ADDR-2"}, mishear(start, func(m *runnerv1alpha1.StartActor) { m.Key = nil })},
		{"gone-forgotten", "does not handle connections that left while nobody hosted the actor", []string{"CONN-7"}, mishear(start, func(m *runnerv1alpha1.StartActor) { m.GoneConnections = nil })},
	}
}

func outcome(from, to runnerv1alpha1.StopOutcome) rule {
	return alter((*tap.Frame).GetActorStopped, func(m *runnerv1alpha1.ActorStopped) { m.Outcome = to },
		func(m *runnerv1alpha1.ActorStopped) bool { return m.Outcome == from })
}

func reason(r runnerv1alpha1.StopReason) which[runnerv1alpha1.StopActor] {
	return func(m *runnerv1alpha1.StopActor) bool { return m.Reason == r }
}

func woken(m *runnerv1alpha1.StartActor) bool { return m.Version > 0 }

// oldState gives an actor that wakes up the state of its first commit.
func oldState() tap.Tap {
	refs, first := map[uint64]string{}, map[string][]byte{}
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetStartActor(); m != nil {
				refs[m.Actor] = m.Id
				if old := first[m.Id]; m.Version > 0 && old != nil {
					f = tap.Clone(f)
					f.GetStartActor().State = old
				}
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetCommit(); m != nil && m.Version == 1 {
				if c, err := decodeChanges(m.Changes); err == nil {
					first[refs[m.Actor]] = c.State
				}
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
	}
}
