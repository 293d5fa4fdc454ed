//go:build unix

package bench_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/assemble"
	"github.com/stagedoor-dev/stagedoor/edge/bench"
	"github.com/stagedoor-dev/stagedoor/edge/cli"
)

// programVariable makes the test binary the stagedoor command: as such the scenarios start it, with the race detector.
const programVariable = "BENCH_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		if os.Getenv(moodyVariable) != "" && slices.Contains(os.Args, "runner") {
			serveMoody(os.Args[len(os.Args)-1])
		}
		os.Exit(cli.Main(program(os.Stdout, os.Stderr, os.Args[1:]...)))
	}
	for name, value := range map[string]string{
		programVariable: "1",
		"GORACE":        "atexit_sleep_ms=0", // spares each process the second that the race detector waits at its end
		// A setting of the user must not reach the processes.
		"STAGEDOOR_CLIENT_TOKEN": "secret",
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func program(stdout, stderr interface{ Write([]byte) (int, error) }, args ...string) cli.Program {
	return cli.Program{
		Args: args, Stdout: stdout, Stderr: stderr, Env: os.Getenv, Assemble: assemble.Gateway, Exit: os.Exit,
	}
}

// run runs `stagedoor bench …` in this process, which starts the others, and returns what it printed. Their data goes to a
// directory of the test, which must be empty afterwards.
func run(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := try(t, args...)
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	return stdout
}

// try is run for what may fail.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var out, said bytes.Buffer
	args = append([]string{"bench"}, append(args, "--dir", dir)...)
	code = cli.Main(program(&out, &said, args...))
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v %v", left, err)
	}
	return code, out.String(), said.String()
}

// tiny are flags that make a scenario short; the numbers are not meant to tell anything.
var tiny = []string{"--rounds", "2", "--duration", "50ms"}

// rows reads JSON lines into maps, so that the names of the fields are those that users see.
func rows(t *testing.T, printed string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for line := range strings.Lines(printed) {
		row := map[string]any{}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name, _ := row["name"].(string)
		found[name] = row
	}
	return found
}

func number(t *testing.T, row map[string]any, key string) float64 {
	t.Helper()
	value, ok := row[key].(float64)
	if !ok {
		t.Errorf("%v: %s is %v", row["name"], key, row[key])
	}
	return value
}

func TestEveryScenarioMeasuresSomething(t *testing.T) {
	args := []string{"all", "--json", "--connections", "6", "--in-flight", "2", "--actors", "8", "--js", t.TempDir()}
	code, printed, said := try(t, append(args, tiny...)...)
	if code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	for _, name := range []string{"js", "peer"} {
		if !strings.Contains(said, name+": left out: the JavaScript programs of the bench are not here") {
			t.Errorf("%s was not left out: %s", name, said)
		}
	}
	found := rows(t, printed)
	for name, want := range map[string]map[string]float64{
		"calls":         {"connections": 6, "in_flight": 2, "rounds": 2},
		"calls-1x1":     {"connections": 1, "in_flight": 1, "rounds": 2},
		"calls-sdk":     {"connections": 6, "in_flight": 2, "rounds": 2},
		"calls-sdk-1x1": {"connections": 1, "in_flight": 1, "rounds": 2},
		"commits":       {"connections": 6, "in_flight": 2, "rounds": 2},
		"commits-sdk":   {"connections": 6, "in_flight": 2, "rounds": 2},
		"fanout":        {"connections": 6, "in_flight": 2, "rounds": 2},
		"cold":          {"rounds": 2},
		"wake":          {"actors": 8, "rounds": 2},
		"idle":          {"connections": 6, "rounds": 1, "operations": 6},
		"calls-wt":      {"connections": 6, "in_flight": 2, "rounds": 2},
		"calls-wt-1x1":  {"connections": 1, "in_flight": 1, "rounds": 2},
		"calls-h1":      {"connections": 6, "in_flight": 2, "rounds": 2},
		"calls-h1-1x1":  {"connections": 1, "in_flight": 1, "rounds": 2},
		"calls-h3":      {"connections": 6, "in_flight": 2, "rounds": 2},
		"calls-h3-1x1":  {"connections": 1, "in_flight": 1, "rounds": 2},
		"memory":        {"actors": 8, "rounds": 1, "operations": 8},
	} {
		row := found[name]
		if row == nil {
			t.Errorf("no row %s in %s", name, printed)
			continue
		}
		for key, value := range want {
			if got := number(t, row, key); got != value {
				t.Errorf("%s: %s is %v, not %v", name, key, got, value)
			}
		}
		checkRow(t, row)
	}
	if len(found) != 17 {
		t.Errorf("%d rows: %s", len(found), printed)
	}
	for name, via := range map[string]string{"calls": "connection", "calls-1x1": "connection", "calls-sdk": "sdk", "commits-sdk": "sdk"} {
		if got := found[name]["via"]; got != via {
			t.Errorf("%s is via %v", name, got)
		}
	}
	for name, transport := range map[string]string{"calls": "ws", "calls-sdk": "ws", "calls-wt": "wt", "calls-h1": "h1", "calls-h3-1x1": "h3"} {
		if got := found[name]["transport"]; got != transport {
			t.Errorf("%s is over %v", name, got)
		}
	}
}

// checkRow checks what holds for every row.
func checkRow(t *testing.T, row map[string]any) {
	t.Helper()
	timed := row["name"] != "idle" && row["name"] != "memory"
	for _, key := range []string{"rate_per_s", "p50_ms", "p99_ms", "bare_rate_per_s", "ratio"} {
		if value := number(t, row, key); timed && value <= 0 {
			t.Errorf("%v: %s is %v", row["name"], key, value)
		}
	}
	for _, key := range []string{"operations", "seconds", "cpus"} {
		if number(t, row, key) <= 0 {
			t.Errorf("%v: %s is %v", row["name"], key, row[key])
		}
	}
	if number(t, row, "errors") != 0 {
		t.Errorf("%v: %v", row["name"], row["fault"])
	}
	for _, key := range []string{"unit", "go", "version"} {
		if text, _ := row[key].(string); text == "" {
			t.Errorf("%v: no %s", row["name"], key)
		}
	}
	if timed && number(t, row, "p99_ms") < number(t, row, "p50_ms") {
		t.Errorf("%v: %v", row["name"], row)
	}
}

func TestTheTableIsForPeople(t *testing.T) {
	printed := run(t, append([]string{"calls", "--connections", "2", "--in-flight", "3", "--via", "handle"}, tiny...)...)
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "scenario") || !strings.Contains(lines[0], "bare rate") {
		t.Fatalf("printed %s", printed)
	}
	for i, want := range []string{"calls-sdk     2 × 3, via handle", "calls-sdk-1x1 1 × 1, via handle"} {
		if line := lines[i+1]; !strings.HasPrefix(line, want) || !strings.Contains(line, " calls/s") {
			t.Errorf("printed %q", line)
		}
	}
}

func TestMemoryAloneIsARow(t *testing.T) {
	found := rows(t, run(t, append([]string{"memory", "--json", "--actors", "5"}, tiny...)...))
	if len(found) != 1 {
		t.Errorf("%d rows", len(found))
	}
	checkRow(t, found["memory"])
}

// sessionsVariable says how many sessions there are at once, a quarter of them over WebTransport; 20000 is what the README has.
const sessionsVariable = "BENCH_TEST_SESSIONS"

// When thousands of sessions of each kind have gone, the gateway is as it was.
func TestSessionsLeaveNothingBehind(t *testing.T) {
	n := cmp.Or(os.Getenv(sessionsVariable), "800")
	found := rows(t, run(t, "sessions", "--json", "--connections", n))
	for name, of := range map[string]float64{"sessions-wt": 4, "sessions-ws": 4.0 / 3, "sessions": 1} {
		row := found[name]
		if row == nil {
			t.Errorf("no row %s", name)
			continue
		}
		total, _ := strconv.ParseFloat(n, 64)
		if got := number(t, row, "connections"); got != total/of {
			t.Errorf("%s: %v sessions", name, got)
		}
		// Some of those before may have ended meanwhile, and are missing from the difference.
		const some = 0.9
		if number(t, row, "errors") != 0 || number(t, row, "goroutines_per_item") < some || number(t, row, "bytes_per_item") <= 0 {
			t.Errorf("%v", row)
		}
		// Of what every session held, less than a tenth may stay, and what pools and maps have grown to.
		held := number(t, row, "heap_bytes_per_item") * number(t, row, "connections")
		if left, _ := row["left_heap_bytes"].(float64); left > held/10+8<<20 {
			t.Errorf("%s: %.0f bytes of %.0f are left", name, left, held)
		}
	}
}

func TestCallsOverWebTransportBySDK(t *testing.T) {
	args := []string{"calls", "--json", "--transport", "wt", "--via", "sdk", "--connections", "2", "--in-flight", "3"}
	found := rows(t, run(t, append(args, tiny...)...))
	for _, name := range []string{"calls-wt-sdk", "calls-wt-sdk-1x1"} {
		checkRow(t, found[name])
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for want, args := range map[string][]string{
		`--transport is "udp"; it is one of ws, wt, h1, h3`:        {"calls", "--transport", "udp"},
		"--via sdk has no meaning with --transport h3, where each": {"calls", "--transport", "h3", "--via", "sdk"},
	} {
		if code, _, said := try(t, args...); code == 0 || !strings.Contains(said, want) {
			t.Errorf("exit code %d: %s", code, said)
		}
	}
}

func scenario(t *testing.T, name string) bench.Scenario {
	t.Helper()
	all := bench.Scenarios()
	i := slices.IndexFunc(all, func(s bench.Scenario) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no scenario %s", name)
	}
	return all[i]
}

// options are those of a scenario that nobody waits for.
func options(t *testing.T, s bench.Scenario) bench.Options {
	t.Helper()
	o := s.AtMost(bench.Options{Rounds: 1, Duration: time.Minute, Connections: 2, InFlight: 1, Actors: 2})
	o.Program, o.Dir = os.Args[0], t.TempDir()
	return o
}

func TestAProgramThatDoesNotStartIsNamed(t *testing.T) {
	s := scenario(t, "cold")
	o := options(t, s)
	o.Program = filepath.Join(o.Dir, "nothing")
	if _, err := s.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "start the gateway") {
		t.Errorf("got %v", err)
	}
}

func TestAProcessThatEndsIsNamedWithWhatItSaidLast(t *testing.T) {
	s := scenario(t, "cold")
	o := options(t, s)
	o.Program = "/bin/false"
	if _, err := os.Stat(o.Program); err != nil {
		t.Skip(err)
	}
	if _, err := s.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the gateway ended by exit status 1") {
		t.Errorf("got %v", err)
	}
	o.Program = script(t, `echo "no room at all" >&2; exit 3`)
	if _, err := s.Run(t.Context(), o); err == nil || !strings.HasSuffix(err.Error(), "exit status 3: no room at all") {
		t.Errorf("got %v", err)
	}
}

// script is a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process that dies in the middle ends the scenario, which would wait for its answers otherwise.
func TestADeadProcessEndsTheScenario(t *testing.T) {
	for _, role := range []string{"gateway", "process runner", "process relay", "process echo"} {
		t.Run(role, func(t *testing.T) {
			s := scenario(t, "calls")
			o := options(t, s)
			began := make(chan string, 100)
			o.Progress = func(text string) { began <- text }
			mark := filepath.Join(t.TempDir(), "pid")
			o.Program = marking(t, role, mark)
			go func() {
				<-began
				kill(t, mark)
			}()
			_, err := s.Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), " ended ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFailedOperationsAreCounted(t *testing.T) {
	t.Setenv(moodyVariable, "1")
	for _, via := range []string{bench.ViaConnection, bench.ViaSDK} {
		t.Run(via, func(t *testing.T) {
			s := scenario(t, "calls")
			o := options(t, s)
			o.Duration, o.Via = 50*time.Millisecond, via
			rows, err := s.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				if row.Errors == 0 || !strings.Contains(row.Fault, "not in the mood") {
					t.Errorf("nothing failed: %+v", row)
				}
			}
		})
	}
}

// marking is the program, but that the process which has these arguments notes its number.
func marking(t *testing.T, args, mark string) string {
	t.Helper()
	return script(t, fmt.Sprintf(`case "$*" in *%q*) echo $$ >%q;; esac; exec %q "$@"`, args, mark, os.Args[0]))
}

func kill(t *testing.T, mark string) {
	content, err := os.ReadFile(mark)
	if err != nil {
		t.Error(err)
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(content), &pid); err != nil {
		t.Error(err)
		return
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}
