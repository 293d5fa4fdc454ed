package runnertest

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// This file is the gateway's side of an actor: starts, commits with their groups, and stops. With gateway.mu held.

// group is a commit whose outputs are still coming [GATE-2].
type group struct {
	commit  *wire.Commit
	outputs []any
}

// start begins an incarnation.
func (g *gateway) start(a *Actor) {
	if !a.record.exists {
		a.record = record{exists: true, id: fmt.Sprintf("test-%026d", g.lastRef+1), conns: map[string]*Conn{}}
	}
	g.lastRef++
	run := &incarnation{ref: g.lastRef, open: map[uint64]*request{}, conns: map[uint64]*Conn{}}
	a.run = run
	g.runs[run.ref] = a
	m := &runnerv1alpha1.StartActor{
		Actor: run.ref, Id: a.record.id, Namespace: "default", Type: a.actorType, Key: a.key, Region: "test",
		Generation: uint64(time.Now().UnixMicro())<<8>>8 + run.ref, Nonce: []byte("0123456789abcdef"),
		Version: a.record.version, Create: a.record.version == 0, State: a.record.state, DeadlineMs: uint32(patience.Milliseconds()),
		NowMs: time.Now().UnixMilli(), RestoredConnections: uint32(len(a.conns)),
	}
	if m.Create {
		m.Input = a.input
	}
	for id, c := range a.record.conns {
		if c.left || c.closed != nil {
			m.GoneConnections = append(m.GoneConnections, &runnerv1alpha1.GoneConnection{ConnectionId: id, Params: c.params, State: c.state})
		}
	}
	slices.SortFunc(m.GoneConnections, func(x, y *runnerv1alpha1.GoneConnection) int {
		return bytes.Compare([]byte(x.ConnectionId), []byte(y.ConnectionId))
	})
	g.send(run.ref, m)
	for _, c := range a.conns {
		g.bind(run, c)
		g.send(run.ref, &runnerv1alpha1.ConnectionOpen{
			Actor: run.ref, Connection: c.ref, ConnectionId: c.id, Params: c.params, State: c.state, Subscriptions: c.subscribed, Restored: true,
		})
	}
}

// report takes a frame of an actor.
func (g *gateway) report(f wire.Frame, m any) error {
	a := g.runs[wire.ActorRef(f.Body)]
	if a == nil {
		return nil // it crossed the actor's end
	}
	run := a.run
	switch m := m.(type) {
	case *wire.Commit:
		if run.group != nil {
			return fmt.Errorf("%s: a commit within the group of another", a)
		}
		m.Changes = bytes.Clone(m.Changes)
		run.group = &group{commit: m}
		return g.complete(a)
	case *wire.CallResult, *wire.Emit, *runnerv1alpha1.ConnectionClose, *runnerv1alpha1.ConnectionState:
		if run.group == nil {
			return g.output(a, m)
		}
		run.group.outputs = append(run.group.outputs, m)
		return g.complete(a)
	case *runnerv1alpha1.ActorReady:
		run.ready = true
		g.flushWaiting(a)
	case *runnerv1alpha1.ActorStopped:
		g.stopped(a, m)
	case *runnerv1alpha1.ActorIntent:
		g.intent(a, m.Intent)
	case *runnerv1alpha1.KvRead:
		g.send(run.ref, a.record.answer(m))
	default:
		return fmt.Errorf("%s: unexpected %T", a, m)
	}
	return nil
}

// complete applies the group once its outputs are all there, acknowledges it, and lets them out.
func (g *gateway) complete(a *Actor) error {
	grp := a.run.group
	if len(grp.outputs) < int(grp.commit.Outputs) {
		return nil
	}
	a.run.group = nil
	if grp.commit.Version != a.record.version+1 {
		return fmt.Errorf("%s: commit %d follows %d", a, grp.commit.Version, a.record.version)
	}
	changes, err := wire.DecodeChanges(grp.commit.Changes)
	if err != nil {
		return err
	}
	a.record.apply(grp.commit.Version, changes, a)
	g.send(a.run.ref, &wire.CommitResult{Actor: a.run.ref, Version: grp.commit.Version})
	for _, m := range grp.outputs {
		if err := g.output(a, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *record) apply(version uint64, m *runnerv1alpha1.Changes, a *Actor) {
	r.version = version
	if m.Destroy {
		*r = record{}
		return
	}
	if m.State != nil {
		r.state = m.State
	}
	for _, op := range m.Kv {
		r.write(op)
	}
	for _, id := range m.ConnectionsAdded {
		for _, c := range a.run.conns {
			if c.id == id {
				r.conns[id] = c
			}
		}
	}
	for _, id := range m.ConnectionsRemoved {
		delete(r.conns, id)
	}
}

func (r *record) write(op *runnerv1alpha1.KvOp) {
	i, there := r.find(op.Key)
	switch {
	case op.DeleteUntil != nil:
		r.kv = slices.DeleteFunc(r.kv, func(e runner.Entry) bool { return inRange(e.Key, op.Key, op.DeleteUntil) })
	case op.Value == nil && there:
		r.kv = slices.Delete(r.kv, i, i+1)
	case op.Value != nil && there:
		r.kv[i].Value = op.Value
	case op.Value != nil:
		r.kv = slices.Insert(r.kv, i, runner.Entry{Key: op.Key, Value: op.Value})
	}
}

func inRange(key, from, until []byte) bool {
	return bytes.Compare(key, from) >= 0 && (len(until) == 0 || bytes.Compare(key, until) < 0)
}

// answer serves a read. A page holds at most 100 entries, so that tests meet pages.
func (r *record) answer(m *runnerv1alpha1.KvRead) *runnerv1alpha1.KvResult {
	result := &runnerv1alpha1.KvResult{Actor: m.Actor, Id: m.Id}
	for _, key := range m.Keys {
		e := &runnerv1alpha1.KvEntry{Key: key}
		if i, ok := r.find(key); ok {
			e.Value = r.kv[i].Value
		}
		result.Entries = append(result.Entries, e)
	}
	if m.Range == nil {
		return result
	}
	limit := 100
	if m.Limit > 0 {
		limit = min(limit, int(m.Limit))
	}
	entries := slices.Clone(r.kv)
	if m.Reverse {
		slices.Reverse(entries)
	}
	for _, e := range entries {
		if !inRange(e.Key, m.Range.From, m.Range.Until) {
			continue
		}
		if result.More = len(result.Entries) == limit; result.More {
			break
		}
		result.Entries = append(result.Entries, &runnerv1alpha1.KvEntry{Key: e.Key, Value: e.Value})
	}
	return result
}

// output lets one output out: what it depends on is committed.
func (g *gateway) output(a *Actor, m any) error {
	switch m := m.(type) {
	case *wire.CallResult:
		r := a.run.open[m.ID]
		if r == nil {
			return fmt.Errorf("%s: an answer to nothing, %d", a, m.ID)
		}
		delete(a.run.open, m.ID)
		if m.NotRun {
			a.waiting = append(a.waiting, r)
			return nil
		}
		if r.opens != nil && m.Error == nil {
			a.conns = append(a.conns, r.opens)
		}
		r.done <- answer{result: m, err: errorOf(m.Error)}
	case *wire.Emit:
		g.emit(a, m)
	case *runnerv1alpha1.ConnectionClose:
		if c := a.run.conns[m.Connection]; c != nil && !c.left {
			c.closed = &Error{Code: m.Code, Message: m.Reason}
			g.removeConn(c)
		}
	case *runnerv1alpha1.ConnectionState:
		if c := a.run.conns[m.Connection]; c != nil {
			c.state = m.State
		}
	}
	return nil
}

func (g *gateway) emit(a *Actor, m *wire.Emit) {
	event := Event{Name: string(m.Event), Unreliable: m.Unreliable, args: bytes.Clone(m.Args)}
	for _, c := range a.conns {
		listens := m.All || len(c.subscribed) == 0 || slices.Contains(c.subscribed, event.Name)
		if len(m.To) > 0 {
			listens = slices.Contains(m.To, c.ref)
		}
		if listens && !slices.Contains(m.Except, c.ref) {
			c.events = append(c.events, event)
		}
	}
}

func (g *gateway) removeConn(c *Conn) {
	c.actor.conns = slices.DeleteFunc(c.actor.conns, func(other *Conn) bool { return other == c })
}

func (g *gateway) flushWaiting(a *Actor) {
	waiting := a.waiting
	a.waiting = nil
	for _, r := range waiting {
		g.admit(a, r)
	}
}

// intent grants a sleep only if nothing is outstanding [SLEEP-3].
func (g *gateway) intent(a *Actor, what runnerv1alpha1.Intent) {
	switch {
	case a.run.stop != 0:
	case what == runnerv1alpha1.Intent_INTENT_DESTROY:
		g.askStop(a.run, runnerv1alpha1.StopReason_STOP_REASON_DESTROY)
	case len(a.run.open) == 0 && a.run.group == nil:
		g.askStop(a.run, runnerv1alpha1.StopReason_STOP_REASON_SLEEP)
	}
}

func (g *gateway) askStop(run *incarnation, reason runnerv1alpha1.StopReason) {
	run.stop = reason
	g.send(run.ref, &runnerv1alpha1.StopActor{Actor: run.ref, Reason: reason, GraceMs: 15000})
}

// stopped ends an incarnation. Requests that came meanwhile start the next one.
func (g *gateway) stopped(a *Actor, m *runnerv1alpha1.ActorStopped) {
	err := errorOf(wire.ErrorFromProto(m.Error))
	failed := m.Outcome == runnerv1alpha1.StopOutcome_STOP_OUTCOME_START_FAILED
	if failed && a.record.version == 0 {
		a.record = record{} // [LIFE-4]
	}
	if m.Outcome == runnerv1alpha1.StopOutcome_STOP_OUTCOME_DESTROYED {
		for _, c := range slices.Clone(a.conns) {
			c.closed = &Error{Code: "actor.destroyed", Message: wire.ActorDestroyed.Text}
		}
		a.conns = nil
	}
	g.lose(a)
	if failed {
		for _, r := range a.waiting {
			r.done <- answer{err: startError(err)}
		}
		a.waiting = nil
	}
	if len(a.waiting) > 0 && !g.closing {
		g.start(a)
	}
}

// startError is how the gateway tells of a start that failed [LIFE-3].
func startError(cause error) error {
	message := "The actor could not start."
	if cause != nil {
		message = "The actor could not start: " + cause.Error()
	}
	return &Error{Code: "actor.start_failed", Message: message, Retryable: true, Ran: "no"}
}

// lose forgets an incarnation. What it had not answered has an unknown outcome [CALL-7].
func (g *gateway) lose(a *Actor) {
	run := a.run
	a.run = nil
	delete(g.runs, run.ref)
	delete(g.lanes, run.ref)
	for _, r := range run.open {
		r.done <- answer{err: errorOfGateway(wire.ActionOutcomeUnknown)}
	}
	for _, c := range run.conns {
		c.ref = 0
	}
}

func errorOfGateway(code *wire.Code) error {
	return &Error{Code: code.Group + "." + code.Code, Message: code.Text, Retryable: code.Retryable, Ran: code.Ran.String()}
}
