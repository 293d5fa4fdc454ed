package payload

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// [PAY-2]: RFC 8949 §4.2.1.
func TestEqualValuesHaveEqualBytes(t *testing.T) {
	type state struct {
		B int `cbor:"b"`
		A int `cbor:"aa"`
	}
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"keys by their encoded bytes", map[string]int{"b": 1, "aa": 2, "a": 3}, "a3616103616201626161" + "02"},
		{"struct fields in the same order", state{1, 2}, "a261620162616102"},
		{"mixed keys", map[any]int{"a": 1, 10: 2, -1: 3}, "a30a0220036161" + "01"},
		{"shortest integers", []uint64{23, 24, 256, 65536, 1 << 32}, "85171818190100" + "1a000100001b0000000100000000"},
		{"shortest floats", []float64{1, 1.1, 100000, math.Inf(1)}, "84f93c00fb3ff199999999999afa47c35000f97c00"},
		{"one NaN", math.Float64frombits(0x7ff8000000000001), "f97e00"},
		{"nil containers", []any{[]int(nil), map[string]int(nil)}, "82f6f6"},
		{"whole seconds", time.Unix(1700000000, 0), "c11a6553f100"},
		{"parts of a second", time.UnixMilli(1700000000500), "c1fb41d954fc40200000"},
	} {
		got, err := Marshal(tt.value)
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s: %x, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

// [PAY-4].
func TestDecodingRefusesWhatTheSpecRefuses(t *testing.T) {
	for _, tt := range []struct{ name, cbor string }{
		{"nothing", ""},
		{"trailing bytes", "0000"},
		{"duplicate keys", "a2616101616102"},
		{"invalid UTF-8", "61ff"},
		{"cut short", "9f01"},
		{"too deep", strings.Repeat("81", MaxDepth+1) + "00"},
		{"announced length", "9b00ffffffffffffff"},
	} {
		var v any
		if err := Unmarshal(unhex(t, tt.cbor), &v); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var v any
	if err := Unmarshal(unhex(t, strings.Repeat("81", MaxDepth)+"00"), &v); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	var number int
	if err := Unmarshal(unhex(t, "6161"), &number); !errors.Is(err, ErrInvalid) {
		t.Errorf("text into a number: %v", err)
	}
}

func TestWellFormedLooksAtTheFormOnly(t *testing.T) {
	for cbor, want := range map[string]bool{
		"00": true, "9f01ff": true, strings.Repeat("81", MaxDepth) + "00": true,
		"": false, "0000": false, "9f01": false, "1c": false, strings.Repeat("81", MaxDepth+1) + "00": false,
	} {
		if err := WellFormed(unhex(t, cbor)); (err == nil) != want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", cbor, err)
		}
	}
}

// [PAY-1].
func TestArgumentsAreOneArray(t *testing.T) {
	for _, args := range [][]any{nil, {}, {1}, {"a", nil, []int{1, 2}}} {
		data, err := MarshalArgs(args...)
		if err != nil {
			t.Fatal(err)
		}
		elements, err := SplitArgs(data)
		if err != nil || len(elements) != len(args) {
			t.Errorf("%v became %x, and that %d elements (%v)", args, data, len(elements), err)
		}
		for i, element := range elements {
			if want, _ := Marshal(args[i]); !bytes.Equal(element, want) {
				t.Errorf("element %d of %v is %x", i, args, element)
			}
		}
	}
	if elements, err := SplitArgs(nil); elements != nil || err != nil {
		t.Errorf("absent arguments: %v, %v", elements, err)
	}
	for _, cbor := range []string{"01", "a0", "f6", "4101", "8101" + "00", "81", "d9010280"} {
		if _, err := SplitArgs(unhex(t, cbor)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s counts as arguments: %v", cbor, err)
		}
	}
}

func TestUnmarshalFirstGivesTheRest(t *testing.T) {
	var v int
	rest, err := UnmarshalFirst([]byte{5, 0xff}, &v)
	if err != nil || v != 5 || !bytes.Equal(rest, []byte{0xff}) {
		t.Errorf("%d, %x, %v", v, rest, err)
	}
	if _, err := UnmarshalFirst(nil, &v); !errors.Is(err, ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}
