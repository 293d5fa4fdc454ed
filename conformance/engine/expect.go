package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

// identity are the fields by which expect finds its frame.
var identity = []string{"actor", "id", "nonce", "connection", "old"}

// expect waits for the first frame of the kind with the pattern's identity, which must fit.
func (r *run) expect(ctx context.Context, name string, tree map[string]any) error {
	kind, fields, err := kindOf(tree)
	if err != nil {
		return err
	}
	e, err := r.first(ctx, func(e *vgw.Entry) bool { return e.Name == kind && r.identical(e.Message, fields) })
	if err != nil {
		return fmt.Errorf("wait for %s %s: %w", kind, r.who(fields), err)
	}
	if err := r.env.Match(e.Frame.ProtoReflect(), tree); err != nil {
		return err
	}
	r.take(name, e)
	return nil
}

func kindOf(tree map[string]any) (string, map[string]any, error) {
	for kind, v := range tree {
		fields, is := v.(map[string]any)
		if !is {
			fields = map[string]any{}
		}
		return kind, fields, nil
	}
	return "", nil, fmt.Errorf("%w: a pattern without kind", errHarness)
}

// who is the identity in words.
func (r *run) who(fields map[string]any) string {
	var words []string
	for _, name := range identity {
		if v, bound := r.env.Bound(fields[name]); bound {
			words = append(words, fmt.Sprintf("%s %v", name, v))
		}
	}
	return strings.Join(words, ", ")
}

func (r *run) identical(m protoreflect.Message, fields map[string]any) bool {
	for _, name := range identity {
		want, bound := r.env.Bound(fields[name])
		if !bound {
			continue
		}
		field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if field == nil || field.Kind() != protoreflect.Uint64Kind {
			continue
		}
		if got := m.Get(field).Uint(); got != number(want) {
			return false
		}
	}
	return true
}

func number(v any) uint64 {
	switch n := v.(type) {
	case uint64:
		return n
	case float64:
		return uint64(n)
	}
	return 0
}

// first waits for the first frame of the case that fits and was not taken, as long as the runner can still send one.
func (r *run) first(ctx context.Context, fits func(*vgw.Entry) bool) (*vgw.Entry, error) {
	ended := func() <-chan struct{} { return nil }
	if r.socket != nil {
		ended = r.socket.Done
	}
	var process <-chan struct{}
	if r.stage.process != nil {
		process = r.stage.process.Done()
	}
	for {
		over := closed(ended()) // before the look, so that the look sees all that came
		entries, grown := r.stage.gateway.Log.From(r.start)
		for _, e := range entries {
			if !r.taken[e.Index] && e.Message != nil && fits(e) {
				return e, nil
			}
		}
		if over {
			return nil, r.gone()
		}
		select {
		case <-grown:
		case <-ended():
		case <-process:
			process = nil // what it said last is still on its way
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// gone says why there is nothing more to come.
func (r *run) gone() error {
	why := r.socket.Why()
	if bye := r.socket.Goodbye(); bye != nil {
		return fmt.Errorf("the runner said Goodbye %s (%s)", bye.Code, bye.Message)
	}
	if p := r.stage.process; p != nil && !p.Alive() {
		code, _ := p.Exit(context.Background())
		return fmt.Errorf("the runner's process ended with status %d", code)
	}
	return fmt.Errorf("the socket has ended: %s", why)
}

func (r *run) take(name string, e *vgw.Entry) {
	r.taken[e.Index] = true
	if name != "" {
		r.matched[name] = e.Index
	}
}

func (r *run) either(ctx context.Context, name string, m *conformancev1alpha1.Either) error {
	var faults []string
	e, err := r.first(ctx, func(e *vgw.Entry) bool {
		for _, one := range m.Of {
			tree := one.AsMap()
			if kind, _, _ := kindOf(tree); kind != e.Name {
				continue
			}
			err := r.env.Match(e.Frame.ProtoReflect(), tree)
			if err == nil {
				return true
			}
			faults = append(faults, err.Error())
		}
		return false
	})
	if err != nil {
		slices.Sort(faults)
		faults = slices.Compact(faults)
		return fmt.Errorf("wait for one of %d legal frames: %w; what came: %s", len(m.Of), err, strings.Join(faults, "; "))
	}
	r.take(name, e)
	return nil
}

// matching are the frames of the case, or since the end of a step, that fit. Nothing is bound by them.
func (r *run) matching(tree map[string]any, since string) ([]*vgw.Entry, error) {
	from := r.start
	if since != "" {
		from = r.ended[since]
	}
	kind, _, err := kindOf(tree)
	if err != nil {
		return nil, err
	}
	entries, _ := r.stage.gateway.Log.From(from)
	var found []*vgw.Entry
	for _, e := range entries {
		if e.Name != kind || e.Message == nil {
			continue
		}
		fits := false
		_ = r.env.Try(func() error {
			fits = r.env.Match(e.Frame.ProtoReflect(), tree) == nil
			return errForget
		})
		if fits {
			found = append(found, e)
		}
	}
	return found, nil
}

var errForget = errors.New("binds nothing")

func (r *run) never(m *conformancev1alpha1.Never) error {
	found, err := r.matching(m.Frame.AsMap(), m.Since)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("this must not come: %s {%.400s}", found[0].Name, fmt.Sprint(found[0].Message.Interface()))
	}
	return err
}

func (r *run) count(m *conformancev1alpha1.Count) error {
	found, err := r.matching(m.Frame.AsMap(), m.Since)
	if err == nil && len(found) != int(m.Exactly) {
		err = fmt.Errorf("%d such frames came, want %d", len(found), m.Exactly)
	}
	return err
}

func (r *run) order(m *conformancev1alpha1.Order) error {
	for i, name := range m.Steps[1:] {
		first, second := r.matched[m.Steps[i]], r.matched[name]
		if first >= second {
			return fmt.Errorf("the frame of %q came before that of %q", name, m.Steps[i])
		}
	}
	return nil
}

func (r *run) fence(ctx context.Context, name string, m *conformancev1alpha1.FenceStep) error {
	ref := uint64(0)
	if m.Actor != "" {
		actor, err := r.actor(m.Actor)
		if err != nil {
			return err
		}
		ref = actor.Ref()
	}
	nonce := r.stage.gateway.NextRef()
	fence := &runnerv1alpha1.Fence{Nonce: nonce, Actor: ref}
	if err := r.transmit(&vgw.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: fence}}); err != nil || m.Async {
		return err
	}
	return r.expect(ctx, name, map[string]any{"fenceReached": map[string]any{"nonce": float64(nonce), "actor": float64(ref)}})
}
