package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// matches looks at what stands beside values in a pattern. All that stand together have to hold.
func (e *Env) matches(v any, want map[string]any) error {
	for _, key := range sortedKeys(want) {
		if key == "$is" {
			continue
		}
		matcher, known := matchers[key]
		if !known {
			return e.fitsSpecial(v, want)
		}
		if err := matcher(e, v, want[key], want); err != nil {
			return err
		}
	}
	return nil
}

type matcher func(e *Env, v, arg any, all map[string]any) error

var matchers map[string]matcher

func init() { // its entries come back to it
	matchers = map[string]matcher{
		"$any":    func(*Env, any, any, map[string]any) error { return nil },
		"$absent": func(_ *Env, v, _ any, _ map[string]any) error { return fmt.Errorf("is there: %s", show(v)) },
		"$not": func(e *Env, v, arg any, _ map[string]any) error {
			if before := e.Try(func() error { return e.fits(v, arg) }); before == nil {
				return fmt.Errorf("is %s", show(v))
			}
			return nil
		},
		"$oneOf":    (*Env).oneOf,
		"$prefix":   textual("begin with", strings.HasPrefix),
		"$contains": textual("hold", strings.Contains),
		"$gt":       numeric("more than", func(a, b float64) bool { return a > b }),
		"$ge":       numeric("at least", func(a, b float64) bool { return a >= b }),
		"$lt":       numeric("less than", func(a, b float64) bool { return a < b }),
		"$le":       numeric("at most", func(a, b float64) bool { return a <= b }),
		"$len":      (*Env).length,
		"$has":      (*Env).has,
		"$exactly":  (*Env).exactly,
		"$bind":     (*Env).bind,
	}
}

func textual(verb string, holds func(text, part string) bool) matcher {
	return func(e *Env, v, arg any, _ map[string]any) error {
		text, isText := asText(v)
		resolved, err := e.native(arg)
		part, isToo := resolved.(string)
		if err != nil || !isToo {
			return fmt.Errorf("cannot compare with %v", arg)
		}
		if !isText || !holds(text, part) {
			return fmt.Errorf("is %s, which does not %s %q", show(v), verb, part)
		}
		return nil
	}
}

func asText(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case payload:
		return string(t.b), true
	case []byte:
		return string(t), true
	}
	return "", false
}

func numeric(words string, holds func(a, b float64) bool) matcher {
	return func(e *Env, v, arg any, _ map[string]any) error {
		bound, err := e.number(arg)
		if err != nil {
			return err
		}
		if n, is := asFloat(v); !is || !holds(n, bound) {
			return fmt.Errorf("is %s, want %s %v", show(v), words, bound)
		}
		return nil
	}
}

func (e *Env) oneOf(v, arg any, _ map[string]any) error {
	choices, is := arg.([]any)
	if !is {
		return fmt.Errorf("$oneOf of %v: want a list", arg)
	}
	var faults []string
	for _, choice := range choices {
		err := e.Try(func() error { return e.fits(v, choice) })
		if err == nil {
			return nil
		}
		faults = append(faults, err.Error())
	}
	return fmt.Errorf("fits none of %d: %s", len(choices), strings.Join(faults, "; "))
}

func (e *Env) length(v, arg any, _ map[string]any) error {
	n := 0
	switch t := v.(type) {
	case []any:
		n = len(t)
	case map[any]any:
		n = len(t)
	default:
		text, is := asText(v)
		if !is {
			return fmt.Errorf("is %s, which has no length", show(v))
		}
		n = len(text)
	}
	if err := e.fits(uint64(n), arg); err != nil {
		return fmt.Errorf("has a length that %w", err)
	}
	return nil
}

func (e *Env) has(v, arg any, _ map[string]any) error {
	items, isList := v.([]any)
	wanted, isToo := arg.([]any)
	if !isList || !isToo {
		return fmt.Errorf("is %s, want a list", show(v))
	}
	for _, want := range wanted {
		found := false
		for _, item := range items {
			if e.Try(func() error { return e.fits(item, want) }) == nil {
				found = true
				break
			}
		}
		if !found {
			return fmt.Errorf("has no %s: %s", show(want), show(v))
		}
	}
	return nil
}

func (e *Env) exactly(v, arg any, _ map[string]any) error {
	want, isMap := arg.(map[string]any)
	got, isToo := v.(map[any]any)
	if isMap && isToo {
		for key := range got {
			text, is := key.(string)
			if _, wanted := want[text]; !is || !wanted {
				return fmt.Errorf("has %s, too", show(key))
			}
		}
	}
	return e.fits(v, arg)
}

func (e *Env) bind(v, arg any, all map[string]any) error {
	if is, there := all["$is"]; there {
		if err := e.fits(v, is); err != nil {
			return err
		}
	}
	name, is := arg.(string)
	if !is {
		return errors.New("$bind takes a variable")
	}
	return e.fitsText(v, name)
}

// fitsSpecial compares with a value that JSON cannot say.
func (e *Env) fitsSpecial(v any, want map[string]any) error {
	value, err := e.special(want)
	if err != nil {
		return err
	}
	switch w := value.(type) {
	case []byte:
		if text, is := asText(v); !is || text != string(w) {
			return fmt.Errorf("is %s, want %s", show(v), show(w))
		}
		return nil
	case float64:
		if got, is := v.(float64); !is || got != w {
			return fmt.Errorf("is %s, want the float %v", show(v), w)
		}
		return nil
	case cbor.RawMessage:
		if v != nil {
			return fmt.Errorf("is %s, want undefined", show(v))
		}
		return nil
	}
	one, err1 := encoder.Marshal(v)
	two, err2 := encoder.Marshal(value)
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		return fmt.Errorf("is %s, want %s", show(v), show(value))
	}
	return nil
}
