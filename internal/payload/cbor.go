// Package payload encodes and decodes what travels opaquely through the gateway: arguments, results, events, state.
//
// Payloads are CBOR. SDKs encode and decode them here; the gateway itself only checks them, and translates them for JSON
// clients, with internal/jsoncbor. All functions are safe for concurrent use. Requirements: PAY-1 to PAY-4.
package payload

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// MaxDepth bounds the nesting of a payload, in both forms [PAY-4] [JSON-1].
const MaxDepth = 64

// maxElements bounds arrays and maps; the byte limits of the protocol are reached long before.
const maxElements = 1 << 24

// majorArray is the major type of arrays, in the upper three bits of a value's first byte.
const majorArray = 4

// ErrInvalid is wrapped by every error about CBOR that cannot be used [PAY-4].
var ErrInvalid = errors.New("invalid CBOR payload")

var (
	// Core deterministic encoding, so that equal values have equal bytes [PAY-2]. Times travel as epoch seconds, tagged,
	// so that JSON clients see a date.
	encoding = must(cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		ShortestFloat: cbor.ShortestFloat16,
		NaNConvert:    cbor.NaNConvert7e00,
		InfConvert:    cbor.InfConvertFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		Time:          cbor.TimeUnixDynamic,
		TimeTag:       cbor.EncTagRequired,
		NilContainers: cbor.NilContainerAsNull,
	}.UserBufferEncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:  MaxDepth,
		MaxArrayElements: maxElements,
		MaxMapPairs:      maxElements,
		UTF8:             cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](mode T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("payload: CBOR options: %v", err)) //nolint:forbidigo // the options stand in this file
	}
	return mode
}

// Marshal encodes v deterministically.
func Marshal(v any) ([]byte, error) { return encoding.Marshal(v) }

// MarshalTo is Marshal to the end of a buffer. After an error there may be something of it.
func MarshalTo(b *bytes.Buffer, v any) error { return encoding.MarshalToBuffer(v, b) }

// Unmarshal decodes one CBOR value into the pointer v. Trailing bytes, duplicate keys and values that do not fit v are
// errors.
func Unmarshal(data []byte, v any) error {
	if err := decoding.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// WellFormed checks that data is one well-formed CBOR value within MaxDepth.
func WellFormed(data []byte) error {
	if err := decoding.Wellformed(data); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// MarshalArgs encodes arguments as one array [PAY-1].
func MarshalArgs(args ...any) ([]byte, error) {
	if args == nil {
		args = []any{}
	}
	return encoding.Marshal(args)
}

// SplitArgs cuts an array into its still encoded elements, which alias data. Absent data is an empty array.
func SplitArgs(data []byte) ([]cbor.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0]>>5 != majorArray {
		return nil, fmt.Errorf("arguments: %w: not an array", ErrInvalid)
	}
	var elements []cbor.RawMessage
	if err := Unmarshal(data, &elements); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return elements, nil
}

// UnmarshalFirst decodes the first CBOR value of data into the pointer v and returns what follows it.
func UnmarshalFirst(data []byte, v any) (rest []byte, err error) {
	rest, err = decoding.UnmarshalFirst(data, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return rest, nil
}
