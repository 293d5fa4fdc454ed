package jsoncbor

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
)

func FuzzFromJSON(f *testing.F) {
	v := readVectors(f)
	for _, pair := range v.Pairs {
		f.Add([]byte(pair.JSON))
	}
	for _, refused := range v.RefusedJSON {
		f.Add([]byte(refused.JSON))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		cbor, err := FromJSON(src)
		if err != nil {
			if !errors.Is(err, ErrInvalidJSON) || cbor != nil {
				t.Fatalf("%x, %v", cbor, err)
			}
			return
		}
		if !jsontext.Value(src).IsValid() {
			t.Fatalf("%q is not strict JSON, but was accepted", src)
		}
		checkCarried(t, cbor)
		if text, err := AppendJSON(nil, cbor); err != nil || !bytes.ContainsRune(src, '$') && !sameJSON(t, src, text) {
			t.Fatalf("%s became %s (%v)", src, text, err)
		}
	})
}

func FuzzAppendJSON(f *testing.F) {
	v := readVectors(f)
	for _, pair := range v.Pairs {
		f.Add(unhex(f, pair.CBOR))
	}
	for _, refused := range v.RefusedCBOR {
		f.Add(unhex(f, refused.CBOR))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		text, err := AppendJSON(nil, src)
		if err != nil {
			if !errors.Is(err, payload.ErrInvalid) || text != nil {
				t.Fatalf("%s, %v", text, err)
			}
			return
		}
		if err := payload.WellFormed(src); err != nil {
			t.Fatalf("%x is not well-formed, but was accepted: %v", src, err)
		}
		cbor, err := FromJSON(text)
		if err != nil {
			t.Fatalf("%x became %s, which is refused: %v", src, text, err)
		}
		checkCarried(t, cbor)
		if again, err := AppendJSON(nil, cbor); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s became %s (%v)", text, again, err)
		}
	})
}

// checkCarried checks what FromJSON wrote: well-formed, decodable, and a fixed point of both translations.
func checkCarried(t interface{ Fatalf(string, ...any) }, cbor []byte) {
	if err := payload.WellFormed(cbor); err != nil {
		t.Fatalf("%x: %v", cbor, err)
	}
	text, err := AppendJSON(nil, cbor)
	if err != nil {
		t.Fatalf("%x has no JSON form: %v", cbor, err)
	}
	again, err := FromJSON(text)
	if err != nil || !bytes.Equal(again, cbor) {
		t.Fatalf("%x became %s and then %x (%v)", cbor, text, again, err)
	}
}

// sameJSON compares JSON texts without tags as Go decodes them: their numbers as float64, so to the precision of JSON.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	if bytes.Contains(b, []byte(`"$BigInt"`)) || bytes.Contains(a, []byte(`\u0024`)) {
		return true // integers that JSON cannot carry as numbers
	}
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatalf("%s, %s: %v", a, b, err)
	}
	return reflect.DeepEqual(x, y)
}

// genValue draws what applications send, as Go values that Marshal encodes.
func genValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.Int64().AsAny(),
		rapid.Uint64().AsAny(),
		rapid.Float64().AsAny(),
		rapid.String().AsAny(),
		rapid.Map(rapid.String(), func(s string) any { return "$" + s }),
		rapid.SliceOf(rapid.Byte()).AsAny(),
		rapid.Map(rapid.Int64Range(-1e12, 1e12), func(ms int64) any { return time.UnixMilli(ms).UTC() }),
	}
	if depth > 0 {
		inner := rapid.Deferred(func() *rapid.Generator[any] { return genValue(depth - 1) })
		leaves = append(leaves,
			rapid.SliceOfN(inner, 0, 5).AsAny(),
			rapid.MapOfN(rapid.String(), inner, 0, 5).AsAny(),
			rapid.MapOfN(rapid.Int(), inner, 0, 5).AsAny(),
			rapid.Map(inner, func(v any) any { return []any{"$Set", v} }))
	}
	return rapid.OneOf(leaves...)
}

func TestWhatWeEncodeSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, err := payload.Marshal(genValue(3).Draw(t, "value"))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		text, err := AppendJSON(nil, src)
		if err != nil {
			t.Fatalf("%x: %v", src, err)
		}
		cbor, err := FromJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		checkCarried(t, cbor)
		var before, after any
		if err := errors.Join(payload.Unmarshal(src, &before), payload.Unmarshal(cbor, &after)); err != nil {
			t.Fatalf("%x, %x: %v", src, cbor, err)
		}
		if !bytes.Equal(canonical(t, before), canonical(t, after)) {
			t.Fatalf("%x became %s and then %x", src, text, cbor)
		}
	})
}

func canonical(t *rapid.T, v any) []byte {
	b, err := payload.Marshal(v)
	if err != nil {
		t.Fatalf("marshal %v: %v", v, err)
	}
	return b
}

// TestNoInputTakesQuadraticTime translates the worst that 256 KiB can say. A translation that is not linear takes minutes,
// which is what the test's own deadline is for.
func TestNoInputTakesQuadraticTime(t *testing.T) {
	const size = 1 << 18
	fill := func(before, unit, after string) []byte {
		return []byte(before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after)
	}
	for name, src := range map[string][]byte{
		"escapes":        fill(`"`, `\n`, `"`),
		"open arrays":    fill(``, `[`, ``),
		"short arrays":   fill(`[`, `["$$",0],`, `0]`),
		"digits":         fill(``, `9`, ``),
		"fraction":       fill(`0.`, `9`, ``),
		"nested maps":    fill(strings.Repeat(`["$Map",[[1,[`, 32), `[1,"a"],`, `0`+strings.Repeat(`]]]]`, 32)),
		"nested dollars": fill(strings.Repeat(`["$$",`, 63)+`[`, `0,`, `0]`+strings.Repeat(`]`, 63)),
		"keys":           fill(`["$Map",[`, `[1,2],`, `[1,2]]]`),
		"bignums":        fill(`[`, `["$BigInt","`+strings.Repeat("9", 2460)+`"],`, `0]`),
	} {
		cbor, err := FromJSON(src)
		if err != nil {
			continue
		}
		if _, err := AppendJSON(nil, cbor); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, src := range [][]byte{
		fill("", "\x9f", ""), fill("", "\xc1", ""), fill("\x7f", "\x60", "\xff"), fill("\x7f", "\x61a", "\xff"),
		fill("\xbf", "\x9f\xff\x00", "\xff"), fill("\x9f", "\x82\x61$\x00", "\xff"), fill(strings.Repeat("\xbf\x61a", 63), "\x80", ""),
	} {
		_, _ = AppendJSON(nil, src)
	}
}

func TestEncodingIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, err := payload.Marshal(genValue(3).Draw(t, "value"))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		var v any
		if err := payload.Unmarshal(first, &v); err != nil {
			t.Fatalf("%x: %v", first, err)
		}
		if again := canonical(t, v); !bytes.Equal(again, first) {
			t.Fatalf("%x became %x", first, again)
		}
	})
}
