package adapters_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// programs are the adapters that have to behave alike.
func programs(t *testing.T, test func(t *testing.T, w *world, language string)) {
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, []string{built.runnerGo}), "go")
	})
	t.Run("js", func(t *testing.T) {
		program, err := filepath.Abs("runner-js/dist/main.js")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(program); err != nil {
			t.Fatal("runner-js is not built: npm run build")
		}
		t.Parallel()
		test(t, newWorld(t, []string{"node", program}, "NODE_ENV=production"), "js")
	})
}

type list = []any

type dict = map[string]any

// row is a call and what it answers: a value, nothing, or an error.
type row struct {
	action string
	args   list
	want   any // nothing: no output
}

type fault struct {
	code, message string
	metadata      any
	retryable     bool
}

type nothingType struct{}

var nothing = nothingType{}

// scripts are rows that one actor of a type answers in order.
var scripts = []struct {
	name, actorType string
	input           any
	rows            []row
}{
	{"manifest", "manifest", nil, []row{{"get", nil, nil}}}, // looked at in TestManifest
	{"echo", "echo", nil, []row{
		{"echo", list{nil}, nil},
		{"echo", list{list{true, -1, 1 << 40, 1.5, "é", []byte{0, 255}, dict{"b": 1, "a": list{}}}}, list{true, -1, 1 << 40, 1.5, "é", []byte{0, 255}, dict{"b": 1, "a": list{}}}},
		{"void", nil, nothing},
		{"null", nil, nil},
		{"bytes", list{0}, []byte{}},
		{"bytes", list{3}, []byte{0, 1, 2}},
		{"text", list{3}, "xxx"},
		{"fail", list{"nope", "no", dict{"why": list{1, "two"}}}, fault{code: "user.nope", message: "no", metadata: dict{"why": list{1, "two"}}}},
		{"fail", list{"nope", "no", nil}, fault{code: "user.nope", message: "no"}},
		{"failRetryable", list{"later", "not now"}, fault{code: "user.later", message: "not now", retryable: true}},
		{"missing", nil, fault{code: "actor.action_not_found"}},
	}},
	{"counter", "counter", 5, []row{
		{"get", nil, 5},
		{"add", list{2}, 7},
		{"set", list{1}, nothing},
		{"get", nil, 1},
		{"addThenFail", list{3, "nope"}, fault{code: "user.nope", message: "failed as planned"}},
		{"get", nil, 4},
		{"addThenThrow", list{3}, fault{code: "internal.error"}},
		{"get", nil, 7},
		{"addSaveAdd", list{10}, 27},
		{"memory", nil, 1},
		{"memory", nil, 2},
	}},
	{"counter without input", "counter", nil, []row{{"get", nil, 0}}},
	{"lifecycle", "lifecycle", nil, []row{
		{"log", nil, list{"createState", "onCreate", "createVars", "onWake"}},
		{"memory", nil, 1},
		{"plan", list{"onSleep", list{"put:slept", "throw"}}, nothing},
	}},
	{"lifecycle with run", "lifecycle", dict{"run": list{"put:nothing"}, "onWake": list{"put:k"}}, []row{{"memory", nil, 1}}},
	{"sleeper", "sleeper", nil, []row{{"touch", nil, 1}, {"touch", nil, 2}}},
	{"interp", "interp", 5, []row{
		{"run", list{list{}}, list{}},
		{"run", list{list{list{"get"}, list{"add", 2}, list{"set", dict{"a": 1}}, list{"get"}}}, list{5, 7, nil, dict{"a": 1}}},
		{"run", list{list{
			list{"put", "b", "2"},
			list{"put", "a", "1"},
			list{"read", "a"},
			list{"read", "c"},
			list{"list", ""},
			list{"delete", "a"},
			list{"list", "a"},
			list{"put", "d", "4"},
			list{"deleteRange", "c", "z"},
			list{"list", ""},
		}}, list{nil, nil, "1", nil, list{list{"a", "1"}, list{"b", "2"}}, nil, list{}, nil, nil, list{list{"b", "2"}}}},
		{"run", list{list{list{"broadcast", "any", 1}, list{"broadcastUnreliable", "any", 1}, list{"send", "none", "any", 1}, list{"disconnect", "none", "out"}, list{"conns"}, list{"flush"}, list{"save"}, list{"text", 2}}}, list{nil, nil, nil, nil, list{}, nil, nil, "xx"}},
		{"run", list{list{list{"set", 1}, list{"return", "early"}, list{"set", 2}}}, "early"},
		{"run", list{list{list{"get"}}}, list{1}},
		{"run", list{list{list{"set", 3}, list{"fail", "nope", "no"}, list{"set", 4}}}, fault{code: "user.nope", message: "no"}},
		{"run", list{list{list{"get"}}}, list{3}},
		{"run", list{list{list{"throw", "secret"}}}, fault{code: "internal.error"}},
		{"run", list{list{list{"unknown"}}}, fault{code: "internal.error"}},
		{"memory", nil, 1},
	}},
	{"crasher", "crasher", nil, []row{{"ping", nil, "pong"}, {"hang", list{1}, nothing}, {"background", list{"x"}, nothing}, {"print", list{10}, nothing}, {"ping", nil, "pong"}}},
	{"kv", "kv", nil, []row{
		{"get", list{b("a")}, nil},
		{"put", list{b("a"), b("1")}, nothing},
		{"put", list{b("empty"), b("")}, nothing},
		{"get", list{b("a")}, b("1")},
		{"get", list{b("empty")}, b("")},
		{"getMany", list{list{b("empty"), b("none"), b("a")}}, list{b(""), nil, b("1")}},
		{"batchPut", list{list{list{b("c"), b("3")}, list{[]byte{0xff}, b("4")}, list{b("b"), b("2")}}}, nothing},
		{"list", list{b(""), false, 0}, list{list{b("a"), b("1")}, list{b("b"), b("2")}, list{b("c"), b("3")}, list{b("empty"), b("")}, list{[]byte{0xff}, b("4")}}},
		{"list", list{b(""), true, 2}, list{list{[]byte{0xff}, b("4")}, list{b("empty"), b("")}}},
		{"listRange", list{b("b"), b("d"), false, 1}, list{list{b("b"), b("2")}}},
		{"deleteRange", list{b("b"), b("d")}, nothing},
		{"batchDelete", list{list{[]byte{0xff}, b("nothere")}}, nothing},
		{"delete", list{b("empty")}, nothing},
		{"putThenGet", list{b("p"), b("g")}, b("g")},
		{"deleteThenGet", list{b("p")}, nil},
		{"putThenList", list{b("a2"), b("2"), b("a")}, list{list{b("a"), b("1")}, list{b("a2"), b("2")}}},
		{"deleteRangeThenList", list{b("a2"), b("b"), b("a")}, list{list{b("a"), b("1")}}},
		{"putThenFail", list{b("f"), b("1"), "nope"}, fault{code: "user.nope", message: "failed as planned"}},
		{"get", list{b("f")}, b("1")},
		{"put", list{bytes.Repeat(b("k"), 2049), b("")}, fault{code: "kv.key_too_large"}},
		{"fill", list{"n", 3, 2}, nothing},
		{"list", list{b("n"), false, 0}, list{list{b("n0000"), b("xx")}, list{b("n0001"), b("xx")}, list{b("n0002"), b("xx")}}},
	}},
	{"events", "events", nil, []row{
		{"broadcast", list{"tick", 1}, nothing},
		{"broadcast", list{"unknown", 1}, fault{code: "event.not_found"}},
		{"burst", list{"data", 3, 10}, 3},
		{"send", list{"none", "tick", 1}, false},
		{"reply", list{"tick", 1}, fault{code: "user.no_connection", message: "no connection"}},
		{"emitThenFail", list{"tick", "v", "nope"}, fault{code: "user.nope", message: "failed as planned"}},
		{"count", nil, 1},
		{"count", nil, 2},
	}},
	{"conn", "conn", nil, []row{
		{"conns", nil, list{}},
		{"whoami", nil, nil},
		{"state", nil, fault{code: "user.no_connection", message: "no connection"}},
		{"setState", list{1}, fault{code: "user.no_connection", message: "no connection"}},
		{"kick", list{"none", "out"}, false},
		{"send", list{"none", "any", 1}, false},
		{"broadcast", list{"any", 1}, nothing},
		{"log", nil, list{}},
		{"memory", nil, 1},
	}},
}

func b(s string) []byte { return []byte(s) }

func TestAdaptersAnswerAlike(t *testing.T) {
	programs(t, func(t *testing.T, w *world, _ string) {
		for _, script := range scripts[1:] {
			t.Run(script.name, func(t *testing.T) {
				var options []client.HandleOption
				if script.input != nil {
					options = append(options, client.WithInput(script.input))
				}
				handle := w.client.GetOrCreate(script.actorType, []string{script.name}, options...)
				for i, r := range script.rows {
					if got, want := ask(w.context(), handle, r), expected(r.want); got != want {
						t.Errorf("%d %s%v:\n  got  %s\n  want %s", i+1, r.action, r.args, got, want)
					}
				}
			})
		}
	})
}

// ask calls and returns the answer as a text: its bytes in deterministic encoding, or the error.
func ask(ctx context.Context, on client.Caller, r row) string {
	raw := cbor.RawMessage{}
	err := on.Call(ctx, r.action, &raw, r.args...)
	if e := new(client.Error); errors.As(err, &e) {
		var metadata any
		_ = e.DecodeMetadata(&metadata)
		return text(fault{e.Name(), e.Message, metadata, e.Retryable})
	} else if err != nil {
		return err.Error()
	}
	if len(raw) == 0 {
		return text(nothing)
	}
	return hex.EncodeToString(raw)
}

func expected(want any) string {
	switch want.(type) {
	case nothingType, fault:
		return text(want)
	}
	return hex.EncodeToString(encode(want))
}

// text shows an error without the message, where that is the gateway's own.
func text(v any) string {
	f, ok := v.(fault)
	if !ok {
		return "no output"
	}
	if !strings.HasPrefix(f.code, "user.") {
		f.message = ""
	}
	return fmt.Sprintf("%s %q %x retryable=%t", f.code, f.message, encode(f.metadata), f.retryable)
}

func encode(v any) []byte {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil
	}
	data, _ := mode.Marshal(v)
	return data
}

func TestManifest(t *testing.T) {
	programs(t, func(t *testing.T, w *world, language string) {
		var got struct {
			Contract              int
			Language, Concurrency string
			Types, Profiles       []string
		}
		if err := w.client.GetOrCreate("manifest", nil).Call(w.context(), "get", &got); err != nil {
			t.Fatal(err)
		}
		concurrency := map[string]string{"go": "serial", "js": "interleaved"}[language]
		types := []string{"conn", "counter", "crasher", "echo", "events", "interp", "kv", "lifecycle", "manifest", "sleeper"}
		profiles := []string{"adopt", "connections", "core", "credit", "events", "kv", "resume"}
		if got.Contract != 1 || got.Language != language || got.Concurrency != concurrency || !slices.Equal(got.Types, types) || !slices.Equal(got.Profiles, profiles) {
			t.Errorf("%+v", got)
		}
		var place dict
		if err := w.client.GetOrCreate("echo", []string{"a", "b/c"}).Call(w.context(), "context", &place); err != nil {
			t.Fatal(err)
		}
		if place["type"] != "echo" || !reflect.DeepEqual(place["key"], list{"a", "b/c"}) || place["connection"] != nil || place["id"] == "" {
			t.Errorf("%v", place)
		}
	})
}
