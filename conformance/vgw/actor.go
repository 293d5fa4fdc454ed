package vgw

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Actor is one incarnation, by its ref: from StartActor or Adopted to ActorStopped. All its fields are guarded by its
// session's lock.
type Actor struct {
	session    atomic.Pointer[Session]
	ID         string
	ref        uint64
	generation uint64
	nonce      []byte
	version    uint64 // acknowledged

	holds   map[string]bool
	group   *group
	pending []answer
	spent   uint64
	offset  uint64
}

// group is a commit with the outputs that belong to it, and what is no output and waits for its end [GATE-2].
type group struct {
	commit *runnerv1alpha1.Commit
	left   uint32
	behind []answer
}

// answer is what the gateway owes: to a commit, a read or a fence [LINK-20].
type answer struct {
	commit *runnerv1alpha1.Commit
	read   *runnerv1alpha1.KvRead
	fence  *runnerv1alpha1.Fence
}

// Start puts an actor into the store, or takes one that is there, and gives it a ref in this session. What it returns for
// StartActor is not sent yet. hold names what is held for the actor from the beginning.
func (s *Session) Start(rec Record, hold ...string) (*Actor, *runnerv1alpha1.StartActor) {
	r := s.g.Store.acquire(rec)
	a := &Actor{ID: r.ID, ref: s.g.NextRef(), generation: r.Generation, nonce: r.Nonce, version: r.Version, holds: map[string]bool{}}
	for _, h := range hold {
		a.holds[h] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.enter(s)
	m := &runnerv1alpha1.StartActor{
		Actor: a.ref, Id: r.ID, Namespace: r.Namespace, Type: r.Type, Key: r.Key, Generation: r.Generation, Nonce: r.Nonce,
		Version: r.Version, Create: r.Version == 0, State: r.State, DeadlineMs: 30_000, Region: "local",
	}
	if r.Version == 0 {
		m.Input = r.Input
	}
	return a, m
}

func (a *Actor) enter(s *Session) {
	a.offset = s.welcome.Limits.GetEventWindow()
	a.session.Store(s)
	s.actors[a.ref] = a
}

// lock takes the lock of the session that has the actor.
func (a *Actor) lock() (unlock func()) {
	for {
		s := a.session.Load()
		s.mu.Lock()
		if a.session.Load() == s {
			return s.mu.Unlock
		}
		s.mu.Unlock()
	}
}

// Ref is what the actor is called in its session now.
func (a *Actor) Ref() uint64 {
	defer a.lock()()
	return a.ref
}

// Generation, and Nonce, are of the incarnation.
func (a *Actor) Generation() uint64 {
	defer a.lock()()
	return a.generation
}

// Nonce is of the incarnation.
func (a *Actor) Nonce() []byte {
	defer a.lock()()
	return a.nonce
}

// Hold keeps commits or reads of the actor unanswered.
func (a *Actor) Hold(what ...string) {
	defer a.lock()()
	for _, w := range what {
		a.holds[w] = true
	}
}

// Release answers what is held and, unless keep is set, goes on answering. With err that is the answer; with drop there is
// none.
func (a *Actor) Release(keep, drop bool, err *commonv1alpha1.Error, what ...string) error {
	defer a.lock()()
	if len(what) == 0 {
		what = []string{Commits, Reads}
	}
	if (keep || drop || err != nil) && len(a.pending) == 0 {
		return errors.New("release: nothing is held")
	}
	for n := len(a.pending); n > 0; n-- {
		next := a.pending[0]
		if name := next.name(); !slices.Contains(what, name) && a.holds[name] {
			break
		}
		a.pending = a.pending[1:]
		if !drop || next.fence != nil {
			a.answer(next, err)
		}
	}
	if !keep {
		for _, w := range what {
			delete(a.holds, w)
		}
	}
	a.pump()
	return nil
}

// name is under which an answer is held; a fence only waits for what is in front of it.
func (w answer) name() string {
	switch {
	case w.commit != nil:
		return Commits
	case w.read != nil:
		return Reads
	}
	return ""
}

// handle takes a frame of the actor.
func (a *Actor) handle(f *Frame) {
	switch m := f.Kind.(type) {
	case *runnerv1alpha1.Frame_Commit:
		a.group = &group{commit: m.Commit, left: m.Commit.Outputs}
		a.complete()
	case *runnerv1alpha1.Frame_CallResult, *runnerv1alpha1.Frame_ConnectionClose, *runnerv1alpha1.Frame_ConnectionState:
		a.output()
	case *runnerv1alpha1.Frame_Emit:
		a.emitted(uint64(64 + len(m.Emit.Event) + len(m.Emit.Args)))
		a.output()
	case *runnerv1alpha1.Frame_KvRead:
		a.owe(answer{read: m.KvRead})
	case *runnerv1alpha1.Frame_Fence:
		a.owe(answer{fence: m.Fence})
	case *runnerv1alpha1.Frame_ActorStopped:
		delete(a.session.Load().actors, a.ref)
		a.session.Load().drained()
	}
}

// owe answers behind what came before, and behind the group that is not whole yet.
func (a *Actor) owe(w answer) {
	if a.group != nil {
		a.group.behind = append(a.group.behind, w)
		return
	}
	a.pending = append(a.pending, w)
	a.pump()
}

func (a *Actor) output() {
	if a.group == nil {
		return
	}
	a.group.left--
	a.complete()
}

// complete gives a commit to the store when its group is there [GATE-2].
func (a *Actor) complete() {
	if a.group == nil || a.group.left > 0 {
		return
	}
	a.pending = append(append(a.pending, answer{commit: a.group.commit}), a.group.behind...)
	a.group = nil
	a.pump()
}

// pump answers in order until something is held.
func (a *Actor) pump() {
	for len(a.pending) > 0 {
		next := a.pending[0]
		if a.holds[next.name()] {
			return
		}
		a.pending = a.pending[1:]
		a.answer(next, nil)
	}
}

func (a *Actor) answer(w answer, err *commonv1alpha1.Error) {
	if w.fence != nil {
		a.session.Load().reached(w.fence)
		return
	}
	if w.read != nil {
		result := a.session.Load().g.Store.read(a.ID, w.read)
		if err != nil {
			result = &runnerv1alpha1.KvResult{Actor: w.read.Actor, Id: w.read.Id, Error: err}
		}
		a.session.Load().sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_KvResult{KvResult: result}})
		return
	}
	if err == nil {
		err = a.apply(w.commit)
	}
	result := &runnerv1alpha1.CommitResult{Actor: a.ref, Version: w.commit.Version, Error: err}
	a.session.Load().sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_CommitResult{CommitResult: result}})
	if err != nil { // [COMMIT-5]
		stop := &runnerv1alpha1.StopActor{Actor: a.ref, Reason: runnerv1alpha1.StopReason_STOP_REASON_FENCED, GraceMs: 5000}
		a.session.Load().sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_StopActor{StopActor: stop}})
	}
}

func (a *Actor) apply(m *runnerv1alpha1.Commit) *commonv1alpha1.Error {
	changes := &runnerv1alpha1.Changes{}
	if proto.Unmarshal(m.Changes, changes) != nil {
		return Err("runner.invalid_report")
	}
	if a.session.Load().g.Store.apply(a.ID, a.generation, m.Version, m.Changes, changes) != applied {
		return Err("actor.fenced")
	}
	a.version = m.Version
	return nil
}

// emitted counts an event and gives its cost back when half of a window is used [LINK-18].
func (a *Actor) emitted(cost uint64) {
	s := a.session.Load()
	if !s.credit {
		return
	}
	a.spent += cost
	s.spent += cost
	s.unless(Credits, func() {
		if window := s.welcome.Limits.GetEventWindow(); a.spent+window-a.offset >= window/2 {
			a.offset = a.spent + window
			s.raise(a.ref, a.offset)
		}
		if window := s.welcome.Limits.GetLinkWindow(); s.spent+window-s.offset >= window/2 {
			s.offset = s.spent + window
			s.raise(0, s.offset)
		}
	})
}

func (s *Session) raise(ref, offset uint64) {
	s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Credit{Credit: &runnerv1alpha1.Credit{Actor: ref, Offset: offset}}})
}

// adoptable is the actor that a runner offers, if it is still the owner, in another session [LEASE-4].
func (s *Session) adoptable(h *runnerv1alpha1.HostedActor) *Actor {
	rec := s.g.Store.Get(h.Id)
	if rec == nil || rec.Destroyed || rec.Generation != h.Generation || !bytes.Equal(rec.Nonce, h.Nonce) || rec.Version == 0 {
		return nil
	}
	if last := len(h.Pending) > 0 && rec.Version == h.Version+1 && bytes.Equal(rec.CommitID, h.Pending); rec.Version != h.Version && !last {
		return nil
	}
	for _, other := range s.g.others(s) {
		if a := other.giveAway(h.Id, h.Generation, s); a != nil {
			return a
		}
	}
	return nil
}

func (g *Gateway) others(s *Session) []*Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	var others []*Session
	for _, other := range g.sessions {
		if other != s {
			others = append(others, other)
		}
	}
	return others
}

// giveAway moves an actor of this session, which is over, to another one, whose lock the caller holds: a new incarnation.
func (s *Session) giveAway(id string, generation uint64, to *Session) *Actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref, a := range s.actors {
		if a.ID != id || a.generation != generation {
			continue
		}
		delete(s.actors, ref)
		r := s.g.Store.acquire(Record{ID: id})
		a.ref, a.generation, a.nonce, a.version = s.g.NextRef(), r.Generation, r.Nonce, r.Version
		a.group, a.pending, a.spent = nil, nil, 0
		a.enter(to)
		return a
	}
	return nil
}

// Err is an error of the registry, by its name.
func Err(name string) *commonv1alpha1.Error {
	group, code, _ := strings.Cut(name, ".")
	return &commonv1alpha1.Error{Group: group, Code: code, Message: "Said by the suite.", Ran: commonv1alpha1.Ran_RAN_MAYBE}
}

// Running says whether the actor has a ref in a session that lives.
func (g *Gateway) Running(a *Actor) bool {
	defer a.lock()()
	s := a.session.Load()
	return s.actors[a.ref] == a && s.socket != nil && !s.over
}
