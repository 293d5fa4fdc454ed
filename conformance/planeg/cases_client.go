package planeg

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
	"github.com/stagedoor-dev/stagedoor/conformance/webtransport"
)

func clientCases() []*Case {
	return []*Case{
		{ID: "GCLI-01", Title: "a session may begin without Hello", Requirements: needs("SESS-2:a90343"), scope: overWebSocket("over WebTransport Hello is not implied [SESS-19]"), run: noHelloYet},
		{ID: "GCLI-02", Title: "an unknown subprotocol is refused", Requirements: needs("SESS-1:04926c SESS-19:4f725a"), run: subprotocol},
		{ID: "GCLI-03", Title: "a call number that is in use is refused, and the first call is still answered", Requirements: needs("CALL-2:525e22"), run: duplicateCall},
		{ID: "GCLI-04", Title: "calls with both or neither of connection and target cost only themselves", Requirements: needs("CALL-2:525e22 ERR-4:c3e7dd"), run: badCalls},
		{ID: "GCLI-05", Title: "a connection number is used once, whatever its order, also when its connection has ended", Requirements: needs("SESS-11:366643"), run: numbersOnce},
		{ID: "GCLI-06", Title: "a frame that cannot be read costs only itself", Requirements: needs("FRAME-3:3c9b4c"), scope: inFrames(noFrames), run: garbage},
		{ID: "GCLI-07", Title: "a framing fault ends the session with a Goodbye", Requirements: needs("FRAME-2:9beed0 FRAME-6:274312"), scope: inMessages("JSON has no frames, and GWT-04 has those of streams"), run: framingFault},
		{ID: "GCLI-08", Title: "a frame of an unknown kind is answered Unsupported", Requirements: needs("FRAME-4:4bca7c"), scope: inFrames(noFrames), run: clientUnknownKind},
		{ID: "GCLI-09", Title: "bad messages of a JSON session cost only themselves", Requirements: needs("SESS-9:80bf25 SESS-10:bdb1ff JSON-1:723ba0"), run: badJSON},
		{ID: "GCLI-10", Title: "a client that says nothing is sent away after ten seconds", Requirements: needs("SESS-4:e160fb"), Slow: true, run: slowHello},
		{ID: "GCLI-11", Title: "a session goes on over another socket: its calls, its connections, each event once", Requirements: needs("SESS-12:ce0fde SESS-13:6c33f2 SESS-15:01f473"), run: clientResumes},
		{ID: "GCLI-12", Title: "a token works once", Requirements: needs("SESS-16:8cda05"), run: tokenOnce},
		{ID: "GCLI-13", Title: "an unknown token begins a new session", Requirements: needs("SESS-15:01f473"), run: unknownToken},
		{ID: "GCLI-14", Title: "an Ack of more than was sent is a fault that costs nothing else", Requirements: needs("SESS-14:93f593"), run: clientAck},
		{ID: "GCLI-15", Title: "a session that was not given resume ends with its socket, and its connections with it", Requirements: needs("SESS-8:168543 CONN-4:b3d458"), run: sessionEnds},
		{ID: "GCLI-16", Title: "arguments over the limit cost only their call", Requirements: needs("LIMIT-1:27cab7"), run: longArguments},
		{ID: "GCLI-17", Title: "a call with an idempotency key is refused until the gateway announces it", Requirements: needs("ONCE-0:bb797f"), run: idempotency},
		{ID: "GCLI-18", Title: "a message over the limit ends the session, and nobody else's", Requirements: needs("FRAME-2:9beed0 FRAME-6:274312 LIMIT-1:27cab7"), scope: inFrames(noFrames), run: oversize},
		{ID: "GCLI-19", Title: "a second Hello is a fault that costs nothing else", Requirements: needs("SESS-2:a90343"), run: secondHello},
		{ID: "GCLI-20", Title: "what is about a connection that was never there is answered connection.not_found", Requirements: needs("CALL-2:525e22"), scope: overWebSocket("over WebTransport no stream would be that connection's, GWT-03"), run: noConnection},
		{ID: "GCLI-22", Title: "what no answer acknowledges is acknowledged within 64 frames", Requirements: needs("SESS-14:93f593"), run: clientAcked},
	}
}

// noFrames is why cases of bad frames are not for JSON.
const noFrames = "JSON has no frames; GCLI-09 has its own bad messages"

func noHelloYet(p *play) {
	path := clientPath
	if p.clientToken != "" {
		path += "?token=" + url.QueryEscape(p.clientToken)
	}
	r, c := p.runner(), p.socketAt(path)
	c.call(1, "a", "x")
	want[*clientv1alpha1.Welcome](c)
	r.begin()
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
}

func secondHello(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	c.send(&clientv1alpha1.Hello{Token: p.clientToken})
	c.faulted("request.invalid")
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
}

func subprotocol(p *play) {
	const other = "graphql-ws"
	var err error
	if p.ways.transport == WebTransport {
		var s *webtransport.Session
		if s, err = webtransport.Dial(p.ctx, p.gateway.session(clientPath), []string{other}, nil); err == nil {
			_ = s.Close()
		}
	} else {
		var conn *websocket.Conn
		if conn, err = websocket.Dial(p.ctx, p.gateway.socket(clientPath), other, nil); err == nil {
			_ = conn.Close()
		}
	}
	p.check(err != nil, "refused", "the gateway takes the subprotocol %s", other)
	p.check(strings.Contains(err.Error(), "400"), "status", "%v, not 400", err)
}

func duplicateCall(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	c.call(1, "a", "y")
	e := c.refused(1, "session.duplicate_call")
	p.check(e.Ran == commonv1alpha1.Ran_RAN_NO, "ran", "ran is %v", e.Ran)
	r.reply(call, "\x01")
	c.answered(1, "\x01")
	r.fence()
	none[*runnerv1alpha1.Call](r, "the second call was refused")
}

func badCalls(p *play) {
	r, c := p.runner(), p.client()
	c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Connection: 1, Target: p.to("a")})
	c.refused(1, "request.invalid")
	c.send(&clientv1alpha1.Call{Id: 2, Action: "x"})
	c.refused(2, "request.invalid")
	c.send(&clientv1alpha1.Call{Id: 4, Action: "x", Target: &commonv1alpha1.Address{Type: "two words"}})
	c.refused(4, "request.invalid_address")
	c.send(&clientv1alpha1.Call{Id: 5, Action: "x", Target: p.to("nobody"), Mode: commonv1alpha1.Mode_MODE_GET})
	c.refused(5, "actor.not_found")
	c.send(&clientv1alpha1.Call{Id: 6, Action: "x", Connection: 1})
	r.reply(want[*runnerv1alpha1.Call](r), "\x06")
	c.answered(6, "\x06")
}

func noConnection(p *play) {
	r, c := p.runner(), p.client()
	c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 3, Action: "x", Connection: 9})
	c.refused(3, "connection.not_found")
	c.send(&clientv1alpha1.Subscribe{Id: 4, Connection: 9, Events: []string{"tick"}})
	m := want(c, func(m *clientv1alpha1.SubscriptionResult) bool { return m.Id == 4 })
	p.check(m.Error.GetCode() == "not_found", "subscribe", "the answer is %s", show(m))
	c.barrier(1)
}

// duplicate takes the refusal of a number: without resume, where it harms no channel, it may be the close of a connection.
func (c *client) duplicate(number uint64) {
	m := want(c, func(m proto.Message) bool {
		switch m := m.(type) {
		case *clientv1alpha1.ProtocolError:
			return true
		case *clientv1alpha1.ConnectionClosed:
			return m.Connection == number
		}
		return false
	})
	e, is := m.(interface{ GetError() *commonv1alpha1.Error })
	c.play.check(is && e.GetError().GetGroup() == "connection" && e.GetError().GetCode() == "duplicate", "duplicate", "the number %d, which was used, gets %s", number, show(m))
}

func numbersOnce(p *play) {
	for _, features := range [][]string{nil, {"resume"}} {
		r, c := p.runner(), p.client(features...)
		key := p.unique("a")
		c.connect(r, 5, key, true)
		c.connect(r, 2, key, false) // a lower one
		for _, number := range []uint64{2, 5} {
			c.send(&clientv1alpha1.ConnectionOpen{Connection: number, Target: p.to("b")})
			c.duplicate(number)
		}
		c.send(&clientv1alpha1.ConnectionClose{Connection: 2})
		want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 2 })
		c.send(&clientv1alpha1.ConnectionOpen{Connection: 2, Target: p.to("b")})
		c.duplicate(2)
		c.send(&clientv1alpha1.Call{Id: 6, Action: "x", Connection: 5})
		r.reply(want[*runnerv1alpha1.Call](r), "\x06")
		c.answered(6, "\x06")
		none(r, "the opens were refused", func(m *runnerv1alpha1.StartActor) bool { return m.Key[0] == "b" })
		c.cut()
		r.cut()
	}
}

func garbage(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	for _, b := range [][]byte{{0xff, 0xff}, {0x0a, 0x05, 1}, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte{0x1a, 2, 0xff, 0xfe})} {
		c.write(b)
		c.faulted("request.invalid_frame")
	}
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
}

func framingFault(p *play) {
	for _, message := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 9, 1}, {255, 255, 255, 255}} {
		c := p.client()
		c.raw(message)
		bye := want[*commonv1alpha1.Goodbye](c)
		p.check(bye.Code == "request.invalid_frame", "goodbye", "the session ends with %s", show(bye))
		c.closes()
	}
}

func clientUnknownKind(p *play) {
	c := p.client()
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 42)
	c.write(protowire.AppendBytes(protowire.AppendTag(nil, 53, protowire.BytesType), inner))
	m := want[*commonv1alpha1.Unsupported](c)
	p.check(m.Kind == 53, "kind", "the answer is %s", show(m))
	c.roundTrip()
}

func badJSON(p *play) {
	r := p.runner()
	s := p.speaker(clientPath)
	hello := `{"type":"hello"}`
	if p.clientToken != "" {
		hello = `{"type":"hello","token":"` + p.clientToken + `"}`
	}
	s.text(hello)
	s.want("welcome")
	target := `,"target":"` + p.kind + `:a"`
	s.text(`{"type":"call","id":900,"action":"x"` + target + `}`) // the neighbour, under way all the time
	r.begin()
	call := want[*runnerv1alpha1.Call](r)
	for _, c := range []struct{ send, kind, code string }{
		{`{"type":"call"`, "protocolError", "request.invalid_json"},
		{`[1,2]`, "protocolError", "request.invalid_json"},
		{`{"type":"ping","nonce":1,"nonce":2}`, "protocolError", "request.invalid_json"},
		{`{"type":"call","id":"one","action":"x"` + target + `}`, "protocolError", "request.invalid"},
		{`{"type":"call","id":7,"action":5` + target + `}`, "callResult", "request.invalid"},
		{`{"type":"call","id":8,"action":"x","args":[["$Nonsense",1]]` + target + `}`, "callResult", "request.invalid_json"},
		{`{"type":"call","id":9,"action":"x"}`, "callResult", "request.invalid"},
		{`{"type":"call","id":900,"action":"x"` + target + `}`, "callResult", "session.duplicate_call"},
		{`{"type":"subscribe","id":30,"connection":77,"events":["x"]}`, "subscriptionResult", "connection.not_found"},
	} {
		s.text(c.send)
		m := s.want(c.kind)
		p.check(codeOf(m) == c.code, "error", "%s is answered %s, not %s", c.send, show(m), c.code)
	}
	s.text(`{"type":"dance","id":40}`)
	s.want("unsupported")
	r.reply(call, "\x18\x2a")
	m := s.want("callResult")
	p.check(m["id"] == 900.0 && m["output"] == 42.0, "answer", "the neighbour is answered %s", show(m))
}

func slowHello(p *play) {
	c := p.socket()
	if c.over == WebTransport { // there is no stream for a Goodbye
		c.closedWith(p.patience(15*time.Second), 1008, "session.hello_timed_out")
		return
	}
	bye, why := find[*commonv1alpha1.Goodbye](c.peer, p.patience(15*time.Second), nil)
	p.check(why == "" && bye.Code == "session.hello_timed_out", "goodbye", "the socket gets %s %s", show(bye), why)
	c.closes()
}

// lasting is a client with a session that can be resumed.
func (p *play) lasting() *client { return p.lastingOver(p.ways.transport) }

func (p *play) lastingOver(t Transport) *client {
	c := p.clientOver(t, "resume")
	p.check(len(c.welcome.ResumeToken) > 0 && len(c.welcome.ResumeToken) <= 128 && c.welcome.ResumeMs > 0, "resume", "the session cannot be resumed: %s", show(c.welcome))
	return c
}

// back goes on with the session by that token on another socket.
func (c *client) back(token []byte, received []*clientv1alpha1.Received) *client {
	return c.backOver(c.over, token, received)
}

// backOver is back over that transport.
func (c *client) backOver(t Transport, token []byte, received []*clientv1alpha1.Received) *client {
	n := c.play.socketOver(t, clientPath)
	c.mu.Lock()
	for channel, frames := range c.channels {
		n.channels[channel] = frames
	}
	c.mu.Unlock()
	features := c.features
	if !slices.Contains(features, "resume") {
		features = append(slices.Clone(features), "resume")
	}
	n.say(&clientv1alpha1.Hello{
		Token: c.play.clientToken, Features: features, Resume: &clientv1alpha1.Resume{Token: token, Received: received},
	})
	return n
}

func clientResumes(p *play) {
	r, c := p.runner(), p.lasting()
	ref, connection := c.connect(r, 1, "a", true)
	c.send(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"})
	call := want[*runnerv1alpha1.Call](r)
	r.send(emit(ref, "before", connection))
	want(c, func(m *clientv1alpha1.Event) bool { return m.Event == "before" })
	c.cut()
	r.send(emit(ref, "meanwhile", connection))
	r.reply(call, "\x01")
	r.fence()
	c = c.back(c.welcome.ResumeToken, c.received())
	p.check(c.welcome.Resumed, "resumed", "the session does not go on: %s", show(c.welcome))
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Event == "meanwhile", "event", "the event %s came", m.Event)
	c.answered(1, "\x01")
	r.send(emit(ref, "after", connection))
	want(c, func(m *clientv1alpha1.Event) bool { return m.Event == "after" })
	none[*clientv1alpha1.Event](c, "each was emitted once")
	none[*runnerv1alpha1.ConnectionClose](r, "the connection goes on")
}

func tokenOnce(p *play) {
	c := p.lasting()
	c.roundTrip()
	c.cut()
	first := c.welcome.ResumeToken
	c = c.back(first, c.received())
	p.check(c.welcome.Resumed && !bytes.Equal(c.welcome.ResumeToken, first), "resumed", "the session goes on as %s", show(c.welcome))
	c.roundTrip()
	c.cut()
	n := c.back(first, c.received())
	p.check(!n.welcome.Resumed, "once", "a token that was taken works again")
}

func unknownToken(p *play) {
	c := p.client()
	c = c.back([]byte("never heard of"), []*clientv1alpha1.Received{{}})
	p.check(!c.welcome.Resumed && c.welcome.Session != "", "resumed", "the answer is %s", show(c.welcome))
	c.roundTrip()
}

func clientAck(p *play) {
	c := p.lasting()
	c.send(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: 0, Frames: 1_000}}})
	c.faulted("request.invalid")
	c.roundTrip()
}

func clientAcked(p *play) {
	const within = 64
	r, c := p.runner(), p.lasting()
	c.connect(r, 1, "a", true)
	for id := range uint64(within) {
		c.send(&clientv1alpha1.Call{Id: id + 1, Connection: 1, Action: "a", Args: []byte{0x80}, Oneway: true})
	}
	ack := want(c, func(m *clientv1alpha1.Ack) bool { return m.Received[0].Connection == 1 })
	p.check(ack.Received[0].Frames <= within+1, "count", "of %d frames, those are acknowledged: %s", within+1, show(ack))
}

func sessionEnds(p *play) {
	r, c := p.runner(), p.client()
	ref, connection := c.connect(r, 1, "a", true)
	c.call(1, "a", "x")
	call := want[*runnerv1alpha1.Call](r)
	c.cut()
	m := want[*runnerv1alpha1.ConnectionClose](r)
	p.check(m.Actor == ref && m.Connection == connection, "close", "the runner gets %s", show(m))
	want(r, func(m *runnerv1alpha1.CancelCall) bool { return m.Id == call.Id })
}

func longArguments(p *play) {
	r, c := p.runner(), p.client()
	c.call(1, "a", "x")
	r.begin()
	n := int(c.welcome.Limits.GetMaxArgs())
	p.check(n > 0, "limits", "the limits are %s", show(c.welcome.Limits))
	c.send(&clientv1alpha1.Call{Id: 2, Action: "x", Target: p.to("a"), Args: append([]byte{0x81}, text(n)...)})
	c.refused(2, "request.too_large")
	r.reply(want[*runnerv1alpha1.Call](r), "\x01")
	c.answered(1, "\x01")
}

func idempotency(p *play) {
	p.runner()
	c := p.client()
	if slices.Contains(c.welcome.Features, "idempotency") {
		return
	}
	c.send(&clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a"), IdempotencyKey: []byte("k")})
	c.refused(1, "request.unsupported")
}

func oversize(p *play) {
	c, neighbour := p.client(), p.client()
	c.raw(frame.Append(nil, bytes.Repeat([]byte{0x0a}, int(c.welcome.Limits.MaxMessage)+1)))
	c.closes()
	neighbour.roundTrip()
}
