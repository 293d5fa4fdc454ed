package linkstate

import (
	"bytes"
	"strconv"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// simLane is an actor's FIFO and what the peer has still to get of it, in order.
type simLane struct {
	lane  wire.Lane
	seq   uint64 // of the last frame
	due   []simFrame
	parts wire.Assembler // the peer's
}

// simFrame is a frame that was pushed: a commit, or an event if it has a cost.
type simFrame struct {
	seq  uint64
	size int
	cost uint64
}

func (e *simSide) addLane(ref uint64) *simLane {
	l := &simLane{lane: wire.Lane{Actor: ref}}
	e.lanes = append(e.lanes, l)
	e.peer.byRef[ref] = l
	return l
}

// push sends a frame of some size on some lane.
func (e *simSide) push() {
	size := e.rng.IntN(300)
	if e.chance(5) {
		size = e.rng.IntN(wire.MaxStep)
	}
	if e.chance(1) {
		size = wire.MaxStep - 40 + e.rng.IntN(200_000)
	}
	l := e.lanes[e.rng.IntN(len(e.lanes))]
	l.seq++
	l.due = append(l.due, simFrame{seq: l.seq, size: size})
	e.state.Push(&l.lane, &wire.Commit{Actor: l.lane.Actor, Version: l.seq, Changes: filler(l.seq, size)})
}

// emit sends an event, which must have its credit.
func (e *simSide) emit(l *simLane, cost uint64) {
	l.seq++
	event := strconv.AppendUint(nil, l.seq, 10)
	size := int(cost) - 64 - len(event)
	l.due = append(l.due, simFrame{seq: l.seq, size: size, cost: cost})
	e.state.Push(&l.lane, &wire.Emit{Actor: l.lane.Actor, Event: event, Args: filler(l.seq, size)})
}

func filler(seq uint64, size int) []byte {
	return bytes.Repeat([]byte{byte(seq), byte(seq >> 8), byte(size)}, (size+2)/3)[:size]
}

// drop ends a lane's FIFO: what was never written need not arrive, and must not.
func (e *simSide) drop() { e.dropLane(e.lanes[e.rng.IntN(len(e.lanes))]) }

func (e *simSide) dropLane(l *simLane) {
	var unwritten []uint64
	cost := uint64(0)
	defer func() { e.credit.refund(l.lane.Actor, cost) }()
	e.state.Drop(&l.lane, func(f wire.Frame) {
		seq, _ := contents(f)
		unwritten = append(unwritten, seq)
	})
	for i := len(unwritten) - 1; i >= 0; i-- {
		last := len(l.due) - 1
		if last < 0 || l.due[last].seq != unwritten[i] {
			e.failf("the %s drops %v of actor %d as never written, the peer has still to get %v", e.name, unwritten, l.lane.Actor, l.due)
			return
		}
		cost += l.due[last].cost
		l.due = l.due[:last]
	}
}

// contents is the number of a frame of the schedule and its payload.
func contents(f wire.Frame) (seq uint64, payload []byte) {
	switch m := decode(f).(type) {
	case *wire.Commit:
		return m.Version, m.Changes
	case *wire.Emit:
		seq, _ = strconv.ParseUint(string(m.Event), 10, 64)
		return seq, m.Args
	}
	return 0, nil
}

// use takes a frame as the layer above the State would: whole frames of an actor in order, exactly once, and no other
// frame of an actor between its Parts.
func (e *simSide) use(f wire.Frame) {
	switch f.Kind {
	case wire.RunnerPing:
		return
	case wire.RunnerCredit:
		e.credit.raise(decode(f).(*runnerv1alpha1.Credit))
		return
	}
	ref := wire.ActorRef(f.Body)
	l := e.byRef[ref]
	if f.Kind == wire.RunnerPart {
		raw, err := l.parts.Add(decode(f).(*wire.Part), 1<<30)
		if err != nil {
			e.failf("the %s, parts of actor %d: %w", e.name, ref, err)
		}
		if raw == nil || err != nil {
			return
		}
		if f, err = wire.ParseFrame(raw); err != nil {
			e.failf("the %s, parts of actor %d: %w", e.name, ref, err)
			return
		}
	} else if l.parts.Open() {
		e.failf("the %s: a frame of actor %d between its parts", e.name, ref)
		return
	}
	seq, payload := contents(f)
	if len(l.due) == 0 || l.due[0].seq != seq || !bytes.Equal(payload, filler(seq, l.due[0].size)) {
		e.failf("the %s got frame %d of actor %d with %d bytes, due is %v", e.name, seq, ref, len(payload), l.due)
		return
	}
	cost := l.due[0].cost
	l.due = l.due[1:]
	if cost > 0 {
		e.credit.arrived(ref, cost)
	}
}

// owes is how many frames of the side the peer has still to get.
func (e *simSide) owes() int {
	n := 0
	for _, l := range e.lanes {
		n += len(l.due)
	}
	return n
}

// simCredit is what both sides do about credit, as gateway/link and runner-go do it: the gateway's windows and the events
// that it holds, the runner's allowances and the groups of events that wait for all their credit at once [GATE-4].
type simCredit struct {
	*sim
	window uint64 // of an actor
	// The gateway's.
	link   Window
	actors map[uint64]*simActor
	// The runner's.
	total Allowance
	refs  []uint64 // in order of their start
}

type simActor struct {
	lane *simLane
	// The gateway's.
	window Window
	held   []uint64 // costs of the events at the gate, in order
	gone   bool     // the gateway has unbound the ref
	// The runner's.
	allowance Allowance
	groups    [][]uint64 // costs of the events of each group that waits
	over      bool       // the runner knows that the ref is gone
}

func newSimCredit(s *sim) *simCredit {
	c := &simCredit{sim: s, actors: map[uint64]*simActor{}}
	c.window = []uint64{300, 1000, 20_000}[s.rng.IntN(3)]
	link := c.window + uint64(s.rng.IntN(int(2*c.window)))
	c.link = NewWindow(link)
	c.total.Raise(link)
	for range 1 + s.rng.IntN(3) {
		c.start()
	}
	return c
}

// start gives the runner another actor.
func (c *simCredit) start() {
	ref := uint64(100 + len(c.refs))
	a := &simActor{lane: c.runner.addLane(ref), window: NewWindow(c.window)}
	a.allowance.Raise(c.window)
	if c.mutant.overdraws {
		a.allowance.Raise(c.window + 100)
		c.total.Raise(c.total.limit + 100)
	}
	c.actors[ref] = a
	c.refs = append(c.refs, ref)
}

func (c *simCredit) any() *simActor { return c.actors[c.refs[c.rng.IntN(len(c.refs))]] }

func (c *simCredit) step() {
	a := c.any()
	switch p := c.rng.IntN(100); {
	case p < 40:
		c.want(a)
	case p < 70:
		c.send(a)
	case p < 92:
		c.release(a, c.rng.IntN(4))
	case p < 96 && a.gone:
		c.stop(a)
	case p < 98 && !a.gone:
		c.unbind(a)
		c.start()
	}
}

// want makes a group of events of at most half of the actor's window.
func (c *simCredit) want(a *simActor) {
	if a.over {
		return
	}
	var group []uint64
	for left := c.window / 2; left >= 100; {
		cost := 80 + c.rng.Uint64N(min(left, 1000)-80+1)
		group = append(group, cost)
		left -= cost
		if c.chance(40) {
			break
		}
	}
	a.groups = append(a.groups, group)
}

// send begins the first group of the actor, if all of it has credit.
func (c *simCredit) send(a *simActor) {
	if len(a.groups) == 0 {
		return
	}
	sum := uint64(0)
	for _, cost := range a.groups[0] {
		sum += cost
	}
	if !a.allowance.Fits(sum) || !c.total.Fits(sum) {
		return
	}
	a.allowance.Spend(sum)
	c.total.Spend(sum)
	for _, cost := range a.groups[0] {
		c.runner.emit(a.lane, cost)
	}
	a.groups = a.groups[1:]
}

// arrived is an event at the gateway.
func (c *simCredit) arrived(ref, cost uint64) {
	a := c.actors[ref]
	if err := c.link.Take(cost); err != nil {
		c.failf("the gateway, link: %w", err)
	}
	if a.gone {
		c.tell(0, &c.link, cost)
		return
	}
	if err := a.window.Take(cost); err != nil {
		c.failf("the gateway, actor %d: %w", ref, err)
	}
	a.held = append(a.held, cost)
}

// release lets events leave the gate.
func (c *simCredit) release(a *simActor, n int) {
	for range min(n, len(a.held)) {
		c.tell(a.lane.lane.Actor, &a.window, a.held[0])
		c.tell(0, &c.link, a.held[0])
		a.held = a.held[1:]
	}
}

func (c *simCredit) tell(ref uint64, w *Window, cost uint64) {
	if offset, tell := w.Release(cost); tell {
		c.gateway.state.PushLink(wire.Runner(&runnerv1alpha1.Credit{Actor: ref, Offset: offset}))
	}
}

// unbind forgets a ref at the gateway; the runner may go on with it for a while.
func (c *simCredit) unbind(a *simActor) {
	a.gone, a.held = true, nil
	c.tell(0, &c.link, a.window.Held())
}

// stop ends a ref at the runner.
func (c *simCredit) stop(a *simActor) {
	a.over, a.groups = true, nil
	c.runner.dropLane(a.lane)
}

// refund is what the events of a runner's lane had cost that were dropped and never written.
func (c *simCredit) refund(ref, cost uint64) {
	if a := c.actors[ref]; a != nil && cost > 0 {
		a.allowance.Refund(cost)
		c.total.Refund(cost)
	}
}

// repeat says again on a new socket what the last one may have lost.
func (c *simCredit) repeat() {
	say := func(ref uint64, w *Window) {
		if offset, news := w.Offset(); news {
			c.gateway.state.PushLink(wire.Runner(&runnerv1alpha1.Credit{Actor: ref, Offset: offset}))
		}
	}
	say(0, &c.link)
	for _, ref := range c.refs {
		if a := c.actors[ref]; !a.gone {
			say(ref, &a.window)
		}
	}
}

func (c *simCredit) raise(m *runnerv1alpha1.Credit) {
	if m.GetActor() == 0 {
		c.total.Raise(m.GetOffset())
	} else {
		c.actors[m.GetActor()].allowance.Raise(m.GetOffset())
	}
}

// settle lets everything go that waits for nothing but the schedule.
func (c *simCredit) settle() {
	for _, ref := range c.refs {
		a := c.actors[ref]
		if a.gone {
			c.stop(a)
		}
		c.release(a, len(a.held))
		c.send(a)
	}
}

// outstanding is how many groups of events are still to be sent.
func (c *simCredit) outstanding() int {
	n := 0
	for _, a := range c.actors {
		n += len(a.groups)
	}
	return n
}
