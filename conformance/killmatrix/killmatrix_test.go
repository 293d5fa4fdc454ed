package killmatrix

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/variant"
)

// runner is the contract app in Go.
var runner string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "killmatrix")
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

// Four cases: one that looks, one that looks away, one that is wrong, one that another runner is for.
const four = `
- id: AA-01
  title: a counter counts
  requirements: [{id: CALL-1, hash: "000000"}]
  profile: core
  mutants: [drop-call-result, output-altered, hello-without-types]
  steps:
  - connect: {hello: {types: {$has: [{name: counter}]}}}
  - start: {actor: $a, type: counter}
  - call: {actor: $a, action: add, args: {cbor: [2]}, result: {output: {cbor: 2}}}
  isolation: link
- id: AA-02
  title: a counter starts
  requirements: [{id: CALL-1, hash: "000000"}]
  profile: core
  mutants: [output-altered, oneway-output]
  steps:
  - start: {actor: $a, type: counter}
- id: AA-03
  title: a counter miscounts
  requirements: [{id: CALL-1, hash: "000000"}]
  profile: core
  mutants: [drop-call-result]
  steps:
  - start: {actor: $a, type: counter}
  - call: {actor: $a, action: add, args: {cbor: [2]}, result: {output: {cbor: 3}}}
- id: AA-04
  title: turns interleave
  requirements: [{id: TURN-8, hash: "000000"}]
  profile: interleaved
  mutants: [drop-call-result]
  steps:
  - start: {actor: $a, type: counter}
`

func parse(t *testing.T, text string) []*casefile.Case {
	t.Helper()
	cases, err := casefile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestAMatrixTellsWhatKillsAndWhatDoesNot(t *testing.T) {
	told := 0
	m, err := Run(t.Context(), Config{
		Cases: parse(t, four), Runner: runner, Partial: true, Jobs: 3, Patience: 0.4, Done: func(Row) { told++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if told != 4 || len(m.Rows) != 4 {
		t.Errorf("%d rows, %d told", len(m.Rows), told)
	}
	if got := m.Survivors(); !slices.Equal(got, []string{"oneway-output"}) {
		t.Errorf("survivors: %v", got)
	}
	if len(m.Broken) != 1 || m.Broken[0].Case != "AA-03" {
		t.Errorf("broken: %v", m.Broken)
	}
	if !slices.Equal(m.Vacuous, []string{"AA-02"}) {
		t.Errorf("vacuous: %v", m.Vacuous)
	}
	text := fmt.Sprint(m.Err())
	for _, want := range []string{
		"oneway-output survives", "AA-02 names output-altered and does not kill it", "AA-02 kills no mutant", "AA-03 fails on the runner as it is",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "AA-04") {
		t.Errorf("a case that the runner does not claim is held against somebody:\n%s", text)
	}
}

func TestAMatrixWithoutFaultsIsNoError(t *testing.T) {
	m, err := Run(t.Context(), Config{Cases: parse(t, four)[:1], Runner: runner, Partial: true, Only: []string{"output-altered"}, Patience: 0.4})
	if err != nil || m.Err() != nil || len(m.Rows) != 1 || !m.Rows[0].Killed() {
		t.Errorf("%v, %v", err, m)
	}
}

func TestAllTriesEveryCase(t *testing.T) {
	m, err := Run(t.Context(), Config{Cases: parse(t, four)[:2], Runner: runner, All: true, Only: []string{"drop-actor-ready"}, Patience: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if cells := m.Rows[0].Cells; len(cells) != 2 || !cells[0].Killed || !cells[1].Killed || cells[0].Named {
		t.Errorf("%+v", cells)
	}
}

func TestMutantsThatAreNotThereAreToldAbout(t *testing.T) {
	if _, err := Run(t.Context(), Config{Runner: runner, Only: []string{"nobody"}}); err == nil {
		t.Error("nobody is tried")
	}
	cases := parse(t, strings.ReplaceAll(four, "hello-without-types", "nobody"))[:1]
	m, err := Run(t.Context(), Config{Cases: cases, Runner: runner, InsideRunner: runner, Partial: true, Patience: 0.4})
	if err != nil || !slices.Equal(m.Unknown, []string{"AA-01 nobody"}) || !strings.Contains(fmt.Sprint(m.Err()), "AA-01 nobody") {
		t.Errorf("%v, %v", err, m)
	}
}

func TestARunnerThatDoesNotStartIsNoMutant(t *testing.T) {
	if m, err := Run(t.Context(), Config{Cases: parse(t, four), Runner: "exit 3"}); err == nil {
		t.Errorf("there is a matrix: %v", m)
	}
}

// The program prints its own table and does, as a mutant, nothing but its own harm.
func TestMutantsInsideARunner(t *testing.T) {
	inside := fmt.Sprintf(`case "$CONFORM_MUTANT" in list) printf 'dies\tdies at once\tLINK-1,LINK-5\n';; dies) exit 1;; *) exec %s;; esac`, runner)
	list, err := ListInside(t.Context(), inside)
	if err != nil || len(list) != 1 || list[0].Name != "dies" || !slices.Equal(list[0].Breaks, []string{"LINK-1", "LINK-5"}) {
		t.Fatalf("%v, %v", list, err)
	}
	cases := parse(t, strings.ReplaceAll(four, "output-altered", "dies"))[:1]
	m, err := Run(t.Context(), Config{Cases: cases, Runner: runner, Inside: list, InsideRunner: inside, Only: []string{"dies"}, Patience: 0.4})
	if err != nil || !m.Rows[0].Killed() || m.Rows[0].Place != "runner" {
		t.Errorf("%v, %+v", err, m)
	}
	if _, err := ListInside(t.Context(), "echo no table"); err == nil {
		t.Error("a line without tabs is a table")
	}
	if _, err := ListInside(t.Context(), "exit 1"); err == nil {
		t.Error("a program that fails has a table")
	}
}

func TestVariantsPass(t *testing.T) {
	rows, err := Variants(t.Context(), VariantsConfig{Cases: parse(t, four)[:2], Runner: runner, Variants: variant.All(), Seed: 1, Jobs: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Passed != 2 || len(r.Failed) > 0 {
			t.Errorf("%s: %d passed, failed %v", r.Name, r.Passed, r.Failed)
		}
	}
}

func TestAVariantThatFailsIsTold(t *testing.T) {
	rows, err := Variants(t.Context(), VariantsConfig{Cases: parse(t, four)[2:3], Runner: runner, Variants: variant.All()[:1], Seed: 1})
	if err != nil || len(rows) != 1 || len(rows[0].Failed) != 1 || rows[0].Failed[0].Case != "AA-03" {
		t.Errorf("%v, %+v", err, rows)
	}
}

func TestNullRunnersPassNothing(t *testing.T) {
	rows, err := Nulls(t.Context(), NullsConfig{
		Cases: parse(t, four)[:2], Runners: map[string]string{"gone": "exit 3", "none": runner}, Jobs: 2, Patience: 1,
	})
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	if len(rows[0].Passed) != 0 || len(rows[1].Passed) != 2 {
		t.Errorf("%+v", rows)
	}
}

func TestACampaignThatIsCanceledEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Config{Cases: parse(t, four), Runner: runner}); err == nil {
		t.Error("there is a matrix")
	}
}
