package casefile_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stagedoor-dev/stagedoor/conformance"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
)

// Every case of the suite is well-formed, and was written for the text that the spec has.
func TestTheCasesOfTheSuite(t *testing.T) {
	files, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := casefile.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	all, err := requirement.All()
	if err != nil {
		t.Fatal(err)
	}
	index := requirement.Index(all)
	areas := map[string]bool{}
	for _, r := range all {
		areas[casefile.Category(r.ID)] = true
	}
	for _, c := range cases {
		for _, suspect := range casefile.Suspects(c, index) {
			t.Error(suspect)
		}
		if areas[casefile.Category(c.Id)] {
			t.Errorf("%s: the category is an area of the spec", c.Id)
		}
		if strings.HasSuffix(c.Title, ".") {
			t.Errorf("%s: the title ends with a full stop", c.Id)
		}
	}
}

// The example that README.md begins with is a case.
func TestTheExampleIsACase(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	cases, err := casefile.Parse([]byte(example))
	if err != nil || len(cases) != 1 || len(cases[0].Steps) != 6 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}

// of is a case with these steps.
func of(steps string) string {
	return "- {id: XX-01, title: t, requirements: [{id: LINK-1, hash: abc}], profile: core, steps: [" + steps + "]}\n"
}

func TestGoodSteps(t *testing.T) {
	const start = "{start: {actor: $a, type: counter, key: [x, y], input: {cbor: 5}, hold: [commits]}}, "
	for _, steps := range []string{
		"{connect: {only: [kv], without: [resume], welcome: {pingMs: 5, limits: {maxState: 10}}, hello: {instance: $i}}}",
		"{connect: {reject: {code: x.y, retryable: false}}}, {link: {closed: true}}, {process: {exited: {failure: true}}}",
		start + "{call: {id: $c, actor: $a, action: get}}, {expect: {callResult: {id: $c, output: {cbor: $n}}}, name: r}, {order: {steps: [r]}}",
		start + "{fence: {actor: $a}, name: f}, {never: {frame: {commit: {actor: $a}}, since: f}}, {release: {actor: $a, error: {group: kv, code: x, ran: maybe}}}",
		start + "{stop: {actor: $a, reason: sleep, stopped: {outcome: slept}}}, {stored: {actor: $a, version: 1, state: {cbor: {n: {$ge: 1}}}, kv: [{key: {text: k}}]}}",
		start + "{gate: {new: $g}}, {call: {actor: $a, action: x, args: {cbor: [$g]}, result: {}}}, {gate: {reached: $g}}, {gate: {open: $g}}",
		start + "{repeat: {times: 3, as: $i, steps: [{call: {actor: $a, action: add, args: {cbor: [$i]}, result: {}}}]}}",
		start + "{open: {connection: $k, actor: $a, params: {cbor: 1}, result: {error: {$absent: true}}}}, {send: {connectionClose: {actor: $a, connection: $k}}}",
		start + "{start: {actor: $b, wake: $a}}, {check: {value: $b, is: {$not: $a}}}",
		"{raw: {frameHex: 9a06}}, {raw: {chunk: 1}}, {either: {of: [{goodbye: {}}, {unsupported: {kind: 99}}]}}, {count: {frame: {goodbye: {}}, exactly: 1}}",
		start + "{batch: {frames: [{call: {actor: $a, id: 5}}, {fence: {nonce: 1}}]}}, {hold: {what: [pongs]}}, {hold: {actor: $a, what: [reads]}}",
	} {
		if _, err := casefile.Parse([]byte(of(steps))); err != nil {
			t.Errorf("%s: %v", steps, err)
		}
	}
}

func TestBadCasesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		of("{call: {actor: $a, action: x, result: {}}}"):                         "not bound",
		of("{start: {actor: $a}}"):                                               "no type",
		of("{start: {actor: $a, type: t}}, {call: {actor: $a, action: x}}"):      "neither id nor result",
		of("{send: {calls: {}}}"):                                                "calls",
		of("{expect: {callResult: {nope: 1}}}"):                                  "nope",
		of("{hold: {what: [commits]}}"):                                          "commits",
		of("{order: {steps: [x]}}"):                                              "no earlier step",
		of("{never: {frame: {commit: {}}, since: x}}"):                           "no earlier step",
		of("{fence: {}, name: x}, {fence: {}, name: x}"):                         "two steps",
		of("{either: {of: []}}"):                                                 "no frames",
		of("{nothing: {}}"):                                                      "nothing",
		of("{name: x}"):                                                          "nothing to do",
		of("{start: {actor: $a, type: t}}, {stop: {actor: $a, reason: siesta}}"): "siesta",
		of(""):                          "no steps",
		"- {id: XX-1, title: t}":        "CATEGORY-NN",
		"- {id: XX-01}":                 "no title",
		"- {id: XX-01, title: t}":       "no requirement",
		"- 5":                           "no map",
		"{":                             "YAML",
		"- {id: XX-01, id: XX-02}":      "already defined",
		"- {id: XX-01, isolation: odd}": "isolation",
	} {
		if _, err := casefile.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAnIdIsUsedOnce(t *testing.T) {
	files := fstest.MapFS{"a.yaml": {Data: []byte(of("{fence: {}}"))}, "b.yaml": {Data: []byte(of("{fence: {}}"))}}
	if _, err := casefile.Load(files); err == nil || !strings.Contains(err.Error(), "in a.yaml, too") {
		t.Errorf("loaded: %v", err)
	}
}

func TestAChangedRequirementMakesItsCasesSuspect(t *testing.T) {
	cases, err := casefile.Parse([]byte(of("{fence: {}}")))
	if err != nil {
		t.Fatal(err)
	}
	same := requirement.Index([]requirement.Requirement{{ID: "LINK-1", Hash: "abc"}})
	changed := requirement.Index([]requirement.Requirement{{ID: "LINK-1", Hash: "def"}})
	if s := casefile.Suspects(cases[0], same); len(s) != 0 {
		t.Errorf("suspect: %v", s)
	}
	if s := casefile.Suspects(cases[0], changed); len(s) != 1 || !strings.Contains(s[0], "def") {
		t.Errorf("suspects: %v", s)
	}
	if s := casefile.Suspects(cases[0], nil); len(s) != 1 {
		t.Errorf("suspects: %v", s)
	}
}
