package suite_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	conformancev1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/conformance/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/suite"
	"github.com/stagedoor-dev/stagedoor/conformance/verdict"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// belated does what it is told, and speaks of its first actor once more when the second one is to start; of others at once, if it
// is hasty.
func belated(conn *websocket.Conn, hasty bool) {
	var first uint64
	for {
		_, message, err := conn.Read()
		if err != nil {
			return
		}
		bodies, _ := frame.Split(message, 1<<20)
		for _, body := range bodies {
			f := &runnerv1alpha1.Frame{}
			if proto.Unmarshal(body, f) != nil {
				return
			}
			switch {
			case f.GetStartActor() != nil:
				if first != 0 && !hasty {
					ready(conn, first)
				}
				first = f.GetStartActor().Actor
				ready(conn, first)
			case f.GetStopActor() != nil:
				stopped := &runnerv1alpha1.ActorStopped{Actor: f.GetStopActor().Actor}
				_ = write(conn, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_ActorStopped{ActorStopped: stopped}})
				if hasty {
					ready(conn, stopped.Actor)
				}
			case f.GetFence() != nil:
				reached := &runnerv1alpha1.FenceReached{Nonce: f.GetFence().Nonce, Actor: f.GetFence().Actor}
				_ = write(conn, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: reached}})
			}
		}
	}
}

func ready(conn *websocket.Conn, actor uint64) {
	_ = write(conn, &runnerv1alpha1.Frame{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: actor}}})
}

// A frame that comes behind the end of the case that caused it is that one's failure, not the next one's.
func TestWhatComesLateFailsTheCaseThatCausedIt(t *testing.T) {
	const start = "{start: {actor: $a, type: counter}}"
	var told []string
	result := suite.Run(t.Context(), suite.Config{
		Options: bad("belated", 20*time.Second), Cases: parse(t, start, start, "{fence: {}}"), Record: true,
		Progress: func(c verdict.Case) { told = append(told, string(c.Status)+" "+c.ID) },
	})
	result.Conclude()
	first, second := result.Cases[0], result.Cases[1]
	if first.Status != verdict.Fail || first.Code != "CC-01/MON-06" || !strings.HasPrefix(first.Message, "behind the end of the case: ") || first.Passes != 0 {
		t.Errorf("the first case: %+v", first)
	}
	if second.Status != verdict.Pass || len(second.Findings) > 0 {
		t.Errorf("the second case: %s %s: %s", second.Status, second.Code, second.Message)
	}
	if result.Exit != verdict.ExitNotConformant || !strings.Contains(result.Verdict, "1 of 3 cases failed: CC-01/MON-06") {
		t.Errorf("exit %d: %s", result.Exit, result.Verdict)
	}
	if want := []string{"pass CC-01", "fail CC-01", "pass CC-02", "pass CC-03"}; !slices.Equal(told, want) {
		t.Errorf("told were %q, want %q", told, want)
	}
	if at := slices.IndexFunc(first.Lines, func(l verdict.Line) bool { return l.Seq == first.Findings[0].Seq }); at < 0 {
		t.Error("the trace of the first case lacks the frame")
	}
}

// What a runner has said when its last actor has stopped is waited for, so that it is seen before the case is told.
func TestACaseEndsBehindWhatItsRunnerHasSaid(t *testing.T) {
	const start = "{start: {actor: $a, type: counter}}"
	result := suite.Run(t.Context(), suite.Config{Options: bad("hasty", 20*time.Second), Cases: parse(t, start)})
	if c := result.Cases[0]; c.Code != "CC-01/MON-06" || strings.HasPrefix(c.Message, "behind the end") {
		t.Errorf("%s %s: %s", c.Status, c.Code, c.Message)
	}
}

// What a runner printed belongs to the case in which it crashed, also where each case has a process of its own.
func TestACrashIsToldWithItsLastWords(t *testing.T) {
	for _, isolation := range []string{"shared", "process"} {
		cases := parse(t, "{start: {actor: $a, type: counter}}")
		cases[0].Isolation = conformancev1alpha1.Isolation(conformancev1alpha1.Isolation_value["ISOLATION_"+strings.ToUpper(isolation)])
		result := suite.Run(t.Context(), suite.Config{Options: bad("crash", 20*time.Second), Cases: cases})
		c := result.Cases[0]
		if c.Output != "segmentation fault" || !strings.HasSuffix(c.Message, "the runner's process ended with status 6") {
			t.Errorf("%s: %s: %s, printed %q", isolation, c.Code, c.Message, c.Output)
		}
	}
}
