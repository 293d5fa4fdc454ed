//go:build unix

package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

func TestScriptsAreFoundAboveTheProgram(t *testing.T) {
	root := t.TempDir()
	t.Chdir(t.TempDir())
	o := Options{Program: filepath.Join(root, "bin", "stagedoor")}
	if found := o.searchScripts(); found != "" {
		t.Errorf("found %s", found)
	}
	dir := filepath.Join(root, "bench", "js")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "runner.mjs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found := o.searchScripts(); found != dir {
		t.Errorf("found %q, not %s", found, dir)
	}
}

func TestAScriptWritesAProfileIfOneIsWanted(t *testing.T) {
	s := &scripts{node: "node", dir: "js"}
	if got, want := s.command("", "a.mjs", "b"), []string{"node", filepath.Join("js", "a.mjs"), "b"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	profile := filepath.Join("dir", "cpu.runner")
	want := []string{"node", "--cpu-prof", "--cpu-prof-dir=dir", "--cpu-prof-name=cpu.runner", filepath.Join("js", "a.mjs")}
	if got := s.command(profile, "a.mjs"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A file of results has no two rows of one name and load.
func TestNoLoadOfThePeerComesTwice(t *testing.T) {
	for _, c := range []struct{ connections, inFlight, want int }{{64, 16, 6}, {64, 1, 4}, {1, 1, 3}, {2, 2, 6}} {
		seen := map[string]bool{}
		for _, l := range peerLoads(c.connections, c.inFlight) {
			row := Row{Name: l.row, Connections: l.connections, InFlight: l.inFlight}
			if seen[row.identity()] {
				t.Errorf("%d × %d: %s comes twice", c.connections, c.inFlight, row.identity())
			}
			seen[row.identity()] = true
		}
		if len(seen) != c.want {
			t.Errorf("%d × %d: %d rows", c.connections, c.inFlight, len(seen))
		}
	}
}

func TestTheShareOfACoreIsToldWhereItIsKnown(t *testing.T) {
	s := &share{used: 3 * time.Second, whole: 4 * time.Second}
	if got := s.String(); got != "0.75 of a core" {
		t.Errorf("it is %q", got)
	}
	if got := new(share).String(); got != "" {
		t.Errorf("it is %q", got)
	}
	if used := processorTime(-1); used != 0 {
		t.Errorf("no process has used %v", used)
	}
}

func TestRemarksAreJoined(t *testing.T) {
	var r Row
	for _, text := range []string{"", "one", "", "two"} {
		r.remark(text)
	}
	if r.Note != "one; two" {
		t.Errorf("the note is %q", r.Note)
	}
}

// A turn that is watched gives what it gave.
func TestAWatchedTurnIsTheSame(t *testing.T) {
	child, err := startProcess("sleeper", "/bin/sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	defer child.Stop(0)
	var s share
	want := load.Result{Operations: 7, Seconds: 1}
	got, err := s.watching(child, func(context.Context) (load.Result, error) { return want, nil })(t.Context())
	if err != nil || got != want || s.whole <= 0 || s.used < 0 {
		t.Errorf("%+v %v %+v", got, err, s)
	}
}
