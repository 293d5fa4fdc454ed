package replay

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

// runner is the contract app in Go.
var runner string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "replay")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	runner = filepath.Join(folder, "runner")
	if out, err := exec.Command("go", "build", "-o", runner, "../adapters/runner-go").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the contract app: %v\n%s", err, out)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

// Cases with reads, whose ids the runner chooses, several actors, parts, a gate, a broken socket, and a new process.
const recorded = `
- id: AA-01
  title: actors, reads and parts
  requirements: [{id: CALL-1, hash: "000000"}]
  profile: kv
  steps:
  - start: {actor: $a, type: kv}
  - start: {actor: $b, type: counter, input: {cbor: 3}}
  - call: {actor: $a, action: put, args: {cbor: [{$bytes: "61"}, {$bytes: "01"}]}, result: {}}
  - call: {actor: $a, action: get, args: {cbor: [{$bytes: "61"}]}, result: {output: {cbor: {$bytes: "01"}}}}
  - call: {actor: $b, action: add, args: {cbor: [2]}, result: {output: {cbor: 5}}}
  - start: {actor: $e, type: echo}
  - call: {actor: $e, action: text, args: {cbor: [100000]}, result: {}}
  - call: {actor: $e, action: throw, args: {cbor: [oops]}, result: {error: {group: internal}}}
  - gate: {new: $g}
  - call: {id: $c, actor: $e, action: wait, args: {cbor: [$g, 1]}}
  - gate: {reached: $g}
  - gate: {open: $g}
  - expect: {callResult: {id: $c}}
- id: AA-02
  title: a broken socket
  requirements: [{id: LINK-16, hash: "000000"}]
  profile: resume
  isolation: link
  steps:
  - start: {actor: $a, type: counter}
  - call: {actor: $a, action: add, args: {cbor: [1]}, result: {output: {cbor: 1}}}
  - link: {cut: true}
  - connect: {}
  - call: {actor: $a, action: add, args: {cbor: [1]}, result: {output: {cbor: 2}}}
- id: AA-03
  title: a new process
  requirements: [{id: STORE-2, hash: "000000"}]
  profile: core
  isolation: process
  steps:
  - start: {actor: $a, type: counter}
  - call: {actor: $a, action: add, args: {cbor: [1]}, result: {output: {cbor: 1}}}
  - process: {signal: KILL}
  - process: {exited: {failure: true}}
  - process: {start: true}
  - connect: {}
  - start: {actor: $b, type: counter, wake: $a}
  - call: {actor: $b, action: add, args: {cbor: [1]}, result: {output: {cbor: 2}}}
- id: AA-04
  title: a gate that nobody opens before the end
  requirements: [{id: CALL-5, hash: "000000"}]
  profile: kv
  steps:
  - start: {actor: $a, type: echo}
  - gate: {new: $g}
  - call: {id: $c, actor: $a, action: awaitCancel, args: {cbor: [$g, "end"]}}
  - gate: {reached: $g}
  - send: {cancelCall: {actor: $a, id: $c, reason: caller}}
  - expect: {callResult: {id: $c}}
`

// record runs the cases; the result is what was said in each.
func record(t *testing.T) map[string][]*trace.Event {
	t.Helper()
	cases, err := casefile.Parse([]byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	stage, err := engine.NewStage(engine.Options{Command: runner})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	events := map[string][]*trace.Event{}
	for _, c := range cases {
		out := stage.Run(t.Context(), c)
		if out.Status != engine.Pass {
			t.Fatalf("%s: %s", out.Code, out.Message)
		}
		events[c.Id] = out.Events
	}
	return events
}

func TestTheSameRunnerSaysTheSameAgain(t *testing.T) {
	for id, events := range record(t) {
		report, err := Run(t.Context(), Config{Runner: runner, Events: events})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if report.Sent < 2 || report.Same < 3 || len(report.Differences) > 0 {
			t.Errorf("%s: %d sent, %d came as recorded, differences %v", id, report.Sent, report.Same, report.Differences)
		}
	}
}

// The action is cancelled while it waits at its gate. Without gates in the trace all are open: where the replay waits for the action before
// it cancels, the action has ended otherwise.
func TestGatesAreOpenedInTheRecordedOrder(t *testing.T) {
	events := record(t)["AA-04"]
	report, err := Run(t.Context(), Config{Runner: runner, Events: events})
	if err != nil || len(report.Differences) > 0 {
		t.Errorf("%v, %+v", err, report)
	}
	isGate := func(e *trace.Event) bool { return e.Happening == trace.GateReached || e.Happening == trace.GateOpened }
	isCancel := func(e *trace.Event) bool { return decoded(e).GetCancelCall() != nil }
	cancel := slices.IndexFunc(events, isCancel)
	late := append(slices.DeleteFunc(slices.Clone(events), func(e *trace.Event) bool { return isGate(e) || isCancel(e) }), events[cancel])
	report, err = Run(t.Context(), Config{Runner: runner, Events: late, Patience: time.Second})
	if err != nil || len(report.Differences) == 0 {
		t.Errorf("without gates in the trace: %v, %+v", err, report)
	}
	closed := slices.DeleteFunc(slices.Clone(events), func(e *trace.Event) bool { return decoded(e).GetCall() != nil })
	if _, err := Run(t.Context(), Config{Runner: runner, Events: closed, Patience: 300 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "at a gate") {
		t.Errorf("a gate that nobody comes to: %v", err)
	}
}

func decoded(e *trace.Event) *tap.Frame {
	f := new(tap.Frame)
	if e.Frame != nil {
		_ = proto.Unmarshal(e.Frame, f)
	}
	return f
}

func TestARunnerThatDoesNotStartIsToldApart(t *testing.T) {
	_, err := Run(t.Context(), Config{Runner: "echo no module; exit 3", Events: record(t)["AA-01"]})
	if !errors.Is(err, engine.ErrNoRunner) || !strings.HasSuffix(err.Error(), "its command ended with status 3; its last line: no module") {
		t.Errorf("%v", err)
	}
}

func TestWhatComesOtherwiseIsTold(t *testing.T) {
	events := record(t)["AA-01"]
	altered := alter(t, events, func(f *tap.Frame) bool {
		m := f.GetCallResult()
		if m == nil || len(m.Output) != 1 || m.Output[0] != 5 {
			return false
		}
		m.Output[0] = 6
		return true
	})
	report, err := Run(t.Context(), Config{Runner: runner, Events: altered, Patience: time.Second})
	if err != nil || len(report.Differences) != 1 {
		t.Fatalf("%v, %+v", err, report)
	}
	if d := report.Differences[0]; d.Event == 0 || !strings.Contains(d.String(), "now it is") {
		t.Errorf("%v", d)
	}
}

func TestWhatComesBesidesAndWhatDoesNotIsTold(t *testing.T) {
	events := record(t)["AA-03"]
	cut := func(events []*trace.Event, which func(*tap.Frame) bool) []*trace.Event {
		var rest []*trace.Event
		for _, e := range events {
			f := new(tap.Frame)
			if e.Frame != nil && proto.Unmarshal(e.Frame, f) == nil && which(f) {
				continue
			}
			rest = append(rest, e)
		}
		return rest
	}
	report, err := Run(t.Context(), Config{Runner: runner, Events: cut(events, lastWords), Patience: time.Second})
	if err != nil || len(report.Differences) == 0 || !strings.HasPrefix(report.Differences[0].String(), "besides came") {
		t.Errorf("%v, %+v", err, report)
	}
	report, err = Run(t.Context(), Config{Runner: runner, Events: cut(events, func(f *tap.Frame) bool { return f.GetCall() != nil }), Patience: time.Second})
	if err != nil || len(report.Differences) == 0 || !strings.Contains(report.Differences[0].String(), "did not come") {
		t.Errorf("%v, %+v", err, report)
	}
}

// lastWords are the answers, and the ends behind them.
func lastWords(f *tap.Frame) bool {
	return f.GetCallResult() != nil || f.GetStopActor() != nil || f.GetActorStopped() != nil
}

// alter changes the first recorded frame that change takes.
func alter(t *testing.T, events []*trace.Event, change func(*tap.Frame) bool) []*trace.Event {
	t.Helper()
	var all []*trace.Event
	done := false
	for _, e := range events {
		f := new(tap.Frame)
		if !done && e.Direction == trace.FromRunner && proto.Unmarshal(e.Frame, f) == nil && change(f) {
			body, err := proto.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			e, done = proto.CloneOf(e), true
			e.Frame = body
		}
		all = append(all, e)
	}
	if !done {
		t.Fatal("no frame was changed")
	}
	return all
}
