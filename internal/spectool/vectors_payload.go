package main

import (
	"encoding/hex"
	"fmt"
	"strings"
)

type payloadPair struct {
	Name      string `json:"name"`
	Rules     rules  `json:"rules"`
	Direction string `json:"direction"`
	JSON      string `json:"json"`
	CBOR      string `json:"cbor"`
}

type refusedJSON struct {
	Name  string `json:"name"`
	Rules rules  `json:"rules"`
	JSON  string `json:"json"`
	Code  string `json:"code"`
}

type refusedCBOR struct {
	Name  string `json:"name"`
	Rules rules  `json:"rules"`
	CBOR  string `json:"cbor"`
	Code  string `json:"code"`
}

func payloadVectors() (any, error) {
	pairs := append(numberPairs(), valuePairs()...)
	for _, p := range pairs {
		if _, err := hex.DecodeString(p.CBOR); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return map[string]any{"pairs": pairs, "refusedJSON": refusedTexts(), "refusedCBOR": refusedBytes()}, nil
}

func numberPairs() []payloadPair {
	json1, json2 := rules{"JSON-1"}, rules{"JSON-2"}
	return []payloadPair{
		{"zero", json1, "both", `0`, "00"},
		{"negative integer", json1, "both", `-500`, "3901f3"},
		{"largest plain integer", json2, "both", `9007199254740991`, "1b001fffffffffffff"},
		{"smallest plain integer", json2, "both", `-9007199254740991`, "3b001ffffffffffffe"},
		{"integer read beyond them", json1, "fromJSON", `18446744073709551615`, "1bffffffffffffffff"},
		{"smallest integer read", json1, "fromJSON", `-9223372036854775808`, "3b7fffffffffffffff"},
		{"too large for an integer", json1, "fromJSON", `18446744073709551616`, "fa5f800000"},
		{"too small for an integer", json1, "fromJSON", `-9223372036854775809`, "fadf000000"},
		{"exponent makes a float", json1, "fromJSON", `1e2`, "f95640"},
		{"negative zero", json1, "fromJSON", `-0`, "f98000"},
		{"too small for a float", json1, "fromJSON", `1e-400`, "f90000"},
		{"float with an integral value", json2, "both", `1.0`, "f93c00"},
		{"negative zero as a float", json2, "both", `-0.0`, "f98000"},
		{"half", json1, "both", `1.5`, "f93e00"},
		{"single", json1, "both", `100000.0`, "fa47c35000"},
		{"double", json1, "both", `0.1`, "fb3fb999999999999a"},
		{"double with an integral value", json2, "toJSON", `1.0`, "fb3ff0000000000000"},
		{"NaN", json2, "both", `["$Number","NaN"]`, "f97e00"},
		{"infinity", json2, "both", `["$Number","Infinity"]`, "f97c00"},
		{"negative infinity", json2, "both", `["$Number","-Infinity"]`, "f9fc00"},
		{"integer too large for JSON", json2, "both", `["$BigInt","9007199254740992"]`, "1b0020000000000000"},
		{"integer too small for JSON", json2, "both", `["$BigInt","-9007199254740992"]`, "3b001fffffffffffff"},
		{"smallest integer of CBOR", json2, "both", `["$BigInt","-18446744073709551616"]`, "3bffffffffffffffff"},
		{"bignum", json2, "both", `["$BigInt","18446744073709551616"]`, "c249010000000000000000"},
		{"negative bignum", json2, "both", `["$BigInt","-18446744073709551617"]`, "c349010000000000000000"},
		{"small bignum stays one", json2, "both", `["$BigInt","1"]`, "c24101"},
		{"bignum with leading zeros", json2, "toJSON", `["$BigInt","1"]`, "c2420001"},
	}
}

func valuePairs() []payloadPair {
	plain, json2, json3 := rules{"PAY-1"}, rules{"JSON-2"}, rules{"JSON-3"}
	return []payloadPair{
		{"null", plain, "both", `null`, "f6"},
		{"true", plain, "both", `true`, "f5"},
		{"text with escapes", plain, "both", `"\"\\\n\u0001"`, "64225c0a01"},
		{"text beyond ASCII", plain, "both", `"é😀"`, "66c3a9f09f9880"},
		{"surrogate pair", plain, "fromJSON", `"\ud83d\ude00"`, "64f09f9880"},
		{"text in chunks", rules{"PAY-4"}, "toJSON", `"ab"`, "7f61616162ff"},
		{"array", plain, "both", `[1,[2,[]]]`, "8201820280"},
		{"array without length", rules{"PAY-4"}, "toJSON", `[1]`, "9f01ff"},
		{"object", plain, "both", `{"a":1,"":{}}`, "a261610160a0"},
		{"bytes", json2, "both", `["$Uint8Array","+/8="]`, "42fbff"},
		{"undefined", json2, "both", `["$Undefined",0]`, "f7"},
		{"date", json2, "both", `["$Date",1700000000000]`, "c11a6553f100"},
		{"date with milliseconds", json2, "both", `["$Date",1700000000500]`, "c1fb41d954fc40200000"},
		{"date before 1970", json2, "both", `["$Date",-1000]`, "c120"},
		{"date as text", json2, "toJSON", `["$Date",1363896240000]`, "c074323031332d30332d32315432303a30343a30305a"},
		{"set", json2, "both", `["$Set",[1,2,3]]`, "d9010283010203"},
		{"map with keys of numbers", json2, "both", `["$Map",[[1,"a"],["b",2]]]`, "a201616161" + "6202"},
		{"map with keys of text", json2, "both", `["$Map",[["a",1]]]`, "d90103a1616101"},
		{"empty map", json2, "both", `["$Map",[]]`, "d90103a0"},
		{"map with other keys and its tag", json2, "toJSON", `["$Map",[[1,"a"]]]`, "d90103a1016161"},
		{"keys of text that begin with a dollar", json2, "both", `["$Map",[["$$a",1]]]`, "d90103a162246101"},
		{"array like a tag", json3, "both", `["$$Date",1]`, "82652444617465" + "01"},
		{"array with a lone dollar", json3, "both", `["$$",1]`, "82612401"},
		{"array with two dollars", json3, "both", `["$$$",1]`, "8262242401"},
		{"longer arrays need no dollar", json3, "both", `["$Date",1,2]`, "83652444617465" + "0102"},
		{"shorter arrays need no dollar", json3, "both", `["$Date"]`, "81652444617465"},
		{"second elements need no dollar", json3, "both", `[1,"$Date"]`, "8201652444617465"},
		{"the array of a set is a real array", json3, "both", `["$Set",["$$a",1]]`, "d90102826224" + "6101"},
		{"a pair of a map is a real array", json3, "both", `["$Map",[["$$a",1],[2,3]]]`, "a2622461010203"},
	}
}

func refusedTexts() []refusedJSON {
	json1, json2, json3 := rules{"JSON-1"}, rules{"JSON-2"}, rules{"JSON-3"}
	list := []refusedJSON{
		{Name: "nothing", Rules: json1, JSON: ``},
		{Name: "cut short", Rules: json1, JSON: `[1,`},
		{Name: "trailing data", Rules: json1, JSON: `1 2`},
		{Name: "leading zero", Rules: json1, JSON: `01`},
		{Name: "duplicate key", Rules: json1, JSON: `{"a":1,"\u0061":2}`},
		{Name: "lone surrogate", Rules: json1, JSON: `"\ud800"`},
		{Name: "number too large", Rules: json1, JSON: `1e400`},
		{Name: "too deep", Rules: json1, JSON: strings.Repeat("[", 65) + strings.Repeat("]", 65)},
		{Name: "unknown tag", Rules: json3, JSON: `["$Foo",1]`},
		{Name: "BigInt of a number", Rules: json2, JSON: `["$BigInt",1]`},
		{Name: "BigInt with a leading zero", Rules: json2, JSON: `["$BigInt","01"]`},
		{Name: "base64 without padding", Rules: json2, JSON: `["$Uint8Array","AQI"]`},
		{Name: "date of no number", Rules: json2, JSON: `["$Date","now"]`},
		{Name: "finite Number", Rules: json2, JSON: `["$Number","1"]`},
		{Name: "map of no pairs", Rules: json2, JSON: `["$Map",[1]]`},
		{Name: "map with a key twice", Rules: json2, JSON: `["$Map",[[1,2],[1,3]]]`},
	}
	for i := range list {
		list[i].Code = "request.invalid_json"
	}
	return list
}

func refusedBytes() []refusedCBOR {
	pay4 := rules{"PAY-4"}
	list := []refusedCBOR{
		{Name: "nothing", Rules: pay4},
		{Name: "cut short", Rules: pay4, CBOR: "8201"},
		{Name: "trailing bytes", Rules: pay4, CBOR: "0000"},
		{Name: "array without end", Rules: pay4, CBOR: "9f01"},
		{Name: "invalid UTF-8", Rules: pay4, CBOR: "61ff"},
		{Name: "duplicate key", Rules: pay4, CBOR: "a2616101616102"},
		{Name: "duplicate key in another encoding", Rules: pay4, CBOR: "a261610178016102"},
		{Name: "too deep", Rules: pay4, CBOR: strings.Repeat("81", 65) + "00"},
		{Name: "length of more than there is", Rules: pay4, CBOR: "9b00ffffffffffffff"},
		{Name: "unknown tag", Rules: rules{"JSON-3"}, CBOR: "d82a00"},
		{Name: "simple value", Rules: rules{"JSON-2"}, CBOR: "e0"},
	}
	for i := range list {
		list[i].Code = "request.invalid_payload"
	}
	return list
}
