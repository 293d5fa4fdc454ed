package link

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Links are the sessions of a gateway's runners, those that wait for a socket among them. The zero value is empty. Safe for
// concurrent use.
type Links struct {
	mu     sync.Mutex
	named  map[string]*Link // by the session that Welcome named
	closed bool
	ends   sync.WaitGroup // sessions that have not ended
}

// enter counts a session that is about to begin; leave ends it. false: the gateway is closing.
func (s *Links) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.ends.Add(1)
	}
	return !s.closed
}

// name makes a session known. false: the gateway is closing.
func (s *Links) name(l *Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil {
		s.named = map[string]*Link{}
	}
	s.named[string(l.welcome.GetSession())] = l
	return !s.closed
}

// find is the session of that name, if it can be resumed.
func (s *Links) find(session []byte) *Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.named[string(session)]; l != nil && l.resume {
		return l
	}
	return nil
}

// leave ends what enter began; l is nil if it never had a name.
func (s *Links) leave(l *Link) {
	if l != nil {
		s.mu.Lock()
		delete(s.named, string(l.welcome.GetSession()))
		s.mu.Unlock()
	}
	s.ends.Done()
}

// Close ends all sessions and takes no more. It does not wait.
func (s *Links) Close(e *wire.Error, reconnect commonv1alpha1.Reconnect) {
	s.mu.Lock()
	s.closed = true
	links := slices.Collect(maps.Values(s.named))
	s.mu.Unlock()
	for _, l := range links {
		l.Close(e, reconnect)
	}
}

// Relieve implements budget.Holder: sessions without socket are lost, those that hold most first [LIMIT-4].
func (s *Links) Relieve(_ budget.Level, excess int) (freed int) {
	s.mu.Lock()
	links := slices.Collect(maps.Values(s.named))
	s.mu.Unlock()
	held := map[*Link]int{}
	for _, l := range links {
		held[l] = l.absentWeight()
	}
	slices.SortFunc(links, func(a, b *Link) int { return cmp.Compare(held[b], held[a]) })
	for _, l := range links {
		if freed >= excess || held[l] == 0 {
			break
		}
		freed += l.giveUp()
	}
	return freed
}

// Wait returns when every session has ended, after Close.
func (s *Links) Wait() { s.ends.Wait() }
