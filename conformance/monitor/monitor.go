// Package monitor looks at everything that is said on a runner's sockets, whatever the case is about, and tells what breaks a
// rule that holds always: one answer per call, versions that grow by one, nothing of an actor that was stopped, and so on.
//
// A Monitor takes the events of a trace one by one, during a run or from a file later. It keeps what it must know of each
// session and no more; it belongs to one goroutine. What it does not know, because a trace begins in the middle, it does not
// judge.
package monitor

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

// Finding is a breach.
type Finding struct {
	Monitor string // MON-nn
	Text    string
	Case    string
	Seq     uint64 // of the event
	Socket  uint32
}

func (f Finding) String() string { return fmt.Sprintf("%s at event %d: %s", f.Monitor, f.Seq, f.Text) }

// Rule says what a monitor looks for.
type Rule struct {
	ID           string
	Title        string
	Requirements []string
}

// Rules are all monitors.
func Rules() []Rule {
	return []Rule{
		{"MON-01", "Hello comes first, and nothing else before Welcome", []string{"LINK-1"}},
		{"MON-02", "a socket has one Hello", []string{"LINK-1"}},
		{"MON-03", "a call has one answer", []string{"CALL-1", "LINK-9"}},
		{"MON-04", "an answer is to a call that was sent", []string{"LINK-9"}},
		{"MON-05", "no call succeeds before ActorReady", []string{"LIFE-2"}},
		{"MON-06", "nothing comes of an actor after its ActorStopped", []string{"LIFE-9"}},
		{"MON-07", "nothing comes of an actor that was never given to the runner", []string{"LINK-9"}},
		{"MON-08", "a commit has the next version, and one at a time is unanswered", []string{"COMMIT-1"}},
		{"MON-09", "a group is whole before the next commit, and within its bounds", []string{"GATE-2", "GATE-4"}},
		{"MON-10", "an actor has one ActorReady and one ActorStopped", []string{"LIFE-3"}},
		{"MON-11", "link frames have at most 4 KiB", []string{"LINK-2"}},
		{"MON-12", "frames over 64 KiB come as parts, and nothing of that actor between them", []string{"LINK-3"}},
		{"MON-13", "nothing is acknowledged that was not sent", []string{"LINK-14", "LINK-17"}},
		{"MON-14", "reads under way have different ids, and are not too many", []string{"KV-3"}},
		{"MON-15", "events keep within the credit", []string{"LINK-18"}},
		{"MON-16", "error codes are in the registry, and a runner may send them", []string{"ERR-1", "ERR-2"}},
		{"MON-17", "errors of requests say whether user code ran", []string{"ERR-4"}},
		{"MON-18", "what is sent keeps within the limits of Welcome", []string{"LIMIT-7", "CALL-10"}},
		{"MON-19", "kinds of features that were not agreed on are not sent", []string{"FRAME-4", "LINK-4"}},
		{"MON-20", "a Pong answers a Ping, in order", []string{"LINK-8"}},
		{"MON-21", "a FenceReached answers a Fence, once", []string{"LINK-8"}},
		{"MON-22", "payloads are CBOR, state is deterministic, arguments of events are arrays", []string{"PAY-1", "PAY-2", "PAY-4"}},
		{"MON-23", "every byte is a frame that a runner may send", []string{"FRAME-2", "FRAME-3"}},
		{"MON-24", "a socket that resumes goes on with the number that is due", []string{"LINK-16", "LINK-17"}},
		{"MON-25", "Hello names each type once, with a valid name", []string{"LINK-13"}},
		{"MON-26", "an actor that ends well has no commit unanswered", []string{"SLEEP-3"}},
		{"MON-28", "Goodbye is the last frame of its socket", []string{"FRAME-6"}},
		{"MON-27", "a one-way call is answered without output", []string{"CALL-1"}},
	}
}

// Monitor is of one runner.
type Monitor struct {
	sockets  map[uint32]*socket
	sessions map[string]*session
	event    *trace.Event // under way
	found    []Finding
}

// New has seen nothing.
func New() *Monitor { return &Monitor{sockets: map[uint32]*socket{}, sessions: map[string]*session{}} }

type socket struct {
	opened   bool // its beginning was seen
	hello    bool
	welcomed bool
	session  *session // nil: before Welcome
	resumed  bool     // by Welcome; the runner's Resumed is due
	due      uint64
	partOf   map[uint64]bool // of which actors parts have begun
	gone     bool            // the runner has said Goodbye
}

type fence struct{ nonce, actor uint64 }

type session struct {
	features map[string]bool
	limits   *runnerv1alpha1.Limits
	sent     uint64 // counted frames to the runner
	known    bool   // from its beginning
	actors   map[uint64]*actor
	calls    map[uint64]*call
	pings    []uint64 // unanswered
	fences   map[fence]bool
	spent    uint64
	credit   uint64
	said     map[string]bool // error codes that the gateway used, which a runner passes on
}

type actor struct {
	ready, stopped bool
	adopted        bool
	version        uint64 // acknowledged
	unanswered     bool   // a commit
	refused        bool   // a commit: nothing more is to come
	groupLeft      uint32
	reads          map[uint64]bool
	spent, credit  uint64
}

type call struct {
	actor    uint64
	oneway   bool
	open     bool // a ConnectionOpen
	answered bool
}

// Observe takes the next event.
func (m *Monitor) Observe(e *trace.Event) []Finding {
	m.event, m.found = e, nil
	s := m.sockets[e.Socket]
	if s == nil {
		s = &socket{partOf: map[uint64]bool{}}
		m.sockets[e.Socket] = s
	}
	switch {
	case e.Happening == trace.Opened:
		s.opened = true
	case e.Direction == trace.FromRunner && e.Garbage != nil:
		m.fault("MON-23", "%s: %x", e.Note, e.Garbage[:min(len(e.Garbage), 32)])
	case e.Frame == nil:
	case e.Direction == trace.FromRunner:
		m.fromRunner(s, e)
	case e.Direction == trace.ToRunner:
		m.toRunner(s, e)
	}
	return m.found
}

func (m *Monitor) fault(id, format string, args ...any) {
	m.found = append(m.found, Finding{id, fmt.Sprintf(format, args...), m.event.CaseId, m.event.Seq, m.event.Socket})
}

func decode(b []byte) (frame.Kind, *runnerv1alpha1.Frame, error) {
	f := &runnerv1alpha1.Frame{}
	kind, err := frame.KindOf(b)
	if err == nil {
		err = proto.Unmarshal(b, f)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("decode a frame: %w", err)
	}
	return kind, f, nil
}

// toRunner notes what the runner was told.
func (m *Monitor) toRunner(s *socket, e *trace.Event) {
	kind, f, err := decode(e.Frame)
	if err != nil {
		return
	}
	if w := f.GetWelcome(); w != nil && !s.welcomed {
		m.welcome(s, w)
		return
	}
	if s.session == nil {
		return
	}
	if kind.Counted() && !e.Assembled {
		s.session.sent++
	}
	s.session.told(f)
}

func (m *Monitor) welcome(s *socket, w *runnerv1alpha1.Welcome) {
	s.welcomed = true
	old := m.sessions[string(w.Session)]
	if w.ResumedReceived != nil {
		s.resumed, s.due = true, *w.ResumedReceived+1
		if s.session = old; old == nil { // a trace that begins in the middle
			s.session = newSession(w, false)
		}
	} else {
		s.session = newSession(w, true)
	}
	m.sessions[string(w.Session)] = s.session
}

func newSession(w *runnerv1alpha1.Welcome, known bool) *session {
	s := &session{
		features: map[string]bool{}, limits: w.Limits, known: known, actors: map[uint64]*actor{}, calls: map[uint64]*call{},
		fences: map[fence]bool{}, said: map[string]bool{}, credit: w.Limits.GetLinkWindow(),
	}
	for _, f := range w.Features {
		s.features[f] = true
	}
	return s
}

// told notes a frame to the runner; one that is sent again after a resume changes nothing.
func (s *session) told(f *runnerv1alpha1.Frame) {
	switch k := f.Kind.(type) {
	case *runnerv1alpha1.Frame_Resumed:
		s.sent = k.Resumed.Next - 1
	case *runnerv1alpha1.Frame_Ping:
		s.pings = append(s.pings, k.Ping.Nonce)
	case *runnerv1alpha1.Frame_Fence:
		s.fences[fence{k.Fence.Nonce, k.Fence.Actor}] = true
	case *runnerv1alpha1.Frame_StartActor:
		if s.actors[k.StartActor.Actor] == nil {
			s.actors[k.StartActor.Actor] = &actor{version: k.StartActor.Version, reads: map[uint64]bool{}, credit: s.limits.GetEventWindow()}
		}
	case *runnerv1alpha1.Frame_Adopted:
		if k.Adopted.Error == nil && s.actors[k.Adopted.Actor] == nil {
			s.actors[k.Adopted.Actor] = &actor{
				ready: true, adopted: true, version: k.Adopted.Version, reads: map[uint64]bool{}, credit: s.limits.GetEventWindow(),
			}
		}
	case *runnerv1alpha1.Frame_Call:
		if s.calls[k.Call.Id] == nil {
			s.calls[k.Call.Id] = &call{actor: k.Call.Actor, oneway: k.Call.Oneway}
		}
	case *runnerv1alpha1.Frame_ConnectionOpen:
		if id := k.ConnectionOpen.Call; !k.ConnectionOpen.Restored && s.calls[id] == nil {
			s.calls[id] = &call{actor: k.ConnectionOpen.Actor, open: true}
		}
	case *runnerv1alpha1.Frame_CommitResult:
		if e := k.CommitResult.Error; e != nil {
			s.said[e.Group+"."+e.Code] = true
		}
		if a := s.actors[k.CommitResult.Actor]; a != nil && a.unanswered {
			a.unanswered, a.refused = false, k.CommitResult.Error != nil
			a.version = k.CommitResult.Version
		}
	case *runnerv1alpha1.Frame_KvResult:
		if e := k.KvResult.Error; e != nil {
			s.said[e.Group+"."+e.Code] = true
		}
		if a := s.actors[k.KvResult.Actor]; a != nil {
			delete(a.reads, k.KvResult.Id)
		}
	case *runnerv1alpha1.Frame_Credit:
		s.raise(k.Credit)
	}
}

func (s *session) raise(c *runnerv1alpha1.Credit) {
	if c.Actor == 0 {
		s.credit = max(s.credit, c.Offset)
	} else if a := s.actors[c.Actor]; a != nil {
		a.credit = max(a.credit, c.Offset)
	}
}

// ran is unspecified where an error does not say.
const ranUnsaid = commonv1alpha1.Ran_RAN_UNSPECIFIED
