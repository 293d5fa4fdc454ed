package model

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
)

func TestProgramsRunInTheReference(t *testing.T) {
	for name, c := range map[string]struct {
		program []op
		want    any
		failed  *failure
	}{
		"value":       {[]op{{"get"}, {"set", int64(1)}, {"add", int64(2)}, {"get"}}, []any{"before", nil, int64(3), int64(3)}, nil},
		"keys":        {[]op{{"put", "a", "1"}, {"read", "a"}, {"delete", "a"}, {"read", "a"}}, []any{nil, "1", nil, nil}, nil},
		"list":        {[]op{{"put", "b", "2"}, {"put", "ab", "1"}, {"put", "b0", "3"}, {"list", "b"}}, []any{nil, nil, nil, []any{[]any{"b", "2"}, []any{"b0", "3"}}}, nil},
		"range":       {[]op{{"put", "a", "1"}, {"put", "b", "2"}, {"deleteRange", "a", "b"}, {"list", ""}}, []any{nil, nil, nil, []any{[]any{"b", "2"}}}, nil},
		"return":      {[]op{{"return", true}, {"throw", "never"}}, true, nil},
		"user error":  {[]op{{"put", "a", "1"}, {"fail", "no", "because"}}, nil, &failure{"user", "no", "because"}},
		"other error": {[]op{{"throw", "because"}}, nil, &failure{group: "internal", code: "error"}},
	} {
		a := newActor("before")
		got, failed := a.run(c.program)
		if !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(failed, c.failed) {
			t.Errorf("%s: %v, %+v", name, got, failed)
		}
		if name == "user error" && a.kv["a"] != "1" {
			t.Error("what was done before an error is gone [TURN-6]")
		}
	}
}

// What the campaign makes is a case as a person could have written it: with each scope, always.
func TestDrawnCasesAreCases(t *testing.T) {
	for name, scope := range map[string]Scope{
		"shared": {Steps: 20}, "serial": {Steps: 20, Serial: true}, "cuts": {Steps: 20, Serial: true, Cuts: true}, "kills": {Steps: 20, Kills: true},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := Check(Config{Scope: scope, Seed: 1, Cases: 25, Run: func(c *casefile.Case) error { return casefile.Check(c) }})
			if err != nil || report.Why != nil {
				t.Errorf("%v, %v", err, report)
			}
		})
	}
}

func TestACampaignWithoutFaultFindsNone(t *testing.T) {
	ran := 0
	report, err := Check(Config{Scope: Scope{Steps: 5}, Seed: 7, Cases: 30, Run: func(*casefile.Case) error { ran++; return nil }})
	if err != nil || report.Why != nil || report.Ran != 30 || ran != 30 {
		t.Errorf("%+v, %v, ran %d", report, err, ran)
	}
}

// A runner that loses the third put is found, with little else around it.
func TestACampaignShrinksWhatItFinds(t *testing.T) {
	fault := errors.New("a put was lost")
	run := func(c *casefile.Case) error {
		puts := 0
		for _, step := range c.Steps {
			puts += strings.Count(step.String(), `"put"`)
		}
		if puts >= 3 {
			return fault
		}
		return nil
	}
	report, err := Check(Config{Scope: Scope{Steps: 8}, Seed: 3, Cases: 200, Run: run})
	if err != nil || !errors.Is(report.Why, fault) {
		t.Fatalf("%+v, %v", report, err)
	}
	cases, err := casefile.Parse(report.Found)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(cases[0].Steps); n > 10 {
		t.Errorf("%d steps are left:\n%s", n, report.Found)
	}
}

func TestTheSameSeedMakesTheSameCases(t *testing.T) {
	texts := func() []string {
		var all []string
		if _, err := Check(Config{Scope: Scope{Steps: 5}, Seed: 42, Cases: 10, Run: func(c *casefile.Case) error { all = append(all, c.String()); return nil }}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	a, b := texts(), texts()
	for i := range a {
		if strings.ReplaceAll(a[i], " ", "") != strings.ReplaceAll(b[i], " ", "") {
			t.Fatalf("case %d differs:\n%s\n%s", i, a[i], b[i])
		}
	}
}
