package model

import (
	"maps"
	"slices"
	"strings"
)

// op is one operation of a program, as the contract app reads it: its name, then its arguments.
type op []any

func (o op) name() string { return o[0].(string) }

func (o op) text(n int) string { return o[n].(string) }

// actor is what one interpreter actor must be: the reference that runners are compared with.
type actor struct {
	value  any // int64, string, bool, nil, []any
	kv     map[string]string
	memory int64
}

func newActor(input any) *actor { return &actor{value: input, kv: map[string]string{}} }

// failure is the error that a program ends with.
type failure struct {
	group, code, message string // message empty: any
}

// run does what `interp.run` does: one result per operation, or what the program returns, or its error. What was done before an
// error stays [TURN-6].
func (a *actor) run(program []op) (any, *failure) {
	results := make([]any, 0, len(program))
	for _, o := range program {
		switch o.name() {
		case "fail":
			return nil, &failure{"user", o.text(1), o.text(2)}
		case "throw":
			return nil, &failure{group: "internal", code: "error"}
		case "return":
			return o[1], nil
		}
		results = append(results, a.do(o))
	}
	return results, nil
}

func (a *actor) do(o op) any {
	switch o.name() {
	case "get":
		return a.value
	case "set":
		a.value = o[1]
	case "add":
		a.value = a.value.(int64) + o[1].(int64)
		return a.value
	case "put":
		a.kv[o.text(1)] = o.text(2)
	case "delete":
		delete(a.kv, o.text(1))
	case "deleteRange":
		maps.DeleteFunc(a.kv, func(k, _ string) bool { return k >= o.text(1) && k < o.text(2) })
	case "read":
		if v, ok := a.kv[o.text(1)]; ok {
			return v
		}
	case "list":
		return a.list(o.text(1))
	}
	return nil
}

// list is what begins with a prefix, in byte order [KV-1] [KV-4].
func (a *actor) list(prefix string) []any {
	entries := []any{}
	for _, k := range slices.Sorted(maps.Keys(a.kv)) {
		if strings.HasPrefix(k, prefix) {
			entries = append(entries, []any{k, a.kv[k]})
		}
	}
	return entries
}
