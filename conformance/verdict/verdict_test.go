package verdict

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

func of(statuses ...Status) *Result {
	r := &Result{Suite: "1", Protocol: 1, Claimed: []string{"core", "kv"}, NotClaimed: []string{"adopt"}}
	for i, s := range statuses {
		id := "AA-0" + string(rune('1'+i))
		r.Cases = append(r.Cases, Case{ID: id, Status: s, Code: id + "/2", Message: "because"})
	}
	return r
}

func TestTheSeverestDecides(t *testing.T) {
	for _, c := range []struct {
		statuses []Status
		exit     int
		verdict  string
	}{
		{[]Status{Pass, Pass}, ExitConformant, "CONFORMANT core,kv @ protocol 1, suite 1 (2 of 2 cases passed)"},
		{[]Status{Pass, Skip}, ExitConformant, "CONFORMANT core,kv @ protocol 1, suite 1 (1 of 1 cases passed, 1 skipped: not claimed adopt)"},
		{[]Status{Pass, Known}, ExitConformant, "CONFORMANT WITH 1 KNOWN FAILURES core"},
		{[]Status{Pass, Fail}, ExitNotConformant, "NOT CONFORMANT core,kv @ protocol 1, suite 1 (1 of 2 cases failed: AA-02/2)"},
		{[]Status{Unknown, Pass}, ExitInconclusive, "NOT CONFORMANT"},
		{[]Status{Unknown, Fail}, ExitNotConformant, "NOT CONFORMANT"},
		{[]Status{NoStart, NoStart}, ExitNoStart, "NOT CONFORMANT"},
		{[]Status{NoStart, Pass}, ExitNotConformant, "NOT CONFORMANT"},
		{[]Status{Error, Fail}, ExitHarness, "NOT CONFORMANT"},
		{[]Status{Skip}, ExitInconclusive, "NOT CONFORMANT"},
		{nil, ExitInconclusive, "NOT CONFORMANT"},
	} {
		r := of(c.statuses...)
		r.Conclude()
		if r.Exit != c.exit || !strings.HasPrefix(r.Verdict, c.verdict) {
			t.Errorf("%v: exit %d, %s", c.statuses, r.Exit, r.Verdict)
		}
	}
}

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestKnownFailuresHaveToBeExact(t *testing.T) {
	for name, c := range map[string]struct {
		list string
		exit int
	}{
		"as it says":          {"- {case: AA-02, code: AA-02/2, expires: 2026-12-31}", ExitConformant},
		"on its last day":     {"- {case: AA-02, code: AA-02/2, expires: 2026-11-29}", ExitConformant},
		"a pattern":           {"- {case: 'AA-*2', code: '2', expires: 2026-12-31}", ExitConformant},
		"expired":             {"- {case: AA-02, code: AA-02/2, expires: 2026-11-27}", ExitNotConformant},
		"another code":        {"- {case: AA-02, code: AA-02/3, expires: 2026-12-31}", ExitNotConformant},
		"a pass, too":         {"[{case: AA-02, code: AA-02/2, expires: 2026-12-31}, {case: AA-01, code: AA-01/2, expires: 2026-12-31}]", ExitStale},
		"a case that is gone": {"[{case: AA-02, code: AA-02/2, expires: 2026-12-31}, {case: ZZ-01, code: ZZ-01/2, expires: 2026-12-31}]", ExitStale},
		"nothing at all":      {"[]", ExitNotConformant},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := ParseKnown([]byte(c.list))
			if err != nil {
				t.Fatal(err)
			}
			r := of(Pass, Fail)
			r.Excuse(list, day("2026-11-29").Add(12*time.Hour), false)
			r.Conclude()
			if r.Exit != c.exit {
				t.Errorf("exit %d: %s %v", r.Exit, r.Verdict, r.Faults)
			}
		})
	}
	for _, bad := range []string{"{", "- {case: AA-01}", "- {case: AA-01, code: x, expires: soon}", "- {case: '[', code: x, expires: 2026-12-31}"} {
		if _, err := ParseKnown([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestAPartialRunKnowsNothingOfOtherCases(t *testing.T) {
	r := of(Pass)
	r.Excuse([]KnownFailure{{Case: "ZZ-01", Code: "ZZ-01/1", Expires: "2026-12-31"}}, day("2026-11-29"), true)
	if len(r.Faults) > 0 {
		t.Errorf("faults %v", r.Faults)
	}
	many := &Result{}
	for range maxExpansion + 1 {
		many.Cases = append(many.Cases, Case{ID: "AA-01", Status: Fail, Code: "AA-01/1"})
	}
	many.Excuse([]KnownFailure{{Case: "*", Code: "1", Expires: "2026-12-31"}}, day("2026-11-29"), false)
	if len(many.Faults) != 1 {
		t.Errorf("a pattern for everything: %v", many.Faults)
	}
}

func TestATraceIsShortenedForPeople(t *testing.T) {
	call, err := proto.Marshal(&runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: 3, Id: 4, Action: strings.Repeat("x", 1000)}}})
	if err != nil {
		t.Fatal(err)
	}
	events := []*trace.Event{
		{Seq: 1, Happening: trace.StepBegan, Note: "2"},
		{Seq: 2, Direction: trace.ToRunner, Frame: call},
		{Seq: 3, Direction: trace.FromRunner, Garbage: []byte{0xff}, Note: "bad"},
		{Seq: 4, Direction: trace.FromRunner, Frame: []byte{0xff}},
		{Seq: 5, Direction: trace.FromRunner, Frame: []byte{}},
	}
	lines := LinesOf(events)
	if len(lines) != 5 || lines[0].Kind != "step" || lines[1].Kind != "call" || lines[1].Actor != 3 || lines[1].From != "gateway" ||
		len(lines[1].Text) > 400 || lines[2].Kind != "no frame" || lines[3].Kind != "malformed" {
		t.Errorf("lines %+v", lines)
	}
	for range 1000 {
		events = append(events, events[1])
	}
	if n := len(LinesOf(events)); n != maxLines+1 {
		t.Errorf("%d lines are left", n)
	}
}

func TestTheResultIsJSON(t *testing.T) {
	r := of(Pass, Fail)
	r.Schema = 1
	r.Conclude()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again map[string]any
	if err := json.Unmarshal(b, &again); err != nil || again["schema"] != 1.0 || again["exit"] != 1.0 {
		t.Errorf("%s: %v", b, err)
	}
}
