package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// conform runs the command; its exit status has to be that.
func conform(t *testing.T, status int, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := Main(args, &stdout, &stderr); got != status {
		t.Errorf("conform %v: exit %d, want %d\n%s%s", args, got, status, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

func TestListHasALinePerCase(t *testing.T) {
	out, _ := conform(t, 0, "list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 25 {
		t.Errorf("%d cases", len(lines))
	}
	seen := map[string]bool{}
	for _, line := range lines {
		id, _, _ := strings.Cut(line, " ")
		if seen[id] || !strings.Contains(id, "-") {
			t.Errorf("line %q", line)
		}
		seen[id] = true
	}
	if !seen["HS-01"] || !seen["GGATE-01"] {
		t.Error("HS-01 or GGATE-01 is not listed")
	}
}

func TestListKnowsBothSides(t *testing.T) {
	runner, _ := conform(t, 0, "list", "--plane", "runner")
	gateway, _ := conform(t, 0, "list", "--plane", "gateway")
	if both, _ := conform(t, 0, "list"); both != runner+gateway {
		t.Error("the cases of both sides are not all cases")
	}
	for line := range strings.Lines(runner) {
		if fields := strings.Fields(line); fields[1] != "runner" || strings.HasPrefix(fields[0], "GGATE") {
			t.Errorf("a runner's case: %q", line)
		}
	}
	for line := range strings.Lines(gateway) {
		if fields := strings.Fields(line); fields[1] != "gateway" || !strings.HasPrefix(fields[0], "G") {
			t.Errorf("a gateway's case: %q", line)
		}
	}
	if _, errs := conform(t, verdict.ExitUsage, "list", "--plane", "sea"); !strings.Contains(errs, "want runner or gateway") {
		t.Errorf("the plane sea: %q", errs)
	}
	if _, errs := conform(t, verdict.ExitUsage, "run", "--runner", "x", "--case", "GGATE-01"); !strings.Contains(errs, "conform gateway runs it") {
		t.Errorf("a gateway's case for a runner: %q", errs)
	}
}

func TestExplainSaysWhatACaseIsAbout(t *testing.T) {
	out, _ := conform(t, 0, "explain", "HS-01")
	for _, want := range []string{"HS-01", "[LINK-1]", "one Hello from the runner", "Steps", "double-hello"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
	out, _ = conform(t, 0, "requirement", "LINK-1")
	if !strings.Contains(out, "hash ") || !strings.Contains(out, "HS-01") {
		t.Errorf("requirement:\n%s", out)
	}
}

func TestTheGatewaysSideIsExplainedToo(t *testing.T) {
	out, _ := conform(t, 0, "explain", "GGATE-01")
	if !strings.Contains(out, "of the gateway's side") || !strings.Contains(out, "[GATE-2] A flush is one group") || strings.Contains(out, "Steps") ||
		!strings.Contains(out, "Finds the mutants ") {
		t.Errorf("explain:\n%s", out)
	}
	for id, want := range map[string]string{
		"GATE-2": "GGATE-01 gateway results of a group",
		"RDS-4":  "no case: It is said between gateway and Redis; runners and clients see a commit acknowledged, whatever was written.\nheld by gateway/store/redis/",
	} {
		if out, _ := conform(t, 0, "requirement", id); !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
}

func TestWrongUsageIsTold(t *testing.T) {
	for _, args := range [][]string{
		{"run"},
		{"run", "--runner", "x", "--jobs", "0"},
		{"run", "--runner", "x", "--case", "NO-99"},
		{"run", "--runner", "x", "--case", "["},
		{"run", "--runner", "x", "--report", "pdf=x"},
		{"run", "--runner", "x", "--report", "json"},
		{"run", "--runner", "x", "--known-failures", "missing.yaml"},
		{"run", "--nonsense"},
		{"explain"},
		{"explain", "NO-99"},
		{"requirement", "NO-99"},
		{"check", "missing.pb"},
		{"dance"},
	} {
		if _, errs := conform(t, verdict.ExitUsage, args...); !strings.HasPrefix(errs, "conform: ") {
			t.Errorf("conform %v says %q", args, errs)
		}
	}
}

func TestARunnerThatDoesNotStart(t *testing.T) {
	report := filepath.Join(t.TempDir(), "result.json")
	for _, args := range [][]string{
		{"run", "--runner", "echo no such module; exit 1", "--case", "HS-01", "--report", "json=" + report},
		{"run", "--runner", "sleep 1000", "--case", "HS-01,LC-*", "--start-timeout", "200ms"},
	} {
		out, _ := conform(t, verdict.ExitNoStart, args...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "NOT CONFORMANT") {
			t.Errorf("the last line is %q", last)
		}
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var result verdict.Result
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	if result.Exit != verdict.ExitNoStart || len(result.Cases) != 1 || !strings.Contains(result.Verdict, "no such module") {
		t.Errorf("result %+v", result)
	}
}

func TestATraceIsChecked(t *testing.T) {
	write := func(events ...*trace.Event) string {
		file, err := os.Create(filepath.Join(t.TempDir(), "trace.pb"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		if err := trace.Write(file, &trace.Header{}, events); err != nil {
			t.Fatal(err)
		}
		return file.Name()
	}
	conform(t, 0, "check", write(&trace.Event{Seq: 1, Socket: 1, Happening: trace.Opened}))
	bad := &trace.Event{Seq: 2, Socket: 1, Direction: trace.FromRunner, Garbage: []byte{1}, Note: "cut off", CaseId: "FRM-07"}
	out, _ := conform(t, verdict.ExitNotConformant, "check", write(bad))
	if !strings.Contains(out, "MON-23") || !strings.Contains(out, "FRM-07") {
		t.Errorf("check says %q", out)
	}
}

func TestASeedIsAnOrder(t *testing.T) {
	all, err := loadCases()
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := choose(all, []string{"HS-*", "FRM-*", "LC-*"}, []string{"core"})
	if err != nil {
		t.Fatal(err)
	}
	one, same, other := shuffle(chosen, 1), shuffle(chosen, 1), shuffle(chosen, 2)
	differs := false
	for i := range one {
		if one[i] != same[i] {
			t.Fatal("one seed, two orders")
		}
		differs = differs || one[i] != other[i]
		if i > 0 && isolation(one[i]) < isolation(one[i-1]) {
			t.Errorf("%s comes behind %s", one[i].Id, one[i-1].Id)
		}
	}
	if !differs {
		t.Error("two seeds, one order")
	}
}
