//go:build unix

package bench_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench"
)

const oldRun = `
{"name":"calls","rate_per_s":100000,"p50_ms":10,"p99_ms":30.5,"bare_rate_per_s":500000,"ratio":0.2,"unit":"calls","connections":64,"in_flight":16,"via":"connection"}
{"name":"cold","rate_per_s":500,"p50_ms":2,"p99_ms":4,"bare_rate_per_s":2000,"ratio":0.25,"unit":"actors"}

{"name":"idle","rate_per_s":0,"p50_ms":0,"p99_ms":0,"bare_rate_per_s":0,"ratio":0.5,"bytes_per_item":20000,"unit":"sessions","connections":10000}
`

const newRun = `{"name":"idle","rate_per_s":0,"p50_ms":0,"p99_ms":0,"bare_rate_per_s":0,"ratio":0.8,"bytes_per_item":12500,"unit":"sessions","connections":10000}
{"name":"calls","rate_per_s":310000,"p50_ms":2.5,"p99_ms":6.1,"bare_rate_per_s":500000,"ratio":0.62,"unit":"calls","connections":64,"in_flight":16,"errors":3}
{"name":"calls","rate_per_s":1,"p50_ms":1,"p99_ms":1,"bare_rate_per_s":1,"ratio":1,"unit":"calls","connections":64,"in_flight":16,"via":"handle"}
`

const compared = `scenario      load                               old          new    change
calls         64 × 16          rate /s       100,000      310,000  +210.0 %
calls         64 × 16          p50 ms           10.0         2.50   -75.0 %
calls         64 × 16          p99 ms           30.5         6.10   -80.0 %
calls         64 × 16          ratio           0.200        0.620  +210.0 %
calls         64 × 16          errors              0            3
idle          10,000           ratio           0.500        0.800   +60.0 %
idle          10,000           bytes          20,000       12,500   -37.5 %
only in the old run: cold
only in the new run: calls 64 × 16, via handle
`

func read(t *testing.T, text string) []bench.Row {
	t.Helper()
	rows, err := bench.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCompare(t *testing.T) {
	var out strings.Builder
	if err := bench.Compare(&out, read(t, oldRun), read(t, newRun)); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	if got := strings.Join(lines, "\n") + "\n"; got != compared {
		t.Errorf("printed\n%s\nnot\n%s", got, compared)
	}
}

func TestFilesThatAreNoResultsAreRefused(t *testing.T) {
	const good = `{"name":"cold","rate_per_s":1,"p50_ms":1,"p99_ms":1,"bare_rate_per_s":1,"ratio":1}`
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "\n\n", "no results"},
		{"no JSON", good + "\n\nscenario load\n", "line 3: it is not a result: invalid character"},
		{"another type", good + "\n[1]\n", "line 2: it is not a result"},
		{"a text for a number", strings.Replace(good, `:1,`, `:"1",`, 1), "line 1: it is not a result"},
		{"other JSON", `{"name":"cold","ratio":1}`, "line 1: it is not a result: it lacks rate_per_s, p50_ms, p99_ms, bare_rate_per_s"},
		{"two runs", good + "\n" + good, "line 2: cold stands in line 1 already"},
		{"an endless line", good + "\n" + strings.Repeat("x", 2<<20), "line 2: bufio.Scanner: token too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := bench.Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v does not say %q", err, c.want)
			}
		})
	}
}

func TestPrintSaysWhatWentWrong(t *testing.T) {
	row := bench.Row{
		Name: "idle", Unit: "sessions", Connections: 800, Bytes: 20480, HeapBytes: 12345, BareBytes: 7000, Ratio: 0.34,
		Errors: 2, Fault: "session.lost: gone", Note: "800 sockets instead of 10000",
	}
	var out strings.Builder
	if err := row.Print(&out); err != nil {
		t.Fatal(err)
	}
	const want = "idle          800                                   -         -         -            -         -   0.34  " +
		"20,480 B for each of the sessions (gateway's heap 12,345 B), bare 7,000 B\n" +
		"  note: 800 sockets instead of 10000\n" +
		"  2 operations failed, one of them: session.lost: gone\n"
	if out.String() != want {
		t.Errorf("printed\n%q, not\n%q", out.String(), want)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		scenario, want string
		change         func(*bench.Options)
	}{
		{"calls", "--connections is -1; it is at least 1", func(o *bench.Options) { o.Connections = -1 }},
		{"calls", "--in-flight is 0", func(o *bench.Options) { o.InFlight = 0 }},
		{"calls", "--rounds is 0", func(o *bench.Options) { o.Rounds = 0 }},
		{"calls", "--duration is -1s", func(o *bench.Options) { o.Duration = -time.Second }},
		{"calls", `--via is "carrier pigeon"; it is connection, sdk or handle`, func(o *bench.Options) { o.Via = "carrier pigeon" }},
		{"wake", "--actors is -3", func(o *bench.Options) { o.Actors = -3 }},
		{"wake", "", func(o *bench.Options) { o.Connections = -3 }}, // which it does not use
		{"idle", "", func(*bench.Options) {}},
	} {
		s := scenario(t, c.scenario)
		o := s.Options
		c.change(&o)
		err := s.Check(o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, not %q", c.scenario, err, c.want)
		}
	}
}
