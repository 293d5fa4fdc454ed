package planeg

import (
	"bytes"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func sessionCases() []*Case {
	return []*Case{
		{ID: "GSESS-01", Title: "a client's Ping is answered while its call runs", Requirements: needs("SESS-5:3b0af6"), run: clientPing},
		{ID: "GSESS-02", Title: "a client that says nothing for a while gets a Ping", Requirements: needs("SESS-5:3b0af6"), Slow: true, run: silentClient},
		{ID: "GSESS-03", Title: "a client that does not read loses its session, and its neighbour no event", Requirements: needs("SESS-6:488889 SESS-8:168543 SESS-18:6123c3"), run: slowReader},
		{ID: "GSESS-04", Title: "a connection of which more was sent than is kept ends, and the session goes on without it", Requirements: needs("SESS-17:5f74a4"), run: keptTooLittle},
		{ID: "GSESS-05", Title: "a client that said Goodbye has no session to go on with", Requirements: needs("SESS-18:6123c3 SESS-8:168543"), run: saidGoodbye},
		{ID: "GSESS-06", Title: "a session that goes on elsewhere leaves its first socket for good", Requirements: needs("SESS-15:01f473 SESS-18:6123c3"), run: supersededClient},
		{ID: "GSESS-07", Title: "an actor takes so many calls at once, and refuses one more", Requirements: needs("CALL-6:f3f3c2"), run: tooManyCalls},
	}
}

func clientPing(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "slow")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	c.roundTrip()
	none[*clientv1alpha1.CallResult](c, "the call has not ended")
	r.reply(call, "\x01")
	c.answered(1, "\x01")
}

func silentClient(p *play) {
	s := p.speaker(clientPath)
	hello := `{"type":"hello"}`
	if p.clientToken != "" {
		hello = `{"type":"hello","token":"` + p.clientToken + `"}`
	}
	s.text(hello)
	every, _ := s.want("welcome")["pingMs"].(float64)
	p.check(every > 0, "ping_ms", "Welcome does not say how often there are Pings")
	_, why := find(s.peer, time.Duration(every)*time.Millisecond+p.patience(5*time.Second), []func(object) bool{func(o object) bool { return o["type"] == "ping" }})
	p.check(why == "", "ping", "the client gets no ping: %s", why)
}

// manyBytes is more than a gateway queues or keeps for one client, and the buffers of a socket besides.
const manyBytes = 32 << 20

// flood emits so many bytes of events to the connections, or fewer when enough says so.
func (r *runner) flood(ref uint64, to []uint64, enough func() bool) {
	size := min(int(r.welcome.Limits.MaxEvent), 60_000) - 100
	for sent := 0; sent < manyBytes && !enough(); sent += size {
		r.send(&runnerv1alpha1.Emit{Actor: ref, Event: "tick", To: to, Args: append([]byte{0x81}, text(size)...)})
	}
}

// has says whether such a message has come.
func has[M any](of sided, fits func(M) bool) bool {
	s := of.side()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.queue {
		if m, ok := a.(M); ok && fits(m) {
			return true
		}
	}
	return false
}

func slowReader(p *play) {
	r, neighbour := p.runner(), p.client()
	ref, near := neighbour.connect(r, 1, "a", true)
	slow := p.unheard(p.ways.transport, clientPath)
	p.atEnd(slow.line.close)
	slow.send(&clientv1alpha1.Hello{Token: p.clientToken}, &clientv1alpha1.ConnectionOpen{Connection: 1, Target: p.to("a")})
	far := r.admit().Connection
	closed := func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == far }
	sent := false
	r.flood(ref, []uint64{near, far}, func() bool {
		if sent {
			want[*clientv1alpha1.Event](neighbour) // which is never behind
		}
		sent = true
		return has(r, closed)
	})
	want(r, closed)
	slow.listen() // reads at last; the Goodbye is there only if the socket's buffers had room for it
	slow.closes()
	none(slow, "the session ends because its client does not read", func(m *commonv1alpha1.Goodbye) bool {
		return m.Code != "session.slow_reader" || m.Reconnect != commonv1alpha1.Reconnect_RECONNECT_SAME
	})
	neighbour.roundTrip()
}

func keptTooLittle(p *play) {
	r, c := p.runner(), p.lasting()
	ref, connection := c.connect(r, 1, "a", true)
	quiet, other := c.connect(r, 2, "b", true)
	c.cut()
	closed := func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == connection }
	r.flood(ref, []uint64{connection}, func() bool { return has(r, closed) })
	want(r, closed)
	r.send(emit(quiet, "quiet", other))
	r.fence()
	c = c.back(c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "the session does not go on: %s", show(c.welcome))
	m := want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 1 })
	p.check(m.Error.GetGroup() == "connection" && m.Error.GetCode() == "resume_lost" && m.Reconnect == commonv1alpha1.Reconnect_RECONNECT_SAME, "closed", "the connection ends with %s", show(m))
	e := want(c, func(m *clientv1alpha1.Event) bool { return m.Connection == 2 })
	p.check(e.Event == "quiet", "other", "the other connection gets %s", show(e))
	none[*clientv1alpha1.ConnectionClosed](c, "the other connection is not harmed")
}

func saidGoodbye(p *play) {
	r, c := p.runner(), p.lasting()
	ref, connection := c.connect(r, 1, "a", true)
	c.send(&commonv1alpha1.Goodbye{Code: "connection.closed"})
	m := want[*runnerv1alpha1.ConnectionClose](r)
	p.check(m.Actor == ref && m.Connection == connection, "close", "the runner gets %s", show(m))
	c.closes()
	n := c.back(c.welcome.ResumeToken, c.received())
	p.check(!n.welcome.Resumed && n.welcome.Session != c.welcome.Session, "over", "the session goes on: %s", show(n.welcome))
}

func supersededClient(p *play) {
	r, c := p.runner(), p.lasting()
	ref, connection := c.connect(r, 1, "a", true)
	n := c.back(c.welcome.ResumeToken, c.received())
	p.check(n.welcome.Resumed && !bytes.Equal(n.welcome.ResumeToken, c.welcome.ResumeToken), "resumed", "the session goes on as %s", show(n.welcome))
	bye := want[*commonv1alpha1.Goodbye](c)
	p.check(bye.Code == "session.superseded" && bye.Reconnect == commonv1alpha1.Reconnect_RECONNECT_NEVER, "goodbye", "the first socket ends with %s", show(bye))
	c.closes()
	r.send(emit(ref, "after", connection))
	want(n, func(m *clientv1alpha1.Event) bool { return m.Event == "after" })
	none[*runnerv1alpha1.ConnectionClose](r, "the connection goes on")
}

func tooManyCalls(p *play) {
	r, c := p.runner(), p.client()
	limit, id := uint64(r.welcome.Limits.MaxCallsPerActor), uint64(0)
	p.check(limit > 0, "limits", "no limit is announced")
	for ; id < limit; id++ {
		if per := uint64(max(c.welcome.Limits.MaxCalls, 1)); id > 0 && id%per == 0 {
			c = p.client()
		}
		c.call(id+1, "a", "x")
		if id == 0 {
			r.begin()
		}
	}
	first := want[*runnerv1alpha1.Call](r)
	for range limit - 1 {
		want[*runnerv1alpha1.Call](r)
	}
	c = p.client()
	c.call(1, "a", "x")
	e := c.refused(1, "actor.overloaded")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_NO, "ran", "ran is %v", e.Ran)
	r.reply(first, "\x01")
	r.fence() // the answer has been taken
	c.call(2, "a", "x")
	r.reply(want[*runnerv1alpha1.Call](r), "\x02")
	c.answered(2, "\x02")
}
