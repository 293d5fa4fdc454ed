package suite_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/suite"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// modeVariable makes the test binary a runner that goes wrong in that way.
const modeVariable = "CONFORM_TEST_MODE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(modeVariable); mode != "" {
		os.Exit(badRunner(mode))
	}
	goleak.VerifyTestMain(m)
}

// badRunner says Hello, and does after Welcome what the mode says.
func badRunner(mode string) int {
	if mode == "exit" {
		fmt.Println("no configuration found")
		return 3
	}
	conn, err := websocket.Dial(context.Background(), os.Getenv("STAGEDOOR_ENDPOINT")+vgw.Path, vgw.Subprotocol, http.Header{})
	if err != nil {
		return 4
	}
	if mode == "garbage at once" {
		_ = conn.Write(websocket.Text, []byte("GET / HTTP/1.1"))
		select {}
	}
	_ = write(conn, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Instance: "i", Sdk: "bad"}}})
	if _, _, err = conn.Read(); err != nil {
		return 5
	}
	switch mode {
	case "belated", "hasty":
		belated(conn, mode == "hasty")
	case "crash":
		_, _, _ = conn.Read() // a message of the case, or a Ping
		fmt.Println("segmentation fault")
		return 6
	case "garbage":
		_ = conn.Write(websocket.Binary, []byte("this is no frame at all"))
	case "flood":
		for write(conn, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: 1}}}) == nil {
		}
	}
	for { // hang, reading or not
		if mode == "deaf" {
			select {}
		}
		if _, _, err := conn.Read(); err != nil {
			return 7
		}
	}
}

func write(conn *websocket.Conn, f *runnerv1alpha1.Frame) error {
	b, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	return conn.Write(websocket.Binary, frame.Append(nil, b))
}

// parse reads steps as cases CC-01, CC-02 and so on.
func parse(t *testing.T, steps ...string) []*casefile.Case {
	t.Helper()
	var text strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&text, "- {id: CC-%02d, title: t, requirements: [{id: LINK-1, hash: abc}], profile: core, steps: [%s]}\n", i+1, s)
	}
	cases, err := casefile.Parse([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func bad(mode string, start time.Duration) engine.Options {
	command := fmt.Sprintf("exec %s=%q %q", "env "+modeVariable, mode, os.Args[0])
	return engine.Options{Command: command, StartTimeout: start, Patience: 0.1}
}

// A runner that goes wrong neither hangs the suite nor loses what other cases came to.
func TestBadRunnersAreSurvived(t *testing.T) {
	const start, call = "{start: {actor: $a, type: counter}}", "{fence: {}}"
	for mode, want := range map[string]struct {
		exit int
		text string
	}{
		"exit":            {verdict.ExitNoStart, "status 3"},
		"garbage at once": {verdict.ExitNoStart, "no Hello: the socket ended"},
		"crash":           {verdict.ExitNotConformant, "2 of 2 cases failed"},
		"garbage":         {verdict.ExitNotConformant, "2 of 2 cases failed"},
		"flood":           {verdict.ExitNotConformant, "2 of 2 cases failed"},
		"hang":            {verdict.ExitNotConformant, "2 of 2 cases failed"},
		"deaf":            {verdict.ExitNotConformant, "2 of 2 cases failed"},
	} {
		t.Run(mode, func(t *testing.T) {
			limit := 20 * time.Second
			if want.exit == verdict.ExitNoStart {
				limit = 3 * time.Second
			}
			result := suite.Run(t.Context(), suite.Config{Options: bad(mode, limit), Cases: parse(t, start, call)})
			result.Conclude()
			if result.Exit != want.exit || !strings.HasPrefix(result.Verdict, "NOT CONFORMANT") || !strings.Contains(result.Verdict, want.text) {
				t.Errorf("exit %d: %s\n%+v", result.Exit, result.Verdict, result.Cases)
			}
			if len(result.Cases) != 2 {
				t.Errorf("%d cases have a result", len(result.Cases))
			}
		})
	}
}

func TestARunnerThatNeverDialsDidNotStart(t *testing.T) {
	options := engine.Options{Command: "echo waiting for the database; exec sleep 1000", StartTimeout: 300 * time.Millisecond}
	result := suite.Run(t.Context(), suite.Config{Options: options, Cases: parse(t, "{fence: {}}")})
	result.Conclude()
	if result.Exit != verdict.ExitNoStart || !strings.Contains(result.Verdict, "no Hello within 300ms") || !strings.Contains(result.Verdict, "waiting for the database") {
		t.Errorf("exit %d: %s", result.Exit, result.Verdict)
	}
}

func TestAnInterruptedRunEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	progress := func(verdict.Case) { cancel() }
	result := suite.Run(ctx, suite.Config{Options: bad("hang", 20*time.Second), Cases: parse(t, "{fence: {}}", "{fence: {}}", "{fence: {}}"), Progress: progress})
	result.Conclude()
	if len(result.Cases) != 3 || result.Exit == verdict.ExitConformant || result.Counts.Unknown == 0 {
		t.Errorf("exit %d: %+v", result.Exit, result.Counts)
	}
}

// goRunner builds the contract app of the Go SDK.
func goRunner(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "runner")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../adapters/runner-go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the contract app: %v\n%s", err, out)
	}
	return program
}

// The Go runner is conformant; `make conformance` says the same of all runners, at length.
func TestTheGoRunnerIsConformant(t *testing.T) {
	files, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := casefile.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	var own []*casefile.Case
	for _, c := range cases {
		switch casefile.Category(c.Id) {
		case "HS", "FRM", "LC":
			own = append(own, c)
		}
	}
	options := engine.Options{Command: "exec " + goRunner(t), Patience: 2}
	result := suite.Run(t.Context(), suite.Config{Options: options, Cases: own, Jobs: 2, Repeat: 1, Version: "test"})
	result.Conclude()
	for _, c := range result.Cases {
		if c.Status != verdict.Pass && c.Status != verdict.Skip {
			t.Errorf("%s %s: %s\n%s", c.Status, c.Code, c.Message, c.Output)
		}
	}
	if result.Runner.SDK != "go" || len(result.Claimed) < 2 {
		t.Errorf("the runner says %+v, claims %v", result.Runner, result.Claimed)
	}
}

// A case that is repeated has a link of its own, since it may name calls by numbers that stand in its file.
func TestACaseIsRepeated(t *testing.T) {
	const ref = "actor: 9007199254740990, id: 9007199254740990"
	steps := "{send: {call: {" + ref + ", action: get, args: {cbor: []}}}}, {expect: {callResult: {" + ref + "}}}"
	result := suite.Run(t.Context(), suite.Config{Options: engine.Options{Command: "exec " + goRunner(t)}, Cases: parse(t, steps), Repeat: 3})
	if c := result.Cases[0]; c.Status != verdict.Pass || c.Passes != 3 {
		t.Errorf("%s %s: %s", c.Status, c.Code, c.Message)
	}
}

// The engine tells what went wrong, and where, on a runner that is right.
func TestFailuresSayWhere(t *testing.T) {
	options := engine.Options{Command: "exec " + goRunner(t), Patience: 0.4}
	const start = "{start: {actor: $a, type: counter, input: {cbor: 5}}}, "
	cases := map[string]string{
		start + "{call: {actor: $a, action: get, result: {output: {cbor: 6}}}, name: look}":        "CC-01/look",
		start + "{expect: {emit: {actor: $a}}, timeoutMs: 500}":                                    "CC-01/2",
		start + "{fence: {actor: $a}}, {never: {frame: {actorReady: {actor: $a}}}}":                "CC-01/3",
		start + "{count: {frame: {commit: {actor: $a}}, exactly: 7}}":                              "CC-01/2",
		start + "{stored: {actor: $a, state: {cbor: {n: 4}}}}":                                     "CC-01/2",
		start + "{stored: {actor: $a, kv: [{key: {text: k}}]}}":                                    "CC-01/2",
		start + "{check: {value: $a, is: 0}}":                                                      "CC-01/2",
		start + "{either: {of: [{emit: {actor: $a}}, {callResult: {actor: $a}}]}, timeoutMs: 500}": "CC-01/2",
		start + "{call: {id: $c, actor: $a, action: get}}, {call: {id: $d, actor: $a, action: get}}, {expect: {callResult: {id: $d}}, name: d}, {expect: {callResult: {id: $c}}, name: c}, {order: {steps: [d, c]}}": "CC-01/6",
		"{repeat: {times: 2, as: $i, steps: [{check: {value: $i, is: 0}}]}}": "CC-01/1.1",
		"{start: {actor: $a, type: nowhere}}":                                "CC-01/1",
		"{link: {closed: true}, timeoutMs: 500}":                             "CC-01/1",
		"{process: {outputWith: never written}, timeoutMs: 500}":             "CC-01/1",
		"{process: {exited: {code: 0}}, timeoutMs: 500}":                     "CC-01/1",
	}
	for steps, code := range cases {
		result := suite.Run(t.Context(), suite.Config{Options: options, Cases: parse(t, steps)})
		if c := result.Cases[0]; c.Status != verdict.Fail || c.Code != code || c.Message == "" {
			t.Errorf("%s: %s %s: %s", steps, c.Status, c.Code, c.Message)
		} else if len(c.Lines) == 0 || len(c.Events) == 0 || !strings.Contains(c.Repeat, "--case CC-01 --seed 0") {
			t.Errorf("%s: %d lines, %s", steps, len(c.Lines), c.Repeat)
		}
	}
}
