package model

import (
	"pgregory.net/rapid"
)

// Few keys and values, so that they meet again.
var (
	keys   = []string{"a", "ab", "b", "b0", "c"}
	texts  = []string{"", "x", "yy", "é", "long enough to be no short text any more"}
	codes  = []string{"no", "Not_now", "a.b-c"}
	prefix = []string{"", "a", "b", "z"}
)

// drawValue is a value of the actor's state.
func drawValue(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "kind of value") {
	case 0, 1, 2:
		return drawInt(t)
	case 3:
		return rapid.SampledFrom(texts).Draw(t, "text")
	case 4:
		return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "simple value")
	}
	list := []any{}
	for range rapid.IntRange(0, 3).Draw(t, "length") {
		list = append(list, drawInt(t))
	}
	return list
}

// drawInt tends to the places where an integer's encoding grows.
func drawInt(t *rapid.T) int64 {
	return rapid.OneOf(
		rapid.Int64Range(-3, 3),
		rapid.SampledFrom([]int64{23, 24, 255, 256, 65535, 65536, -24, -25, 1 << 31, 1 << 32, 1<<52 - 1}),
	).Draw(t, "integer")
}

// drawProgram is a program that a conforming runner can run: nothing in it breaks the contract. value is the actor's before it.
func drawProgram(t *rapid.T, value any) []op {
	var program []op
	for range rapid.IntRange(1, 6).Draw(t, "operations") {
		o := drawOp(t, value)
		program = append(program, o)
		switch o.name() {
		case "set":
			value = o[1]
		case "add":
			value = value.(int64) + o[1].(int64)
		case "fail", "throw", "return":
			return program
		}
	}
	return program
}

func drawOp(t *rapid.T, value any) op {
	key := func() string { return rapid.SampledFrom(keys).Draw(t, "key") }
	names := []string{"get", "set", "put", "put", "delete", "deleteRange", "read", "list", "save", "flush", "fail", "throw", "return"}
	if _, isInt := value.(int64); isInt {
		names = append(names, "add", "add")
	}
	switch name := rapid.SampledFrom(names).Draw(t, "operation"); name {
	case "set", "return":
		return op{name, drawValue(t)}
	case "add":
		return op{name, rapid.Int64Range(-300, 300).Draw(t, "summand")}
	case "put":
		return op{name, key(), rapid.SampledFrom(texts).Draw(t, "value")}
	case "delete", "read":
		return op{name, key()}
	case "deleteRange":
		from := rapid.IntRange(0, len(keys)-2).Draw(t, "from")
		return op{name, keys[from], keys[rapid.IntRange(from+1, len(keys)-1).Draw(t, "until")]}
	case "list":
		return op{name, rapid.SampledFrom(prefix).Draw(t, "prefix")}
	case "fail":
		return op{name, rapid.SampledFrom(codes).Draw(t, "code"), rapid.SampledFrom(texts[1:]).Draw(t, "message")}
	case "throw":
		return op{name, "thrown on purpose"}
	default:
		return op{name}
	}
}
