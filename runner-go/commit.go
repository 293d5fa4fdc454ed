package runner

import (
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// advance sends what waits, in order, as far as it may go: behind an unanswered commit, and before there is credit for its
// events, no group begins [GATE-4]. line: the link's credit is lacking.
func (in *instance) advance() (line bool) {
	for len(in.waiting) > 0 && !in.over {
		g := in.waiting[0]
		outputs, weight := g.outputs, g.weight()
		commit := g
		if !g.changes() {
			commit = nil
		}
		n, ok, line := in.sendPart(commit, outputs)
		if !ok {
			return line
		}
		in.backlog -= weight
		if n < len(outputs) {
			rest := new(group)
			rest.hold(outputs[n:])
			in.waiting[0] = rest
			in.backlog += rest.weight()
			continue
		}
		in.waiting[0] = nil
		if in.waiting = in.waiting[1:]; len(in.waiting) == 0 {
			in.waiting = nil
		}
	}
	return false
}

// sendPart sends a group, if it may go: the commit of g, which is nil if there is none, and the first n of the outputs; the
// others follow it, in order [GATE-4].
func (in *instance) sendPart(g *group, outputs []wire.Message) (n int, ok, line bool) {
	if in.adrift || g != nil && in.inflight {
		return 0, false, false
	}
	const envelope = 64
	size := 0
	if g != nil {
		size = g.size() + envelope
	}
	n, cost := in.sess().portion(size, outputs)
	if ok, line = in.spend(cost); !ok {
		return 0, false, line
	}
	if g != nil {
		in.commit(g, outputs[:n])
	} else if n > 0 {
		in.follow(outputs[:n])
	}
	return n, true, false
}

// commit writes a group: the commit, then its outputs, with nothing of the actor between them [GATE-2]. Until it is answered
// it is kept, since after a loss of the session it is sent again.
func (in *instance) commit(g *group, outputs []wire.Message) {
	if g.sent == nil {
		if g.state.bytes != nil {
			in.sum, in.recorded = g.state.sum, true
		}
		g.sent = g.encode()
	}
	in.version++
	in.inflight = true
	in.unacked = sizeOf(outputs)
	s := in.sess()
	s.link.pushGroup(&in.lane, &wire.Commit{Actor: in.ref, Version: in.version, Changes: g.sent, Outputs: uint32(len(outputs))}, outputs)
	if s.adopt {
		g.state.bytes, g.outputs, g.bytes = nil, nil, 0
		g.hold(repeatable(outputs))
		in.flight = g
	}
}

// follow writes outputs that no commit counts: nothing they were computed from is unsent [GATE-5].
func (in *instance) follow(outputs []wire.Message) {
	in.sess().link.pushGroup(&in.lane, nil, outputs)
	if in.inflight {
		in.unacked += sizeOf(outputs)
		if in.flight != nil {
			in.flight.behind = append(in.flight.behind, repeatable(outputs)...)
		}
	}
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
	in.inflight, in.unacked, in.flight = false, 0, nil
	in.proceed()
}

// proceed goes on after something that the actor may have waited for: an answer, credit, another session. waits: it waits
// for the link's credit. With the lock held.
func (in *instance) proceed() (waits bool) {
	waits = in.advance()
	in.tellMoved()
	in.afterTurn()
	in.askSleep()
	in.wakeWorker()
	return waits && !in.over
}

func (in *instance) tellMoved() {
	if in.moved != nil {
		close(in.moved)
		in.moved = nil
	}
}

// awaitCommits waits until everything flushed so far is acknowledged. It is not called with the lock held.
func (in *instance) awaitCommits(done <-chan struct{}, ctxErr func() error) error {
	in.mu.Lock()
	target := in.version
	for _, g := range in.waiting {
		if g.changes() {
			target++
		}
	}
	for {
		switch acked := in.version; {
		case in.over:
			in.mu.Unlock()
			return ErrStopped
		case acked > target, acked == target && !in.inflight:
			in.mu.Unlock()
			return nil
		}
		changed := in.nextMove()
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

func (in *instance) nextMove() <-chan struct{} {
	if in.moved == nil {
		in.moved = make(chan struct{})
	}
	return in.moved
}

// pace keeps a turn from emitting faster than commits are acknowledged, credit comes and the link takes. It is not called
// with the lock held.
func (in *instance) pace(t *turn) {
	for t.Err() == nil {
		in.mu.Lock()
		if in.over || !in.crowded() {
			in.mu.Unlock()
			break
		}
		moved := in.nextMove()
		in.mu.Unlock()
		select {
		case <-moved:
		case <-t.Done():
		}
	}
	in.sess().link.awaitRoom(t.Done())
}

// crowded tells whether what is not out yet is enough: outputs behind an unanswered commit are held by the gateway, and may
// fill half of what it holds; events that wait for credit are held here.
func (in *instance) crowded() bool { return in.starved() || in.overfull() }

// starved tells whether what waits does so for credit alone.
func (in *instance) starved() bool {
	return len(in.waiting) > 0 && !in.adrift && !(in.inflight && in.waiting[0].changes())
}

// overfull tells whether so much waits that no turn begins before some of it is out.
func (in *instance) overfull() bool {
	return in.backlog+in.unacked >= in.sess().limits.MaxHeldBytes/2
}
