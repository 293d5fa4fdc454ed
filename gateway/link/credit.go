package link

import (
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// event is an Emit that has its credit.
type event struct {
	to   *Binding
	cost uint64
}

// Release gives back the credit of events that an Actor's Receive has kept, when they have left or were dropped [LINK-18].
func (l *Link) Release(b *Binding, cost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(event{b, cost})
}

// The rest is called with Link.mu held.

// spend takes the credit of an event; one for nobody gives it back at once. An error is a breach of its actor, whose own
// window goes with it; the link's has to be whole again.
func (l *Link) spend(m *message) error {
	if err := l.window.Take(m.cost); err != nil {
		l.cfg.Stats.Limit(stats.LinkWindow)
		l.drop(m.cost)
		return err
	}
	if m.to == nil {
		l.raise(0, &l.window, m.cost)
		return nil
	}
	if err := m.to.window.Take(m.cost); err != nil {
		l.cfg.Stats.Limit(stats.EventWindow)
		l.raise(0, &l.window, m.cost)
		return err
	}
	return nil
}

// pass releases the event that was delivered last.
func (l *Link) pass() {
	if l.passed.to != nil {
		l.release(l.passed)
		l.passed = event{}
	}
}

// release gives back no more than the binding holds: nothing, once it was unbound.
func (l *Link) release(e event) {
	cost := min(e.cost, e.to.window.Held())
	l.raise(e.to.Ref, &e.to.window, cost)
	l.raise(0, &l.window, cost)
}

// raise releases a cost and tells the runner when enough of the window has opened.
func (l *Link) raise(ref uint64, w *linkstate.Window, cost uint64) {
	if cost == 0 {
		return
	}
	if offset, tell := w.Release(cost); tell {
		l.tellCredit(ref, offset)
		l.conn.signal()
	}
}

// drop gives back the link's credit of an event that was not taken: the runner has spent it all the same.
func (l *Link) drop(cost uint64) {
	if offset, tell := l.window.Drop(cost); tell {
		l.tellCredit(0, offset)
		l.conn.signal()
	}
}

// repeatCredit tells a new socket what the last one may have lost.
func (l *Link) repeatCredit() {
	if offset, news := l.window.Offset(); news {
		l.tellCredit(0, offset)
	}
	for ref, b := range l.actors {
		if offset, news := b.window.Offset(); news {
			l.tellCredit(ref, offset)
		}
	}
}

func (l *Link) tellCredit(ref, offset uint64) {
	l.state.PushLink(wire.Runner(&runnerv1alpha1.Credit{Actor: ref, Offset: offset}))
}
