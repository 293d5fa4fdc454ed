package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
)

// babble prints what a terminal would obey, more than anybody reads.
const babble = `i=0; while [ $i -lt 300 ]; do printf '\033[2J\033]0;title\007line %d \377\n' $i; i=$((i+1)); done; `

func TestARunnerThatBabblesHasItsEndPrintedAndItsWholeInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runner.log")
	out, _ := conform(t, verdict.ExitNoStart, "run", "--runner", babble+"exit 3", "--case", "HS-01", "--runner-log", file)
	if n := strings.Count(out, "\n"); n > maxLines+4 || strings.ContainsAny(out, "\x1b\a") || !utf8.ValidString(out) {
		t.Errorf("%d lines:\n%q", n, out)
	}
	if !strings.Contains(out, `        | \x1b[2J\x1b]0;title\x07line 299 \xff`+"\n") || !strings.Contains(out, "ended with status 3") {
		t.Errorf("it says\n%s", out)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 300 || !strings.HasPrefix(string(text), `1| \x1b[2J`) {
		t.Errorf("the file holds %.200q (%v)", text, err)
	}
	conform(t, verdict.ExitUsage, "run", "--runner", "x", "--runner-log", filepath.Join(t.TempDir(), "no", "such"))
}

// What a person who has never seen the suite reads of runners that do not come up.
func TestWhyARunnerDidNotStartIsTold(t *testing.T) {
	for command, why := range map[string]string{
		"no-such-command --port 1": "its command ended with status 127: the shell finds no such command; its last line: /bin/sh: ",
		"/":                        "its command ended with status 126: the shell must not execute that",
		"exit 0":                   "its command ended with status 0",
		"kill -KILL $$":            "its command was ended by signal 9 (killed)",
		"sleep 1000":               "no Hello within 200ms: it never dialed STAGEDOOR_ENDPOINT, ws://127.0.0.1:",
		`exec bash -c 'echo GARBAGE >/dev/tcp/${STAGEDOOR_ENDPOINT:5:9}/${STAGEDOOR_ENDPOINT:15}; sleep 1000'`: "it connected, and made no WebSocket handshake",
	} {
		if _, err := os.Stat("/bin/bash"); err != nil && strings.Contains(command, "bash") {
			continue
		}
		timeout := "20s"
		if strings.Contains(command, "sleep") {
			timeout = "200ms"
		}
		out, _ := conform(t, verdict.ExitNoStart, "run", "--runner", command, "--case", "HS-01", "--start-timeout", timeout)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		last := lines[len(lines)-1]
		if !strings.HasPrefix(last, "NOT CONFORMANT @ protocol 1") || !strings.Contains(last, "(the runner did not start: ") || !strings.Contains(last, why) {
			t.Errorf("%s: the verdict is %s", command, last)
		}
	}
}

func TestAFailedCaseIsTold(t *testing.T) {
	c := verdict.Case{
		ID: "HS-01", Title: "one Hello", Status: verdict.Fail, Code: "HS-01/2", Message: "the runner said \x1b[31mno\nnever", Repeat: "conform run",
		Output: "\x1b[31mone\r\n" + strings.Repeat("more\n", 30) + "panic: no",
	}
	for i := range 200 {
		c.Find(verdict.Finding{Monitor: "MON-21", Text: fmt.Sprintf("fence %d was not asked for", i/2)})
	}
	var out bytes.Buffer
	cmd := new(cobra.Command)
	cmd.SetOut(&out)
	progress(cmd, &runFlags{}, c)
	for _, want := range []string{
		"fail    HS-01         0 ms  one Hello\n        HS-01/2: the runner said no never\n        MON-21: fence 0 was not asked for\n        MON-21: fence 1 ",
		"… and 195 more breaches\n", "        | panic: no\n        again: conform run\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing of %q in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2+maxFindings+1+1+1+maxLines+1 {
		t.Errorf("%d lines", n)
	}
	out.Reset()
	progress(cmd, &runFlags{verbose: true}, c)
	if n := strings.Count(out.String(), "        | "); n != 32 {
		t.Errorf("%d lines with -v:\n%s", n, out.String())
	}
}

// The line that a failure prints does the same again in another shell: the mutant that it needs is named by a variable.
func TestWhatIsPrintedRepeatsTheFailure(t *testing.T) {
	program, runner := filepath.Join(t.TempDir(), "conform"), contractApp(t)
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/conform").CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	t.Setenv("CONFORM_MUTANT", "it's wrong")
	t.Setenv("STAGEDOOR_CLIENT_TOKEN", "secret")
	// Without the variable it does not even start.
	command := `test "$CONFORM_MUTANT" = "it's wrong" || exit 7; exec ` + runner
	args := []string{"run", "--runner", command, "--case", "ACT-01", "--patience", "0.000001", "--seed", "9", "--repeat", "2", "--start-timeout", "19s"}
	out, _ := conform(t, verdict.ExitNotConformant, args...)
	again := regexp.MustCompile(`(?m)^        again: (.*)$`).FindStringSubmatch(out)
	if again == nil {
		t.Fatalf("nothing to repeat in\n%s", out)
	}
	if !strings.HasPrefix(again[1], `CONFORM_MUTANT='it'\''s wrong' conform run --runner '`) || strings.Contains(again[1], "secret") {
		t.Errorf("the line is %s", again[1])
	}
	shell := exec.Command("/bin/sh", "-c", "unset CONFORM_MUTANT STAGEDOOR_CLIENT_TOKEN; "+again[1])
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	pasted, _ := shell.Output()
	if shell.ProcessState.ExitCode() != verdict.ExitNotConformant || !strings.Contains(string(pasted), "fail    ACT-01") {
		t.Fatalf("pasted, it prints\n%s", pasted)
	}
	if _, same, _ := strings.Cut(again[1], "--case"); !strings.Contains(string(pasted), same) {
		t.Errorf("it was not run with%s:\n%s", same, pasted)
	}
}
