package mutant

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

var writeReadme = flag.Bool("readme", false, "write README.md anew instead of comparing it")

const readmeHeader = `# Mutants on the wire

Wrong runners, made of right ones by a change of frames: what a case puts in its list ` + "`mutants`" + `. Each must make a case fail that
names it; ` + "`conform mutants`" + ` holds the suite to that. The requirements are those that the mutant breaks. After a change of the table:
` + "`go test ./conformance/mutant -args -readme`" + `.

| mutant | a runner that | breaks |
|---|---|---|
`

func TestReadmeListsTheTable(t *testing.T) {
	want := readmeHeader
	for _, m := range All() {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", m.Name, m.Does, strings.Join(m.Breaks, ", "))
	}
	if *writeReadme {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("README.md differs from the table; go test ./conformance/mutant -args -readme")
	}
}

func TestMutantsAreNamedOnceAndSayWhatTheyBreak(t *testing.T) {
	name, id := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`), regexp.MustCompile(`^[A-Z]+-[0-9]+$`)
	seen := map[string]bool{}
	for _, m := range All() {
		if !name.MatchString(m.Name) || seen[m.Name] {
			t.Errorf("%q: the name is taken, or none", m.Name)
		}
		seen[m.Name] = true
		if m.Does == "" || len(m.Breaks) == 0 {
			t.Errorf("%s does not say what it does, or breaks nothing", m.Name)
		}
		for _, r := range m.Breaks {
			if !id.MatchString(r) {
				t.Errorf("%s breaks %q, which is no requirement", m.Name, r)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d mutants", len(seen))
	}
}

func TestMutantsAreFoundByName(t *testing.T) {
	if m, ok := Find("drop-commit"); !ok || m.Name != "drop-commit" {
		t.Errorf("drop-commit: %v %v", m.Name, ok)
	}
	if _, ok := Find("nobody"); ok {
		t.Error("a mutant was found that is not there")
	}
}

// A mutant that lets every frame of a session with all kinds through as it is would be no mutant.
func TestEveryMutantChangesSomething(t *testing.T) {
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			if gateway, runner := play(m.New(), session()); !changed(gateway, runner) {
				t.Error("every frame arrives as it was sent")
			}
		})
	}
}

// A tap works on copies: whoever recorded a frame before still has what was sent.
func TestMutantsLeaveWhatTheyAreGiven(t *testing.T) {
	for _, m := range All() {
		frames := session()
		play(m.New(), frames)
		for i, line := range session() {
			if !proto.Equal(frames[i].frame, line.frame) {
				t.Errorf("%s changed frame %d in place: %v", m.Name, i, frames[i].frame)
			}
		}
	}
}

// line is a frame of a session.
type line struct {
	up    bool // from the runner
	frame *tap.Frame
}

// play is what each side reads of a session through a tap.
func play(through tap.Tap, lines []line) (gateway, runner []*tap.Frame) {
	for _, l := range lines {
		var out tap.Out
		switch {
		case l.up && through.FromRunner != nil:
			out = through.FromRunner(l.frame)
		case l.up:
			out.Gateway = []*tap.Frame{l.frame}
		case through.ToRunner != nil:
			out = through.ToRunner(l.frame)
		default:
			out.Runner = []*tap.Frame{l.frame}
		}
		gateway, runner = append(gateway, out.Gateway...), append(runner, out.Runner...)
	}
	return gateway, runner
}

func changed(gateway, runner []*tap.Frame) bool {
	wantGateway, wantRunner := play(tap.Tap{}, session())
	return !same(gateway, wantGateway) || !same(runner, wantRunner)
}

func same(a, b []*tap.Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
