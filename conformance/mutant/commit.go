package mutant

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// commits are mistakes in how changes are made durable.
func commits() []Mutant {
	is := (*tap.Frame).GetCommit
	return append([]Mutant{
		{"drop-commit", "answers without committing what changed", []string{"STATE-1", "GATE-5"}, drop(is)},
		{"double-commit", "sends each commit twice", []string{"COMMIT-1"}, double(is)},
		{"commit-skips-version", "leaves out a version", []string{"COMMIT-2"}, alter(is, func(m *runnerv1alpha1.Commit) { m.Version++ })},
		{"commit-repeats-version", "uses a version again", []string{"COMMIT-1", "COMMIT-2"}, alter(is, func(m *runnerv1alpha1.Commit) { m.Version-- })},
		{"commit-while-open", "makes a second commit before the first is acknowledged", []string{"COMMIT-1"}, after(is, func(m *runnerv1alpha1.Commit) *tap.Frame {
			return &tap.Frame{Kind: &runnerv1alpha1.Frame_Commit{Commit: &runnerv1alpha1.Commit{Actor: m.Actor, Version: m.Version + 1, Changes: m.Changes}}}
		}, func(m *runnerv1alpha1.Commit) bool { return m.Outputs == 0 })},
		{"acknowledges-itself", "goes on as if each commit were acknowledged at once", []string{"COMMIT-1", "GATE-1"}, acknowledgesItself},
		{"commit-of-another-actor", "commits for another actor", []string{"LINK-9"}, alter(is, func(m *runnerv1alpha1.Commit) { m.Actor += elsewhere })},
		{"commit-counts-more", "announces more outputs than follow", []string{"GATE-2"}, alter(is, func(m *runnerv1alpha1.Commit) { m.Outputs++ })},
		{"commit-behind-outputs", "sends the outputs of a turn before the commit that covers them", []string{"GATE-1", "GATE-5"}, late(is, isOutput,
			func(m *runnerv1alpha1.Commit) bool { return m.Outputs > 0 })},
		{"commits-nothing", "commits where nothing has changed", []string{"FLUSH-3"}, commitsNothing},
		{"refusal-unread", "goes on with an actor whose commit was refused", []string{"COMMIT-5"}, gatewaySends(refusalUnread)},
	}, changes()...)
}

// changes are mistakes in what a commit says.
func changes() []Mutant {
	hasState := func(c *runnerv1alpha1.Changes) bool { return len(c.State) > 0 }
	return []Mutant{
		{"state-lost", "commits without the state that changed", []string{"STATE-1"}, change(func(c *runnerv1alpha1.Changes) { c.State = nil }, hasState)},
		{"state-altered", "changes a bit of the state", []string{"STATE-1", "PAY-1"}, change(func(c *runnerv1alpha1.Changes) { c.State = flipped(c.State) }, hasState)},
		{"state-wordy", "does not write the state in its shortest form", []string{"PAY-2"}, change(func(c *runnerv1alpha1.Changes) { c.State = wordy(c.State) }, hasState)},
		{"state-trailing", "sends a byte too many behind the state", []string{"PAY-4"}, change(func(c *runnerv1alpha1.Changes) { c.State = append(c.State, 0) }, hasState)},
		{"kv-lost", "commits without the KV operations", []string{"KV-2"}, change(func(c *runnerv1alpha1.Changes) { c.Kv = nil }, hasKV)},
		{"kv-cut-short", "commits all KV operations of a turn but the last", []string{"KV-2"}, change(func(c *runnerv1alpha1.Changes) { c.Kv = c.Kv[:len(c.Kv)-1] }, hasKV)},
		{"kv-reversed", "commits the KV operations of a turn in another order", []string{"KV-2"}, change(func(c *runnerv1alpha1.Changes) { slices.Reverse(c.Kv) }, hasKV)},
		{"kv-key-altered", "puts under another key", []string{"KV-1"}, change(func(c *runnerv1alpha1.Changes) {
			for _, op := range c.Kv {
				op.Key = append(op.Key, 'x')
			}
		}, hasKV)},
		{"kv-put-as-delete", "deletes where it is to put", []string{"KV-1", "PAY-3"}, change(func(c *runnerv1alpha1.Changes) {
			for _, op := range c.Kv {
				op.Value = nil
			}
		}, hasKV)},
		{"kv-empty-value-lost", "deletes where it is to put an empty value", []string{"KV-1", "PAY-3"}, change(func(c *runnerv1alpha1.Changes) {
			for _, op := range c.Kv {
				if len(op.Value) == 0 {
					op.Value = nil
				}
			}
		}, hasKV)},
		{"kv-range-as-key", "deletes one key where it is to delete a range", []string{"KV-1"}, change(func(c *runnerv1alpha1.Changes) {
			for _, op := range c.Kv {
				op.DeleteUntil = nil
			}
		}, hasKV)},
		{"destroy-lost", "does not remove an actor that is destroyed", []string{"LIFE-6", "COMMIT-6"}, change(func(c *runnerv1alpha1.Changes) { c.Destroy = false })},
		{"destroys", "removes an actor with its final commit that is to sleep", []string{"SLEEP-2", "COMMIT-6"}, onceTold(is((*tap.Frame).GetStopActor), change(func(c *runnerv1alpha1.Changes) { c.Destroy = true }))},
		{"connections-not-added", "does not record the connections that it accepts", []string{"CONN-7"}, change(func(c *runnerv1alpha1.Changes) { c.ConnectionsAdded = nil })},
		{"connections-not-removed", "does not remove from the record whose onDisconnect ran", []string{"CONN-7"}, change(func(c *runnerv1alpha1.Changes) { c.ConnectionsRemoved = nil })},
	}
}

// change alters what commits say; one that holds something else is left as it is.
func change(how func(*runnerv1alpha1.Changes), all ...which[runnerv1alpha1.Changes]) rule {
	return alter((*tap.Frame).GetCommit, func(m *runnerv1alpha1.Commit) {
		c, err := decodeChanges(m.Changes)
		if err != nil || slices.ContainsFunc(all, func(holds which[runnerv1alpha1.Changes]) bool { return !holds(c) }) {
			return
		}
		how(c)
		if b, err := proto.Marshal(c); err == nil {
			m.Changes = b
		}
	})
}

func decodeChanges(b []byte) (*runnerv1alpha1.Changes, error) {
	c := new(runnerv1alpha1.Changes)
	if err := proto.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("read the changes of a commit: %w", err)
	}
	return c, nil
}

func hasKV(c *runnerv1alpha1.Changes) bool { return len(c.Kv) > 0 }

// isOutput tells what leaves the gateway behind a commit [GATE-1].
func isOutput(f *tap.Frame) bool {
	return f.GetCallResult() != nil || f.GetEmit() != nil || f.GetConnectionClose() != nil || f.GetConnectionState() != nil
}

// wordy writes the head of a CBOR value with one byte more than it takes.
func wordy(b []byte) []byte {
	if b[0]&0x1f >= 24 {
		return b
	}
	return append([]byte{b[0]&0xe0 | 24, b[0] & 0x1f}, b[1:]...)
}

// acknowledgesItself tells the runner that a commit is acknowledged when it sends it, and does not let it hear of it again.
func acknowledgesItself() tap.Tap {
	return tap.Tap{
		FromRunner: func(f *tap.Frame) tap.Out {
			m := f.GetCommit()
			if m == nil {
				return tap.Out{Gateway: []*tap.Frame{f}}
			}
			ok := &tap.Frame{Kind: &runnerv1alpha1.Frame_CommitResult{CommitResult: &runnerv1alpha1.CommitResult{Actor: m.Actor, Version: m.Version}}}
			return tap.Out{Gateway: []*tap.Frame{f}, Runner: []*tap.Frame{ok}}
		},
		ToRunner: func(f *tap.Frame) tap.Out {
			if f.GetCommitResult() != nil {
				return tap.Out{}
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
	}
}

// commitsNothing puts an empty commit before each answer that has none.
func commitsNothing() tap.Tap {
	versions, group := map[uint64]uint64{}, map[uint64]uint32{}
	return tap.Tap{
		ToRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetStartActor(); m != nil {
				versions[m.Actor] = m.Version
			}
			return tap.Out{Runner: []*tap.Frame{f}}
		},
		FromRunner: func(f *tap.Frame) tap.Out {
			if m := f.GetCommit(); m != nil {
				versions[m.Actor], group[m.Actor] = m.Version, m.Outputs
			}
			actor := tap.Actor(f)
			switch {
			case isOutput(f) && group[actor] > 0:
				group[actor]--
			case f.GetCallResult() != nil:
				empty := &runnerv1alpha1.Commit{Actor: actor, Version: versions[actor] + 1, Outputs: 1}
				return tap.Out{Gateway: []*tap.Frame{{Kind: &runnerv1alpha1.Frame_Commit{Commit: empty}}, f}}
			}
			return tap.Out{Gateway: []*tap.Frame{f}}
		},
	}
}

// refusalUnread makes a success of a refused commit, and loses the end of the actor that follows.
func refusalUnread(f *tap.Frame) []*tap.Frame {
	if f.GetStopActor().GetReason() == runnerv1alpha1.StopReason_STOP_REASON_FENCED {
		return nil
	}
	if f.GetCommitResult().GetError() != nil {
		f = tap.Clone(f)
		f.GetCommitResult().Error = nil
	}
	return []*tap.Frame{f}
}
