package planeg

import (
	"slices"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func creditCases() []*Case {
	return []*Case{
		{ID: "GCRD-01", Title: "an event beyond the credit costs the actor, and what was emitted does not leave", Requirements: needs("LINK-18:e4ebc8 LINK-9:418cd6"), run: overWindow},
		{ID: "GCRD-02", Title: "credit comes back as events leave", Requirements: needs("LINK-18:e4ebc8"), run: creditReturns},
	}
}

// credited is a runner with an actor that one connection listens to, and the size of an event of which a window holds at
// least twenty.
func credited(p *play) (r *runner, c *client, ref, connection uint64, size int) {
	r, c = p.runner("credit"), p.client()
	limits := r.welcome.Limits
	p.check(slices.Contains(r.welcome.Features, "credit") && limits.EventWindow > 0 && limits.LinkWindow >= limits.EventWindow, "features", "no credit is given: %s", show(r.welcome))
	ref, connection = c.connect(r, 1, "a", true)
	return r, c, ref, connection, min(int(limits.EventWindow/20), 60_000)
}

// sized is an event to one connection of that cost [LINK-18].
func sized(ref, connection uint64, cost int) *runnerv1alpha1.Emit {
	const head, name = 6, "tick"
	args := append([]byte{0x81}, text(cost-64-len(name)-head)...)
	return &runnerv1alpha1.Emit{Actor: ref, Event: name, To: []uint64{connection}, Args: args}
}

func overWindow(p *play) {
	r, c, ref, connection, size := credited(p)
	// In a group that is not complete nothing leaves, so that no credit comes back.
	n := int(r.welcome.Limits.EventWindow)/size + 1
	r.commit(ref, 2, "\x02", uint32(n+1))
	for range n {
		r.send(sized(ref, connection, size))
	}
	r.fenced(ref)
	r.fence()
	c.connect(r, 2, "other", true)
	c.barrier(2)
	none[*clientv1alpha1.Event](c, "their group never left the gate")
}

func creditReturns(p *play) {
	r, c, ref, connection, size := credited(p)
	window := int(r.welcome.Limits.EventWindow)
	credit, sent, n := window, 0, 0
	ours := func(m *runnerv1alpha1.Credit) bool { return m.Actor == ref }
	take := func(m *runnerv1alpha1.Credit) {
		credit = max(credit, int(m.Offset))
		p.check(credit <= sent+window, "offset", "the offset is %d, more than a window beyond the %d that were sent", credit, sent)
	}
	for ; sent < 3*window; n++ {
		for has(r, ours) { // as soon as it is there: later it would be less than a window beyond
			take(want(r, ours))
		}
		for sent+size > credit {
			take(want(r, ours))
		}
		r.send(sized(ref, connection, size))
		sent += size
		want[*clientv1alpha1.Event](c)
	}
	none[*clientv1alpha1.Event](c, "each was emitted once")
	none[*runnerv1alpha1.StopActor](r, "the runner kept the credit")
}
