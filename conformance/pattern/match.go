package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Match says where a message does not fit a pattern; nil: it fits, and the variables that the pattern binds are bound.
func (e *Env) Match(m protoreflect.Message, tree map[string]any) error {
	return e.Try(func() error { return e.message(m, tree) })
}

// MatchValue is Match of a value: of CBOR, as Decode gives it, or of a variable.
func (e *Env) MatchValue(v, tree any) error {
	return e.Try(func() error { return e.fits(v, tree) })
}

func (e *Env) message(m protoreflect.Message, tree map[string]any) error {
	for _, name := range sortedKeys(tree) {
		field, err := fieldOf(m.Descriptor(), name)
		if err != nil {
			return err
		}
		if err := e.field(m, field, tree[name]); err != nil {
			return within(name, err)
		}
	}
	return nil
}

// sortedKeys has bindings in a stable order.
func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// mismatch is what does not fit, and where.
type mismatch struct {
	path string
	text string
}

func (m *mismatch) Error() string { return strings.TrimPrefix(m.path, ".") + ": " + m.text }

func within(name string, err error) error {
	var inner *mismatch
	if errors.As(err, &inner) {
		return &mismatch{"." + name + inner.path, inner.text}
	}
	return &mismatch{"." + name, err.Error()}
}

func (e *Env) field(m protoreflect.Message, field protoreflect.FieldDescriptor, tree any) error {
	has := m.Has(field)
	if want, is := tree.(map[string]any); is {
		if _, absent := want["$absent"]; absent {
			if has {
				return fmt.Errorf("is there: %s", show(valueOf(field, m.Get(field))))
			}
			return nil
		}
		if _, there := want["$any"]; there && !has {
			return errors.New("is not there")
		}
	}
	if !has && (field.HasPresence() || field.Message() != nil && !field.IsList() && !field.IsMap()) {
		if want, is := tree.(map[string]any); is && want["$not"] != nil {
			return nil
		}
		return fmt.Errorf("is not there; want %s", show(tree))
	}
	return e.fits(valueOf(field, m.Get(field)), tree)
}

// valueOf is a field's value as fits takes it.
func valueOf(field protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case field.IsList():
		items := make([]any, v.List().Len())
		for i := range items {
			items[i] = scalarValue(field, v.List().Get(i))
		}
		return items
	case field.IsMap():
		entries := map[any]any{}
		v.Map().Range(func(key protoreflect.MapKey, item protoreflect.Value) bool {
			entries[key.String()] = scalarValue(field.MapValue(), item)
			return true
		})
		return entries
	}
	return scalarValue(field, v)
}

func scalarValue(field protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.EnumKind:
		if d := field.Enum().Values().ByNumber(v.Enum()); d != nil {
			return shortName(field.Enum(), d)
		}
		return int64(v.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return v.Message()
	case protoreflect.BytesKind:
		return payload{v.Bytes(), changesOf(field)}
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return v.Uint()
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return v.Int()
	default:
		return v.Interface()
	}
}

// payload is a field of bytes, of which a pattern may say what they hold.
type payload struct {
	b       []byte
	changes protoreflect.Message // where they are a message
}

func (e *Env) fits(v, tree any) error {
	switch want := tree.(type) {
	case map[string]any:
		return e.fitsMap(v, want)
	case []any:
		return e.fitsList(v, want)
	case string:
		return e.fitsText(v, want)
	case float64:
		return fitsNumber(v, want)
	}
	if raw, is := v.(payload); is {
		v = raw.b
	}
	if v != tree {
		return fmt.Errorf("is %s, want %s", show(v), show(tree))
	}
	return nil
}

func (e *Env) fitsMap(v any, want map[string]any) error {
	if isMatcher(want) {
		return e.matches(v, want)
	}
	switch got := v.(type) {
	case protoreflect.Message:
		return e.message(got, want)
	case payload:
		return e.fitsPayload(got, want)
	case map[any]any:
		for _, key := range sortedKeys(want) {
			item, there := got[key]
			if !there {
				if m, is := want[key].(map[string]any); is && m["$absent"] != nil {
					continue
				}
				return within(key, errors.New("is not there"))
			}
			if err := e.fits(item, want[key]); err != nil {
				return within(key, err)
			}
		}
		return nil
	}
	return fmt.Errorf("is %s, want %s", show(v), show(want))
}

func (e *Env) fitsPayload(got payload, want map[string]any) error {
	if tree, ok := want["cbor"]; ok {
		v, err := Decode(got.b)
		if err != nil {
			return err
		}
		if m, is := tree.(map[string]any); is && m["$undefined"] != nil {
			if !bytes.Equal(got.b, undefined) {
				return fmt.Errorf("is %s, want undefined", show(v))
			}
			return nil
		}
		return e.fits(v, tree)
	}
	if tree, ok := want["text"]; ok {
		return e.fits(string(got.b), tree)
	}
	if tree, ok := want["bytes"]; ok {
		return e.fits(got.b, tree)
	}
	if _, ok := want["hex"]; ok {
		b, err := hexBytes(want["hex"])
		if err == nil && !bytes.Equal(got.b, b) {
			err = fmt.Errorf("is %s, want %s", diagnosed(got.b), diagnosed(b))
		}
		return err
	}
	if got.changes == nil {
		return fmt.Errorf("%s says no bytes", show(want))
	}
	changes := got.changes.New()
	if err := proto.Unmarshal(got.b, changes.Interface()); err != nil {
		return fmt.Errorf("are no Changes: %w", err)
	}
	return e.message(changes, want)
}

func (e *Env) fitsList(v any, want []any) error {
	got, is := v.([]any)
	if !is {
		return fmt.Errorf("is %s, want a list", show(v))
	}
	if len(got) != len(want) {
		return fmt.Errorf("has %d items, want %d: %s", len(got), len(want), show(v))
	}
	for i := range got {
		if err := e.fits(got[i], want[i]); err != nil {
			return within(fmt.Sprint(i), err)
		}
	}
	return nil
}

func (e *Env) fitsText(v any, want string) error {
	if raw, is := v.(payload); is {
		v = raw.b
	}
	name, isVariable := Variable(want)
	if isVariable {
		bound, ok := e.Get(name)
		if !ok {
			e.Set(name, v)
			return nil
		}
		if !same(v, bound) {
			return fmt.Errorf("is %s, want $%s, which is %s", show(v), name, show(bound))
		}
		return nil
	}
	text, err := plain(want)
	if err != nil {
		return err
	}
	if v != text {
		return fmt.Errorf("is %s, want %q", show(v), text)
	}
	return nil
}

// same compares a value with that of a variable.
func same(a, b any) bool {
	if texts, is := b.([]string); is {
		items, isList := a.([]any)
		return isList && slices.EqualFunc(items, texts, func(x any, y string) bool { return x == y })
	}
	x, isNumber := asFloat(a)
	y, isToo := asFloat(b)
	if isNumber && isToo {
		ux, _ := asUint(a)
		uy, _ := asUint(b)
		return x == y && ux == uy
	}
	x1, is1 := a.([]byte)
	x2, is2 := b.([]byte)
	if is1 && is2 {
		return bytes.Equal(x1, x2)
	}
	one, err1 := encoder.Marshal(a)
	two, err2 := encoder.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}

// fitsNumber keeps integers and floats apart: 1 is no 1.0.
func fitsNumber(v any, want float64) error {
	got, is := asFloat(v)
	_, isFloat := v.(float64)
	if !is || got != want || isFloat && want == float64(int64(want)) {
		return fmt.Errorf("is %s, want %v", show(v), want)
	}
	return nil
}

// show is a value for people.
func show(v any) string {
	switch t := v.(type) {
	case payload:
		return showBytes(t.b)
	case []byte:
		return showBytes(t)
	case cbor.ByteString:
		return showBytes([]byte(t))
	case string:
		return clip(fmt.Sprintf("%q", t), 200)
	case float64:
		return fmt.Sprintf("the float %v", t)
	case protoreflect.Message:
		return Show(t)
	case []any:
		if slices.ContainsFunc(t, func(item any) bool { _, is := item.(protoreflect.Message); return is }) {
			return clip(showAll(t), 300)
		}
	case nil:
		return "null"
	}
	return clip(fmt.Sprint(v), 300)
}

// Show is a message as text, on one line and shortened.
func Show(m protoreflect.Message) string {
	return "{" + clip(strings.Join(strings.Fields(fmt.Sprint(m.Interface())), " "), 300) + "}" // its white space varies on purpose
}

func showAll(items []any) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = show(item)
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func clip(text string, n int) string {
	if len(text) > n {
		return text[:n] + "…"
	}
	return text
}

// diagnosed is CBOR as its bytes and in diagnostic notation, which tells 1 from 1.0.
func diagnosed(b []byte) string {
	text, err := cbor.Diagnose(b)
	if err != nil {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%x = %s", b, clip(text, 200))
}

func showBytes(b []byte) string {
	if v, err := Decode(b); err == nil && len(b) > 0 && len(b) < 1000 {
		return fmt.Sprintf("h'%x' (CBOR of %s)", b[:min(len(b), 64)], clip(fmt.Sprint(v), 200))
	}
	return fmt.Sprintf("%d bytes h'%x'", len(b), b[:min(len(b), 32)])
}

// MatchBytes is Match of bytes: the tree says what they hold.
func (e *Env) MatchBytes(b []byte, tree any) error {
	return e.Try(func() error {
		if b == nil {
			if m, is := tree.(map[string]any); is && m["$absent"] != nil {
				return nil
			}
			return fmt.Errorf("is not there; want %s", show(tree))
		}
		return e.fits(payload{b: b}, tree)
	})
}
