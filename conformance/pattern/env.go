// Package pattern is the language of the cases' values: it makes frames and CBOR of trees that stand in a case file, and says
// whether frames that came fit such trees. conformance/casefile/README.md describes it for people.
//
// A tree is what JSON has: nil, bool, float64, string, []any, map[string]any. The engine and casefile use it; an Env belongs to
// one goroutine.
package pattern

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// Env holds the variables of a case: numbers, text, []byte, lists, or a Resolver.
type Env struct{ vars map[string]any }

// Resolver is a variable with fields; "" asks for what the bare variable is.
type Resolver interface {
	Resolve(field string) (any, bool)
}

// NewEnv is one without variables.
func NewEnv() *Env { return &Env{vars: map[string]any{}} }

// Set binds a variable, without its $.
func (e *Env) Set(name string, value any) { e.vars[name] = value }

// Get is the value of a variable, whose name may have a field.
func (e *Env) Get(name string) (any, bool) {
	base, field, _ := strings.Cut(name, ".")
	v, ok := e.vars[base]
	if !ok {
		return nil, false
	}
	if r, is := v.(Resolver); is {
		return r.Resolve(field)
	}
	return v, field == ""
}

// Raw is what Set was given.
func (e *Env) Raw(name string) (any, bool) {
	v, ok := e.vars[name]
	return v, ok
}

// Unset forgets a variable.
func (e *Env) Unset(name string) { delete(e.vars, name) }

// Try takes back what f binds if f returns an error.
func (e *Env) Try(f func() error) error {
	before := maps.Clone(e.vars)
	err := f()
	if err != nil {
		e.vars = before
	}
	return err
}

var variable = regexp.MustCompile(`^\$[a-zA-Z][a-zA-Z0-9_]*(\.[a-z]+)?$`)

// Variable is the name in a text that is a variable and nothing else.
func Variable(text string) (string, bool) {
	if !variable.MatchString(text) {
		return "", false
	}
	return text[1:], true
}

// plain is the text that a string stands for if it is no variable.
func plain(text string) (string, error) {
	if !strings.HasPrefix(text, "$") {
		return text, nil
	}
	if strings.HasPrefix(text, "$$") {
		return text[1:], nil
	}
	return "", fmt.Errorf("%q is no variable; text that begins with $ is written $$", text)
}

// value resolves variables and escapes of one string.
func (e *Env) value(text string) (any, error) {
	if name, is := Variable(text); is {
		v, ok := e.Get(name)
		if !ok {
			return nil, fmt.Errorf("$%s is not bound", name)
		}
		return v, nil
	}
	return plain(text)
}

// matcher is the only key that begins with $ of a map, or the first of several that may stand together.
func isMatcher(m map[string]any) bool {
	for key := range m {
		if strings.HasPrefix(key, "$") {
			return true
		}
	}
	return false
}

// Names are of the bound variables.
func (e *Env) Names() map[string]bool {
	names := make(map[string]bool, len(e.vars))
	for name := range e.vars {
		names[name] = true
	}
	return names
}

// Bound is the value of a tree that is a number or a bound variable.
func (e *Env) Bound(tree any) (any, bool) {
	switch t := tree.(type) {
	case float64:
		return t, true
	case string:
		if name, is := Variable(t); is {
			return e.Get(name)
		}
	}
	return nil, false
}
