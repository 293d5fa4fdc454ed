package monitor

import (
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
)

// ofActor judges a frame that is about an actor.
func (m *Monitor) ofActor(s *session, f *runnerv1alpha1.Frame, kind frame.Kind) {
	ref := actorRef(f)
	a := s.actors[ref]
	result := f.GetCallResult()
	if result != nil {
		m.answer(s, a, result)
	}
	switch {
	case result != nil && result.NotRun: // also of refs that the runner does not know [LIFE-9]
		return
	case a == nil:
		if s.known {
			m.fault("MON-07", "%s of actor %d, which the runner was never given", name(f, kind), ref)
		}
		return
	case a.stopped:
		m.fault("MON-06", "%s of actor %d after its ActorStopped", name(f, kind), ref)
		return
	case a.refused && f.GetActorStopped() == nil:
		m.fault("MON-06", "%s of actor %d after its commit was refused", name(f, kind), ref)
		return
	}
	m.life(s, a, f, ref)
}

func (m *Monitor) life(s *session, a *actor, f *runnerv1alpha1.Frame, ref uint64) {
	switch k := f.Kind.(type) {
	case *runnerv1alpha1.Frame_ActorReady:
		if a.ready {
			m.fault("MON-10", "a second ActorReady of actor %d", ref)
		}
		a.ready = true
	case *runnerv1alpha1.Frame_ActorStopped:
		m.stopped(a, k.ActorStopped)
	case *runnerv1alpha1.Frame_Commit:
		m.commit(s, a, k.Commit)
	case *runnerv1alpha1.Frame_KvRead:
		if a.reads[k.KvRead.Id] {
			m.fault("MON-14", "read %d of actor %d is under way already", k.KvRead.Id, ref)
		}
		a.reads[k.KvRead.Id] = true
		if limit := s.limits.GetMaxReadsPerActor(); limit > 0 && len(a.reads) > int(limit) {
			m.fault("MON-14", "%d reads of actor %d are under way, over the limit of %d", len(a.reads), ref, limit)
		}
	case *runnerv1alpha1.Frame_Emit:
		m.emit(s, a, k.Emit)
		a.output()
	case *runnerv1alpha1.Frame_ConnectionState:
		m.limit("the state of a connection", len(k.ConnectionState.State), s.limits.GetMaxConnectionState())
		a.output()
	case *runnerv1alpha1.Frame_ConnectionClose:
		m.named("ConnectionClose", k.ConnectionClose.Code)
		a.output()
	case *runnerv1alpha1.Frame_CallResult:
		a.output()
	}
}

func (a *actor) output() {
	if a.groupLeft > 0 {
		a.groupLeft--
	}
}

func (m *Monitor) limit(what string, n int, limit uint32) {
	if limit > 0 && n > int(limit) {
		m.fault("MON-18", "%s has %d bytes, over the limit of %d", what, n, limit)
	}
}

// answer judges a CallResult.
func (m *Monitor) answer(s *session, a *actor, r *runnerv1alpha1.CallResult) {
	c := s.calls[r.Id]
	switch {
	case c == nil || c.actor != r.Actor:
		if s.known {
			m.fault("MON-04", "an answer to call %d of actor %d, which was not sent", r.Id, r.Actor)
		}
		return
	case c.answered:
		m.fault("MON-03", "a second answer to call %d of actor %d", r.Id, r.Actor)
	case c.oneway && r.Output != nil:
		m.fault("MON-27", "the answer to the one-way call %d has an output", r.Id)
	case a != nil && !a.ready && !r.NotRun && r.Error == nil:
		m.fault("MON-05", "call %d of actor %d succeeds before ActorReady", r.Id, r.Actor)
	}
	c.answered = true
	m.limit("an output", len(r.Output), s.limits.GetMaxOutput())
	if r.Output != nil {
		if _, err := pattern.Decode(r.Output); err != nil {
			m.fault("MON-22", "the output of call %d: %v", r.Id, err)
		}
	}
	if r.Error != nil {
		m.code(s, r.Error)
		if r.Error.Ran == ranUnsaid {
			m.fault("MON-17", "the error of call %d does not say whether user code ran", r.Id)
		}
	}
}

func (m *Monitor) code(s *session, e *commonv1alpha1.Error) {
	if why := refused(e.Group, e.Code); why != "" && !s.said[e.Group+"."+e.Code] {
		m.fault("MON-16", "%s.%s %s", e.Group, e.Code, why)
	}
	m.limit("an error's metadata", len(e.Metadata), s.limits.GetMaxErrorMetadata())
	if len(e.Message) > 4<<10 {
		m.fault("MON-18", "an error's message has %d bytes, over 4 KiB", len(e.Message))
	}
}

func (m *Monitor) stopped(a *actor, s *runnerv1alpha1.ActorStopped) {
	a.stopped = true
	well := s.Outcome == runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT || s.Outcome == runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED
	if a.unanswered && well {
		m.fault("MON-26", "actor %d has ended as %v with an unanswered commit", s.Actor, s.Outcome)
	}
	if s.Error != nil {
		if why := refused(s.Error.Group, s.Error.Code); why != "" {
			m.fault("MON-16", "%s.%s %s", s.Error.Group, s.Error.Code, why)
		}
	}
}

func (m *Monitor) commit(s *session, a *actor, c *runnerv1alpha1.Commit) {
	switch {
	case a.groupLeft > 0:
		m.fault("MON-09", "commit %d of actor %d comes while %d outputs of the last group are due", c.Version, c.Actor, a.groupLeft)
	case a.unanswered:
		m.fault("MON-08", "commit %d of actor %d comes while another is unanswered", c.Version, c.Actor)
	case c.Version != a.version+1 && (!a.adopted || c.Version != a.version): // an adopted one sends the last again [LEASE-4]
		m.fault("MON-08", "actor %d commits version %d, %d is the next", c.Actor, c.Version, a.version+1)
	}
	if limit := s.limits.GetMaxGroupOutputs(); limit > 0 && c.Outputs > limit {
		m.fault("MON-09", "a group of %d outputs, over the limit of %d", c.Outputs, limit)
	}
	a.unanswered, a.groupLeft = true, c.Outputs
	m.limit("a commit", len(c.Changes), s.limits.GetMaxCommit())
	changes, err := changesOf(c)
	if err != nil {
		m.fault("MON-23", "the changes of commit %d of actor %d: %v", c.Version, c.Actor, err)
		return
	}
	m.changes(s, c, changes)
}

func (m *Monitor) changes(s *session, c *runnerv1alpha1.Commit, changes *runnerv1alpha1.Changes) {
	if changes.State != nil {
		m.limit("a state", len(changes.State), s.limits.GetMaxState())
		if err := pattern.Deterministic(changes.State); err != nil {
			m.fault("MON-22", "the state in commit %d of actor %d: %v", c.Version, c.Actor, err)
		}
	}
	total := 0
	for _, op := range changes.Kv {
		if len(op.Key) == 0 && op.DeleteUntil == nil {
			m.fault("MON-18", "an empty KV key in commit %d of actor %d", c.Version, c.Actor)
		}
		m.limit("a KV key", len(op.Key), s.limits.GetMaxKvKey())
		m.limit("a KV value", len(op.Value), s.limits.GetMaxKvValue())
		total += len(op.Key) + len(op.Value)
	}
	m.limit("the KV operations of a commit", total, s.limits.GetMaxKvBatch())
	if limit := s.limits.GetMaxKvOperations(); limit > 0 && len(changes.Kv) > int(limit) {
		m.fault("MON-18", "%d KV operations in one commit, over the limit of %d", len(changes.Kv), limit)
	}
}

func (m *Monitor) emit(s *session, a *actor, e *runnerv1alpha1.Emit) {
	cost := uint64(64 + len(e.Event) + len(e.Args))
	a.spent += cost
	s.spent += cost
	if s.features["credit"] && s.known && (a.spent > a.credit || s.spent > s.credit) {
		m.fault("MON-15", "events of actor %d cost %d of %d, those of the link %d of %d", e.Actor, a.spent, a.credit, s.spent, s.credit)
	}
	m.limit("an event", len(e.Args), s.limits.GetMaxEvent())
	if n := len(e.Event) + len(e.Args); e.Unreliable && n > 1000 {
		m.fault("MON-18", "an unreliable event has %d bytes with its name, over the limit of 1000", n)
	}
	if n := len(e.Event); n < 1 || n > 128 {
		m.fault("MON-18", "the name of an event has %d bytes", n)
	}
	v, err := pattern.Decode(e.Args)
	if _, isList := v.([]any); err != nil || !isList {
		m.fault("MON-22", "the arguments of event %q are no array: %v", e.Event, err)
	}
}
