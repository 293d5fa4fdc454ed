package jsoncbor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
)

// pairs of JSON and CBOR that translate into each other exactly.
var exactPairs = []struct{ json, cbor string }{
	{`null`, "f6"},
	{`false`, "f4"},
	{`true`, "f5"},
	{`0`, "00"},
	{`23`, "17"},
	{`24`, "1818"},
	{`-1`, "20"},
	{`-24`, "37"},
	{`9007199254740991`, "1b001fffffffffffff"},
	{`-9007199254740991`, "3b001ffffffffffffe"},
	{`0.0`, "f90000"},
	{`-0.0`, "f98000"},
	{`1.0`, "f93c00"},
	{`1.5`, "f93e00"},
	{`0.1`, "fb3fb999999999999a"},
	{`100000.0`, "fa47c35000"},
	{`5.960464477539063e-08`, "f90001"},
	{`1e+300`, "fb7e37e43c8800759c"},
	{`""`, "60"},
	{`"é€😀"`, "69c3a9e282acf09f9880"},
	{`"\"\\\n\u0001"`, "6422" + "5c0a01"},
	{`[]`, "80"},
	{`[1,[2,[]]]`, "8201820280"},
	{`{}`, "a0"},
	{`{"a":1,"b":{"":[]}}`, "a2616101616" + "2a16080"},
	{`["$BigInt","9007199254740992"]`, "1b0020000000000000"},
	{`["$BigInt","-9007199254740992"]`, "3b001fffffffffffff"},
	{`["$BigInt","18446744073709551615"]`, "1bffffffffffffffff"},
	{`["$BigInt","-18446744073709551616"]`, "3bffffffffffffffff"},
	{`["$BigInt","18446744073709551616"]`, "c249010000000000000000"},
	{`["$BigInt","-18446744073709551617"]`, "c349010000000000000000"},
	{`["$BigInt","0"]`, "c240"},
	{`["$BigInt","-1"]`, "c340"},
	{`["$Uint8Array",""]`, "40"},
	{`["$Uint8Array","AQID"]`, "43010203"},
	{`["$Uint8Array","+/8="]`, "42fbff"},
	{`["$Undefined",0]`, "f7"},
	{`["$Date",1700000000000]`, "c11a6553f100"},
	{`["$Date",1700000000123]`, "c1fb41d954fc4007df3b"},
	{`["$Date",-1000]`, "c120"},
	{`["$Number","NaN"]`, "f97e00"},
	{`["$Number","Infinity"]`, "f97c00"},
	{`["$Number","-Infinity"]`, "f9fc00"},
	{`["$Set",[1,"a"]]`, "d9010282016161"},
	{`["$Set",["$$a",1]]`, "d901028262246101"},
	{`["$Map",[[1,"a"],["$$k",2]]]`, "a201616162246b02"},
	{`["$Map",[[["$Map",[[1,2]]],{}]]]`, "a1a10102a0"},
	{`["$Map",[]]`, "d90103a0"},
	{`["$Map",[["a",["$Map",[["$$b",1]]]]]]`, "d90103a16161d90103a162246201"},
	{`["$$Set",1]`, "8264245365" + "7401"},
	{`["$$",1]`, "82612401"},
	{`["$$$a",1]`, "8263242461" + "01"},
	{`["$Set"]`, "81642453" + "6574"},
	{`["$x",1,2]`, "83622478" + "0102"},
	{`[["$$x",1],"$x"]`, "8282622478" + "01622478"},
}

// Both directions of [JSON-2] and [JSON-3].
func TestJSONAndCBORTranslateIntoEachOther(t *testing.T) {
	for _, tt := range exactPairs {
		cbor, err := FromJSON([]byte(tt.json))
		if err != nil || hex.EncodeToString(cbor) != tt.cbor {
			t.Errorf("FromJSON(%s) = %x, %v; want %s", tt.json, cbor, err, tt.cbor)
		}
		text, err := AppendJSON([]byte("x"), unhex(t, tt.cbor))
		if err != nil || string(text) != "x"+tt.json {
			t.Errorf("AppendJSON(%s) = %s, %v; want %s", tt.cbor, text[1:], err, tt.json)
		}
		if err := payload.WellFormed(cbor); err != nil {
			t.Errorf("FromJSON(%s): %v", tt.json, err)
		}
	}
}

// What is only read: [JSON-1], and forms of [JSON-2] that no writer makes.
func TestJSONHasOtherSpellings(t *testing.T) {
	for _, tt := range []struct{ json, cbor string }{
		{" [ 1 , 2 ]\n", "820102"},
		{`-0`, "f98000"},
		{`1e2`, "f95640"},
		{`18446744073709551615`, "1bffffffffffffffff"},
		{`18446744073709551616`, "fa5f800000"},
		{`-9223372036854775808`, "3b7fffffffffffffff"},
		{`-9223372036854775809`, "fadf000000"},
		{`1e-400`, "f90000"},
		{`"\u00e9\ud83d\ude00\/"`, "67c3a9f09f98802f"},
		{`["\u0024Undefined",0]`, "f7"},
		{`["$Date",0]`, "c100"},
	} {
		cbor, err := FromJSON([]byte(tt.json))
		if err != nil || hex.EncodeToString(cbor) != tt.cbor {
			t.Errorf("FromJSON(%s) = %x, %v; want %s", tt.json, cbor, err, tt.cbor)
		}
	}
}

func TestCBORHasOtherEncodings(t *testing.T) {
	for _, tt := range []struct{ cbor, json string }{
		{"1800", `0`},
		{"1b0000000000000001", `1`},
		{"fb3ff0000000000000", `1.0`},
		{"fb7ff8000000000001", `["$Number","NaN"]`},
		{"fbfff0000000000000", `["$Number","-Infinity"]`},
		{"9fff", `[]`},
		{"9f01ff", `[1]`},
		{"bf616101ff", `{"a":1}`},
		{"bf0102ff", `["$Map",[[1,2]]]`},
		{"7f61616162ff", `"ab"`},
		{"7fff", `""`},
		{"5f41014102ff", `["$Uint8Array","AQI="]`},
		{"9f62247801ff", `["$$x",1]`},
		{"827f60612461" + "78ff01", `["$$x",1]`},
		{"bf7f6124ff0101" + "02ff", `["$Map",[["$$",1],[1,2]]]`},
		{"c24101", `["$BigInt","1"]`},
		{"c2420001", `["$BigInt","1"]`},
		{"c249000000000000000001", `["$BigInt","1"]`},
		{"c074323031332d30332d32315432303a30343a30305a", `["$Date",1363896240000]`},
		{"c1f93800", `["$Date",500]`},
	} {
		text, err := AppendJSON(nil, unhex(t, tt.cbor))
		if err != nil || string(text) != tt.json {
			t.Errorf("AppendJSON(%s) = %s, %v; want %s", tt.cbor, text, err, tt.json)
		}
	}
}

// The refusals of [JSON-1] to [JSON-3], with the place of the fault.
func TestJSONThatCannotBeCarriedIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, json, says string }{
		{"nothing", ``, "cut short"},
		{"cut short", `[1,{"a":`, "cut short"},
		{"trailing value", `1 2`, "follows"},
		{"trailing text", `[]x`, "follows"},
		{"duplicate key", `{"a":{"b":1,"b":2}}`, "/a"},
		{"duplicate escaped key", `{"a":1,"\u0061":2}`, "duplicate"},
		{"lone high surrogate", `"\ud800"`, "surrogate"},
		{"lone low surrogate", `["\udc00x"]`, "surrogate"},
		{"invalid UTF-8", "\"\xff\"", "UTF-8"},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), "deeper than 64"},
		{"far too deep", strings.Repeat("[", 100000), "deeper than 64"},
		{"overflow", `[1e400]`, "too large"},
		{"unknown tag", `{"x":["$Foo",1]}`, "/x"},
		{"lone dollar", `["$",1]`, "not a known tag"},
		{"leading zero", `01`, "at byte 1"},
		{"BigInt of a number", `["$BigInt",1]`, "decimal"},
		{"BigInt with a sign", `["$BigInt","+1"]`, "decimal"},
		{"BigInt minus zero", `["$BigInt","-0"]`, "decimal"},
		{"BigInt with zeros", `["$BigInt","01"]`, "decimal"},
		{"BigInt too large", `["$BigInt","1` + strings.Repeat("0", 3000) + `"]`, "1024 bytes"},
		{"base64 without padding", `["$Uint8Array","AQI"]`, "base64"},
		{"base64 with rest bits", `["$Uint8Array","AQJ="]`, "base64"},
		{"base64 with newline", `["$Uint8Array","AQ\nI="]`, "base64"},
		{"Undefined with another value", `["$Undefined",1]`, "with 0"},
		{"Date with a fraction", `["$Date",1.5]`, "milliseconds"},
		{"Date out of range", `["$Date",8640000000000001]`, "milliseconds"},
		{"Date out of range below", `["$Date",-8640000000000001]`, "milliseconds"},
		{"Number that is finite", `["$Number","1"]`, "NaN"},
		{"Set of no array", `["$Set",1]`, "array"},
		{"Map of no pairs", `["$Map",[1]]`, "pair 0"},
		{"Map with a key twice", `["$Map",[[1,2],[3,4],[1,5]]]`, "twice"},
		{"Map with a date for a pair", `["$Map",[["$Date",1]]]`, "pair 0"},
	} {
		_, err := FromJSON([]byte(tt.json))
		if !errors.Is(err, ErrInvalidJSON) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want an error that says %q", tt.name, err, tt.says)
		}
		if err != nil && (strings.Contains(err.Error(), "jsontext") || len(err.Error()) > 500) {
			t.Errorf("%s: the message is not for the public: %v", tt.name, err)
		}
	}
}

// The refusals of [PAY-4], and unknown tags [JSON-3].
func TestCBORThatHasNoJSONFormIsRefused(t *testing.T) {
	wide := []byte{0xb8, 20}
	for i := range 20 {
		wide = append(wide, 0x62, byte('a'+i%19), 'x', 0)
	}
	for _, tt := range []struct{ name, cbor string }{
		{"nothing", ""},
		{"cut short head", "19"},
		{"cut short text", "6261"},
		{"cut short array", "8201"},
		{"announced length", "9b00ffffffffffffff"},
		{"announced map", "bb7fffffffffffffff"},
		{"announced text", "7bffffffffffffffff"},
		{"trailing bytes", "0000"},
		{"reserved information", "1c"},
		{"indefinite integer", "1f"},
		{"lone break", "ff"},
		{"indefinite array without break", "9f01"},
		{"map with odd break", "bf01ff"},
		{"chunk of another kind", "7f4161ff"},
		{"nested indefinite chunk", "7f7f6161ffff"},
		{"UTF-8 split between chunks", "7f61c361a9ff"},
		{"invalid UTF-8", "61ff"},
		{"simple value", "e0"},
		{"simple value in two bytes", "f8ff"},
		{"unknown tag", "d82a00"},
		{"tag of a tag", "c1c100"},
		{"endless tags", strings.Repeat("c1", 100000) + "00"},
		{"tag without content", "c1"},
		{"bignum of text", "c26161"},
		{"bignum too large", "c2590401" + strings.Repeat("01", 1025)},
		{"set of no array", "d9010201"},
		{"tag of maps of no map", "d9010380"},
		{"duplicate key of a tagged map", "d90103a2616101616102"},
		{"date that is none", "c06161"},
		{"date of a map", "c1a0"},
		{"date of NaN", "c1f97e00"},
		{"date out of range", "c11bffffffffffffffff"},
		{"date of false", "c1f4"},
		{"duplicate key", "a2616101616102"},
		{"duplicate key in another encoding", "a261610178016102"},
		{"duplicate number", "a201021801" + "03"},
		{"duplicate among many", hex.EncodeToString(wide)},
		{"too deep", strings.Repeat("81", 65) + "00"},
		{"far too deep", strings.Repeat("9f", 100000)},
	} {
		text, err := AppendJSON([]byte("x"), unhex(t, tt.cbor))
		if !errors.Is(err, payload.ErrInvalid) || string(text) != "x" {
			t.Errorf("%s: %s, %v; want payload.ErrInvalid", tt.name, text, err)
		}
	}
}

// [JSON-4]: a map takes up to three levels of JSON, and counts as one.
func TestDepthIsMeasuredOnTheCBOR(t *testing.T) {
	deepest := unhex(t, strings.Repeat("a101", 64)+"42fbff")
	text, err := AppendJSON(nil, deepest)
	if err != nil {
		t.Fatal(err)
	}
	cbor, err := FromJSON(text)
	if err != nil || !bytes.Equal(cbor, deepest) {
		t.Fatalf("64 maps: %x, %v", cbor, err)
	}
	if _, err := FromJSON(fmt.Appendf(nil, `[%s]`, text)); !errors.Is(err, ErrInvalidJSON) {
		t.Fatalf("an array around 64 maps: %v", err)
	}
}

func TestFloatsKeepTheirValue(t *testing.T) {
	for bits := range 1 << 16 {
		f := fromHalf(uint16(bits))
		half, exact := toHalf(float32(f))
		if !math.IsNaN(f) && (!exact || half != uint16(bits)) {
			t.Fatalf("half %04x became %04x", bits, half)
		}
		want, err := payload.Marshal(f)
		if got := appendCBORFloat(nil, f); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("float %v: %x, want %x", f, got, want)
		}
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

// document is a payload as applications send them.
var document = func() []byte {
	type item struct {
		ID    int      `json:"id"`
		Name  string   `json:"name"`
		Price float64  `json:"price"`
		Tags  []string `json:"tags"`
		Live  bool     `json:"live"`
	}
	var items []item
	for i := range 40 {
		items = append(items, item{i, fmt.Sprintf("item number %d", i), float64(i) + 0.25, []string{"a", "bc"}, i%2 == 0})
	}
	b, _ := json.Marshal(items)
	return b
}()

func BenchmarkFromJSON(b *testing.B) {
	for _, bench := range []struct {
		name string
		src  []byte
	}{{"args", []byte(`["add",{"by":1}]`)}, {"document", document}} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := FromJSON(bench.src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, bench := range []struct {
		name string
		src  []byte
	}{{"args", []byte(`["add",{"by":1}]`)}, {"document", document}} {
		b.Run(bench.name, func(b *testing.B) {
			src, err := FromJSON(bench.src)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if dst, err = AppendJSON(dst[:0], src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
