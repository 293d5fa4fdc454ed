package pattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Scope knows which variables are bound at a place of a case, and checks trees without running anything.
type Scope struct{ bound map[string]bool }

// NewScope has these variables.
func NewScope(names ...string) *Scope {
	s := &Scope{bound: map[string]bool{}}
	for _, name := range names {
		s.bound[name] = true
	}
	return s
}

// Bind adds a variable, given with or without its $.
func (s *Scope) Bind(name string) { s.bound[strings.TrimPrefix(name, "$")] = true }

// Use checks that a variable is bound.
func (s *Scope) Use(text string) error {
	name, is := Variable(text)
	if !is {
		return fmt.Errorf("%q is no variable", text)
	}
	base, _, _ := strings.Cut(name, ".")
	if !s.bound[base] {
		return fmt.Errorf("$%s is not bound here", base)
	}
	return nil
}

// frameFields is Frame, where its kinds stand.
var frameFields = (&runnerv1alpha1.Frame{}).ProtoReflect().Descriptor()

// Frame checks a frame that is sent, or with pattern one that is expected.
func (s *Scope) Frame(tree map[string]any, isPattern bool) error {
	if len(tree) != 1 {
		return fmt.Errorf("a frame has one kind, not %d", len(tree))
	}
	return s.Fields(frameFields, tree, isPattern)
}

// Fields checks the fields of a message.
func (s *Scope) Fields(d protoreflect.MessageDescriptor, tree map[string]any, isPattern bool) error {
	for _, name := range sortedKeys(tree) {
		field, err := fieldOf(d, name)
		if err == nil {
			err = s.field(field, tree[name], isPattern)
		}
		if err != nil {
			return within(name, err)
		}
	}
	return nil
}

func (s *Scope) field(field protoreflect.FieldDescriptor, tree any, isPattern bool) error {
	if m, is := tree.(map[string]any); is && isPattern && isMatcher(m) {
		return s.matcher(m, func(inner any) error { return s.field(field, inner, isPattern) })
	}
	if text, is := tree.(string); is {
		if _, isVariable := Variable(text); isVariable {
			return s.text(text, isPattern)
		}
	}
	switch {
	case field.IsMap():
		if _, is := tree.(map[string]any); !is {
			return fmt.Errorf("%v is no map", tree)
		}
		return nil
	case field.IsList():
		items, is := tree.([]any)
		if !is {
			return fmt.Errorf("%v is no list", tree)
		}
		for _, item := range items {
			if err := s.single(field, item, isPattern); err != nil {
				return err
			}
		}
		return nil
	}
	return s.single(field, tree, isPattern)
}

func (s *Scope) single(field protoreflect.FieldDescriptor, tree any, isPattern bool) error {
	fields, isMap := tree.(map[string]any)
	if isMap && isPattern && isMatcher(fields) {
		return s.matcher(fields, func(inner any) error { return s.single(field, inner, isPattern) })
	}
	switch field.Kind() {
	case protoreflect.MessageKind:
		if !isMap {
			return fmt.Errorf("%v is no %s", tree, field.Message().Name())
		}
		return s.Fields(field.Message(), fields, isPattern)
	case protoreflect.BytesKind:
		if isMap && !isBytesForm(fields) && changesOf(field) != nil {
			return s.Fields(changesOf(field).Descriptor(), fields, isPattern)
		}
		return s.Payload(tree, isPattern)
	case protoreflect.EnumKind:
		_, err := enumNumber(field.Enum(), tree)
		return err
	default:
	}
	if text, is := tree.(string); is {
		if _, isVariable := Variable(text); isVariable {
			return s.text(text, isPattern)
		}
		_, err := plain(text)
		if err != nil {
			return err
		}
	}
	_, err := scalarOf(field.Kind(), tree)
	return err
}

func (s *Scope) text(text string, isPattern bool) error {
	name, is := Variable(text)
	if !is {
		_, err := plain(text)
		return err
	}
	if isPattern && !strings.Contains(name, ".") {
		s.Bind(name)
		return nil
	}
	return s.Use(text)
}

// Payload checks what says bytes.
func (s *Scope) Payload(tree any, isPattern bool) error {
	fields, is := tree.(map[string]any)
	if !is {
		text, isText := tree.(string)
		if !isText {
			return fmt.Errorf("%v says no bytes", tree)
		}
		if _, isVariable := Variable(text); !isVariable {
			return fmt.Errorf("%q says no bytes: want {cbor: …}, {hex: …}, {text: …} or a variable", text)
		}
		return s.text(text, isPattern)
	}
	if isPattern && isMatcher(fields) {
		return s.matcher(fields, func(inner any) error { return s.Payload(inner, isPattern) })
	}
	if len(fields) != 1 || !isBytesForm(fields) {
		return fmt.Errorf("%v says no bytes: want {cbor: …}, {hex: …} or {text: …}", tree)
	}
	for key, inner := range fields {
		if key == "hex" {
			_, err := hexBytes(inner)
			return err
		}
		if err := s.Value(inner, isPattern); err != nil {
			return within(key, err)
		}
	}
	return nil
}

// Value checks a CBOR value, or a pattern of one.
func (s *Scope) Value(tree any, isPattern bool) error {
	switch t := tree.(type) {
	case string:
		return s.text(t, isPattern)
	case []any:
		for i, item := range t {
			if err := s.Value(item, isPattern); err != nil {
				return within(fmt.Sprint(i), err)
			}
		}
	case map[string]any:
		if isMatcher(t) {
			return s.matcher(t, func(inner any) error { return s.Value(inner, isPattern) })
		}
		for _, key := range sortedKeys(t) {
			if err := s.Value(t[key], isPattern); err != nil {
				return within(key, err)
			}
		}
	}
	return nil
}

// values are what may stand where a value is wanted.
var values = []string{"$float", "$bytes", "$bytesOf", "$undefined", "$tag", "$map", "$text", "$repeat", "$concat", "$exactly"}

// matcher checks what begins with $; inner checks a pattern of the same place.
func (s *Scope) matcher(m map[string]any, inner func(any) error) error {
	for _, key := range sortedKeys(m) {
		arg := m[key]
		var err error
		switch key {
		case "$any", "$absent", "$undefined", "$text", "$float", "$tag", "$map", "$repeat":
		case "$concat":
			list, is := arg.([]any)
			if !is {
				return errors.New("$concat takes a list")
			}
			for _, item := range list {
				err = errors.Join(err, s.Value(item, false))
			}
		case "$is", "$not", "$exactly":
			err = inner(arg)
		case "$oneOf", "$has":
			list, is := arg.([]any)
			if !is {
				return fmt.Errorf("%s takes a list", key)
			}
			for _, item := range list {
				if key == "$has" {
					err = errors.Join(err, s.Value(item, true))
				} else {
					err = errors.Join(err, inner(item))
				}
			}
		case "$prefix", "$contains", "$gt", "$ge", "$lt", "$le", "$len":
			err = s.Value(arg, true)
		case "$bind":
			text, is := arg.(string)
			if !is {
				return errors.New("$bind takes a variable")
			}
			err = s.text(text, true)
		case "$bytes":
			_, err = hexBytes(arg)
		case "$bytesOf":
			err = s.Payload(arg, false)
		default:
			return fmt.Errorf("%s is no matcher", key)
		}
		if err != nil {
			return within(key, err)
		}
	}
	return nil
}

// IsValue says whether a special key may be sent.
func IsValue(key string) bool { return slices.Contains(values, key) }
