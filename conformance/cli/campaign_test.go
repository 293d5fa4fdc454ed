package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/fuzz"
	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// contractApp builds the contract app in Go.
func contractApp(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", program, "../adapters/runner-go").CombinedOutput(); err != nil {
		t.Fatalf("build the contract app: %v\n%s", err, out)
	}
	return program
}

func TestCampaignsOnTheGoRunner(t *testing.T) {
	runner, folder := contractApp(t), t.TempDir()
	file := filepath.Join(folder, "matrix.json")
	out, _ := conform(t, 0, "mutants", "--runner", runner, "--only", "drop-call-result", "--case", "ACT-01", "--out", file)
	if !strings.Contains(out, "killed   drop-call-result") || !strings.Contains(out, "1 of 1 mutants killed") {
		t.Errorf("mutants:\n%s", out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if m := new(killmatrix.Matrix); json.Unmarshal(b, m) != nil || len(m.Rows) != 1 || !m.Rows[0].Killed() {
		t.Errorf("the artefact says\n%s", b)
	}
	if out, _ = conform(t, 0, "variants", "--runner", runner, "--only", "frames-together", "--case", "ACT-01"); !strings.Contains(out, "1 of 1 variants pass") {
		t.Errorf("variants:\n%s", out)
	}
	if out, _ = conform(t, 0, "model", "--runner", runner, "--cases", "3"); !strings.Contains(out, "3 random cases pass (seed 1)") {
		t.Errorf("model:\n%s", out)
	}
	if out, _ = conform(t, 0, "fuzz", "--runner", runner, "--frames", "20"); !strings.Contains(out, "the runner lives after 2") {
		t.Errorf("fuzz:\n%s", out)
	}
}

func TestATraceIsReplayed(t *testing.T) {
	runner, file := contractApp(t), filepath.Join(t.TempDir(), "trace.pb")
	conform(t, 0, "run", "--runner", runner, "--case", "ACT-01", "--trace", file)
	if out, _ := conform(t, 0, "replay", file, "--runner", runner); !strings.Contains(out, "1 of 1 cases as recorded") {
		t.Errorf("replay on the same runner:\n%s", out)
	}
	silent := filepath.Join(t.TempDir(), "nullrunner")
	if out, err := exec.Command("go", "build", "-o", silent, "../nullrunner").CombinedOutput(); err != nil {
		t.Fatalf("build the null runner: %v\n%s", err, out)
	}
	out, _ := conform(t, 1, "replay", file, "--runner", silent+" handshake", "--patience", "250ms")
	if !strings.Contains(out, "differs ACT-01") || !strings.Contains(out, "0 of 1 cases as recorded") {
		t.Errorf("replay:\n%s", out)
	}
	out, _ = conform(t, 4, "replay", file, "--runner", "exit 3")
	if !strings.Contains(out, "the runner did not start: its command ended with status 3") {
		t.Errorf("replay on a runner that does not start:\n%s", out)
	}
	conform(t, 64, "replay", file, "--runner", runner, "--case", "HS-99")
}

func TestWrongUsageOfCampaignsIsTold(t *testing.T) {
	for _, args := range [][]string{
		{"mutants", "--runner", "x", "--jobs", "0"},
		{"mutants", "--runner", "x", "--case", "NO-SUCH"},
		{"mutants"}, // not at the root of the repository, and no runner
		{"variants", "--runner", "x", "--only", "nobody"},
		{"replay", "nowhere.pb", "--runner", "x"},
		{"replay", "nowhere.pb"},
		{"model"},
		{"fuzz"},
	} {
		conform(t, 64, args...)
	}
	conform(t, 4, "model", "--runner", "exit 3")
	conform(t, 4, "mutants", "--runner", "exit 3", "--case", "ACT-01")
	conform(t, 4, "fuzz", "--runner", "exit 3")
}

// What the fuzzer finds is in a file, and the line that it prints sends it again. That it finds something is tested in package fuzz.
func TestWhatTheFuzzerFindsIsKept(t *testing.T) {
	runner, folder := contractApp(t), filepath.Join(t.TempDir(), "found")
	report := &fuzz.Report{
		Sent: 70, Why: errors.New("the process was \x1b[2J ended"), Output: "\x1b[31mpanic\x1b[0m",
		Shots: []fuzz.Shot{{Body: []byte{1}, How: "a bit is inverted"}},
		Found: &fuzz.Found{Victim: "echo", Ref: 1022, Shots: []fuzz.Written{{How: "two bytes too many", Hex: "a2010208ffff"}}},
	}
	tell := func() string {
		var out bytes.Buffer
		f := &campaignFlags{runner: runner, seed: 3, found: folder}
		if err := f.fuzzed(&out, report); !errors.Is(err, exit(verdict.ExitNotConformant)) {
			t.Errorf("it ends with %v", err)
		}
		return out.String()
	}
	out := tell()
	want := `after 70 frames (seed 3): the process was \x1b[2J ended
        a bit is inverted: 01
        the end of what it printed:
        | panic
1 frames are in `
	if !strings.HasPrefix(out, want) {
		t.Errorf("it says\n%s", out)
	}
	files, err := filepath.Glob(filepath.Join(folder, "fuzz-*.yaml"))
	if err != nil || len(files) != 1 || !strings.HasSuffix(out, "\nagain: conform fuzz --runner "+runner+" --shots "+files[0]+"\n") {
		t.Fatalf("found are %v (%v):\n%s", files, err, out)
	}
	report.Found.Once = true
	if out := tell(); !strings.HasSuffix(out, "matters, too.\nagain: conform fuzz --runner "+runner+" --seed 3 --frames 70 --for 0\n") {
		t.Errorf("of what does not come again it says\n%s", out)
	}
	if out, _ = conform(t, 0, "fuzz", "--runner", runner, "--shots", files[0]); !strings.Contains(out, "the runner lives after 1 frames\n") {
		t.Errorf("on a runner that is right:\n%s", out)
	}
	conform(t, 64, "fuzz", "--runner", runner, "--shots", filepath.Join(folder, "none.yaml"))
	conform(t, 64, "fuzz", "--runner", runner, "--shots", runner)
}

// A case of the model is run from its file.
func TestACaseIsRunFromItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "case.yaml")
	text := "- {id: MODEL-01, title: t, requirements: [{id: CALL-1, hash: abc}], profile: core, steps: [{start: {actor: $a, type: nowhere}}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := conform(t, 1, "run", "--runner", contractApp(t), "--case-file", file)
	if !strings.Contains(out, "fail    MODEL-01") || !strings.Contains(out, "--case MODEL-01 --seed 1 --case-file "+file) {
		t.Errorf("run:\n%s", out)
	}
	conform(t, 64, "run", "--runner", "x", "--case-file", "missing.yaml")
}
