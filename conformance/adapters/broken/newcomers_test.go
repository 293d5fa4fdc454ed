package broken_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor-dev/stagedoor/conformance"
	"github.com/stagedoor-dev/stagedoor/conformance/adapters/broken"
	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/engine"
	"github.com/stagedoor-dev/stagedoor/conformance/suite"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// mistake is one that a newcomer makes, and what the suite has to say about it.
type mistake struct {
	mutant string
	// One case that finds it: its title and the message of its failure have these words in them.
	found          string
	title, message []string
	// inJS is the case that finds it in the JavaScript runner, if not the same.
	inJS string
}

var mistakes = []mistake{
	{"forgets-acknowledged", "REC-23", []string{"socket breaks", "acknowledged"}, []string{"wait for callResult", "nothing came"}, ""},
	{"answers-twice", "ACT-06", []string{"answered exactly once"}, []string{"callResult", "came", "times, want"}, ""},
	{"cancel-unheard", "ACT-08", []string{"is told when its caller cancels"}, []string{"canceled", "nothing came"}, ""},
	{"stop-unheard", "SLP-05", []string{"a stop runs onSleep", "ActorStopped"}, []string{"onSleep", "nothing came"}, ""},
	{"forgets-on-disconnect", "CON-07", []string{"onDisconnect runs once"}, []string{"connectionsRemoved", "has 0 items, want 1"}, ""},
	{"wake-as-creation", "LC-03", []string{"wakes", "no creation hook"}, []string{"createState onCreate", "want 7"}, ""},
	{"memory-outlives-sleep", "ST-10", []string{"in memory only begins again when it wakes"}, []string{"is 3, want 1"}, ""},
	{"versions-restart", "ST-09", []string{"wakes", "goes on with the next version"}, []string{"commit.version: is 1, want 3"}, ""},
	{"events-newest-first", "EVT-02", []string{"event", "in the order"}, []string{"emit.", "want"}, "EVT-04"},
	{"answer-before-commit", "ST-01", []string{"commit", "the answer follows it"}, []string{`"result" came before that of "commit"`}, ""},
	{"events-before-commit", "EVT-04", []string{"event", "follows the commit"}, []string{`"tick" came before that of "commit"`}, ""},
	{"commits-unawaited", "ST-03", []string{"at most one unanswered commit"}, []string{"this must not come: commit", "version:3"}, ""},
	{"refusal-unheard", "ST-07", []string{"commit is refused is over"}, []string{"this must not come: commit"}, ""},
	{"rolls-back", "TRN-06", []string{"what a failed turn has changed is kept"}, []string{"wait for commit", "state", "nothing came"}, ""},
	{"state-shared", "ST-20", []string{"each their own state"}, []string{"is 1, want 101"}, ""},
	{"connection-state-shared", "CON-09", []string{"state of a connection", "of that connection alone"}, []string{`is "changed", want "two"`}, ""},
	{"unsubscribed-unsent", "EVT-10", []string{"event for one connection", "subscribed or not"}, []string{"wait for emit", "nothing came"}, ""},
	{"unexpected-errors-shown", "FLT-03", []string{"internal.error", "its text", "leaves the runner"}, []string{"error.message", "password=hunter2"}, ""},
	{"unknown-kind-kills", "FRM-03", []string{"frame of an unknown kind", "harms nothing"}, []string{"wait for unsupported", "process ended"}, ""},
	{"panic-kills", "TRN-07", []string{"panic fails its call", "leaves the actor alive"}, []string{"process ended"}, ""},
	{"link-waits-for-turns", "TRN-05", []string{"Ping is answered", "while an action waits"}, []string{"wait for pong", "nothing came"}, ""},
	{"calls-newest-first", "TRN-13", []string{"calls that wait begin in the order in which they came"}, []string{"callResult.output"}, ""},
	{"integers-as-floats", "ACT-01", []string{"unchanged", "integers as integers"}, []string{"1.0", "want"}, ""},
	{"bytes-as-numbers", "ACT-01", []string{"unchanged", "bytes as bytes"}, []string{"[0 255 128]", "want 3 bytes"}, ""},
}

// sample are cases of all kinds that are run besides: the verdict is one of a run.
var sample = []string{"HS-02", "LC-01", "ACT-13", "ST-02", "CON-01", "EVT-01", "KVS-01"}

// program is a runner with mistakes inside, and those of the table that it has.
type program struct {
	language, command string
	mistakes          []mistake
}

// programs builds them. Without what npm run build makes there is only the Go one.
func programs(t *testing.T) []program {
	t.Helper()
	inGo := filepath.Join(t.TempDir(), "broken")
	if err := broken.Build(t.Context(), root, inGo); err != nil {
		t.Fatal(err)
	}
	all := []program{{"Go", inGo, mistakes}}
	command, err := broken.BuildJavaScript(root, t.TempDir())
	switch {
	case errors.Is(err, os.ErrNotExist):
		t.Logf("the JavaScript runner is not built: %v", err)
		return all
	case err != nil:
		t.Fatal(err)
	}
	js := program{language: "JavaScript", command: command}
	for _, m := range mistakes {
		if slices.Contains(broken.InJavaScript(), m.mutant) {
			m.found = cmp.Or(m.inJS, m.found)
			js.mistakes = append(js.mistakes, m)
		}
	}
	if len(js.mistakes) != len(broken.InJavaScript()) {
		t.Errorf("the table has %d mistakes of the JavaScript runner, which has %v", len(js.mistakes), broken.InJavaScript())
	}
	return append(all, js)
}

// try runs cases on a program, with one of its mistakes or none.
func try(ctx context.Context, t *testing.T, p program, mutant string, ids ...string) *verdict.Result {
	t.Helper()
	files, err := conformance.Cases()
	if err != nil {
		t.Fatal(err)
	}
	all, err := casefile.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*casefile.Case
	for _, id := range ids {
		at := slices.IndexFunc(all, func(c *casefile.Case) bool { return c.Id == id })
		if at < 0 {
			t.Fatalf("there is no case %s", id)
		}
		cases = append(cases, all[at])
	}
	result := suite.Run(ctx, suite.Config{
		Options: engine.Options{Command: p.command, Env: map[string]string{broken.Variable: mutant}}, Cases: cases, Version: "test",
	})
	result.Conclude()
	return result
}

// beside bounds how many runners live at a time; most of them are waited for in vain.
const beside = 12

func TestTheSuiteSaysWhatNewcomersDoWrong(t *testing.T) {
	all := programs(t)
	results := make([][]*verdict.Result, len(all))
	free := make(chan struct{}, beside)
	var running sync.WaitGroup
	for i, p := range all {
		results[i] = make([]*verdict.Result, len(p.mistakes))
		for j, m := range p.mistakes {
			free <- struct{}{}
			running.Go(func() {
				defer func() { <-free }()
				results[i][j] = try(t.Context(), t, p, m.mutant, append([]string{m.found}, sample...)...)
			})
		}
	}
	running.Wait()
	for i, p := range all {
		for j, m := range p.mistakes {
			t.Run(p.language+"/"+m.mutant, func(t *testing.T) { judge(t, m, results[i][j]) })
		}
	}
	if !t.Failed() && len(all) == 2 {
		holdPage(t, all, results)
	}
}

func judge(t *testing.T, m mistake, result *verdict.Result) {
	if result.Exit != verdict.ExitNotConformant || !strings.HasPrefix(result.Verdict, "NOT CONFORMANT") {
		t.Errorf("the verdict is %q, exit %d", result.Verdict, result.Exit)
	}
	c := caseOf(result, m.found)
	if c.Status != verdict.Fail {
		t.Fatalf("%s ends with %s: %s", c.ID, c.Status, c.Message)
	}
	for _, words := range m.title {
		if !strings.Contains(c.Title, words) {
			t.Errorf("the title of %s does not say %q: %s", c.ID, words, c.Title)
		}
	}
	for _, words := range m.message {
		if !strings.Contains(c.Message, words) {
			t.Errorf("%s does not say %q: %s", c.Code, words, c.Message)
		}
	}
}

func caseOf(result *verdict.Result, id string) verdict.Case {
	return result.Cases[slices.IndexFunc(result.Cases, func(c verdict.Case) bool { return c.ID == id })]
}

func TestWithoutAMistakeTheSameProgramsPass(t *testing.T) {
	for _, p := range programs(t) {
		ids := slices.Clone(sample)
		for _, m := range p.mistakes {
			ids = append(ids, m.found)
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		result := try(t.Context(), t, p, "", ids...)
		if result.Exit != verdict.ExitConformant || result.Counts.Pass != len(ids) {
			t.Errorf("%s: %s", p.language, result.Verdict)
		}
	}
}

const page = "../../mistakes.md"

var writePage = flag.Bool("mistakes", false, "write conformance/mistakes.md anew instead of comparing it")

const pageHeader = `# What the suite says about mistakes

Mistakes that one makes who writes a runner in a new language, as the suite tells of them: the case that finds each, what it says, and
the message as it is printed (here and there numbers of actors and calls are others). All were tried in the Go runner, those
marked JS in the JavaScript one, too. ` + "`conform explain CASE`" + ` has the requirement's text and the steps. This page is written by
` + "`go test ./conformance/adapters/broken -run Newcomers -args -mistakes`" + `, and held by the same test.

| a runner that … | | is found by | which says |
|---|---|---|---|
`

// holdPage compares the page for people with what the suite has said; refs and times differ from run to run.
func holdPage(t *testing.T, all []program, results [][]*verdict.Result) {
	t.Helper()
	text := pageHeader
	for j, m := range all[0].mistakes {
		found, _ := broken.Find(m.mutant)
		also := ""
		if slices.Contains(broken.InJavaScript(), m.mutant) {
			also = "JS"
		}
		c := caseOf(results[0][j], m.found)
		text += fmt.Sprintf("| %s | %s | %s: %s | `%s: %s` |\n", found.Does, also, c.ID, c.Title, c.Code, strings.ReplaceAll(c.Message, "|", `\|`))
	}
	if *writePage {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	numbers := regexp.MustCompile(`\d{3,}`)
	if err != nil || numbers.ReplaceAllString(string(got), "N") != numbers.ReplaceAllString(text, "N") {
		t.Errorf("%s differs from what is said (%v); go test ./conformance/adapters/broken -run Newcomers -args -mistakes\n%s", page, err, text)
	}
}
