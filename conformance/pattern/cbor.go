package pattern

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

var (
	encoder = mustEncoder()
	decoder = mustDecoder()
)

// mustEncoder is of the core deterministic encoding [PAY-2].
func mustEncoder() cbor.EncMode {
	options := cbor.CoreDetEncOptions()
	options.TagsMd = cbor.TagsAllowed
	mode, err := options.EncMode()
	if err != nil {
		panic(err) //nolint:forbidigo // constant options
	}
	return mode
}

// mustDecoder refuses what [PAY-4] refuses.
func mustDecoder() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 64, UTF8: cbor.UTF8RejectInvalid,
		MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
	}.DecMode()
	if err != nil {
		panic(err) //nolint:forbidigo // constant options
	}
	return mode
}

// undefined stands for CBOR's undefined.
var undefined = cbor.RawMessage{0xf7}

// Encode makes CBOR of a tree.
func (e *Env) Encode(tree any) ([]byte, error) {
	v, err := e.native(tree)
	if err != nil {
		return nil, err
	}
	b, err := encoder.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode CBOR: %w", err)
	}
	return b, nil
}

// native is the Go value whose CBOR a tree means.
func (e *Env) native(tree any) (any, error) {
	switch t := tree.(type) {
	case float64:
		if t == math.Trunc(t) && math.Abs(t) < 1<<63 {
			return int64(t), nil
		}
		return t, nil
	case string:
		return e.value(t)
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			v, err := e.native(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case map[string]any:
		if isMatcher(t) {
			return e.special(t)
		}
		m := map[string]any{}
		for key, item := range t {
			v, err := e.native(item)
			if err != nil {
				return nil, err
			}
			m[key] = v
		}
		return m, nil
	}
	return tree, nil
}

// special is a value that JSON cannot say.
func (e *Env) special(m map[string]any) (any, error) {
	if len(m) != 1 {
		return nil, fmt.Errorf("%v is no value", m)
	}
	for key, arg := range m {
		switch key {
		case "$float":
			f, ok := arg.(float64)
			if !ok {
				return nil, fmt.Errorf("$float of %v", arg)
			}
			return f, nil
		case "$bytes":
			return hexBytes(arg)
		case "$bytesOf":
			return e.Bytes(arg)
		case "$undefined":
			return undefined, nil
		case "$text":
			return arg, nil
		case "$repeat":
			return e.repeat(arg)
		case "$concat":
			return e.concat(arg)
		case "$tag":
			return e.tag(arg)
		case "$map":
			return e.anyMap(arg)
		case "$exactly":
			return e.native(arg)
		}
	}
	return nil, fmt.Errorf("%v is no value", m)
}

func hexBytes(arg any) ([]byte, error) {
	text, ok := arg.(string)
	if !ok {
		return nil, fmt.Errorf("hexadecimal digits of %v", arg)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return nil, fmt.Errorf("hexadecimal digits: %w", err)
	}
	return b, nil
}

func (e *Env) repeat(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 {
		return nil, fmt.Errorf("$repeat of %v: want [text, n]", arg)
	}
	text, isText := list[0].(string)
	n, err := e.number(list[1])
	if err != nil || !isText {
		return nil, fmt.Errorf("$repeat of %v: want [text, n]", arg)
	}
	return strings.Repeat(text, int(n)), nil
}

// concat joins texts and variables that are text.
func (e *Env) concat(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok {
		return nil, fmt.Errorf("$concat of %v: want a list of texts", arg)
	}
	var all strings.Builder
	for _, item := range list {
		v, err := e.native(item)
		if err != nil {
			return nil, err
		}
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("$concat of %v, which is no text", item)
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

// number is a number or a variable that is one.
func (e *Env) number(tree any) (float64, error) {
	v, err := e.native(tree)
	if err != nil {
		return 0, err
	}
	f, ok := asFloat(v)
	if !ok {
		return 0, fmt.Errorf("%v is no number", tree)
	}
	return f, nil
}

func (e *Env) tag(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 {
		return nil, fmt.Errorf("$tag of %v: want [number, value]", arg)
	}
	number, isNumber := list[0].(float64)
	content, err := e.native(list[1])
	if err != nil || !isNumber {
		return nil, fmt.Errorf("$tag of %v: want [number, value]", arg)
	}
	return cbor.Tag{Number: uint64(number), Content: content}, nil
}

func (e *Env) anyMap(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok {
		return nil, fmt.Errorf("$map of %v: want [[key, value], …]", arg)
	}
	m := map[any]any{}
	for _, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("$map of %v: want [[key, value], …]", arg)
		}
		key, err := e.native(pair[0])
		if err != nil {
			return nil, err
		}
		if b, is := key.([]byte); is {
			key = cbor.ByteString(b)
		}
		if m[key], err = e.native(pair[1]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Decode reads one CBOR value, strictly.
func Decode(b []byte) (any, error) {
	var v any
	if err := decoder.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("decode CBOR %x: %w", b[:min(len(b), 64)], err)
	}
	return v, nil
}

// Deterministic says whether a CBOR value is in core deterministic encoding [PAY-2].
func Deterministic(b []byte) error {
	v, err := Decode(b)
	if err != nil {
		return err
	}
	again, err := encoder.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode CBOR again: %w", err)
	}
	if len(b) == 1 && b[0] == undefined[0] {
		return nil
	}
	if string(again) != string(b) {
		return fmt.Errorf("%x is not deterministic, which would be %x", b[:min(len(b), 64)], again[:min(len(again), 64)])
	}
	return nil
}

// Bytes makes the bytes that {cbor: …}, {hex: …}, {text: …} or a variable says.
func (e *Env) Bytes(tree any) ([]byte, error) {
	switch t := tree.(type) {
	case string:
		v, err := e.value(t)
		if err != nil {
			return nil, err
		}
		if b, ok := v.([]byte); ok {
			return b, nil
		}
	case map[string]any:
		if len(t) != 1 {
			break
		}
		if arg, ok := t["cbor"]; ok {
			return e.Encode(arg)
		}
		if arg, ok := t["hex"]; ok {
			return hexBytes(arg)
		}
		if arg, ok := t["bytes"].(string); ok {
			return e.Bytes(arg)
		}
		if arg, ok := t["text"]; ok {
			v, err := e.native(arg)
			if text, is := v.(string); err == nil && is {
				return []byte(text), nil
			}
		}
	}
	return nil, fmt.Errorf("%v says no bytes: want {cbor: …}, {hex: …}, {text: …} or a variable", tree)
}
