package planeg

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// textLine is a WebSocket with JSON messages, which are the frames of its peer in another form [SESS-10].
type textLine struct{ socketLine }

func (l textLine) serve(to *peer) error {
	for {
		_, message, err := l.conn.Read()
		if err != nil {
			return err
		}
		body, err := frameOfText(message)
		if err == nil {
			err = to.frame(body)
		}
		if err != nil {
			return fmt.Errorf("take %s: %w", short(string(message)), err)
		}
	}
}

func (l textLine) write(body []byte) error {
	message, err := textOfFrame(body)
	if err != nil {
		return err
	}
	return l.conn.Write(websocket.Text, message)
}

func (l textLine) raw([]byte) error { return errors.New("a JSON session has no frames") }

// textOfFrame is a client's frame as a JSON message.
func textOfFrame(body []byte) ([]byte, error) {
	f := &clientv1alpha1.Frame{}
	if err := proto.Unmarshal(body, f); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return nil, errors.New("a frame of no kind that JSON has a form for")
	}
	o, err := objectOf(m.Get(field).Message())
	if err != nil {
		return nil, err
	}
	o["type"] = field.JSONName()
	return json.Marshal(o)
}

func objectOf(m protoreflect.Message) (object, error) {
	o := object{}
	var fault error
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		o[field.JSONName()], fault = jsonOf(field, v)
		return fault == nil
	})
	return o, fault
}

func jsonOf(field protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	if !field.IsList() {
		return jsonOfOne(field, v)
	}
	list := []any{}
	for i := range v.List().Len() {
		one, err := jsonOfOne(field, v.List().Get(i))
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func jsonOfOne(field protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return objectOf(v.Message())
	case protoreflect.BytesKind:
		if isText(field) {
			return string(v.Bytes()), nil
		}
		return jsonOfCBOR(v.Bytes())
	case protoreflect.EnumKind:
		return wordOf(field.Enum(), v.Enum()), nil
	default:
		return v.Interface(), nil
	}
}

// isText tells the bytes that JSON has as text; the others are payloads.
func isText(field protoreflect.FieldDescriptor) bool {
	return slices.Contains([]protoreflect.Name{"resume_token", "token", "idempotency_key"}, field.Name())
}

// wordOf is the JSON form of a value of MODE_, RECONNECT_ or RAN_.
func wordOf(enum protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	words := strings.Split(strings.TrimPrefix(string(enum.Values().ByNumber(n).Name()), strings.ToUpper(string(enum.Name()))+"_"), "_")
	for i, w := range words {
		if words[i] = strings.ToLower(w); i > 0 {
			words[i] = w[:1] + strings.ToLower(w[1:])
		}
	}
	return strings.Join(words, "")
}

// frameOfText is a gateway's JSON message as a frame.
func frameOfText(message []byte) ([]byte, error) {
	o, err := parseObject(message)
	if err != nil {
		return nil, err
	}
	kind, _ := o["type"].(string)
	f := (&clientv1alpha1.Frame{}).ProtoReflect()
	field := f.Descriptor().Fields().ByJSONName(kind)
	if field == nil {
		return nil, fmt.Errorf("a message of the type %q", kind)
	}
	if err := fill(f.Mutable(field).Message(), o); err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	return proto.Marshal(f.Interface())
}

// parseObject keeps numbers as they are written.
func parseObject(message []byte) (object, error) {
	reader := json.NewDecoder(bytes.NewReader(message))
	reader.UseNumber()
	o := object{}
	if err := reader.Decode(&o); err != nil || reader.More() {
		return nil, fmt.Errorf("no JSON object came: %w", err)
	}
	return o, nil
}

// fill sets the fields that an object has; others of its members are passed over.
func fill(m protoreflect.Message, o object) error {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		v, there := o[field.JSONName()]
		if !there {
			continue
		}
		if err := set(m, field, v); err != nil {
			return fmt.Errorf("%s: %w", field.JSONName(), err)
		}
	}
	return nil
}

func set(m protoreflect.Message, field protoreflect.FieldDescriptor, v any) error {
	if !field.IsList() {
		one, err := valueOf(field, v, m.NewField(field))
		if err == nil {
			m.Set(field, one)
		}
		return err
	}
	items, is := v.([]any)
	if !is {
		return fmt.Errorf("%v is no list", v)
	}
	list := m.Mutable(field).List()
	for _, item := range items {
		one, err := valueOf(field, item, list.NewElement())
		if err != nil {
			return err
		}
		list.Append(one)
	}
	return nil
}

func valueOf(field protoreflect.FieldDescriptor, v any, blank protoreflect.Value) (protoreflect.Value, error) {
	kind := field.Kind()
	text, isString := v.(string)
	o, isObject := v.(object)
	truth, isBool := v.(bool)
	switch {
	case kind == protoreflect.BytesKind && isString && isText(field):
		return protoreflect.ValueOfBytes([]byte(text)), nil
	case kind == protoreflect.BytesKind:
		b, err := cborOfJSON(v)
		return protoreflect.ValueOfBytes(b), err
	case kind == protoreflect.Uint32Kind && isString && field.Name() == "kind": // of Unsupported
		return protoreflect.ValueOfUint32(kindOf(text)), nil
	case kind == protoreflect.Uint32Kind, kind == protoreflect.Uint64Kind, kind == protoreflect.Int64Kind:
		return numberOf(kind, v)
	case kind == protoreflect.MessageKind && isObject:
		return blank, fill(blank.Message(), o)
	case kind == protoreflect.BoolKind && isBool:
		return protoreflect.ValueOfBool(truth), nil
	case kind == protoreflect.StringKind && isString:
		return protoreflect.ValueOfString(text), nil
	case kind == protoreflect.EnumKind && isString:
		values := field.Enum().Values()
		for i := range values.Len() {
			if n := values.Get(i).Number(); wordOf(field.Enum(), n) == text {
				return protoreflect.ValueOfEnum(n), nil
			}
		}
	}
	return blank, fmt.Errorf("%v does not fit", v)
}

// kindOf is the number of a type of message; 0: there is no such type.
func kindOf(name string) uint32 {
	field := (&clientv1alpha1.Frame{}).ProtoReflect().Descriptor().Fields().ByJSONName(name)
	if field == nil {
		return 0
	}
	return uint32(field.Number())
}

func numberOf(kind protoreflect.Kind, v any) (protoreflect.Value, error) {
	text, _ := v.(json.Number)
	n, err := strconv.ParseUint(text.String(), 10, 63)
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("%v is no number that fits", v)
	}
	switch kind {
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n)), nil //nolint:gosec // of the cases none is so large
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n)), nil //nolint:gosec // it has 63 bits
	default:
		return protoreflect.ValueOfUint64(n), nil
	}
}

// The payloads of the cases are integers, texts, arrays of those, and maps with texts for keys; the forms with a $ have cases of
// their own, which write them out.

// jsonOfCBOR is a payload as JSON.
func jsonOfCBOR(payload []byte) (any, error) {
	var v any
	if err := cbor.Unmarshal(payload, &v); err != nil {
		return nil, fmt.Errorf("read the payload %x: %w", payload[:min(len(payload), 16)], err)
	}
	return plainOf(v)
}

func plainOf(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, int64, uint64:
		return v, nil
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = plainOf(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[any]any:
		o := object{}
		for key, item := range v {
			name, is := key.(string)
			if !is {
				return nil, fmt.Errorf("the suite has no JSON form for the key %v", key)
			}
			var err error
			if o[name], err = plainOf(item); err != nil {
				return nil, err
			}
		}
		return o, nil
	}
	return nil, fmt.Errorf("the suite has no JSON form for %T", v)
}

var deterministic = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) //nolint:forbidigo // constant options
	}
	return mode
}()

// cborOfJSON is JSON as a payload, in the one deterministic encoding.
func cborOfJSON(v any) ([]byte, error) {
	native, err := nativeOf(v)
	if err != nil {
		return nil, err
	}
	return deterministic.Marshal(native)
}

func nativeOf(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return strconv.ParseInt(v.String(), 10, 64)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = nativeOf(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case object:
		o := object{}
		for name, item := range v {
			var err error
			if o[name], err = nativeOf(item); err != nil {
				return nil, err
			}
		}
		return o, nil
	default:
		return v, nil
	}
}
