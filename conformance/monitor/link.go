package monitor

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

// fromRunner judges a frame of the runner.
func (m *Monitor) fromRunner(s *socket, e *trace.Event) {
	kind, f, err := decode(e.Frame)
	if err != nil {
		m.fault("MON-23", "%v", err)
		return
	}
	if s.gone {
		m.fault("MON-28", "%s behind Goodbye", name(f, kind))
	}
	if bye := f.GetGoodbye(); bye != nil {
		s.gone = true
		m.named("Goodbye", bye.Code)
	}
	if h := f.GetHello(); h != nil {
		if s.hello {
			m.fault("MON-02", "a second Hello")
		}
		s.hello = true
		m.hello(h)
		return
	}
	if s.opened && !s.hello {
		m.fault("MON-01", "%s before Hello", name(f, kind))
	}
	if !s.welcomed {
		if s.opened && s.hello && f.GetGoodbye() == nil {
			m.fault("MON-01", "%s before Welcome", name(f, kind))
		}
		return
	}
	m.size(s, e, kind, f)
	m.feature(s.session, kind, f)
	if s.resumed {
		m.resumed(s, f, kind)
	}
	m.kind(s, f, kind)
}

// name of a frame's kind.
func name(f *runnerv1alpha1.Frame, kind frame.Kind) string {
	m := f.ProtoReflect()
	if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind")); field != nil {
		return field.JSONName()
	}
	return "kind " + strings.TrimSpace(string(rune('0'+kind/100))+string(rune('0'+kind/10%10))+string(rune('0'+kind%10)))
}

var typeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (m *Monitor) hello(h *runnerv1alpha1.Hello) {
	var seen []string
	for _, t := range h.Types {
		switch {
		case slices.Contains(seen, t.Name):
			m.fault("MON-25", "the type %q is named twice", t.Name)
		case !typeName.MatchString(t.Name) || strings.Trim(t.Name, ".") == "":
			m.fault("MON-25", "%q is no name of a type", t.Name)
		}
		seen = append(seen, t.Name)
	}
	if h.ProtocolMin == 0 || h.ProtocolMin > h.ProtocolMax {
		m.fault("MON-25", "protocol versions %d to %d", h.ProtocolMin, h.ProtocolMax)
	}
}

const maxLinkFrame = 4 << 10

// size looks at lengths and parts.
func (m *Monitor) size(s *socket, e *trace.Event, kind frame.Kind, f *runnerv1alpha1.Frame) {
	n := len(e.Frame)
	if kind.Link() && n > maxLinkFrame {
		m.fault("MON-11", "%s has %d bytes", name(f, kind), n)
	}
	if limit := s.session.limits.GetMaxMessage(); limit > 0 && n+frame.HeaderLen > int(limit) {
		m.fault("MON-18", "%s has %d bytes with its length, over max_message %d", name(f, kind), n+frame.HeaderLen, limit)
	}
	if e.Assembled {
		return
	}
	part := f.GetPart()
	ref := actorRef(f)
	switch {
	case part != nil && len(part.Data) > frame.PartSize:
		m.fault("MON-12", "a part holds %d bytes", len(part.Data))
	case part == nil && n > frame.PartSize:
		m.fault("MON-12", "%s of %d bytes comes whole", name(f, kind), n)
	case part == nil && !kind.Link() && s.partOf[ref]:
		m.fault("MON-12", "%s of actor %d comes between its parts", name(f, kind), ref)
	}
	if part != nil {
		s.partOf[part.Actor] = !part.Last
	}
}

// actorRef is the ref in a frame; 0: none.
func actorRef(f *runnerv1alpha1.Frame) uint64 {
	m := f.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return 0
	}
	inner := m.Get(field).Message()
	if ref := inner.Descriptor().Fields().ByName("actor"); ref != nil {
		return inner.Get(ref).Uint()
	}
	return 0
}

// featureOf is what has to be agreed on before a kind is sent.
func featureOf(f *runnerv1alpha1.Frame) string {
	switch f.Kind.(type) {
	case *runnerv1alpha1.Frame_Emit:
		return "events"
	case *runnerv1alpha1.Frame_KvRead:
		return "kv"
	case *runnerv1alpha1.Frame_ConnectionClose, *runnerv1alpha1.Frame_ConnectionState:
		return "connections"
	case *runnerv1alpha1.Frame_Hosted:
		return "adopt"
	case *runnerv1alpha1.Frame_Ack, *runnerv1alpha1.Frame_Resumed:
		return "resume"
	}
	return ""
}

func (m *Monitor) feature(s *session, kind frame.Kind, f *runnerv1alpha1.Frame) {
	if feature := featureOf(f); feature != "" && !s.features[feature] {
		m.fault("MON-19", "%s, but %s was not agreed on", name(f, kind), feature)
	}
}

// resumed looks at the first frame of a socket that resumes.
func (m *Monitor) resumed(s *socket, f *runnerv1alpha1.Frame, kind frame.Kind) {
	r := f.GetResumed()
	switch {
	case r == nil && f.GetGoodbye() != nil:
		return
	case r == nil:
		m.fault("MON-24", "%s comes before Resumed", name(f, kind))
	case r.Next != s.due:
		m.fault("MON-24", "goes on with frame %d, %d is due", r.Next, s.due)
	}
	s.resumed = false
}

// kind looks at what a frame says.
func (m *Monitor) kind(s *socket, f *runnerv1alpha1.Frame, kind frame.Kind) {
	switch k := f.Kind.(type) {
	case nil:
		if kind == 0 {
			m.fault("MON-23", "a frame that names no kind")
		}
		return
	case *runnerv1alpha1.Frame_Ack:
		if s.session.known && k.Ack.Received > s.session.sent {
			m.fault("MON-13", "%d frames are acknowledged, %d were sent", k.Ack.Received, s.session.sent)
		}
	case *runnerv1alpha1.Frame_Pong:
		m.pong(s.session, k.Pong.Nonce)
	case *runnerv1alpha1.Frame_FenceReached:
		reached := fence{k.FenceReached.Nonce, k.FenceReached.Actor}
		if !s.session.fences[reached] && s.session.known {
			m.fault("MON-21", "fence %d of actor %d was not asked for, or answered before", reached.nonce, reached.actor)
		}
		delete(s.session.fences, reached)
	case *runnerv1alpha1.Frame_Welcome, *runnerv1alpha1.Frame_Reject, *runnerv1alpha1.Frame_StartActor, *runnerv1alpha1.Frame_StopActor,
		*runnerv1alpha1.Frame_Call, *runnerv1alpha1.Frame_CommitResult, *runnerv1alpha1.Frame_KvResult, *runnerv1alpha1.Frame_CancelCall,
		*runnerv1alpha1.Frame_ConnectionOpen, *runnerv1alpha1.Frame_Principal, *runnerv1alpha1.Frame_Adopted, *runnerv1alpha1.Frame_Credit:
		m.fault("MON-23", "%s, which only a gateway sends", name(f, kind))
	case *runnerv1alpha1.Frame_Drain:
		m.named("Drain", k.Drain.Code)
	case *runnerv1alpha1.Frame_Ping, *runnerv1alpha1.Frame_Goodbye, *runnerv1alpha1.Frame_Fence,
		*runnerv1alpha1.Frame_Unsupported, *runnerv1alpha1.Frame_Part, *runnerv1alpha1.Frame_Hosted, *runnerv1alpha1.Frame_Resumed:
	default:
		m.ofActor(s.session, f, kind)
	}
}

// named looks at a code that stands in one text.
func (m *Monitor) named(what, name string) {
	group, code, _ := strings.Cut(name, ".")
	if why := refused(group, code); why != "" {
		m.fault("MON-16", "%s: %q %s", what, name, why)
	}
}

// pong answers the newest of the pings before it, and with it the older ones [LINK-8].
func (m *Monitor) pong(s *session, nonce uint64) {
	at := slices.Index(s.pings, nonce)
	if at < 0 {
		if s.known {
			m.fault("MON-20", "a Pong to %d, which is not the nonce of an unanswered Ping", nonce)
		}
		return
	}
	s.pings = s.pings[at+1:]
}

// changesOf decodes what a commit changes.
func changesOf(c *runnerv1alpha1.Commit) (*runnerv1alpha1.Changes, error) {
	changes := &runnerv1alpha1.Changes{}
	return changes, proto.Unmarshal(c.Changes, changes)
}
