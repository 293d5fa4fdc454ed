package verdict

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What the line is made of comes out again behind a shell.
func TestALineCanBePasted(t *testing.T) {
	hard := []string{"run", "--runner", `node app.js --name 'it'"s" $HOME; echo \ *`, "--case", "HS-01", "", "-v", "two\nlines"}
	again := Again{Environment: []string{"CONFORM_MUTANT=a b'c"}, Program: "printf"}
	line := again.Line(append([]string{`%s\0`}, hard...)...)
	out, err := exec.Command("/bin/sh", "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(string(out), "\x00"); !slices.Equal(got[:len(got)-1], hard) {
		t.Errorf("%s\ngives %q", line, got)
	}
	again.Program = "printenv"
	if out, err := exec.Command("/bin/sh", "-c", again.Line("CONFORM_MUTANT")).Output(); err != nil || string(out) != "a b'c\n" {
		t.Errorf("the variable is %q (%v)", out, err)
	}
	if got := (Again{}).Line("run", "--runner", "./app", "--case", "HS-01"); got != "conform run --runner ./app --case HS-01" {
		t.Errorf("what needs no quotes has some: %s", got)
	}
}

func TestOnlyVariablesThatMatterAreTold(t *testing.T) {
	got := Environment([]string{
		"PATH=/bin", "STAGEDOOR_LOG_LEVEL=debug", "STAGEDOOR_TOKEN=secret", "STAGEDOOR_CLIENT_TOKEN=secret", "CONFORM_MUTANT=x",
		"STAGEDOOR_PUBLIC_ENDPOINT=https://ns:secret@host", "CONFORM_GATE_URL=http://x", "CONFORM_CONCURRENCY=serial",
	})
	if !slices.Equal(got, []string{"CONFORM_CONCURRENCY=serial", "CONFORM_MUTANT=x", "STAGEDOOR_LOG_LEVEL=debug"}) {
		t.Errorf("told are %q", got)
	}
	if with := (Again{Environment: got}).With(map[string]string{"CONFORM_MUTANT": "y"}).Environment; slices.Contains(with, "CONFORM_MUTANT=x") || !slices.Contains(with, "CONFORM_MUTANT=y") {
		t.Errorf("a variable that is set for the runner alone: %q", with)
	}
}
