package engine

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/pattern"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/vgw"
)

func said(t *testing.T, socket uint32, f *vgw.Frame) *trace.Event {
	t.Helper()
	b, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return &trace.Event{Direction: trace.FromRunner, Socket: socket, Frame: b}
}

func stopped(t *testing.T, socket uint32, actor uint64) *trace.Event {
	t.Helper()
	return said(t, socket, &vgw.Frame{Kind: &runnerv1alpha1.Frame_ActorStopped{ActorStopped: &runnerv1alpha1.ActorStopped{Actor: actor}}})
}

func reached(t *testing.T, socket uint32, nonce uint64) *trace.Event {
	t.Helper()
	return said(t, socket, &vgw.Frame{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: nonce}}})
}

func pong(t *testing.T, socket uint32, nonce uint64) *trace.Event {
	t.Helper()
	return said(t, socket, &vgw.Frame{Kind: &runnerv1alpha1.Frame_Pong{Pong: &runnerv1alpha1.Pong{Nonce: nonce}}})
}

func TestWhatComesLateIsOfTheCaseThatCausedIt(t *testing.T) {
	b := newBlame()
	if id := b.of(stopped(t, 1, 1001)); id != "" {
		t.Errorf("before the first case there is %q", id)
	}
	b.begin(&casefile.Case{Id: "AA-01", WaiveMonitors: []string{"MON-06"}}, 1001)
	b.saw(&trace.Event{Happening: trace.Opened, Socket: 1, CaseId: "AA-01"})
	b.begin(&casefile.Case{Id: "BB-01"}, 1010)
	b.saw(&trace.Event{Happening: trace.Opened, Socket: 2, CaseId: "BB-01"})
	b.begin(&casefile.Case{Id: "CC-01"}, 1020)
	b.share(&vgw.Socket{Number: 2}, "CC-01")
	for name, c := range map[string]struct {
		event *trace.Event
		want  string
	}{
		"an actor of the first":             {stopped(t, 2, 1001), "AA-01"},
		"an actor of the second":            {stopped(t, 2, 1019), "BB-01"},
		"an actor of the third":             {stopped(t, 1, 1020), "CC-01"},
		"a fence of the first":              {reached(t, 2, 1009), "AA-01"},
		"a pong on the first one's socket":  {pong(t, 1, pings+7), "AA-01"},
		"a pong on the shared socket":       {pong(t, 2, pings+7), "CC-01"},
		"an actor that nobody has started":  {stopped(t, 1, 7), "AA-01"},
		"garbage on a socket of nobody":     {&trace.Event{Direction: trace.FromRunner, Socket: 9, Garbage: []byte{1}}, "CC-01"},
		"garbage on the first one's socket": {&trace.Event{Direction: trace.FromRunner, Socket: 1, Garbage: []byte{1}}, "AA-01"},
	} {
		if got := b.of(c.event); got != c.want {
			t.Errorf("%s is of %s, want %s", name, got, c.want)
		}
	}
	if !b.waives(monitor.Finding{Monitor: "MON-06", Case: "AA-01"}) || b.waives(monitor.Finding{Monitor: "MON-06", Case: "BB-01"}) {
		t.Error("what a case waives is not its own")
	}
}

// A runner says the same to every case: what is of this one decides it, the rest is told as late.
func TestFindingsAreTakenApart(t *testing.T) {
	s, err := NewStage(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	garbage := func() *trace.Event {
		return &trace.Event{Direction: trace.FromRunner, Socket: 1, Garbage: []byte{1}, Note: "bad"}
	}
	first, second := &casefile.Case{Id: "AA-01"}, &casefile.Case{Id: "BB-01"}
	s.recorder.Add(garbage()) // at the runner's start
	s.beginCase(first)
	if own := s.findingsOf(first); len(own) != 1 || own[0].Case != "AA-01" {
		t.Errorf("the first case has %v", own)
	}
	s.recorder.Add(garbage()) // between the cases
	s.beginCase(second)
	if own := s.findingsOf(second); len(own) != 0 {
		t.Errorf("the second case has %v", own)
	}
	if late := s.Late(); len(late) != 1 || late[0].Case != "AA-01" || late[0].Seq != 2 {
		t.Errorf("late are %v", late)
	}
	for range 2 * maxFindings {
		s.recorder.Add(garbage())
	}
	if late := s.Late(); len(late) != maxFindings {
		t.Errorf("%d findings are kept", len(late))
	}
}

func TestWhatIsWaitedForHasAName(t *testing.T) {
	env := pattern.NewEnv()
	env.Set("a", uint64(7))
	r := &run{env: env}
	for want, fields := range map[string]map[string]any{
		"actor 7, id 3":                     {"actor": "$a", "id": float64(3), "output": map[string]any{}},
		"with code runner.draining":         {"code": "runner.draining", "message": "$unbound"},
		"with reconnect same, retryAfter 5": {"retryAfter": float64(5), "reconnect": "same"},
		"":                                  {"code": map[string]any{"any": true}},
	} {
		if got := r.who(fields); got != want {
			t.Errorf("%v is %q, want %q", fields, got, want)
		}
	}
}

// A runner that has crashed is told so, though its socket ends before its process.
func TestACrashIsTold(t *testing.T) {
	for command, want := range map[string]string{
		"exit 3":        "its command ended with status 3",
		"kill -SEGV $$": "its command was ended by signal 11 (segmentation fault)",
		"./no-such":     "its command ended with status 127: the shell finds no such command",
	} {
		s, err := NewStage(Options{Command: command})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Hello(t.Context())
		if !errors.Is(err, ErrNoRunner) || err.Error() != "the runner did not start: "+want {
			t.Errorf("%s: %v", command, err)
		}
		s.Close()
	}
}
