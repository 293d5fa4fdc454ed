package fuzz

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/tap"
)

// runner is the contract app in Go.
var runner string

func TestMain(m *testing.M) {
	if os.Getenv(fragileVariable) != "" {
		os.Exit(fragile())
	}
	folder, err := os.MkdirTemp("", "fuzz")
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

func sample() *tap.Frame {
	m := &runnerv1alpha1.KvResult{Actor: 7, Id: 1, Entries: []*runnerv1alpha1.KvEntry{{Key: []byte("k"), Value: []byte("v")}}}
	return &tap.Frame{Kind: &runnerv1alpha1.Frame_KvResult{KvResult: m}}
}

func TestTheSameSeedMakesTheSameFrames(t *testing.T) {
	shots := func(seed uint64) []Shot {
		m := &Mutator{Random: rand.New(rand.NewPCG(seed, 0))}
		var all []Shot
		for range 200 {
			body, how := m.Mutate(sample())
			all = append(all, Shot{body, how})
		}
		return all
	}
	a, b := shots(1), shots(1)
	hows := map[string]bool{}
	for i := range a {
		if a[i].How != b[i].How {
			t.Fatalf("frame %d: %v and %v", i, a[i], b[i])
		}
		hows[a[i].How] = true
	}
	if len(hows) < 12 {
		t.Errorf("only %d ways to change a frame: %v", len(hows), hows)
	}
}

func TestMostFramesAreChanged(t *testing.T) {
	legal, err := proto.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	m := &Mutator{Random: rand.New(rand.NewPCG(2, 0))}
	same := 0
	for range 500 {
		if body, _ := m.Mutate(sample()); bytes.Equal(body, legal) {
			same++
		}
	}
	if same > 100 {
		t.Errorf("%d of 500 frames are as they were", same)
	}
}

func TestTheGoRunnerLivesOn(t *testing.T) {
	frames := 2000
	if testing.Short() {
		frames = 300
	}
	report, err := Run(t.Context(), Config{Command: runner, Seed: 1, Frames: frames, For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if report.Why != nil {
		t.Errorf("after %d frames: %v\n%v\n%s", report.Sent, report.Why, report.Shots, report.Output)
	}
}

func TestARunnerThatDiesIsFound(t *testing.T) {
	report, err := Run(t.Context(), Config{Command: runner + " & sleep 2; kill -9 $!", Seed: 1, Frames: 1 << 30, For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if report.Why == nil {
		t.Error("the runner was killed, and nobody noticed")
	}
}

func TestARunnerThatNeverLinksIsToldApart(t *testing.T) {
	if report, err := Run(t.Context(), Config{Command: "exit 3", Seed: 1, Frames: 1}); err == nil {
		t.Errorf("there is a report: %+v", report)
	}
}
