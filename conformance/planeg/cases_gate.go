package planeg

import (
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func gateCases() []*Case {
	return []*Case{
		{ID: "GGATE-01", Title: "results of a group that is not complete stay in the gateway", Requirements: needs("GATE-1:971e32 GATE-2:6f17a7"), run: incomplete},
		{ID: "GGATE-02", Title: "a group that never gets complete is dropped whole with its runner", Requirements: needs("GATE-2:6f17a7 LIFE-8:bfd417 COMMIT-3:555c84"), run: droppedGroup},
		{ID: "GGATE-03", Title: "an answer without change is not delayed", Requirements: needs("GATE-1:971e32 FLUSH-3:bd044d"), run: noChange},
		{ID: "GGATE-04", Title: "events, results and the close of a connection leave in the order in which they were emitted", Requirements: needs("SESS-3:898971 GATE-1:971e32 CONN-4:b3d458"), run: outputOrder},
		{ID: "GGATE-05", Title: "an answer does not overtake one of the same actor that waits for a commit", Requirements: needs("GATE-1:971e32"), run: noOvertaking},
		{ID: "GGATE-06", Title: "frames that are no outputs do not count in a group", Requirements: needs("GATE-2:6f17a7 KV-3:78eda6"), run: notCounted},
		{ID: "GGATE-07", Title: "a close waits for its commit as a result does", Requirements: needs("GATE-1:971e32 GATE-2:6f17a7"), run: heldClose},
		{ID: "GGATE-08", Title: "the connection's state is what left the gate last, not what waited in it", Requirements: needs("CONN-6:4220d3 GATE-2:6f17a7"), run: heldState},
		{ID: "GGATE-09", Title: "what a caller has seen is there after the gateway was killed", Requirements: needs("STORE-2:285c89 GATE-1:971e32 GATE-3:30da6c"), Alone: true, run: killed},
		{ID: "GGATE-10", Title: "the answer to an actor's fence follows that to the commits before it", Requirements: needs("LINK-20:e60b2e"), run: fenceInOrder},
	}
}

func incomplete(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	c.call(2, "a", "y")
	one, two := want[*runnerv1alpha1.Call](r), want[*runnerv1alpha1.Call](r)
	r.commit(start.Actor, 2, "\x02", 2)
	r.reply(one, "\x01")
	c.settle(r)
	none[*clientv1alpha1.CallResult](c, "its group is not complete")
	none[*runnerv1alpha1.CommitResult](r, "its group is not complete")
	r.reply(two, "\x02")
	r.acked(start.Actor, 2)
	c.answered(1, "\x01")
	c.answered(2, "\x02")
}

func droppedGroup(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	first := r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.commit(first.Actor, 2, "\x02", 2)
	r.reply(call, "\x01")
	c.settle(r)
	r.cut()
	c.refused(1, "action.outcome_unknown")
	r = p.runner()
	c.call(2, "a", "y")
	start := want[*runnerv1alpha1.StartActor](r)
	p.check(start.Version == 1 && string(start.State) == "\x00", "state", "the next life begins with version %d, state %x", start.Version, start.State)
	p.check(start.Generation > first.Generation && string(start.Nonce) != string(first.Nonce), "generation", "the next life has generation %d after %d", start.Generation, first.Generation)
}

func noChange(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
}

func outputOrder(p *play) {
	r, c := p.runner(), p.client()
	ref, connection := c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"})
	call := want[*runnerv1alpha1.Call](r)
	r.commit(ref, 2, "\x02", 4)
	r.send(emit(ref, "one", connection))
	r.reply(call, "\x01")
	r.send(emit(ref, "two", connection), &runnerv1alpha1.ConnectionClose{Actor: ref, Connection: connection, Code: "connection.disconnected", Reason: "enough"})
	for _, expected := range []string{"one", "callResult", "two", "connectionClosed"} {
		got := ""
		switch m := want(c, ofConnection(1)).(type) {
		case *clientv1alpha1.Event:
			got = m.Event
		case *clientv1alpha1.CallResult:
			got = "callResult"
		case *clientv1alpha1.ConnectionClosed:
			got = "connectionClosed"
			p.check(m.Error.GetCode() == "disconnected" && m.Error.GetMessage() == "enough", "reason", "the close is %s", show(m))
		}
		p.check(got == expected, "order", "%s came where %s is due", got, expected)
	}
}

// emit is an event to one connection.
func emit(ref uint64, event string, connection uint64) *runnerv1alpha1.Emit {
	return &runnerv1alpha1.Emit{Actor: ref, Event: event, To: []uint64{connection}, Args: []byte{0x80}}
}

// ofConnection fits what is about a connection.
func ofConnection(number uint64) func(any) bool {
	return func(a any) bool {
		m, ok := a.(interface{ GetConnection() uint64 })
		return ok && m.GetConnection() == number
	}
}

func noOvertaking(p *play) {
	r, c := p.runner(), p.client()
	ref, _ := c.connect(r, 1, "a", true)
	var calls []*runnerv1alpha1.Call
	for id := range uint64(3) {
		c.send(&clientv1alpha1.Call{Id: id + 1, Connection: 1, Action: "x"})
		calls = append(calls, want[*runnerv1alpha1.Call](r))
	}
	r.commit(ref, 2, "\x02", 2)
	r.reply(calls[1], "\x02")
	c.settle(r)
	none[*clientv1alpha1.CallResult](c, "its group is not complete")
	r.reply(calls[0], "\x01")
	r.reply(calls[2], "\x03") // without change, behind the group
	r.acked(ref, 2)
	for _, id := range []uint64{2, 1, 3} {
		m := want[*clientv1alpha1.CallResult](c)
		p.check(m.Id == id && m.Error == nil && string(m.Output) == string([]byte{byte(id)}), "order", "%s came where the answer to %d is due", show(m), id)
	}
}

func notCounted(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	c.call(2, "a", "y")
	one, two := want[*runnerv1alpha1.Call](r), want[*runnerv1alpha1.Call](r)
	put := changes(&runnerv1alpha1.Changes{Kv: []*runnerv1alpha1.KvOp{{Key: []byte("k"), Value: []byte("v")}}})
	r.send(&runnerv1alpha1.Commit{Actor: start.Actor, Version: 2, Changes: put, Outputs: 2}, &runnerv1alpha1.KvRead{Actor: start.Actor, Id: 1, Keys: [][]byte{[]byte("k")}})
	r.reply(one, "\x01")
	c.settle(r)
	none(c, "its group is not complete", func(m *clientv1alpha1.CallResult) bool { return m.Id <= 2 })
	none[*runnerv1alpha1.CommitResult](r, "its group is not complete")
	none[*runnerv1alpha1.KvResult](r, "it waits for the group's end")
	r.reply(two, "\x02")
	r.acked(start.Actor, 2)
	c.answered(1, "\x01")
	c.answered(2, "\x02")
	m := want[*runnerv1alpha1.KvResult](r)
	p.check(m.Error == nil && len(m.Entries) == 1 && string(m.Entries[0].Value) == "v", "read", "the read behind the commit answers %s", show(m))
}

func fenceInOrder(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	start := r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.commit(start.Actor, 2, "\x02", 1)
	r.send(&runnerv1alpha1.Fence{Nonce: p.next(), Actor: start.Actor})
	r.fence()
	none[*runnerv1alpha1.FenceReached](r, "the group before it is not complete")
	r.reply(call, "\x01")
	first := want(r, func(m proto.Message) bool {
		switch m.(type) {
		case *runnerv1alpha1.CommitResult, *runnerv1alpha1.FenceReached:
			return true
		}
		return false
	})
	_, is := first.(*runnerv1alpha1.CommitResult)
	p.check(is, "order", "first came %s", show(first))
	want(r, func(m *runnerv1alpha1.FenceReached) bool { return m.Actor == start.Actor })
	c.answered(1, "\x01")
}

func heldClose(p *play) {
	r, c := p.runner(), p.client()
	ref, connection := c.connect(r, 1, "a", true)
	r.commit(ref, 2, "\x02", 2)
	r.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: connection, Code: "connection.disconnected", Reason: "out"})
	c.settle(r)
	none[*clientv1alpha1.ConnectionClosed](c, "its group is not complete")
	r.send(emit(ref, "late", connection)) // completes the group; nobody is there to get it
	r.acked(ref, 2)
	m := want[*clientv1alpha1.ConnectionClosed](c)
	p.check(m.Error.GetCode() == "disconnected", "close", "the close is %s", show(m))
	c.settle(r)
	none[*clientv1alpha1.Event](c, "the connection was closed before")
}

func heldState(p *play) {
	r, c := p.runner(), p.client()
	ref, connection := c.connect(r, 1, "a", true)
	r.send(&runnerv1alpha1.ConnectionState{Actor: ref, Connection: connection, State: []byte("\x01")})
	r.commit(ref, 2, "\x02", 2)
	r.send(&runnerv1alpha1.ConnectionState{Actor: ref, Connection: connection, State: []byte("\x02")})
	r.fence()
	next := p.aHello()
	other := p.welcomed(next)
	r.cut()
	start := want[*runnerv1alpha1.StartActor](other)
	p.check(start.Version == 1 && start.RestoredConnections == 1, "start", "the next life begins as %s", show(start))
	open := want[*runnerv1alpha1.ConnectionOpen](other)
	p.check(open.Restored && string(open.State) == "\x01", "state", "the connection is restored as %s", show(open))
}

func killed(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	first := r.begin()
	call := want[*runnerv1alpha1.Call](r)
	r.commit(first.Actor, 2, "\x02", 1)
	r.reply(call, "\x02")
	c.answered(1, "\x02")
	if err := p.gateway.Restart(p.ctx, p.startTimeout); err != nil {
		p.failf("restart", "%v", err)
	}
	if c.over != WebTransport { // over UDP nobody tells of a death; it shows in the silence
		c.closes() // [GATE-3]
	}
	r, c = p.runner(), p.client()
	start := p.startedAgain(r, c)
	p.check(start.Id == first.Id && start.Version == 2 && string(start.State) == "\x02", "state", "the next life begins as %s", show(start))
	p.check(start.Generation > first.Generation, "generation", "the next life has generation %d after %d", start.Generation, first.Generation)
}

// startedAgain calls the actor until the gateway takes it from the runner of its former life. Where gateways share a store, that
// runner's lease has to end first, and callers are told when to ask again [PLACE-9].
func (p *play) startedAgain(r *runner, c *client) *runnerv1alpha1.StartActor {
	for id := uint64(1); ; id++ {
		c.call(id, "a", "y")
		switch _, m := either(p, []*peer{r.peer, c.peer}, startOrResult); m := m.(type) {
		case *runnerv1alpha1.StartActor:
			return m
		case *clientv1alpha1.CallResult:
			p.check(m.Error.GetGroup() == "actor" && m.Error.GetCode() == "elsewhere" && m.Error.GetRetryAfterMs() > 0, "elsewhere", "the call is answered %s", show(m))
			p.check(id < 10, "elsewhere", "after %d calls the actor is elsewhere yet", id)
			p.wait(time.Duration(m.Error.RetryAfterMs) * time.Millisecond)
		}
	}
}
