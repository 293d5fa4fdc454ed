package runner

import (
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// send writes a group: the commit, then its outputs, with nothing of the actor between them [GATE-2].
func (in *instance) send(g *group) {
	if g.state.bytes != nil {
		in.sum, in.recorded = g.state.sum, true
	}
	in.version++
	in.inflight = true
	commit := &wire.Commit{Actor: in.ref, Version: in.version, Changes: g.encode()}
	commit.Outputs = uint32(in.groupSize(commit, g.outputs))
	in.unacked = 0
	for _, m := range g.outputs {
		in.unacked += wire.FrameSize(m)
	}
	in.push(commit, g.outputs)
}

// groupSize is how many outputs count as the group's; those behind follow it, in order [GATE-4]. The commit counts towards
// the bytes, so that the group fits however the gateway reckons.
func (in *instance) groupSize(commit *wire.Commit, outputs []wire.Message) int {
	room := in.sess.limits.MaxGroupBytes - wire.FrameSize(commit)
	for i, m := range outputs {
		room -= wire.FrameSize(m)
		if i == in.sess.limits.MaxGroupOutputs || room < 0 {
			return i
		}
	}
	return len(outputs)
}

func (in *instance) push(commit *wire.Commit, outputs []wire.Message) {
	in.sess.link.pushGroup(&in.lane, commit, outputs)
}

// encode is Commit.changes. It is made once per commit, so that the bytes of a version never differ [COMMIT-1].
func (g *group) encode() []byte {
	m := &runnerv1alpha1.Changes{Destroy: g.destroy}
	if !g.destroy { // nothing else counts then
		m.State, m.ConnectionsAdded, m.ConnectionsRemoved = g.state.bytes, g.added, g.removed
		for _, op := range g.kv {
			m.Kv = append(m.Kv, op.message())
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("runner: encode changes: " + err.Error()) //nolint:forbidigo // only a string that is not UTF-8 can do this, and ids were decoded as such
	}
	return b
}

// commitResult is the answer to the one unanswered commit.
func (in *instance) commitResult(m *wire.CommitResult) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over || !in.inflight || m.Version != in.version {
		return // it crossed the actor's end
	}
	if m.Error != nil {
		in.log().Error("commit refused; the actor is over", "version", m.Version, "error", m.Error)
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, nil)
		return
	}
	in.inflight, in.unacked = false, 0
	if in.acked != nil {
		close(in.acked)
		in.acked = nil
	}
	if len(in.waiting) > 0 {
		next := in.waiting[0]
		in.waiting[0] = nil
		if in.waiting = in.waiting[1:]; len(in.waiting) == 0 {
			in.waiting = nil
		}
		in.send(next)
		return
	}
	in.afterTurn()
	in.askSleep()
}

// awaitCommits waits until everything flushed so far is acknowledged. It is not called with the lock held.
func (in *instance) awaitCommits(done <-chan struct{}, ctxErr func() error) error {
	in.mu.Lock()
	target := in.version + uint64(len(in.waiting))
	for {
		switch acked := in.version; {
		case in.over:
			in.mu.Unlock()
			return ErrStopped
		case acked > target, acked == target && !in.inflight:
			in.mu.Unlock()
			return nil
		}
		changed := in.nextAck()
		in.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			in.mu.Lock()
			over := in.over
			in.mu.Unlock()
			if over { // which ended the turn's context, too
				return ErrStopped
			}
			return ctxErr()
		}
		in.mu.Lock()
	}
}

func (in *instance) nextAck() <-chan struct{} {
	if in.acked == nil {
		in.acked = make(chan struct{})
	}
	return in.acked
}

// pace keeps a turn from emitting faster than commits are acknowledged and the link takes: outputs behind an unanswered
// commit are held by the gateway, and may fill half of what it holds [GATE-4]. It is not called with the lock held.
func (in *instance) pace(t *turn) {
	maxUnacked := in.sess.limits.MaxHeldBytes / 2
	for t.Err() == nil {
		in.mu.Lock()
		if in.over || !in.inflight || in.unacked < maxUnacked {
			in.mu.Unlock()
			break
		}
		changed := in.nextAck()
		in.mu.Unlock()
		select {
		case <-changed:
		case <-t.Done():
		}
	}
	in.sess.link.awaitRoom(t.Done())
}
