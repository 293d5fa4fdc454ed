package runner

import (
	"log/slog"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/internal/crew"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// session is what one Welcome has begun: the actors that the gateway gives this runner, until the session is lost and its
// refs with it. Where both sides can resume it outlives its sockets [LINK-16].
type session struct {
	link    *link
	log     *slog.Logger
	defs    map[string]*definition
	crew    *crew.Crew[*instance]
	arena   arena           // of calls that wait; owned by the reader
	workers *sync.WaitGroup // goroutines that run user code, of all sessions

	// From Welcome; never written again.
	id          []byte
	features    []string
	resume      bool
	adopt       bool
	credit      bool
	limits      wire.Limits
	eventWindow uint64 // what an actor's credit for events begins with
	maxCost     uint64 // of the events of a group
	faults      faults
	sleepAfter  time.Duration
	stopGrace   time.Duration
	pingEvery   time.Duration
	lostAfter   time.Duration
	resumeFor   time.Duration
	lease       *lease

	purse purse

	parts map[uint64]*wire.Assembler // the reader's

	mu         sync.Mutex
	actors     map[uint64]*instance
	offers     map[uint64]*instance // not yet answered, by what they are called in Hosted
	principals map[uint64]*Principal
	emptied    chan struct{} // holds one: the last actor has gone
}

// Defaults for what a Welcome does not say.
const (
	defaultSleepAfter = 30 * time.Second
	defaultStopGrace  = 15 * time.Second
	defaultPing       = 3 * time.Second
	defaultLost       = 15 * time.Second
	defaultResume     = 5 * time.Second
)

// newSession takes over what Welcome says; zero leaves a default. helloAt is when its Hello was sent.
func newSession(h *hosting, m *runnerv1alpha1.Welcome, helloAt instant) *session {
	s := &session{
		log: h.runner.log, defs: h.runner.defs, crew: h.crew, workers: &h.workers,
		id: m.Session, features: wire.NegotiateFeatures(wire.RunnerFeatures(), m.Features), limits: runnerLimits(m.Limits),
		sleepAfter: milliseconds(m.TimeoutsMs["sleep_after"], defaultSleepAfter),
		stopGrace:  milliseconds(m.TimeoutsMs["stop"], defaultStopGrace),
		pingEvery:  milliseconds(m.PingMs, defaultPing),
		lostAfter:  milliseconds(m.LostMs, defaultLost),
		resumeFor:  milliseconds(m.ResumeMs, defaultResume),
		lease:      newLease(m.LeaseMs, m.MarginMs, helloAt),
		parts:      map[uint64]*wire.Assembler{}, actors: map[uint64]*instance{}, offers: map[uint64]*instance{},
		principals: map[uint64]*Principal{}, emptied: make(chan struct{}, 1),
	}
	for _, f := range s.features {
		switch f {
		case wire.FeatureResume:
			s.resume = true
		case wire.FeatureAdopt:
			s.adopt = true
		case wire.FeatureCredit:
			s.credit = true
		}
	}
	if s.credit {
		s.windows(m.Limits.GetEventWindow(), m.Limits.GetLinkWindow())
	}
	s.faults = faults{development: m.Development, maxMetadata: s.limits.MaxErrorMetadata}
	s.link = &link{lease: s.lease, resume: s.resume}
	if s.resume {
		s.link.state.Resume(s.limits.MaxUnacked)
	}
	return s
}

// windows takes the first offsets of credit. A group may use up half of either, since the gateway raises an offset when half
// of its window has left at the latest; so an event that would cost more is too large [GATE-4] [LINK-18].
func (s *session) windows(actor, link uint64) {
	s.eventWindow = actor
	s.purse.allowance.Raise(link)
	s.maxCost = min(actor, link) / 2
	overhead := (&wire.Emit{Event: make([]byte, maxName)}).Cost()
	s.limits.MaxEvent = int(min(uint64(s.limits.MaxEvent), s.maxCost-min(s.maxCost, overhead)))
}

func (s *session) push(m wire.Message) { s.link.push(&s.link.base, m) }

// lose ends the session. Its actors are dropped without hooks, but for those that may be adopted [LINK-11] [LINK-17].
func (s *session) lose() (adrift []*instance) {
	s.link.kill()
	for _, in := range s.all() {
		if in.loseSession(s.adopt) {
			adrift = append(adrift, in)
		}
	}
	return adrift
}

// all are the actors of the session, also those that were offered and not adopted yet.
func (s *session) all() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*instance, 0, len(s.actors)+len(s.offers))
	for _, in := range s.actors {
		all = append(all, in)
	}
	for _, in := range s.offers {
		all = append(all, in)
	}
	return all
}

// revive lets the actors and the writer go on that found no lease.
func (s *session) revive() {
	for _, in := range s.all() {
		in.mu.Lock()
		in.wakeWorker()
		in.mu.Unlock()
	}
	s.link.nudge()
}

func (s *session) add(in *instance) {
	s.mu.Lock()
	s.actors[in.ref] = in
	s.mu.Unlock()
}

func (s *session) forget(in *instance) {
	s.mu.Lock()
	if s.actors[in.ref] == in {
		delete(s.actors, in.ref)
	}
	left := len(s.actors)
	s.mu.Unlock()
	if left == 0 {
		select {
		case s.emptied <- struct{}{}:
		default:
		}
	}
}

func (s *session) actor(ref uint64) *instance {
	s.mu.Lock()
	in := s.actors[ref]
	s.mu.Unlock()
	return in
}

func (s *session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.actors)
}
