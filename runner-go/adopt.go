package runner

import (
	"context"
	"crypto/sha256"
	"slices"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// This file is what an actor does between a session that is lost and one that adopts it [LEASE-4].

// maxOffered is how many actors one Hosted offers.
const maxOffered = 512

// offer offers the actors of lost sessions [LINK-19]. The reader calls it, before anything else is sent.
func (s *session) offer(actors []*instance) {
	m := &runnerv1alpha1.Hosted{}
	for _, in := range actors {
		offered := in.offered()
		if offered == nil {
			continue // it has ended meanwhile
		}
		if len(m.Actors) == maxOffered {
			s.push(wire.Runner(m))
			m = &runnerv1alpha1.Hosted{}
		}
		s.mu.Lock()
		for s.offers[offered.Actor] != nil { // two lost sessions gave the same ref
			offered.Actor++
		}
		s.offers[offered.Actor] = in
		s.mu.Unlock()
		m.Actors = append(m.Actors, offered)
	}
	m.Last = true
	s.push(wire.Runner(m))
}

// onAdopted is the answer to an offer.
func (s *session) onAdopted(m *runnerv1alpha1.Adopted) {
	s.mu.Lock()
	in := s.offers[m.Old]
	delete(s.offers, m.Old)
	taken := s.actors[m.Actor] != nil
	s.mu.Unlock()
	switch {
	case in == nil:
	case m.Error != nil || taken:
		in.refused(wire.ErrorFromProto(m.Error))
	default:
		in.adopted(s, m)
	}
}

// loseSession takes the actor out of its session. Only one that is awake and whole may be adopted; another is dropped
// without hooks.
func (in *instance) loseSession(adopt bool) (adrift bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.over:
		return false
	case in.adrift: // it was not adopted yet, or its connections had not all come
		in.arriving = nil
	case !adopt || !in.ready || in.stop != nil || in.closing || in.crashed != nil || in.ending != nil:
		in.drop()
		return false
	}
	in.adrift = true
	in.forgetCalls()
	in.rewind()
	return true
}

// forgetCalls takes what the gateway of the lost session asked for out of the mailbox. A call that runs is canceled, and
// never answered; what it changes stays [TURN-6].
func (in *instance) forgetCalls() {
	if t := in.cur; t != nil {
		if t.answers() {
			t.cancel(context.Canceled)
		}
		t.lost = true
	}
	lost := func(t *turn) bool {
		return t.answers() || t.kind == turnFence || t.kind == turnGone && t.conn == nil && t.what == nil
	}
	for in.unqueue(lost) != nil {
	}
}

// rewind has the unanswered commit wait again, in front and as it was sent. What answers or asks the gateway of the lost
// session is dropped.
func (in *instance) rewind() {
	waiting := in.waiting
	if in.flight != nil {
		waiting = append([]*group{in.flight}, waiting...)
		in.version--
	}
	in.inflight, in.flight, in.unacked = false, nil, 0
	in.waiting, in.backlog = nil, 0
	for _, g := range waiting {
		outputs := g.outputs
		g.outputs, g.bytes = nil, 0
		g.hold(repeatable(outputs))
		if g.changes() || len(g.outputs) > 0 {
			in.waiting = append(in.waiting, g)
			in.backlog += g.weight()
		}
	}
}

// repeatable are those of the outputs that mean something in another session.
func repeatable(outputs []wire.Message) (kept []wire.Message) {
	for _, m := range outputs {
		switch m.(type) {
		case *wire.Emit, *connOutput:
			kept = append(kept, m)
		}
	}
	return kept
}

// unfold has what was sent behind the unanswered commit follow it again. If the commit was applied, its events have left the
// gateway or are lost; what was said of connections may be said twice.
func (in *instance) unfold(applied bool) {
	if !in.sentBefore() {
		return
	}
	first, g := in.waiting[0], new(group)
	g.hold(slices.DeleteFunc(first.behind, func(m wire.Message) bool {
		_, event := m.(*wire.Emit)
		return applied && event
	}))
	if first.behind = nil; len(g.outputs) > 0 {
		in.waiting = slices.Insert(in.waiting, 1, g)
		in.backlog += g.weight()
	}
}

// offered is what the gateway has to know to adopt the actor; nil: it has ended.
func (in *instance) offered() *runnerv1alpha1.HostedActor {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return nil
	}
	m := &runnerv1alpha1.HostedActor{
		Id: in.id, Generation: in.generation.Load(), Nonce: slices.Clone(in.nonce[:]), Version: in.version, Actor: in.ref,
	}
	if in.sentBefore() {
		id := sha256.Sum256(in.waiting[0].sent)
		m.Pending = id[:16] // [COMMIT-2]
	}
	return m
}

// sentBefore tells whether what waits begins with a commit that a lost session left unanswered.
func (in *instance) sentBefore() bool { return len(in.waiting) > 0 && in.waiting[0].sent != nil }

// refused is the end of an actor that lives elsewhere, or whose memory is not what the store has.
func (in *instance) refused(why *wire.Error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over {
		in.log().Info("the actor was not adopted; it is over here", "error", why)
		in.drop()
	}
}

// giveUp ends an actor that nobody has adopted since it lost its session.
func (in *instance) giveUp(lost *session) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.adrift && !in.over && in.sess() == lost {
		in.log().Info("nobody has adopted the actor; it is over here")
		in.drop()
	}
}

// adopted takes over the ref and generation of an Adopted. When its connections have come, the actor goes on.
func (in *instance) adopted(s *session, m *runnerv1alpha1.Adopted) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over { // it has crashed, or waited too long
		s.push(wire.Runner(&runnerv1alpha1.ActorStopped{
			Actor: m.Actor, Outcome: runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, Error: in.crashed.Proto(),
		}))
		return
	}
	in.incarnate(s, m.Actor, m.Generation, m.Nonce)
	s.add(in)
	applied := in.sentBefore() && m.Version == in.version+1
	if m.Version != in.version && !applied {
		in.log().Error("the actor was adopted with another version than it has", "version", m.Version, "has", in.version)
		in.end(runnerv1alpha1.StopOutcome_STOP_OUTCOME_FENCED, nil)
		return
	}
	in.unfold(applied)
	in.arriving = &arriving{expected: int(m.RestoredConnections)}
	in.arrived()
}

// rejoin goes on in the session that has adopted the actor: with the connections that still live, the commit that was
// unanswered, and all that has waited since. With the lock held.
func (in *instance) rejoin(restored []*runnerv1alpha1.ConnectionOpen) {
	refs := in.moveConns(restored)
	in.held = in.readdress(in.held, refs)
	in.bytes = sizeOf(in.held)
	in.backlog = 0
	for _, g := range in.waiting {
		g.outputs = in.readdress(g.outputs, refs)
		g.bytes = sizeOf(g.outputs)
		in.backlog += g.weight()
	}
	in.askAgain()
	in.adrift = false
	if in.destroying == told {
		in.destroying = wished
	}
	in.log().Debug("the actor was adopted", "version", in.version)
	in.restedAt = steady()
	in.proceed()
}

// moveConns gives the actor's connections their new refs, and has those leave that were not restored. It returns the new
// refs by the old ones. What the gateway has restored and the actor has not is a connection that it has disconnected, and the
// close was lost: it is closed again.
func (in *instance) moveConns(restored []*runnerv1alpha1.ConnectionOpen) (refs map[uint64]uint64) {
	alive := map[string]*runnerv1alpha1.ConnectionOpen{}
	for _, m := range restored {
		alive[m.ConnectionId] = m
	}
	refs, in.byRef = map[uint64]uint64{}, nil
	if in.present > 0 {
		in.byRef = map[uint64]*connection{}
	}
	for _, c := range append(in.departed(), in.conns...) {
		if c == nil || c.ref == 0 {
			continue
		}
		m := alive[c.id]
		if m != nil {
			delete(alive, c.id)
			refs[c.ref] = m.Connection
			c.ref = m.Connection
		} else {
			c.ref = 0
		}
		switch visible := c.index >= 0; {
		case visible && m != nil:
			in.byRef[c.ref] = c
			c.sum = sumOf(m.State) // what was sent since may not have arrived
		case visible && !(in.cur != nil && in.cur.kind == turnOpen && in.cur.conn == c): // its own turn sees to it
			in.leaves(c)
		}
	}
	for _, m := range restored {
		if alive[m.ConnectionId] == m {
			in.wait(nil, []wire.Message{closing(in.ref, m.Connection, "")})
		}
	}
	return refs
}

// departed are the connections that the actor has no more, and that something still to be sent speaks of.
func (in *instance) departed() (conns []*connection) {
	outputs := slices.Clone(in.held)
	for _, g := range in.waiting {
		outputs = append(outputs, g.outputs...)
	}
	for _, m := range outputs {
		if o, ok := m.(*connOutput); ok && o.conn.index < 0 && !slices.Contains(conns, o.conn) {
			conns = append(conns, o.conn)
		}
	}
	return conns
}

// readdress gives outputs the refs of now. Those that nobody would get are left out, and events that have become too large.
func (in *instance) readdress(outputs []wire.Message, refs map[uint64]uint64) []wire.Message {
	return slices.DeleteFunc(outputs, func(m wire.Message) bool {
		switch m := m.(type) {
		case *wire.Emit:
			all := len(m.To) == 0
			m.Actor, m.To, m.Except = in.ref, moved(m.To, refs), moved(m.Except, refs)
			return !all && len(m.To) == 0 || len(m.Args) > in.sess().limits.MaxEvent
		case *connOutput:
			m.address()
			return m.conn.ref == 0
		}
		return false
	})
}

func moved(old []uint64, refs map[uint64]uint64) (now []uint64) {
	for _, ref := range old {
		if ref = refs[ref]; ref != 0 {
			now = append(now, ref)
		}
	}
	return now
}
