package casefile

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
)

// checker follows the variables and names of a case from step to step.
type checker struct {
	scope   *pattern.Scope
	names   map[string]bool // of steps
	matched map[string]bool // of steps that match a frame
}

func checkSteps(c *Case) error {
	k := &checker{pattern.NewScope(), map[string]bool{}, map[string]bool{}}
	return k.all(c.Steps)
}

func (k *checker) all(steps []*Step) error {
	for i, step := range steps {
		if err := k.step(step); err != nil {
			return fmt.Errorf("step %s: %w", StepName(step, i), err)
		}
		if step.Name != "" {
			if k.names[step.Name] {
				return fmt.Errorf("two steps are called %q", step.Name)
			}
			k.names[step.Name] = true
		}
	}
	return nil
}

func (k *checker) step(step *Step) error {
	switch a := step.Action.(type) {
	case *conformancev1alpha1.Step_Connect:
		return k.connect(a.Connect)
	case *conformancev1alpha1.Step_Start:
		return k.start(step, a.Start)
	case *conformancev1alpha1.Step_Call:
		return k.call(step, a.Call)
	case *conformancev1alpha1.Step_Open:
		return k.open(step, a.Open)
	case *conformancev1alpha1.Step_Stop:
		k.match(step)
		return errors.Join(k.scope.Use(a.Stop.Actor), k.fields(&runnerv1alpha1.ActorStopped{}, a.Stop.Stopped, true), reason(a.Stop.Reason))
	case *conformancev1alpha1.Step_Send:
		return k.scope.Frame(a.Send.AsMap(), false)
	case *conformancev1alpha1.Step_Batch:
		return k.frames(a.Batch.Frames, false)
	case *conformancev1alpha1.Step_Raw:
		return k.raw(a.Raw)
	case *conformancev1alpha1.Step_Expect:
		k.match(step)
		return k.scope.Frame(a.Expect.AsMap(), true)
	case *conformancev1alpha1.Step_Either:
		k.match(step)
		return k.frames(a.Either.Of, true)
	case *conformancev1alpha1.Step_Never:
		return errors.Join(k.scope.Frame(a.Never.Frame.AsMap(), true), k.since(a.Never.Since))
	case *conformancev1alpha1.Step_Count:
		return errors.Join(k.scope.Frame(a.Count.Frame.AsMap(), true), k.since(a.Count.Since))
	case *conformancev1alpha1.Step_Order:
		for _, name := range a.Order.Steps {
			if !k.matched[name] {
				return fmt.Errorf("no earlier step called %q matches a frame", name)
			}
		}
		return nil
	case *conformancev1alpha1.Step_Repeat:
		if a.Repeat.As != "" {
			k.scope.Bind(a.Repeat.As)
		}
		return k.all(a.Repeat.Steps)
	}
	return k.rest(step)
}

// rest are the steps that are not about frames.
func (k *checker) rest(step *Step) error {
	switch a := step.Action.(type) {
	case *conformancev1alpha1.Step_Fence:
		k.match(step)
		return k.optional(a.Fence.Actor)
	case *conformancev1alpha1.Step_Hold:
		return errors.Join(k.optional(a.Hold.Actor), holds(a.Hold.Actor != "", a.Hold.What))
	case *conformancev1alpha1.Step_Release:
		return errors.Join(k.optional(a.Release.Actor), holds(a.Release.Actor != "", a.Release.What),
			k.fields(&commonv1alpha1.Error{}, a.Release.Error, false))
	case *conformancev1alpha1.Step_Gate:
		if a.Gate.New != "" {
			k.scope.Bind(a.Gate.New)
			return nil
		}
		return k.scope.Use(a.Gate.Reached + a.Gate.Open)
	case *conformancev1alpha1.Step_Link:
		return k.fields(&commonv1alpha1.Goodbye{}, a.Link.Goodbye, false)
	case *conformancev1alpha1.Step_Process:
		return nil
	case *conformancev1alpha1.Step_Stored:
		return k.stored(a.Stored)
	case *conformancev1alpha1.Step_Check:
		return errors.Join(k.scope.Value(a.Check.Value.AsInterface(), false), k.scope.Value(a.Check.Is.AsInterface(), true))
	}
	return errors.New("says nothing to do")
}

func (k *checker) match(step *Step) {
	if step.Name != "" {
		k.matched[step.Name] = true
	}
}

func (k *checker) since(name string) error {
	if name != "" && !k.names[name] {
		return fmt.Errorf("no earlier step is called %q", name)
	}
	return nil
}

func (k *checker) optional(actor string) error {
	if actor == "" {
		return nil
	}
	return k.scope.Use(actor)
}

func (k *checker) fields(m proto.Message, tree *structpb.Struct, isPattern bool) error {
	if tree == nil {
		return nil
	}
	return k.scope.Fields(m.ProtoReflect().Descriptor(), tree.AsMap(), isPattern)
}

func (k *checker) payload(tree *structpb.Value, isPattern bool) error {
	if tree == nil {
		return nil
	}
	return k.scope.Payload(tree.AsInterface(), isPattern)
}

func (k *checker) frames(frames []*structpb.Struct, isPattern bool) error {
	if len(frames) == 0 {
		return errors.New("lists no frames")
	}
	for _, f := range frames {
		if err := k.scope.Frame(f.AsMap(), isPattern); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) connect(m *conformancev1alpha1.Connect) error {
	return errors.Join(k.fields(&runnerv1alpha1.Hello{}, m.Hello, true), k.fields(&runnerv1alpha1.Welcome{}, m.Welcome, false),
		k.fields(&runnerv1alpha1.Reject{}, m.Reject, false))
}

func (k *checker) start(step *Step, m *conformancev1alpha1.Start) error {
	k.match(step)
	if m.Type == "" && m.Wake == "" {
		return errors.New("names no type")
	}
	err := errors.Join(k.optional(m.Wake), k.payload(m.Input, false), holds(true, m.Hold))
	k.scope.Bind(m.Actor)
	return errors.Join(err, k.fields(&runnerv1alpha1.StartActor{}, m.Fields, false), k.fields(&runnerv1alpha1.ActorStopped{}, m.Stopped, true))
}

func (k *checker) call(step *Step, m *conformancev1alpha1.Call) error {
	k.match(step)
	if m.Id == "" && m.Result == nil {
		return errors.New("has neither id nor result")
	}
	if m.Id != "" {
		k.scope.Bind(m.Id)
	}
	return errors.Join(k.scope.Use(m.Actor), k.payload(m.Args, false), k.fields(&runnerv1alpha1.Call{}, m.Fields, false),
		k.fields(&runnerv1alpha1.CallResult{}, m.Result, true))
}

func (k *checker) open(step *Step, m *conformancev1alpha1.Open) error {
	k.match(step)
	k.scope.Bind(m.Connection)
	if m.Id != "" {
		k.scope.Bind(m.Id)
	}
	return errors.Join(k.scope.Use(m.Actor), k.payload(m.Params, false), k.fields(&runnerv1alpha1.ConnectionOpen{}, m.Fields, false),
		k.fields(&runnerv1alpha1.CallResult{}, m.Result, true))
}

func (k *checker) raw(m *conformancev1alpha1.Raw) error {
	if m.UnknownFieldIn != nil {
		return k.scope.Frame(m.UnknownFieldIn.AsMap(), false)
	}
	return nil
}

func (k *checker) stored(m *conformancev1alpha1.Stored) error {
	err := errors.Join(k.scope.Use(m.Actor), k.payload(m.State, true))
	for _, pair := range m.Kv {
		err = errors.Join(err, k.payload(pair.Key, true), k.payload(pair.Value, true))
	}
	return err
}

var (
	actorHolds = []string{"commits", "reads"}
	linkHolds  = []string{"pongs", "acks", "credit", "drain", "adopt"}
)

func holds(ofActor bool, what []string) error {
	known := linkHolds
	if ofActor {
		known = actorHolds
	}
	for _, w := range what {
		if !slices.Contains(known, w) {
			return fmt.Errorf("%q is none of %v", w, known)
		}
	}
	return nil
}

var reasons = []string{"sleep", "destroy", "migrate", "drain", "fenced"}

func reason(text string) error {
	if !slices.Contains(reasons, text) {
		return fmt.Errorf("reason %q is none of %v", text, reasons)
	}
	return nil
}
