package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/launch"
	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
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
		return fmt.Errorf("wait for %s: %w", strings.TrimSpace(kind+" "+r.who(fields))+besides(compound(fields)), err)
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

// who is the identity in words; what has none is told by the texts and numbers that it must have.
func (r *run) who(fields map[string]any) string {
	if words := r.words(fields, identity); len(words) > 0 {
		return strings.Join(words, ", ")
	}
	if words := r.words(fields, slices.Sorted(maps.Keys(fields))); len(words) > 0 {
		return "with " + strings.Join(words, ", ")
	}
	return ""
}

func (r *run) words(fields map[string]any, names []string) []string {
	var words []string
	for _, name := range names {
		v, known := r.env.Bound(fields[name])
		if text, is := fields[name].(string); is && !known {
			_, unbound := pattern.Variable(text)
			v, known = text, !unbound
		}
		switch v.(type) {
		case string, float64, uint64:
			if known {
				words = append(words, fmt.Sprintf("%s %v", name, v))
			}
		}
	}
	return words
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
	if bye := r.socket.Goodbye(); bye != nil {
		return fmt.Errorf("the runner said %s", strings.TrimSpace(fmt.Sprintf("Goodbye %s %s", bye.Code, bye.Message)))
	}
	if r.socket.Faulty() {
		return fmt.Errorf("the suite has ended the socket: %s", strings.TrimPrefix(r.socket.Why(), "the suite closed: "))
	}
	if code, ended := r.stage.ending(); ended {
		return fmt.Errorf("the runner's process %s", launch.Ending(code))
	}
	return fmt.Errorf("the socket has ended: %s", r.socket.Why())
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
		return fmt.Errorf("wait for %s: %w%s", wanted(m), err, nearest(faults))
	}
	r.take(name, e)
	return nil
}

// wanted is what the step waits for, in words.
func wanted(m *conformancev1alpha1.Either) string {
	var words []string
	for _, one := range m.Of {
		kind, fields, _ := kindOf(one.AsMap())
		words = append(words, kind+besides(fields))
	}
	return strings.Join(words, ", or for ")
}

// besides is what the pattern says besides the identity.
func besides(fields map[string]any) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(identity, name) {
			text += " " + name + " " + brief(fields[name])
		}
	}
	return text
}

// compound are the fields that are no text or number, which who tells of.
func compound(fields map[string]any) map[string]any {
	some := maps.Clone(fields)
	maps.DeleteFunc(some, func(_ string, v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return false
		}
		return true
	})
	return some
}

// brief is a pattern as it stands in the case, shortened.
func brief(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		return fmt.Sprint(tree)
	}
	if len(text) > 200 {
		return strings.ToValidUTF8(string(text[:200]), "") + "…"
	}
	return string(text)
}

// nearest says of frames of the right kind, each once, why they do not fit.
func nearest(faults []string) string {
	slices.Sort(faults)
	faults = slices.Compact(faults)
	if len(faults) == 0 {
		return ""
	}
	more := ""
	if n := len(faults) - 3; n > 0 {
		faults, more = faults[:3], fmt.Sprintf("; and %d more", n)
	}
	return "; of those that came: " + strings.Join(faults, "; ") + more
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
		err = fmt.Errorf("this must not come: %s %s", found[0].Name, pattern.Show(found[0].Message))
	}
	return err
}

func (r *run) count(m *conformancev1alpha1.Count) error {
	found, err := r.matching(m.Frame.AsMap(), m.Since)
	if err == nil && len(found) != int(m.Exactly) {
		kind, fields, _ := kindOf(m.Frame.AsMap())
		err = fmt.Errorf("%s came %d times, want %d", strings.TrimSpace(kind+" "+r.who(fields)), len(found), m.Exactly)
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
