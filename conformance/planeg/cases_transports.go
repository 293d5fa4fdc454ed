package planeg

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

func transportCases() []*Case {
	return []*Case{
		{ID: "GCLI-21", Title: "a CancelCall is of the channel of its call", Requirements: needs("SESS-12:ce0fde CALL-5:8893f0"), run: cancelOnChannel},
		{ID: "GTRN-01", Title: "a session goes from WebSocket to WebTransport and back, with nothing lost or doubled", Requirements: needs("SESS-15:01f473 SESS-20:dbd13d SESS-12:ce0fde"), WebTransport: true, run: there(WebSocket, WebTransport, WebSocket)},
		{ID: "GTRN-02", Title: "a session goes from WebTransport to WebSocket and back, with nothing lost or doubled", Requirements: needs("SESS-15:01f473 SESS-20:dbd13d SESS-12:ce0fde"), WebTransport: true, run: there(WebTransport, WebSocket, WebTransport)},
		{ID: "GTRN-03", Title: "a connection that ended while the client changed its transport is told so once", Requirements: needs("SESS-15:01f473 SESS-20:dbd13d"), WebTransport: true, run: endedMeanwhile},
		{ID: "GHTTP-08", Title: "a request is answered alike over HTTP/1.1, HTTP/2 and HTTP/3", Requirements: needs("HTTP-9:4b50fb"), WebTransport: true, run: everyVersion},
	}
}

func cancelOnChannel(p *play) {
	r, c := p.runner(), p.lasting()
	c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "slow"})
	call := want[*runnerv1alpha1.Call](r)
	c.send(&clientv1alpha1.CancelCall{Id: 1, Connection: 1})
	want(r, func(m *runnerv1alpha1.CancelCall) bool { return m.Id == call.Id })
	r.send(&runnerv1alpha1.CallResult{Actor: call.Actor, Id: call.Id, Error: &commonv1alpha1.Error{Group: "action", Code: "canceled", Message: "canceled", Ran: commonv1alpha1.Ran_RAN_YES}})
	c.refused(1, "action.canceled")
	c.cut()
	c = c.back(c.welcome.ResumeToken, c.received())
	own, others := channelOf(c.welcome, 1), channelOf(c.welcome, 0)
	p.check(own == 3 && others == 0, "count", "of the open, the call and its cancellation %d are counted on their connection's channel, and %d on channel 0", own, others)
	c.barrier(1)
}

// there has a session go over these transports, one after the other: the first is lost, the next superseded.
func there(over ...Transport) func(*play) {
	return func(p *play) {
		r, c := p.runner(), p.lastingOver(over[0])
		ref, first := c.connect(r, 7, "a", true)
		_, second := c.connect(r, 3, "a", false)
		said := map[uint64]uint64{7: 1, 3: 1} // by the client, of each channel
		id, mark := uint64(0), byte(0)
		ask := func(connection uint64) *runnerv1alpha1.Call {
			id++
			said[connection]++
			c.send(&clientv1alpha1.Call{Id: id, Connection: connection, Action: "x"})
			return want[*runnerv1alpha1.Call](r)
		}
		tell := func() {
			mark++
			for _, to := range []uint64{first, second} {
				r.send(&runnerv1alpha1.Emit{Actor: ref, Event: "tick", To: []uint64{to}, Args: []byte{0x81, mark}})
			}
		}
		hear := func(n byte) {
			for _, connection := range []uint64{3, 7} {
				m := want(c, func(m *clientv1alpha1.Event) bool { return m.Connection == connection })
				p.check(m.Args[1] == n, "events", "on connection %d event %d came where %d is due", connection, m.Args[1], n)
			}
		}
		for i, next := range over[1:] {
			pending := ask(7)
			r.reply(ask(3), "\x01")
			tell()
			hear(mark)
			c.answered(id, "\x01")
			if i == 0 { // else the gateway has it that the client is there
				c.cut()
				tell()
				r.reply(pending, "\x02")
				r.fence()
			}
			old := c
			c = c.backOver(next, c.welcome.ResumeToken, c.received())
			p.check(c.welcome.Resumed, "resumed", "from %s to %s the session does not go on: %s", old.over, next, show(c.welcome))
			for connection, frames := range said {
				got := channelOf(c.welcome, connection)
				p.check(got == frames, "received", "on channel %d there came %d frames of %d", connection, got, frames)
			}
			if i == 0 {
				hear(mark)
			} else {
				r.reply(pending, "\x02")
			}
			tell()
			hear(mark)
			c.answered(id-1, "\x02")
		}
		c.barrier(7)
		c.barrier(3)
		none[*clientv1alpha1.Event](c, "each was emitted once")
		none[*clientv1alpha1.CallResult](c, "each call was answered once")
		none[*runnerv1alpha1.ConnectionClose](r, "the connections go on")
	}
}

func endedMeanwhile(p *play) {
	r, c := p.runner(), p.lastingOver(WebSocket)
	ref, connection := c.connect(r, 1, "a", true)
	c.connect(r, 2, "a", false)
	c.cut()
	r.send(emit(ref, "last", connection), &runnerv1alpha1.ConnectionClose{Actor: ref, Connection: connection, Code: "connection.disconnected", Reason: "out"})
	r.fence()
	c = c.backOver(WebTransport, c.welcome.ResumeToken, c.received())
	m := want(c, ofConnection(1))
	e, is := m.(*clientv1alpha1.Event)
	p.check(is && e.Event == "last", "event", "before the end there came %s", show(m))
	closed := want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 1 })
	p.check(closed.Error.GetCode() == "disconnected", "closed", "the end is %s", show(closed))
	c.laneEnds(1, false)
	c.ack()
	c.barrier(2)
	c = c.backOver(WebSocket, c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "the session does not go on: %s", show(c.welcome))
	c.barrier(2)
	none[*clientv1alpha1.ConnectionClosed](c, "the end was acknowledged")
}

func everyVersion(p *play) {
	r := p.runner()
	p.put(r, "a")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", p.at(":a"), 200}, {"GET", p.at(":nobody"), 404}, {"POST", p.at(":a"), 409}, {"PATCH", p.at(":a"), 405}, {"GET", "/v1/metadata", 200}, {"GET", "/v1/no/such/path", 404},
	} {
		var first string
		for _, version := range HTTPs() {
			got := p.askIn(version, c.method, c.path)
			p.check(strings.HasPrefix(got, strconv.Itoa(c.status)), "status", "over %s %s %s is answered %s", version, c.method, c.path, got)
			if first == "" {
				first = got
			}
			p.check(got == first, "alike", "%s %s is answered over %s %s, and over %s %s", c.method, c.path, HTTPs()[0], first, version, got)
		}
	}
}

// askIn asks over TLS in that version, and returns all of the answer that is to be alike.
func (p *play) askIn(version HTTP, method, path string) string {
	client := asker(ways{http: version})
	defer hangUp(client)
	r, err := http.NewRequestWithContext(p.ctx, method, p.gateway.session(path), nil)
	if err != nil {
		p.failf("http", "%s %s: %v", method, path, err)
	}
	for _, token := range []string{p.adminToken, p.clientToken} {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
			break
		}
	}
	answer, err := client.Do(r)
	if err != nil {
		p.failf("http", "%s %s over %s: %v", method, path, version, err)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxFrame))
	_ = answer.Body.Close()
	p.check(err == nil && string(version) == "h"+strconv.Itoa(answer.ProtoMajor), "version", "over %s there came %s, %v", version, answer.Proto, err)
	p.check(version == HTTP3 || strings.Contains(answer.Header.Get("Alt-Svc"), "h3="), "alternative", "%s %s over %s does not name HTTP/3: %v", method, path, version, answer.Header)
	return fmt.Sprintf("%d %s %s", answer.StatusCode, answer.Header.Get("Content-Type"), b)
}
