package pattern

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Frame makes a frame of a tree with one entry, its kind.
func (e *Env) Frame(tree map[string]any) (*runnerv1alpha1.Frame, error) {
	f := &runnerv1alpha1.Frame{}
	if len(tree) != 1 {
		return nil, fmt.Errorf("a frame has one kind, not %d", len(tree))
	}
	return f, e.Fill(f.ProtoReflect(), tree)
}

// Fill sets the fields that a tree names.
func (e *Env) Fill(m protoreflect.Message, tree map[string]any) error {
	for name, value := range tree {
		field, err := fieldOf(m.Descriptor(), name)
		if err != nil {
			return err
		}
		if err := e.set(m, field, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func fieldOf(d protoreflect.MessageDescriptor, name string) (protoreflect.FieldDescriptor, error) {
	if field := d.Fields().ByJSONName(name); field != nil {
		return field, nil
	}
	return nil, fmt.Errorf("%s has no field %q", d.Name(), name)
}

func (e *Env) set(m protoreflect.Message, field protoreflect.FieldDescriptor, tree any) error {
	switch {
	case field.IsMap():
		entries, ok := tree.(map[string]any)
		if !ok {
			return fmt.Errorf("%v is no map", tree)
		}
		for key, item := range entries {
			v, err := e.scalar(field.MapValue(), item)
			if err != nil {
				return err
			}
			m.Mutable(field).Map().Set(protoreflect.ValueOfString(key).MapKey(), v)
		}
		return nil
	case field.IsList():
		items, err := e.items(tree)
		if err != nil {
			return err
		}
		list := m.Mutable(field).List()
		for _, item := range items {
			if field.Message() != nil {
				if err := e.fillItem(list.AppendMutable().Message(), item); err != nil {
					return err
				}
				continue
			}
			v, err := e.scalar(field, item)
			if err != nil {
				return err
			}
			list.Append(v)
		}
		return nil
	case field.Message() != nil:
		return e.fillItem(m.Mutable(field).Message(), tree)
	}
	v, err := e.scalar(field, tree)
	if err != nil {
		return err
	}
	m.Set(field, v)
	return nil
}

// items is a list, or a variable that is one.
func (e *Env) items(tree any) ([]any, error) {
	if text, is := tree.(string); is {
		v, err := e.value(text)
		if err != nil {
			return nil, err
		}
		if texts, is := v.([]string); is {
			items := make([]any, len(texts))
			for i, text := range texts {
				items[i] = escape(text)
			}
			return items, nil
		}
		tree = v
	}
	items, ok := tree.([]any)
	if !ok {
		return nil, fmt.Errorf("%v is no list", tree)
	}
	return items, nil
}

// escape makes that a text means itself.
func escape(text string) string {
	if strings.HasPrefix(text, "$") {
		return "$" + text
	}
	return text
}

func (e *Env) fillItem(m protoreflect.Message, tree any) error {
	fields, ok := tree.(map[string]any)
	if !ok {
		return fmt.Errorf("%v is no %s", tree, m.Descriptor().Name())
	}
	return e.Fill(m, fields)
}

// changesOf is what the bytes of a field hold that is a message in all but its type: Commit.changes.
func changesOf(field protoreflect.FieldDescriptor) protoreflect.Message {
	if field.FullName() == "stagedoor.runner.v1alpha1.Commit.changes" {
		return (&runnerv1alpha1.Changes{}).ProtoReflect()
	}
	return nil
}

func isBytesForm(m map[string]any) bool {
	for _, key := range []string{"cbor", "hex", "text", "bytes"} {
		if _, ok := m[key]; ok {
			return true
		}
	}
	return false
}

func (e *Env) scalar(field protoreflect.FieldDescriptor, tree any) (protoreflect.Value, error) {
	if field.Kind() == protoreflect.BytesKind {
		if inner, is := tree.(map[string]any); is && !isBytesForm(inner) && changesOf(field) != nil {
			changes := changesOf(field)
			if err := e.Fill(changes, inner); err != nil {
				return protoreflect.Value{}, err
			}
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(changes.Interface())
			return protoreflect.ValueOfBytes(b), err
		}
		b, err := e.Bytes(tree)
		return protoreflect.ValueOfBytes(b), err
	}
	if field.Kind() == protoreflect.EnumKind {
		n, err := enumNumber(field.Enum(), tree)
		return protoreflect.ValueOfEnum(n), err
	}
	v, err := e.native(tree)
	if err != nil {
		return protoreflect.Value{}, err
	}
	return scalarOf(field.Kind(), v)
}

func scalarOf(kind protoreflect.Kind, v any) (protoreflect.Value, error) {
	f, isNumber := asFloat(v)
	switch kind {
	case protoreflect.BoolKind:
		if b, ok := v.(bool); ok {
			return protoreflect.ValueOfBool(b), nil
		}
	case protoreflect.StringKind:
		if s, ok := v.(string); ok {
			return protoreflect.ValueOfString(s), nil
		}
	case protoreflect.Uint32Kind:
		if isNumber && f >= 0 && f < 1<<32 {
			return protoreflect.ValueOfUint32(uint32(f)), nil
		}
	case protoreflect.Int32Kind:
		if isNumber {
			return protoreflect.ValueOfInt32(int32(f)), nil
		}
	case protoreflect.Uint64Kind:
		if n, ok := asUint(v); ok {
			return protoreflect.ValueOfUint64(n), nil
		}
	case protoreflect.Int64Kind:
		if isNumber {
			return protoreflect.ValueOfInt64(int64(f)), nil
		}
	default:
	}
	return protoreflect.Value{}, fmt.Errorf("%v is no %s", v, kind)
}

// asFloat is a number as patterns compare it.
func asFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case int:
		return float64(n), true
	}
	return 0, false
}

// asUint is a number that fits; digits in text are one beyond float64's reach.
func asUint(v any) (uint64, bool) {
	switch n := v.(type) {
	case uint64:
		return n, true
	case string:
		u, err := strconv.ParseUint(n, 10, 64)
		return u, err == nil
	}
	f, ok := asFloat(v)
	return uint64(f), ok && f >= 0
}

// enumNumber reads `sleep` as STOP_REASON_SLEEP, and numbers as they are, known or not.
func enumNumber(d protoreflect.EnumDescriptor, tree any) (protoreflect.EnumNumber, error) {
	if f, ok := tree.(float64); ok {
		return protoreflect.EnumNumber(f), nil
	}
	text, ok := tree.(string)
	if !ok {
		return 0, fmt.Errorf("%v is no %s", tree, d.Name())
	}
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		if shortName(d, v) == text {
			return v.Number(), nil
		}
	}
	return 0, fmt.Errorf("%q is no %s", text, d.Name())
}

// shortName is an enum value as cases write it.
func shortName(d protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	zero := string(d.Values().ByNumber(0).Name())
	prefix := strings.TrimSuffix(zero, "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}
