package pattern

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// tree reads JSON, which is what is left of YAML.
func tree(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	m, ok := tree(t, text).(map[string]any)
	if !ok {
		t.Fatalf("%s is no map", text)
	}
	return m
}

func TestValuesBecomeCBOR(t *testing.T) {
	e := NewEnv()
	e.Set("n", uint64(1)<<60)
	for text, want := range map[string]string{
		`5`:                               "05",
		`-1`:                              "20",
		`1.5`:                             "f93e00",
		`{"$float": 1}`:                   "f93c00",
		`"$$x"`:                           "622478",
		`"$n"`:                            "1b1000000000000000",
		`{"b": 1, "a": [true, null]}`:     "a2616182f5f6616201",
		`{"$bytes": "0102"}`:              "420102",
		`{"$bytesOf": {"cbor": "a"}}`:     "426161",
		`{"$undefined": true}`:            "f7",
		`{"$tag": [1, 2]}`:                "c102",
		`{"$map": [[1, 2]]}`:              "a10102",
		`{"$map": [[{"$bytes":"00"},2]]}`: "a1410002",
		`{"$repeat": ["x", 3]}`:           "63787878",
		`{"$concat": ["a", "b"]}`:         "626162",
		`{"$text": "$n"}`:                 "62246e",
	} {
		b, err := e.Encode(tree(t, text))
		if err != nil || hex.EncodeToString(b) != want {
			t.Errorf("%s is %x, want %s (%v)", text, b, want, err)
		}
	}
	for _, text := range []string{`"$missing"`, `"$ "`, `{"$any": true}`, `{"$float": "x"}`, `{"$repeat": 1}`, `{"$tag": 1}`, `{"$concat": "a"}`, `{"$concat": ["a", 1]}`} {
		if _, err := e.Encode(tree(t, text)); err == nil {
			t.Errorf("%s is a value", text)
		}
	}
}

func TestFramesAreMade(t *testing.T) {
	e := NewEnv()
	e.Set("a", uint64(7))
	e.Set("k", []string{"x", "$y"})
	for text, want := range map[string]*runnerv1alpha1.Frame{
		`{"stopActor": {"actor": "$a", "reason": "sleep", "graceMs": 5}}`: {Kind: &runnerv1alpha1.Frame_StopActor{StopActor: &runnerv1alpha1.StopActor{
			Actor: 7, Reason: runnerv1alpha1.StopReason_STOP_REASON_SLEEP, GraceMs: 5,
		}}},
		`{"startActor": {"actor": 1, "key": "$k", "input": {"cbor": null}, "create": true}}`: {Kind: &runnerv1alpha1.Frame_StartActor{StartActor: &runnerv1alpha1.StartActor{
			Actor: 1, Key: []string{"x", "$y"}, Input: []byte{0xf6}, Create: true,
		}}},
		`{"kvResult": {"actor": "$a", "id": 1, "entries": [{"key": {"text": "k"}, "value": {"hex": "00ff"}}], "error": {"group": "kv", "ran": "maybe"}}}`: nil,
		`{"commit": {"actor": "$a", "changes": {"state": {"cbor": 1}}}}`:                                                                                  nil,
		`{"welcome": {"timeoutsMs": {"stop": 5}, "nowMs": 12}}`:                                                                                           nil,
	} {
		if err := NewScope("a", "k").Frame(fields(t, text), false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		f, err := e.Frame(fields(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if want != nil && !proto.Equal(f, want) {
			t.Errorf("%s is %v", text, f)
		}
	}
}

func TestWrongTreesAreSeenEarly(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"noKind": {}}`, `{"call": {"nofield": 1}}`, `{"call": {"id": "x"}}`, `{"call": {"id": "$b"}}`, `{"call": {"args": [1]}}`,
		`{"call": {"args": {"cbor": "$b"}}}`, `{"stopActor": {"reason": "siesta"}}`, `{"startActor": {"key": "x"}}`, `{"call": 1}`,
		`{"call": {"id": -1}}`, `{"call": {"args": {"hex": "zz"}}}`, `{"call": {"id": {"$any": true}}}`,
	} {
		if err := NewScope("a").Frame(fields(t, text), false); err == nil {
			t.Errorf("%s may be sent", text)
		}
	}
	for _, text := range []string{
		`{"callResult": {"id": {"$anything": true}}}`, `{"callResult": {"error": {"ran": {"$oneOf": ["perhaps"]}}}}`,
		`{"callResult": {"id": {"$oneOf": 1}}}`, `{"callResult": {"id": "$x.generation"}}`,
	} {
		if err := NewScope("a").Frame(fields(t, text), true); err == nil {
			t.Errorf("%s may be expected", text)
		}
	}
}

// result is what the patterns of the next test look at.
func result(t *testing.T) *runnerv1alpha1.Frame {
	t.Helper()
	e := NewEnv()
	f, err := e.Frame(fields(t, `{"callResult": {"actor": 3, "id": 9007199254740991, "output": {"cbor": {"n": 5, "list": ["a", 1.5], "f": {"$float": 2}}},
		"error": {"group": "user", "code": "x", "message": "hello", "ran": "yes"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPatternsFit(t *testing.T) {
	f := result(t)
	for _, text := range []string{
		`{}`, `{"actor": 3}`, `{"id": "$c"}`, `{"notRun": false}`, `{"notRun": {"$absent": true}}`, `{"output": {"$any": true}}`,
		`{"output": {"cbor": {"n": 5}}}`, `{"output": {"cbor": {"n": {"$ge": 5, "$lt": 6}, "zz": {"$absent": true}}}}`,
		`{"output": {"cbor": {"list": ["a", 1.5], "f": {"$float": 2}}}}`, `{"output": {"cbor": {"list": {"$len": 2}}}}`,
		`{"output": {"cbor": {"list": {"$has": ["a"]}}}}`, `{"output": {"$len": {"$gt": 3}}}`,
		`{"error": {"ran": "yes", "message": {"$prefix": "he"}, "code": {"$oneOf": ["y", "x"]}, "group": {"$not": "internal"}}}`,
		`{"output": {"bytes": "$raw"}}`, `{"actor": {"$bind": "$x", "$is": {"$gt": 1}}}`,
		`{"output": {"cbor": {"$exactly": {"n": 5, "list": {"$any": true}, "f": {"$any": true}}}}}`, `{"error": {"message": {"$contains": "ll"}}}`,
	} {
		pattern := fields(t, `{"callResult": `+text+`}`)
		if err := NewScope().Frame(pattern, true); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := NewEnv().Match(f.ProtoReflect(), pattern); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPatternsTellWhatDoesNotFit(t *testing.T) {
	f := result(t)
	for text, where := range map[string]string{
		`{"actor": 4}`:                                 "callResult.actor: is 3, want 4",
		`{"output": {"cbor": {"n": 6}}}`:               "callResult.output.n: is 5, want 6",
		`{"output": {"cbor": {"f": 2}}}`:               "the float 2",
		`{"output": {"cbor": {"n": {"$float": 5}}}}`:   "want the float 5",
		`{"output": {"cbor": {"list": ["a"]}}}`:        "has 2 items",
		`{"output": {"cbor": {"$exactly": {"n": 5}}}}`: "too",
		`{"output": {"$absent": true}}`:                "is there",
		`{"notRun": true}`:                             "notRun",
		`{"error": {"metadata": {"$any": true}}}`:      "metadata: is not there",
		`{"error": {"ran": "no"}}`:                     `"yes"`,
		`{"error": {"code": {"$oneOf": ["y", "z"]}}}`:  "none of 2",
		`{"actor": "$c", "id": "$c"}`:                  "$c",
		`{"error": {"group": {"$not": "user"}}}`:       "user",
		`{"output": {"hex": "00"}}`:                    "want 00",
	} {
		err := NewEnv().Match(f.ProtoReflect(), fields(t, `{"callResult": `+text+`}`))
		if err == nil || !strings.Contains(err.Error(), where) {
			t.Errorf("%s: %v, want %q", text, err, where)
		}
	}
}

func TestAMismatchBindsNothing(t *testing.T) {
	e := NewEnv()
	if err := e.Match(result(t).ProtoReflect(), fields(t, `{"callResult": {"actor": "$a", "id": 1}}`)); err == nil {
		t.Fatal("it fits")
	}
	if _, bound := e.Get("a"); bound {
		t.Error("$a is bound")
	}
	if err := e.Match(result(t).ProtoReflect(), fields(t, `{"callResult": {"actor": "$a", "id": "$c"}}`)); err != nil {
		t.Fatal(err)
	}
	if v, _ := e.Get("c"); v != uint64(1<<53-1) {
		t.Errorf("$c is %v", v)
	}
}

func TestChangesAreLookedInto(t *testing.T) {
	e := NewEnv()
	f, err := e.Frame(fields(t, `{"commit": {"changes": {"state": {"cbor": {"n": 1}}, "kv": [{"key": {"text": "k"}, "value": {"text": ""}}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, fits := range map[string]bool{
		`{"changes": {"state": {"cbor": {"n": 1}}}}`:                                  true,
		`{"changes": {"kv": [{"key": {"text": "k"}, "value": {"text": ""}}]}}`:        true,
		`{"changes": {"kv": [{"key": {"text": "k"}, "value": {"$absent": true}}]}}`:   false,
		`{"changes": {"kv": [{"key": {"text": "k"}, "value": {"hex": ""}}]}}`:         true,
		`{"changes": {"destroy": true}}`:                                              false,
		`{"changes": {"$len": {"$gt": 4}}}`:                                           true,
		`{"changes": {"state": {"$absent": true}}}`:                                   false,
		`{"changes": {"schedules": {"$len": 0}, "connectionsAdded": {"$len": 0}}}`:    true,
		`{"changes": {"kv": {"$has": [{"key": {"text": "k"}}]}}}`:                     true,
		`{"changes": {"kv": {"$has": [{"key": {"text": "other"}}]}}}`:                 false,
		`{"changes": {"kv": [{"key": {"text": {"$prefix": "k"}}, "value": "$any"}]}}`: true,
	} {
		err := e.Match(f.ProtoReflect(), fields(t, `{"commit": `+text+`}`))
		if (err == nil) != fits {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDeterministicEncodingIsTold(t *testing.T) {
	for text, good := range map[string]bool{"05": true, "1805": false, "a2616101616202": true, "a2616202616101": false, "fb3ff8000000000000": false, "f7": true, "ff": false} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := Deterministic(b); (err == nil) != good {
			t.Errorf("%s [PAY-2]: %v", text, err)
		}
	}
}
