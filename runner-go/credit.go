package runner

import (
	"slices"
	"sync"

	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// purse is the link's credit for the events of all its actors together [LINK-18]. Actors that wait for it stand in a line,
// and each in its turn gets what a whole group costs, or waits on: a large group is not passed by small ones for ever.
type purse struct {
	mu        sync.Mutex
	allowance linkstate.Allowance
	line      []*instance
}

// spend takes the cost, or puts the actor into the line. instance.mu is held.
func (p *purse) spend(in *instance, cost uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := len(p.line) == 0 || p.line[0] == in
	if first && p.allowance.Fits(cost) {
		p.allowance.Spend(cost)
		if len(p.line) > 0 {
			p.step()
		}
		return true
	}
	if !in.inLine {
		in.inLine = true
		p.line = append(p.line, in)
	}
	return false
}

// step takes the first one out of the line.
func (p *purse) step() {
	p.line[0].inLine = false
	p.line[0] = nil
	if p.line = p.line[1:]; len(p.line) == 0 {
		p.line = nil
	}
}

// leave takes an actor that has become poorer than the link out of the line. instance.mu is held.
func (p *purse) leave(in *instance) {
	if !in.inLine {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	in.inLine = false
	if i := slices.Index(p.line, in); i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
	}
}

func (p *purse) head() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) == 0 {
		return nil
	}
	return p.line[0]
}

// raise takes a new offset and lets those in the line go on, as far as it reaches. An actor that has ended meanwhile is
// found here only: until the next Credit, which comes, since more than half of the window is under way while anybody waits.
func (p *purse) raise(offset uint64) {
	p.mu.Lock()
	news := p.allowance.Raise(offset)
	p.mu.Unlock()
	if !news {
		return
	}
	for in := p.head(); in != nil; in = p.head() {
		in.mu.Lock()
		waits := in.proceed()
		if p.head() == in && !waits {
			p.leave(in)
		}
		in.mu.Unlock()
		if waits && p.head() == in {
			return
		}
	}
}

// portion is how many of the outputs go out at once, the first ones, and what their events cost [GATE-4]. With a commit of
// that size it may be none; the commit counts towards the bytes, so that the group fits however the gateway reckons.
func (s *session) portion(commit int, outputs []wire.Message) (n int, cost uint64) {
	room := s.limits.MaxGroupBytes - commit
	for i, m := range outputs {
		more := cost
		if e, ok := m.(*wire.Emit); ok && s.credit {
			more += e.Cost()
		}
		room -= wire.FrameSize(m)
		full := i == s.limits.MaxGroupOutputs || room < 0 || more > s.maxCost
		if full && (commit > 0 || i > 0) {
			return i, cost
		}
		cost = more
	}
	return len(outputs), cost
}

// spend takes the credit for events of the actor. line: the link's is lacking, not the actor's. With instance.mu held.
func (in *instance) spend(cost uint64) (ok, line bool) {
	s := in.sess()
	switch {
	case cost == 0:
		return true, false
	case !in.events.Fits(cost):
		s.purse.leave(in)
		return false, false
	case !s.purse.spend(in, cost):
		return false, true
	}
	in.events.Spend(cost)
	return true, false
}

// onCredit is a Credit for the actor: what waits for it goes on.
func (in *instance) onCredit(offset uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.over && in.events.Raise(offset) {
		in.proceed()
	}
}
