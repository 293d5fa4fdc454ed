package monitor

import (
	"os"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

type f = runnerv1alpha1.Frame

// film is a trace that a test writes, and what the monitors say of it.
type film struct {
	t     *testing.T
	m     *Monitor
	seq   uint64
	found []string
}

// newFilm begins with a handshake and actor 5, which is ready.
func newFilm(t *testing.T) *film {
	t.Helper()
	s := &film{t: t, m: New()}
	s.event(&trace.Event{Socket: 1, Happening: trace.Opened})
	s.from(hello("counter"))
	s.to(welcome())
	s.to(start(5))
	s.from(&f{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: 5}}})
	return s
}

func (s *film) event(e *trace.Event) {
	s.t.Helper()
	s.seq++
	e.Seq = s.seq
	for _, finding := range s.m.Observe(e) {
		s.found = append(s.found, finding.Monitor)
	}
}

func (s *film) frame(d trace.Direction, frames []*f) {
	s.t.Helper()
	for _, one := range frames {
		b, err := proto.Marshal(one)
		if err != nil {
			s.t.Fatal(err)
		}
		s.event(&trace.Event{Socket: 1, Direction: d, Frame: b})
	}
}

func (s *film) from(frames ...*f) { s.t.Helper(); s.frame(trace.FromRunner, frames) }
func (s *film) to(frames ...*f)   { s.t.Helper(); s.frame(trace.ToRunner, frames) }

func hello(types ...string) *f {
	m := &runnerv1alpha1.Hello{ProtocolMin: 1, ProtocolMax: 1, Instance: "i"}
	for _, name := range types {
		m.Types = append(m.Types, &runnerv1alpha1.ActorType{Name: name})
	}
	return &f{Kind: &runnerv1alpha1.Frame_Hello{Hello: m}}
}

func welcome() *f {
	return &f{Kind: &runnerv1alpha1.Frame_Welcome{Welcome: &runnerv1alpha1.Welcome{
		Session: []byte("s"), Features: []string{"events", "kv", "credit", "resume"},
		Limits: &runnerv1alpha1.Limits{MaxMessage: 1 << 20, MaxOutput: 10, MaxGroupOutputs: 3, MaxReadsPerActor: 2, EventWindow: 200, LinkWindow: 1000},
	}}}
}

func start(ref uint64) *f {
	return &f{Kind: &runnerv1alpha1.Frame_StartActor{StartActor: &runnerv1alpha1.StartActor{Actor: ref}}}
}

func aCall(id uint64) *f {
	return &f{Kind: &runnerv1alpha1.Frame_Call{Call: &runnerv1alpha1.Call{Actor: 5, Id: id}}}
}

func result(id uint64, change ...func(*runnerv1alpha1.CallResult)) *f {
	m := &runnerv1alpha1.CallResult{Actor: 5, Id: id}
	for _, c := range change {
		c(m)
	}
	return &f{Kind: &runnerv1alpha1.Frame_CallResult{CallResult: m}}
}

func failure(group, code string, ran commonv1alpha1.Ran) *f {
	return result(1, func(m *runnerv1alpha1.CallResult) {
		m.Error = &commonv1alpha1.Error{Group: group, Code: code, Ran: ran}
	})
}

func commit(version uint64, outputs uint32, state ...byte) *f {
	c := &runnerv1alpha1.Changes{}
	if len(state) > 0 {
		c.State = state
	}
	b, _ := proto.Marshal(c)
	return &f{Kind: &runnerv1alpha1.Frame_Commit{Commit: &runnerv1alpha1.Commit{Actor: 5, Version: version, Changes: b, Outputs: outputs}}}
}

func committed(version uint64) *f {
	return &f{Kind: &runnerv1alpha1.Frame_CommitResult{CommitResult: &runnerv1alpha1.CommitResult{Actor: 5, Version: version}}}
}

func emit(args ...byte) *f {
	return &f{Kind: &runnerv1alpha1.Frame_Emit{Emit: &runnerv1alpha1.Emit{Actor: 5, Event: "e", Args: args}}}
}

func stopped(outcome runnerv1alpha1.StopOutcome) *f {
	return &f{Kind: &runnerv1alpha1.Frame_ActorStopped{ActorStopped: &runnerv1alpha1.ActorStopped{Actor: 5, Outcome: outcome}}}
}

func read(id uint64) *f {
	return &f{Kind: &runnerv1alpha1.Frame_KvRead{KvRead: &runnerv1alpha1.KvRead{Actor: 5, Id: id}}}
}

func part(n int, last bool) *f {
	return &f{Kind: &runnerv1alpha1.Frame_Part{Part: &runnerv1alpha1.Part{Actor: 5, Data: make([]byte, n), Last: last}}}
}

func goodbye(code string) *f {
	return &f{Kind: &runnerv1alpha1.Frame_Goodbye{Goodbye: &commonv1alpha1.Goodbye{Code: code}}}
}

func TestALegalLifeIsNotHeldAgainstAnybody(t *testing.T) {
	s := newFilm(t)
	s.to(aCall(1), aCall(2))
	s.from(commit(1, 1, 0x05), result(1))
	s.to(committed(1))
	s.from(commit(2, 0), read(1), read(2), emit(0x80))
	s.to(committed(2), &f{Kind: &runnerv1alpha1.Frame_KvResult{KvResult: &runnerv1alpha1.KvResult{Actor: 5, Id: 1}}})
	s.from(read(1), part(100, false), part(1, true), failure2(), stopped(runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT))
	s.to(&f{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: 8}}}, &f{Kind: &runnerv1alpha1.Frame_Fence{Fence: &runnerv1alpha1.Fence{Nonce: 9}}})
	s.from(&f{Kind: &runnerv1alpha1.Frame_Pong{Pong: &runnerv1alpha1.Pong{Nonce: 8}}},
		&f{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: 9}}}, goodbye("runner.draining"))
	if len(s.found) > 0 {
		t.Errorf("found %v", s.found)
	}
}

func failure2() *f {
	return result(2, func(m *runnerv1alpha1.CallResult) {
		m.Error = &commonv1alpha1.Error{Group: "user", Code: "x", Ran: commonv1alpha1.Ran_RAN_YES}
	})
}

func TestEachRuleIsBrokenOnce(t *testing.T) {
	const yes = commonv1alpha1.Ran_RAN_YES
	slept := stopped(runnerv1alpha1.StopOutcome_STOP_OUTCOME_SLEPT)
	for name, c := range map[string]struct {
		want string
		play func(s *film)
	}{
		"a second Hello":        {"MON-02", func(s *film) { s.from(hello()) }},
		"a second answer":       {"MON-03", func(s *film) { s.to(aCall(1)); s.from(result(1), result(1)) }},
		"an answer to nothing":  {"MON-04", func(s *film) { s.from(result(1)) }},
		"nothing after the end": {"MON-06", func(s *film) { s.from(slept, emit(0x80)) }},
		"a stranger": {"MON-07", func(s *film) {
			s.from(&f{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: 6}}})
		}},
		"a version too far":   {"MON-08", func(s *film) { s.from(commit(2, 0)) }},
		"two commits":         {"MON-08", func(s *film) { s.from(commit(1, 0), commit(2, 0)) }},
		"a large group":       {"MON-09", func(s *film) { s.from(commit(1, 4)) }},
		"an incomplete group": {"MON-09", func(s *film) { s.from(commit(1, 1)); s.to(committed(1)); s.from(commit(2, 0)) }},
		"ready twice": {"MON-10", func(s *film) {
			s.from(&f{Kind: &runnerv1alpha1.Frame_ActorReady{ActorReady: &runnerv1alpha1.ActorReady{Actor: 5}}})
		}},
		"a long link frame": {"MON-11", func(s *film) {
			g := goodbye("internal.error")
			g.GetGoodbye().Message = string(make([]byte, 5000))
			s.from(g)
		}},
		"a long part":           {"MON-12", func(s *film) { s.from(part(65537, true)) }},
		"a frame between parts": {"MON-12", func(s *film) { s.from(part(1, false), read(1)) }},
		"too much acknowledged": {"MON-13", func(s *film) { s.from(&f{Kind: &runnerv1alpha1.Frame_Ack{Ack: &runnerv1alpha1.Ack{Received: 2}}}) }},
		"a read twice":          {"MON-14", func(s *film) { s.from(read(1), read(1)) }},
		"too many reads":        {"MON-14", func(s *film) { s.from(read(1), read(2), read(3)) }},
		"beyond the credit":     {"MON-15", func(s *film) { s.from(emit(0x80), emit(0x80), emit(0x80), emit(0x80)) }},
		"an unknown code":       {"MON-16", func(s *film) { s.to(aCall(1)); s.from(failure("made", "up", yes)) }},
		"a code of the gateway": {"MON-16", func(s *film) { s.to(aCall(1)); s.from(failure("store", "unavailable", yes)) }},
		"a Goodbye of no code":  {"MON-16", func(s *film) { s.from(goodbye("bye")) }},
		"an error without ran":  {"MON-17", func(s *film) { s.to(aCall(1)); s.from(failure("user", "x", 0)) }},
		"a long output": {"MON-18", func(s *film) {
			s.to(aCall(1))
			s.from(result(1, func(m *runnerv1alpha1.CallResult) { m.Output = append([]byte{0x4a}, make([]byte, 10)...) }))
		}},
		"a long unreliable event": {"MON-18", func(s *film) {
			m := emit(append([]byte{0x81, 0x59, 0x03, 0xe4}, make([]byte, 996)...)...)
			m.GetEmit().Unreliable = true
			s.from(m)
		}},
		"a feature too many": {"MON-19", func(s *film) { s.from(&f{Kind: &runnerv1alpha1.Frame_Hosted{Hosted: &runnerv1alpha1.Hosted{}}}) }},
		"a Pong to nothing":  {"MON-20", func(s *film) { s.from(&f{Kind: &runnerv1alpha1.Frame_Pong{Pong: &runnerv1alpha1.Pong{Nonce: 1}}}) }},
		"a fence that was not asked": {"MON-21", func(s *film) {
			s.from(&f{Kind: &runnerv1alpha1.Frame_FenceReached{FenceReached: &runnerv1alpha1.FenceReached{Nonce: 1}}})
		}},
		"wordy state":                {"MON-22", func(s *film) { s.from(commit(1, 0, 0x18, 0x05)) }},
		"an event without array":     {"MON-22", func(s *film) { s.from(emit(0x05)) }},
		"a frame of the gateway":     {"MON-23", func(s *film) { s.from(aCall(1)) }},
		"no kind":                    {"MON-23", func(s *film) { s.from(&f{}) }},
		"bytes that are no frame":    {"MON-23", func(s *film) { s.event(&trace.Event{Socket: 1, Direction: trace.FromRunner, Garbage: []byte{1}}) }},
		"an end with an open commit": {"MON-26", func(s *film) { s.from(commit(1, 0), slept) }},
		"words behind Goodbye":       {"MON-28", func(s *film) { s.from(goodbye("internal.error"), read(1)) }},
		"a refusal that was not read": {"MON-06", func(s *film) {
			s.from(commit(1, 0))
			refusal := committed(1)
			refusal.GetCommitResult().Error = &commonv1alpha1.Error{Group: "actor", Code: "fenced"}
			s.to(refusal)
			s.from(commit(2, 0))
		}},
		"output of a one-way call": {"MON-27", func(s *film) {
			one := aCall(1)
			one.GetCall().Oneway = true
			s.to(one)
			s.from(result(1, func(m *runnerv1alpha1.CallResult) { m.Output = []byte{1} }))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFilm(t)
			c.play(s)
			if !slices.Contains(s.found, c.want) || len(s.found) > 2 {
				t.Errorf("found %v, want %s", s.found, c.want)
			}
		})
	}
}

func TestTheHandshakeIsWatched(t *testing.T) {
	for name, c := range map[string]struct {
		want string
		play func(s *film)
	}{
		"before Hello":   {"MON-01", func(s *film) { s.from(read(1)) }},
		"before Welcome": {"MON-01", func(s *film) { s.from(hello(), read(1)) }},
		"a type twice":   {"MON-25", func(s *film) { s.from(hello("a", "a")) }},
		"a bad name":     {"MON-25", func(s *film) { s.from(hello("..")) }},
		"ready too late": {"MON-05", func(s *film) { s.from(hello()); s.to(welcome(), start(5), aCall(1)); s.from(result(1)) }},
		"a wrong resume": {"MON-24", func(s *film) {
			s.from(hello())
			again := welcome()
			again.GetWelcome().ResumedReceived = proto.Uint64(4)
			s.to(again)
			s.from(&f{Kind: &runnerv1alpha1.Frame_Resumed{Resumed: &runnerv1alpha1.Resumed{Next: 4}}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &film{t: t, m: New()}
			s.event(&trace.Event{Socket: 1, Happening: trace.Opened})
			c.play(s)
			if !slices.Equal(s.found, []string{c.want}) {
				t.Errorf("found %v, want %s", s.found, c.want)
			}
		})
	}
}

func TestWhatWasBeforeTheTraceIsNotJudged(t *testing.T) {
	s := &film{t: t, m: New()}
	again := welcome()
	again.GetWelcome().ResumedReceived = proto.Uint64(4)
	s.to(again)
	s.from(&f{Kind: &runnerv1alpha1.Frame_Resumed{Resumed: &runnerv1alpha1.Resumed{Next: 5}}}, result(77), read(1))
	if len(s.found) > 0 {
		t.Errorf("found %v", s.found)
	}
}

func TestTheCodesAreThoseOfTheSpec(t *testing.T) {
	spec, err := os.ReadFile("../../spec/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	if codesOf(string(spec)) != codesText {
		t.Error("codes.txt is not what spec/errors.md says; write the rows `group.code from` of its tables")
	}
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.ID] || r.Title == "" || len(r.Requirements) == 0 {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
	}
}
