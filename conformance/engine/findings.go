package engine

import (
	"cmp"

	"github.com/stagedoor-dev/stagedoor/conformance/casefile"
	"github.com/stagedoor-dev/stagedoor/conformance/monitor"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
)

// maxFindings bounds what is kept of a runner that does wrong without end.
const maxFindings = 1000

func (s *Stage) observe(e *trace.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blame.saw(e)
	for _, f := range s.monitor.Observe(e) {
		if f.Case = s.blame.of(e); len(s.findings) < maxFindings {
			s.findings = append(s.findings, f)
		}
	}
}

// beginCase is told before anything of the case is done, and says whether it is the last one again. What was found before the first
// one, at the runner's start, is its own.
func (s *Stage) beginCase(test *casefile.Case) (again bool) {
	from := s.gateway.NextRef()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.findings {
		s.findings[i].Case = cmp.Or(s.findings[i].Case, test.Id)
	}
	return s.blame.begin(test, from)
}

// share says that the link is that case's from now on.
func (s *Stage) share(test *casefile.Case) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blame.share(s.socket, test.Id)
}

// findingsOf is what the monitors found of that case since it began. What they found of others is kept for Late.
func (s *Stage) findingsOf(test *casefile.Case) []monitor.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own []monitor.Finding
	for _, f := range s.findings {
		switch {
		case s.blame.waives(f):
		case f.Case == test.Id:
			own = append(own, f)
		case len(s.late) < maxFindings:
			s.late = append(s.late, f)
		}
	}
	s.findings = nil
	return own
}

// Late is what the monitors found, since the last call, of cases that were over: their runner said something behind their end.
// Behind Close it is all that is left. The events are in the trace, at their Seq.
func (s *Stage) Late() []monitor.Finding {
	s.findingsOf(&casefile.Case{})
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	return late
}
