package planeg

import (
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func looseCases() []*Case {
	return []*Case{
		{ID: "GWT-14", Title: "a Ping that comes as a datagram is answered as one, and other datagrams are passed over", Requirements: needs("SESS-21:838b15"), WebTransport: true, run: datagrams},
		{ID: "GWT-15", Title: "a silent client gets a Ping as a datagram, and then one that cannot be lost", Requirements: needs("SESS-21:838b15 SESS-5:3b0af6"), WebTransport: true, Slow: true, run: silentSession},
		{ID: "GWT-17", Title: "an unreliable event comes as a datagram", Requirements: needs("CONN-11:3ca628 SESS-21:838b15"), WebTransport: true, run: looseOverStreams},
		{ID: "GUNR-01", Title: "an unreliable event comes as such to who asked for them, and is not counted", Requirements: needs("CONN-11:3ca628 SESS-21:838b15 SESS-12:ce0fde"), run: looseEvents},
		{ID: "GUNR-02", Title: "an unreliable event comes as any other to who did not ask for them", Requirements: needs("CONN-11:3ca628"), run: looseAsEvent},
		{ID: "GUNR-03", Title: "an unreliable event is not kept for a client without socket", Requirements: needs("CONN-11:3ca628"), run: looseForNobody},
		{ID: "GUNR-04", Title: "an unreliable event waits for its commit", Requirements: needs("CONN-11:3ca628 GATE-2:6f17a7"), run: looseHeld},
	}
}

// looseEvent fits an UnreliableEvent of that name, whichever way it came.
func looseEvent(event string) func(any) bool {
	return func(a any) bool {
		if d, is := a.(datagram); is {
			a = d.Message
		}
		m, is := a.(*clientv1alpha1.UnreliableEvent)
		return is && m.Event == event
	}
}

// hearsLoose emits an unreliable event until one arrives, for the network may lose some, and checks how it came [CONN-11].
func (c *client) hearsLoose(r *runner, m *runnerv1alpha1.Emit) {
	for range 20 {
		r.send(m)
		got, why := find(c.peer, c.play.patience(500*time.Millisecond), []func(any) bool{looseEvent(m.Event)})
		if why != "" {
			continue
		}
		_, is := got.(datagram)
		c.play.check(is == (c.over == WebTransport), "way", "over %s an unreliable event came as a datagram: %v", c.over, is)
		return
	}
	c.play.failf("unreliableEvent", "of 20 unreliable events none came")
}

// unreliable is an event to one connection.
func unreliable(ref uint64, event string, connection uint64) *runnerv1alpha1.Emit {
	m := emit(ref, event, connection)
	m.Unreliable = true
	return m
}

func looseEvents(p *play) {
	r, c := p.runner(), p.client("resume", "unreliable")
	ref, connection := c.connect(r, 1, "a", true)
	c.hearsLoose(r, unreliable(ref, "loose", connection))
	c.barrier(1)
	r.send(emit(ref, "counted", connection))
	want(c, func(m *clientv1alpha1.Event) bool { return m.Event == "counted" })
	c.cut()
	c = c.back(c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "where unreliable events are not counted the session does not go on: %s", show(c.welcome))
	r.send(emit(ref, "again", connection))
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Event == "again", "counted", "the event %s came", m.Event)
	none(c, "it is not counted, and so not kept", looseEvent("loose"))
	c.hearsLoose(r, unreliable(ref, "after", connection)) // the feature goes on, too
}

func looseOverStreams(p *play) {
	r, c := p.runner(), p.overStreams("unreliable")
	ref, connection := c.connect(r, 1, "a", true)
	c.hearsLoose(r, unreliable(ref, "loose", connection))
	c.barrier(1)
}

func looseAsEvent(p *play) {
	r, c := p.runner(), p.client("resume")
	ref, connection := c.connect(r, 1, "a", true)
	r.send(unreliable(ref, "loose", connection))
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Event == "loose" && m.Connection == 1, "event", "the event is %s", show(m))
	c.barrier(1)
	none(c, "the client does not know them", looseEvent("loose"))
	c.cut()
	c = c.back(c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "the session does not go on: %s", show(c.welcome))
	c.barrier(1)
	none[*clientv1alpha1.Event](c, "it was counted as an event")
}

func looseForNobody(p *play) {
	r, c := p.runner(), p.client("resume", "unreliable")
	ref, connection := c.connect(r, 1, "a", true)
	c.cut()
	for range 20 { // the first ones may come before the gateway sees that the socket is lost
		r.send(unreliable(ref, "loose", connection))
		r.fence()
	}
	r.send(emit(ref, "kept", connection))
	r.fence()
	c = c.back(c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "the session does not go on: %s", show(c.welcome))
	want(c, func(m *clientv1alpha1.Event) bool { return m.Event == "kept" })
	c.barrier(1)
	none(c, "it was emitted while there was no socket", looseEvent("loose"))
	none[*clientv1alpha1.Event](c, "one event was emitted that is kept")
}

func looseHeld(p *play) {
	r, c := p.runner(), p.client("unreliable")
	ref, connection := c.connect(r, 1, "a", true)
	r.commit(ref, 2, "\x02", 2)
	r.send(unreliable(ref, "held", connection))
	c.settle(r)
	c.barrier(1)
	none(c, "its group is not complete", looseEvent("held"))
	r.send(unreliable(ref, "held", connection))
	r.acked(ref, 2)
	c.hearsLoose(r, unreliable(ref, "held", connection))
}

func datagrams(p *play) {
	r, c := p.runner(), p.overStreams()
	ref, connection := c.connect(r, 1, "a", true)
	for _, b := range [][]byte{{}, {0xff, 0xff}, c.encode(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a")}), c.encode(&commonv1alpha1.Goodbye{Code: "connection.closed"})} {
		if err := c.lanes().session.SendDatagram(b); err != nil {
			p.failf("datagram", "%v", err)
		}
	}
	pong := func(d datagram) bool {
		m, is := d.Message.(*clientv1alpha1.Pong)
		return is && m.Nonce == 42
	}
	answered := false
	for range 20 {
		c.lanes().sendDatagram(&commonv1alpha1.Ping{Nonce: 42})
		if _, why := find(c.peer, p.patience(500*time.Millisecond), []func(datagram) bool{pong}); why == "" {
			answered = true
			break
		}
	}
	p.check(answered, "pong", "of 20 Pings as datagrams none is answered as one")
	none(c, "it was asked by a datagram", func(m *clientv1alpha1.Pong) bool { return m.Nonce == 42 })
	c.barrier(1)
	r.send(emit(ref, "tick", connection))
	want[*clientv1alpha1.Event](c)
	none[*runnerv1alpha1.Call](r, "datagrams bring no calls")
	none[*clientv1alpha1.ProtocolError](c, "datagrams are passed over")
}

func silentSession(p *play) {
	c := p.socketOver(WebTransport, clientPath)
	c.lanes().deaf.Store(true)
	c.silent.Store(true)
	c.say(&clientv1alpha1.Hello{Token: p.clientToken})
	every := time.Duration(c.welcome.PingMs) * time.Millisecond
	p.check(every > 0, "ping_ms", "Welcome does not say how often there are Pings")
	ping := func(a any) bool {
		if d, is := a.(datagram); is {
			a = d.Message
		}
		_, is := a.(*commonv1alpha1.Ping)
		return is
	}
	first, why := find(c.peer, every+p.patience(5*time.Second), []func(any) bool{ping})
	_, is := first.(datagram)
	p.check(why == "" && is, "first", "the first Ping is no datagram: %s %s", show(first), why)
	_, why = find[*commonv1alpha1.Ping](c.peer, every+p.patience(5*time.Second), nil)
	p.check(why == "", "second", "no Ping comes that cannot be lost: %s", why)
	c.roundTrip()
}
