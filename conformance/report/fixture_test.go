package report

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/requirement"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// hostile is what a runner would like to be markup: it ends texts, attributes, styles, titles and CDATA.
const hostile = "\"'><script>document.title='owned'</script></title></style></svg>]]><img src=x onerror=\"document.title='owned'\"><h1 id=owned>"

// tape writes a trace as the engine does.
type tape struct {
	t      *testing.T
	events []*trace.Event
}

func (p *tape) add(e *trace.Event) {
	e.Seq, e.AtUs, e.Socket = uint64(len(p.events))+1, int64(len(p.events))*700, 1
	p.events = append(p.events, e)
}

func (p *tape) happens(what trace.Happening, note string) {
	p.add(&trace.Event{Happening: what, Note: note})
}

func (p *tape) frame(from trace.Direction, f *runnerv1alpha1.Frame) {
	p.t.Helper()
	b, err := proto.Marshal(f)
	if err != nil {
		p.t.Fatal(err)
	}
	p.add(&trace.Event{Direction: from, Frame: b})
}

// round is a call with its result and a fence: four frames.
func (p *tape) round(id uint64, text string) {
	p.frame(trace.ToRunner, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: 7, Id: id, Action: "get"}}})
	p.frame(trace.ToRunner, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: id}}})
	p.frame(trace.FromRunner, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{
		Actor: 7, Id: id, Output: []byte(text),
	}}})
	p.frame(trace.FromRunner, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: id}}})
}

// failed is a case that failed after so many rounds.
func failed(t *testing.T, id, code string, rounds int, findings ...verdict.Finding) verdict.Case {
	t.Helper()
	p := &tape{t: t}
	p.happens(trace.CaseBegan, "")
	p.happens(trace.Opened, "")
	p.happens(trace.StepBegan, "1")
	for i := range rounds {
		p.round(uint64(i)+1, hostile)
	}
	p.happens(trace.StepBegan, "look")
	p.happens(trace.CaseEnded, "fail")
	return verdict.Case{
		ID: id, Title: "a count is read " + hostile, Category: casefile.Category(id), Profile: "core",
		Requirements: []string{"AA-1", "AA-2"}, Status: verdict.Fail, Code: id + "/" + code, Message: "callResult.output: is 5, want 6 " + hostile,
		Runs: 2, Passes: 1, TookMs: 1234, Findings: findings, Output: "\x1b[31mpanic\x1b[0m: \u202eevil\x00 " + hostile, Repeat: "conform run --runner '" + hostile + "' --case " + id,
		Lines: verdict.LinesOf(p.events), Events: p.events,
	}
}

// fixture is a run with something of everything, and the catalogue that it was made from.
func fixture(t *testing.T) (*verdict.Result, Catalogue) {
	t.Helper()
	r := &verdict.Result{
		Schema: 1, Suite: "1.2.3", Subject: "runner", Command: "node app.js " + hostile, Protocol: 1, Seed: 18446744073709551615, Jobs: 2, Repeat: 2,
		Runner:  verdict.Runner{SDK: "elixir" + hostile, SDKVersion: "0.9" + hostile, Features: []string{"kv", hostile}, Types: []string{hostile}},
		Started: time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC), TookMs: 61_500, Claimed: []string{"core", "kv"}, NotClaimed: []string{"adopt"},
		Cases: []verdict.Case{
			failed(t, "CC-01", "look", 2),
			failed(t, "CC-02", "MON-07", 30, verdict.Finding{Monitor: "MON-07", Text: "answered twice " + hostile, Seq: 60}),
			{ID: "CC-03", Title: "passes", Category: "CC", Profile: "core", Requirements: []string{"AA-1"}, Status: verdict.Pass, Runs: 2, Passes: 2, TookMs: 3.25},
			{ID: "CC-04", Title: "skips", Category: "CC", Profile: "adopt", Requirements: []string{"BB-1"}, Status: verdict.Skip, Message: "the profile adopt is not claimed"},
			{ID: "KK-01", Title: "is known", Category: "KK", Profile: "kv", Requirements: []string{"BB-2"}, Status: verdict.Known, Code: "KK-01/3", Message: "known"},
		},
	}
	r.Conclude()
	cases, err := casefile.Parse([]byte(`
- id: CC-01
  title: a count is read
  requirements: [{id: AA-1, hash: abc}, {id: AA-2, hash: abc}]
  profile: core
  steps:
  - start: {actor: $a, type: counter, input: {cbor: 5}}
  - {call: {actor: $a, action: get, result: {output: {cbor: 6}}}, name: look}
- {id: CC-09, title: was not chosen, requirements: [{id: BB-2, hash: abc}], profile: core, steps: [{fence: {}}]}
- {id: GG-01, title: is for gateways, requirements: [{id: AA-2, hash: abc}, {id: BB-4, hash: abc}], profile: core, plane: gateway, steps: [{fence: {}}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	return r, Catalogue{Cases: cases, Requirements: []requirement.Requirement{
		{ID: "AA-1", Section: "1 First", Text: "A `count` is read."},
		{ID: "AA-2", Section: "1 First", Text: "It is right."},
		{ID: "BB-1", Section: "2 Second", Text: "Actors are adopted."},
		{ID: "BB-2", Section: "Sub", Text: "Nothing is lost."},
		{ID: "BB-3", Section: "Sub", Text: "Nobody asks for this."},
		{ID: "BB-4", Section: "Sub", Text: "The gateway does this."},
		{ID: "BB-5", Section: "Sub", Text: "The store does this."},
	}, Reasons: []requirement.Reason{{ID: "BB-5", Why: "No case has a hand on the store.", Held: []string{"store/a_test.go", "store/b"}}}}
}
