package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/killmatrix"
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

func TestAFailedCaseIsReplayed(t *testing.T) {
	runner, file := contractApp(t), filepath.Join(t.TempDir(), "trace.pb")
	// With too little time nothing comes in time: the case fails, and its trace is kept.
	conform(t, 1, "run", "--runner", runner, "--case", "ACT-01", "--patience", "0.000001", "--trace", file)
	out, _ := conform(t, 1, "replay", file, "--runner", "exit 3", "--patience", "100ms")
	if !strings.Contains(out, "differs ACT-01") || !strings.Contains(out, "0 of 1 cases as recorded") {
		t.Errorf("replay:\n%s", out)
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
	conform(t, 5, "mutants", "--runner", "exit 3", "--case", "ACT-01")
}
