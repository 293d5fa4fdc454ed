package fuzz

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/tap"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// fragileVariable makes the test binary a runner that a single frame kills.
const fragileVariable = "FUZZ_FRAGILE"

// fragile starts actors and echoes, and ends with status 9 at a cancellation or at what it cannot read.
func fragile() int {
	conn, err := websocket.Dial(context.Background(), os.Getenv("STAGEDOOR_ENDPOINT")+vgw.Path, vgw.Subprotocol, http.Header{})
	if err != nil {
		return 4
	}
	say := func(f *tap.Frame) {
		if b, err := proto.Marshal(f); err == nil {
			_ = conn.Write(websocket.Binary, frame.Append(nil, b))
		}
	}
	say(&tap.Frame{Kind: &runnerv1alpha1.Frame_Hello{Hello: &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Instance: "i", Sdk: "bad"}}})
	for {
		_, message, err := conn.Read()
		if err != nil {
			return 5
		}
		bodies, _ := frame.Split(message, 1<<24)
		for _, body := range bodies {
			f := new(tap.Frame)
			if proto.Unmarshal(body, f) != nil || f.GetCancelCall() != nil {
				return 9
			}
			if m := f.GetStartActor(); m != nil {
				say(&tap.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: m.Actor}}})
			}
			if m := f.GetCall(); m != nil && m.Action == "echo" && len(m.Args) > 0 {
				say(&tap.Frame{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: &runnerv1alpha1.CallResult{Actor: m.Actor, Id: m.Id, Output: m.Args[1:]}}})
			}
		}
	}
}

// What is found is one frame, comes back from its file, and does it again; a runner that is right lives on.
func TestWhatIsFoundIsSmallAndIsRepeated(t *testing.T) {
	broken := "exec env " + fragileVariable + "=1 " + os.Args[0]
	report, err := Run(t.Context(), Config{Command: broken, Seed: 1, Frames: 10_000, For: time.Minute, Keep: true})
	if err != nil || report.Why == nil || report.Found == nil {
		t.Fatalf("nothing is found: %+v (%v)", report, err)
	}
	name, text, err := report.Found.File()
	if err != nil {
		t.Fatal(err)
	}
	found, err := ParseFound(text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	if found.Once || len(found.Shots) != 1 || found.Seed != 1 || !strings.HasSuffix(found.Why, "the process ended with status 9") {
		t.Errorf("%s holds\n%s", name, text)
	}
	if report, err = Repeat(t.Context(), broken, found); err != nil || report.Why == nil || report.Sent != 1 || len(report.Shots) != 1 {
		t.Errorf("on the same runner: %+v (%v)", report, err)
	}
	if report, err = Repeat(t.Context(), runner, found); err != nil || report.Why != nil {
		t.Errorf("on one that is right: %+v (%v)", report, err)
	}
	if _, err = Repeat(t.Context(), "exit 3", found); !errors.Is(err, ErrNoStart) {
		t.Errorf("on one that does not start: %v", err)
	}
}

func TestTheFewestShotsAreFound(t *testing.T) {
	var shots []Shot
	for i := range 50 {
		shots = append(shots, Shot{Body: []byte{byte(i)}})
	}
	tries := 0
	needs := func(shots []Shot) bool {
		tries++
		has := func(n byte) bool { return slices.ContainsFunc(shots, func(s Shot) bool { return s.Body[0] == n }) }
		return has(3) && has(40)
	}
	got := fewest(shots, needs)
	if len(got) != 2 || got[0].Body[0] != 3 || got[1].Body[0] != 40 || tries > 60 {
		t.Errorf("%v after %d tries", got, tries)
	}
	if got := fewest(shots[:1], func([]Shot) bool { return true }); len(got) != 1 {
		t.Errorf("nothing is left: %v", got)
	}
}

func TestAFileThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"{", "why: x", "{victim: echo, ref: 1, frames: []}", "{victim: echo, ref: 1, frames: [{hex: 0g}]}"} {
		if _, err := ParseFound([]byte(text)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}
