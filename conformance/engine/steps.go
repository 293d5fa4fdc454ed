package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// do does any step but repeat.
func (r *run) do(ctx context.Context, step *casefile.Step) error {
	switch a := step.Action.(type) {
	case *conformancev1alpha1.Step_Connect:
		return r.connect(ctx, a.Connect)
	case *conformancev1alpha1.Step_Start:
		return r.startActor(ctx, step.Name, a.Start)
	case *conformancev1alpha1.Step_Call:
		return r.call(ctx, step.Name, a.Call)
	case *conformancev1alpha1.Step_Open:
		return r.open(ctx, step.Name, a.Open)
	case *conformancev1alpha1.Step_Stop:
		return r.stopActor(ctx, step.Name, a.Stop)
	case *conformancev1alpha1.Step_Send:
		return r.send(a.Send)
	case *conformancev1alpha1.Step_Batch:
		return r.batch(a.Batch)
	case *conformancev1alpha1.Step_Raw:
		return r.raw(a.Raw)
	case *conformancev1alpha1.Step_Expect:
		return r.expect(ctx, step.Name, a.Expect.AsMap())
	case *conformancev1alpha1.Step_Either:
		return r.either(ctx, step.Name, a.Either)
	case *conformancev1alpha1.Step_Never:
		return r.never(a.Never)
	case *conformancev1alpha1.Step_Count:
		return r.count(a.Count)
	case *conformancev1alpha1.Step_Order:
		return r.order(a.Order)
	case *conformancev1alpha1.Step_Fence:
		return r.fence(ctx, step.Name, a.Fence)
	case *conformancev1alpha1.Step_Hold:
		return r.hold(a.Hold)
	case *conformancev1alpha1.Step_Release:
		return r.release(a.Release)
	case *conformancev1alpha1.Step_Gate:
		return r.gate(ctx, a.Gate)
	case *conformancev1alpha1.Step_Link:
		return r.link(ctx, a.Link)
	case *conformancev1alpha1.Step_Process:
		return r.process(ctx, a.Process)
	case *conformancev1alpha1.Step_Stored:
		return r.stored(a.Stored)
	case *conformancev1alpha1.Step_Check:
		return r.check(a.Check)
	}
	return fmt.Errorf("%w does not know the step", errHarness)
}

// actorVar is what $a stands for.
type actorVar struct {
	actor *vgw.Actor
	store *vgw.Store
}

// Resolve implements pattern.Resolver.
func (v actorVar) Resolve(field string) (any, bool) {
	switch field {
	case "":
		return v.actor.Ref(), true
	case "id":
		return v.actor.ID, true
	case "generation":
		return v.actor.Generation(), true
	case "nonce":
		return v.actor.Nonce(), true
	}
	rec := v.store.Get(v.actor.ID)
	switch {
	case rec == nil:
	case field == "version":
		return rec.Version, true
	case field == "key":
		return rec.Key, true
	}
	return nil, false
}

func (r *run) actor(name string) (*vgw.Actor, error) {
	v, _ := r.env.Raw(strings.TrimPrefix(name, "$"))
	a, is := v.(actorVar)
	if !is {
		return nil, fmt.Errorf("%w: %s is no actor", errHarness, name)
	}
	return a.actor, nil
}

// linked gives the session to talk to.
func (r *run) linked() (*vgw.Session, error) {
	if r.session == nil {
		return nil, fmt.Errorf("%w has no link at this step", errHarness)
	}
	return r.session, nil
}

func (r *run) transmit(frames ...*vgw.Frame) error {
	session, err := r.linked()
	if err != nil {
		return err
	}
	return session.Send(frames...)
}

func (r *run) startActor(ctx context.Context, name string, m *conformancev1alpha1.Start) error {
	session, err := r.linked()
	if err != nil {
		return err
	}
	rec, err := r.record(m)
	if err != nil {
		return err
	}
	actor, start := session.Start(rec, m.Hold...)
	r.actors = append(r.actors, actor)
	r.env.Set(strings.TrimPrefix(m.Actor, "$"), actorVar{actor, r.stage.gateway.Store})
	if m.Fields != nil {
		if err := r.env.Fill(start.ProtoReflect(), m.Fields.AsMap()); err != nil {
			return fmt.Errorf("%w: fields: %w", errHarness, err)
		}
	}
	if err := r.transmit(&vgw.Frame{Kind: &runnerv1alpha1.Frame_StartActor{StartActor: start}}); err != nil || m.Async {
		return err
	}
	ref := float64(start.Actor)
	if m.Stopped != nil {
		want := m.Stopped.AsMap()
		want["actor"] = ref
		return r.expect(ctx, name, map[string]any{"actorStopped": want})
	}
	e, err := r.first(ctx, func(e *vgw.Entry) bool {
		return e.Actor() == start.Actor && (e.Name == "actorReady" || e.Name == "actorStopped")
	})
	if err != nil {
		return fmt.Errorf("wait for ActorReady: %w", err)
	}
	r.take(name, e)
	if e.Name == "actorStopped" {
		return fmt.Errorf("the actor did not start: %v", e.Message.Interface())
	}
	return nil
}

// record is what the actor begins with in the store.
func (r *run) record(m *conformancev1alpha1.Start) (vgw.Record, error) {
	if m.Wake != "" {
		old, err := r.actor(m.Wake)
		if err != nil {
			return vgw.Record{}, err
		}
		return vgw.Record{ID: old.ID}, nil
	}
	ref := r.stage.gateway.NextRef()
	rec := vgw.Record{
		ID: fmt.Sprintf("local-%026d", ref), Namespace: "default", Type: m.Type, Key: []string{fmt.Sprintf("%s-%d", r.test.Id, ref)},
	}
	if m.Key != nil {
		rec.Key = m.Key.Parts
	}
	if m.Input != nil {
		input, err := r.env.Bytes(m.Input.AsInterface())
		if err != nil {
			return rec, fmt.Errorf("%w: input: %w", errHarness, err)
		}
		rec.Input = input
	}
	return rec, nil
}

func (r *run) call(ctx context.Context, name string, m *conformancev1alpha1.Call) error {
	actor, err := r.actor(m.Actor)
	if err != nil {
		return err
	}
	args := any(map[string]any{"cbor": []any{}})
	if m.Args != nil {
		args = m.Args.AsInterface()
	}
	call := &runnerv1alpha1.Call{Actor: actor.Ref(), Id: r.stage.gateway.NextRef(), Action: m.Action}
	if call.Args, err = r.env.Bytes(args); err == nil && m.Fields != nil {
		err = r.env.Fill(call.ProtoReflect(), m.Fields.AsMap())
	}
	if err != nil {
		return fmt.Errorf("%w: call: %w", errHarness, err)
	}
	if m.Id != "" {
		r.env.Set(strings.TrimPrefix(m.Id, "$"), call.Id)
	}
	if err := r.transmit(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Call{Call: call}}); err != nil {
		return err
	}
	return r.result(ctx, name, call.Id, m.Result)
}

// result waits for a CallResult, if there is a pattern for it.
func (r *run) result(ctx context.Context, name string, id uint64, tree *structpb.Struct) error {
	if tree == nil {
		return nil
	}
	want := tree.AsMap()
	want["id"] = float64(id)
	return r.expect(ctx, name, map[string]any{"callResult": want})
}

func (r *run) open(ctx context.Context, name string, m *conformancev1alpha1.Open) error {
	actor, err := r.actor(m.Actor)
	if err != nil {
		return err
	}
	g := r.stage.gateway
	open := &runnerv1alpha1.ConnectionOpen{
		Actor: actor.Ref(), Call: g.NextRef(), Connection: g.NextRef(), Subscriptions: m.Subscriptions, Transport: "websocket", DeadlineMs: 30_000,
	}
	open.ConnectionId = fmt.Sprintf("connection-%d", open.Connection)
	if m.Params != nil {
		open.Params, err = r.env.Bytes(m.Params.AsInterface())
	}
	if err == nil && m.Fields != nil {
		err = r.env.Fill(open.ProtoReflect(), m.Fields.AsMap())
	}
	if err != nil {
		return fmt.Errorf("%w: open: %w", errHarness, err)
	}
	r.env.Set(strings.TrimPrefix(m.Connection, "$"), connectionVar{open.Connection, open.ConnectionId})
	if m.Id != "" {
		r.env.Set(strings.TrimPrefix(m.Id, "$"), open.Call)
	}
	if err := r.transmit(&vgw.Frame{Kind: &runnerv1alpha1.Frame_ConnectionOpen{ConnectionOpen: open}}); err != nil {
		return err
	}
	return r.result(ctx, name, open.Call, m.Result)
}

// connectionVar is what the variable of a connection stands for.
type connectionVar struct {
	ref uint64
	id  string
}

// Resolve implements pattern.Resolver.
func (v connectionVar) Resolve(field string) (any, bool) {
	switch field {
	case "":
		return v.ref, true
	case "id":
		return v.id, true
	}
	return nil, false
}

func (r *run) stop(ref uint64, reason string, graceMs uint32) error {
	value := runnerv1alpha1.StopReason_value["STOP_REASON_"+strings.ToUpper(reason)]
	stop := &runnerv1alpha1.StopActor{Actor: ref, Reason: runnerv1alpha1.StopReason(value), GraceMs: graceMs}
	return r.transmit(&vgw.Frame{Kind: &runnerv1alpha1.Frame_StopActor{StopActor: stop}})
}

func (r *run) stopActor(ctx context.Context, name string, m *conformancev1alpha1.Stop) error {
	actor, err := r.actor(m.Actor)
	if err != nil {
		return err
	}
	grace := m.GraceMs
	if grace == 0 {
		grace = 5000
	}
	ref := actor.Ref()
	if err := r.stop(ref, m.Reason, grace); err != nil || m.Async {
		return err
	}
	want := map[string]any{}
	if m.Stopped != nil {
		want = m.Stopped.AsMap()
	}
	want["actor"] = float64(ref)
	return r.expect(ctx, name, map[string]any{"actorStopped": want})
}

func (r *run) send(tree *structpb.Struct) error {
	f, err := r.env.Frame(tree.AsMap())
	if err != nil {
		return fmt.Errorf("%w: %w", errHarness, err)
	}
	if r.session == nil && r.socket != nil {
		r.socket.Bare(f)
		return nil
	}
	return r.transmit(f)
}

func (r *run) batch(m *conformancev1alpha1.Batch) error {
	session, err := r.linked()
	if err != nil {
		return err
	}
	var frames []*vgw.Frame
	for _, tree := range m.Frames {
		f, err := r.env.Frame(tree.AsMap())
		if err != nil {
			return fmt.Errorf("%w: %w", errHarness, err)
		}
		frames = append(frames, f)
	}
	return session.SendTogether(frames...)
}

func (r *run) hold(m *conformancev1alpha1.Hold) error {
	if m.Actor == "" {
		session, err := r.linked()
		if err == nil {
			session.Hold(m.What...)
		}
		return err
	}
	actor, err := r.actor(m.Actor)
	if err == nil {
		actor.Hold(m.What...)
	}
	return err
}

func (r *run) release(m *conformancev1alpha1.Release) error {
	if m.Actor == "" {
		session, err := r.linked()
		if err != nil {
			return err
		}
		what := m.What
		if len(what) == 0 {
			what = []string{vgw.Pongs, vgw.Acks, vgw.Credits, vgw.Drains, vgw.Adopts}
		}
		session.Release(m.Drop, what...)
		return nil
	}
	actor, err := r.actor(m.Actor)
	if err != nil {
		return err
	}
	var refusal *commonv1alpha1.Error
	if m.Error != nil {
		refusal = &commonv1alpha1.Error{}
		if err := r.env.Fill(refusal.ProtoReflect(), m.Error.AsMap()); err != nil {
			return fmt.Errorf("%w: error: %w", errHarness, err)
		}
	}
	return actor.Release(m.Keep, m.Drop, refusal, m.What...)
}

func (r *run) gate(ctx context.Context, m *conformancev1alpha1.Gate) error {
	if m.New != "" {
		id := fmt.Sprintf("%s-%d", r.test.Id, r.stage.gateway.NextRef())
		r.gates = append(r.gates, id)
		r.env.Set(strings.TrimPrefix(m.New, "$"), id)
		return nil
	}
	v, _ := r.env.Get(strings.TrimPrefix(m.Reached+m.Open, "$"))
	id, is := v.(string)
	if !is {
		return fmt.Errorf("%w: %s is no gate", errHarness, m.Reached+m.Open)
	}
	if m.Open != "" {
		r.openGate(id)
		return nil
	}
	if err := r.stage.gates.Reached(ctx, id); err != nil {
		return err
	}
	r.stage.recorder.Add(&trace.Event{Happening: trace.GateReached, Note: id})
	return nil
}

// openGate is in the trace before what comes of it.
func (r *run) openGate(id string) {
	r.stage.recorder.Add(&trace.Event{Happening: trace.GateOpened, Note: id})
	r.stage.gates.Open(id)
}

func (r *run) stored(m *conformancev1alpha1.Stored) error {
	actor, err := r.actor(m.Actor)
	if err != nil {
		return err
	}
	rec := r.stage.gateway.Store.Get(actor.ID)
	switch {
	case rec == nil:
		return errors.New("the store has no such actor")
	case rec.Destroyed != m.Destroyed:
		return fmt.Errorf("destroyed is %t", rec.Destroyed)
	case m.Version != nil && rec.Version != *m.Version:
		return fmt.Errorf("the stored version is %d, want %d", rec.Version, *m.Version)
	case m.NoKv && len(rec.KV) > 0:
		return fmt.Errorf("the store has %d KV entries, want none", len(rec.KV))
	}
	if m.State != nil {
		if err := r.env.MatchBytes(rec.State, m.State.AsInterface()); err != nil {
			return fmt.Errorf("the stored state: %w", err)
		}
	}
	if len(m.Kv) > 0 {
		return r.storedKV(rec, m.Kv)
	}
	return nil
}

func (r *run) storedKV(rec *vgw.Record, want []*conformancev1alpha1.KvPair) error {
	left := make([]string, 0, len(rec.KV))
	for key := range rec.KV {
		left = append(left, key)
	}
	slices.Sort(left)
	for _, pair := range want {
		at := slices.IndexFunc(left, func(key string) bool {
			return r.env.MatchBytes([]byte(key), pair.Key.AsInterface()) == nil
		})
		if at < 0 {
			return fmt.Errorf("the store has no key %v, only %q", pair.Key, left)
		}
		if pair.Value != nil {
			if err := r.env.MatchBytes(rec.KV[left[at]], pair.Value.AsInterface()); err != nil {
				return fmt.Errorf("the stored value of %q: %w", left[at], err)
			}
		}
		left = slices.Delete(left, at, at+1)
	}
	if len(left) > 0 {
		return fmt.Errorf("the store has more keys: %q", left)
	}
	return nil
}

func (r *run) check(m *conformancev1alpha1.Check) error {
	tree := m.Value.AsInterface()
	v := tree
	if text, is := tree.(string); is {
		if name, isVariable := pattern.Variable(text); isVariable {
			v, _ = r.env.Get(name)
		}
	}
	return r.env.MatchValue(v, m.Is.AsInterface())
}
