package planeg

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/webtransport"
)

func laneCases() []*Case {
	over := func(id, title, requirements string, run func(*play)) *Case {
		return &Case{ID: id, Title: title, Requirements: needs(requirements), WebTransport: true, run: run}
	}
	stray := over("GWT-10", "a connection that gets no stream for the session's time without socket ends", "SESS-20:dbd13d SESS-17:5f74a4", strayChannel)
	stray.Slow = true
	return []*Case{
		over("GWT-01", "each connection has a stream, which waits for the session's Hello", "SESS-19:4f725a", ownStreams),
		over("GWT-02", "of subprotocols the binary one is taken, and in development none, too", "SESS-19:4f725a", sessionProtocol),
		over("GWT-03", "a frame of another channel costs its stream, and nothing else", "SESS-19:4f725a", foreignFrame),
		over("GWT-04", "broken framing costs the stream that it is on, and nothing else", "SESS-19:4f725a FRAME-2:9beed0", brokenStream),
		over("GWT-05", "broken framing on channel 0, or a connection's frame, costs the session", "SESS-19:4f725a SESS-22:9d65a7 FRAME-6:274312", brokenControl),
		over("GWT-06", "a stream that begins as none does is reset, and one of one direction is not read", "SESS-19:4f725a", strangeStreams),
		over("GWT-07", "a stream ends behind ConnectionClosed, and a client that ends its side leaves", "SESS-20:dbd13d", streamEnds),
		over("GWT-08", "a connection goes on over another stream, with nothing lost or doubled either way", "SESS-20:dbd13d SESS-12:ce0fde", lostStream),
		over("GWT-09", "without resume a connection ends with its stream, and no other", "SESS-20:dbd13d", noResume),
		stray,
		over("GWT-11", "there is no going on with a connection that the gateway has forgotten, nor from an impossible count", "SESS-20:dbd13d SESS-14:93f593", noSuchChannel),
		over("GWT-16", "a connection whose open was lost with its stream is opened over another", "SESS-20:dbd13d", openLost),
		over("GWT-12", "a connection that is not read holds up no other", "SESS-19:4f725a", unreadStream),
		over("GWT-13", "a session that goes on elsewhere is closed with code and reason, behind Goodbye", "SESS-22:9d65a7 SESS-15:01f473", closeCodes),
	}
}

// overStreams is a client over WebTransport, whatever the run's clients speak.
func (p *play) overStreams(features ...string) *client {
	return p.clientOver(WebTransport, features...)
}

// laneEnds takes the end of a stream, and checks that it was reset, or not.
func (c *client) laneEnds(channel uint64, reset bool) {
	m := want(c, func(m laneEnd) bool { return m.channel == channel })
	c.play.check(errors.Is(m.err, webtransport.ErrReset) == reset && (reset || m.err == nil), "stream", "the stream of channel %d ends with %v", channel, m.err)
}

// breaks resets the stream of a connection.
func (c *client) breaks(channel uint64) { c.lanes().drop(channel).Reset() }

func ownStreams(p *play) {
	r := p.runner()
	c := p.socketOver(WebTransport, clientPath)
	c.send(
		&clientv1alpha1.ConnectionOpen{Connection: 3, Target: p.to("a")},
		&clientv1alpha1.Call{Id: 1, Connection: 3, Action: "x"},
	)
	p.wait(100 * time.Millisecond) // for the stream to come first; a gateway that sees it later is not found out
	c.say(&clientv1alpha1.Hello{Token: p.clientToken})
	r.begin("a")
	open := r.admit()
	want(c, func(m *clientv1alpha1.ConnectionOpened) bool { return m.Connection == 3 })
	call := want[*runnerv1alpha1.Call](r)
	p.check(open.Transport == "webtransport" && call.Connection == open.Connection, "open", "the runner gets %s, then %s", show(open), show(call))
	r.send(emit(open.Actor, "tick", open.Connection))
	r.reply(call, "\x01")
	want(c, func(m *clientv1alpha1.Event) bool { return m.Connection == 3 })
	c.answered(1, "\x01")
}

func sessionProtocol(p *play) {
	dial := func(protocols ...string) error {
		s, err := webtransport.Dial(p.ctx, p.gateway.session(clientPath), protocols, nil)
		if err == nil {
			defer s.Close()
			if len(protocols) > 0 && s.Protocol() != clientProtocol {
				return errors.New("the gateway has chosen " + s.Protocol())
			}
		}
		return err
	}
	p.check(dial(jsonProtocol) != nil, "json", "the gateway takes JSON over WebTransport")
	err := dial("graphql", clientProtocol)
	p.check(err == nil, "list", "of a list with the subprotocol: %v", err)
	err = dial()
	development := p.overStreams().welcome.Development
	p.check((err == nil) == development, "none", "without subprotocol, in development %v: %v", development, err)
}

func foreignFrame(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	ref, connection := c.connect(r, 1, "a", true)
	c.connect(r, 2, "a", false)
	c.lanes().rawTo(1, frame.Append(nil, c.encode(&clientv1alpha1.Call{Id: 1, Connection: 2, Action: "x"}))) //nolint:errcheck // seen by what follows
	c.faulted("request.invalid_frame")
	c.laneEnds(1, true)
	c.barrier(2)
	r.send(emit(ref, "meanwhile", connection))
	c.rejoin(1)
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Connection == 1 && m.Event == "meanwhile", "event", "the event is %s", show(m))
	none[*runnerv1alpha1.Call](r, "its stream was another connection's")
	none[*runnerv1alpha1.ConnectionClose](r, "both connections go on")
}

func brokenStream(p *play) {
	r, c := p.runner(), p.overStreams()
	c.connect(r, 1, "a", true)
	for i, b := range [][]byte{{0, 0, 0, 0}, {255, 255, 255, 255}, {0, 0, 0, 9, 1}} {
		number := uint64(i) + 2
		_, connection := c.connect(r, number, "a", false)
		c.lanes().rawTo(number, b)    //nolint:errcheck // seen by what follows
		if len(b) > frame.HeaderLen { // it is cut off
			_ = c.lanes().drop(number).Close()
		}
		c.faulted("request.invalid_frame")
		want(r, func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == connection })
		c.laneEnds(number, true)
	}
	c.barrier(1)
}

func brokenControl(p *play) {
	r := p.runner()
	for i, b := range [][]byte{{0, 0, 0, 0}, {255, 255, 255, 255}, nil} {
		c := p.overStreams()
		c.connect(r, 1, "a", i == 0)
		if b == nil {
			b = frame.Append(nil, c.encode(&clientv1alpha1.Call{Id: 1, Connection: 1, Action: "x"}))
		}
		c.raw(b)
		bye := want[*commonv1alpha1.Goodbye](c)
		p.check(bye.Code == "request.invalid_frame", "goodbye", "the session ends with %s", show(bye))
		c.closedWith(p.patience(5*time.Second), 1002, "request.invalid_frame")
		want[*runnerv1alpha1.ConnectionClose](r)
	}
	none[*runnerv1alpha1.Call](r, "channel 0 is no connection's")
}

func strangeStreams(p *play) {
	r, c := p.runner(), p.overStreams()
	c.connect(r, 1, "a", true)
	call := &clientv1alpha1.Call{Id: 1, Action: "x", Target: p.to("a")}
	for i, m := range []proto.Message{&clientv1alpha1.Hello{}, &commonv1alpha1.Ping{Nonce: 1}, call, &clientv1alpha1.Call{Id: 2, Connection: 1, Action: "x"}} {
		number := uint64(i) + 100
		c.lanes().rawTo(number, frame.Append(nil, c.encode(m))) //nolint:errcheck // seen by what follows
		c.faulted("request.invalid_frame")
		c.laneEnds(number, true)
	}
	if err := c.lanes().session.OpenOneWay(p.ctx, frame.Append(nil, c.encode(call))); err != nil {
		p.failf("oneWay", "%v", err)
	}
	c.barrier(1)
	c.roundTrip()
	r.fence()
	none[*runnerv1alpha1.Call](r, "no stream of a channel brought it")
	none[*runnerv1alpha1.ConnectionClose](r, "the connection goes on")
}

func streamEnds(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	ref, connection := c.connect(r, 1, "a", true)
	r.send(&runnerv1alpha1.ConnectionClose{Actor: ref, Connection: connection, Code: "connection.disconnected", Reason: "enough"})
	want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 1 })
	c.laneEnds(1, false)
	c.ack()
	_, connection = c.connect(r, 2, "a", false)
	if err := c.lanes().drop(2).Close(); err != nil {
		p.failf("close", "%v", err)
	}
	want(r, func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == connection })
	m := want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 2 })
	p.check(m.Error == nil, "closed", "who leaves is told %s", show(m))
	c.laneEnds(2, false)
	c.roundTrip()
}

func lostStream(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	ref, connection := c.connect(r, 1, "a", true)
	said := []proto.Message{&clientv1alpha1.ConnectionOpen{}} // by the client on channel 1
	call := func(i int) {
		m := &clientv1alpha1.Call{Id: uint64(len(said)), Connection: 1, Action: "x", Args: []byte{0x81, byte(i)}}
		said = append(said, m)
		c.send(m)
	}
	call(0)
	first := want[*runnerv1alpha1.Call](r)
	r.send(emit(ref, "one", connection))
	want(c, func(m *clientv1alpha1.Event) bool { return m.Event == "one" })
	for i := range 3 { // which may arrive, or not
		call(i + 1)
	}
	c.breaks(1)
	r.send(emit(ref, "two", connection))
	r.reply(first, "\x05")
	r.fence()
	came := c.rejoin(1)
	p.check(came >= 2 && came <= uint64(len(said)), "frames", "of %d frames the gateway has %d", len(said), came)
	c.send(said[came:]...)
	call(4)
	for i := range 4 {
		m := want[*runnerv1alpha1.Call](r)
		p.check(m.Args[1] == byte(i+1), "calls", "call %d came where %d is due", m.Args[1], i+1)
		r.reply(m, "\x06")
	}
	m := want[*clientv1alpha1.Event](c)
	p.check(m.Event == "two", "events", "the event %s came", m.Event)
	c.answered(1, "\x05")
	for id := range uint64(4) {
		c.answered(id+2, "\x06")
	}
	c.barrier(1)
	none[*clientv1alpha1.Event](c, "each was emitted once")
	none[*runnerv1alpha1.Call](r, "each was sent once")
	none[*runnerv1alpha1.ConnectionClose](r, "the connection goes on")
}

func noResume(p *play) {
	r, c := p.runner(), p.overStreams()
	_, first := c.connect(r, 1, "a", true)
	c.connect(r, 2, "a", false)
	c.breaks(1)
	want(r, func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == first })
	c.barrier(2)
	c.send(&clientv1alpha1.ConnectionResume{Connection: 1})
	c.faulted("connection.not_found")
	none[*runnerv1alpha1.ConnectionClose](r, "the other connection goes on")
}

func strayChannel(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	_, first := c.connect(r, 1, "a", true)
	c.connect(r, 2, "a", false)
	wait := time.Duration(c.welcome.ResumeMs) * time.Millisecond
	p.check(wait > 0, "resume_ms", "Welcome does not say how long the session is kept")
	c.breaks(1)
	m, why := find(r.peer, wait+p.patience(5*time.Second), []func(*runnerv1alpha1.ConnectionClose) bool{func(m *runnerv1alpha1.ConnectionClose) bool { return m.Connection == first }})
	p.check(why == "", "close", "the runner gets %s %s", show(m), why)
	c.rejoin(1)
	closed := want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 1 })
	p.check(closed.Error.GetCode() == "resume_lost" && closed.Reconnect == commonv1alpha1.Reconnect_RECONNECT_SAME, "closed", "the connection ends with %s", show(closed))
	c.laneEnds(1, false)
	c.barrier(2)
}

func openLost(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	c.connect(r, 1, "a", true)
	c.breaks(c.opened(7)) // as if the open were lost with its stream
	p.check(c.rejoin(7) == 0, "frames", "the gateway claims frames of a connection that it has not heard of")
	c.lanes().rawTo(7, frame.Append(nil, c.encode(&clientv1alpha1.ConnectionOpen{Connection: 7, Target: p.to("a")}))) //nolint:errcheck // seen by what follows
	r.admit()
	want(c, func(m *clientv1alpha1.ConnectionOpened) bool { return m.Connection == 7 })
	c.barrier(7)
	c.barrier(1)
}

// opened opens a stream for a channel, without a word.
func (c *client) opened(channel uint64) uint64 {
	if _, err := c.lanes().stream(channel, true); err != nil {
		c.play.failf("stream", "%v", err)
	}
	return channel
}

func noSuchChannel(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	c.connect(r, 1, "a", true)
	c.connect(r, 2, "a", false)
	c.send(&clientv1alpha1.ConnectionClose{Connection: 2})
	want(c, func(m *clientv1alpha1.ConnectionClosed) bool { return m.Connection == 2 })
	c.laneEnds(2, false)
	c.ack()
	c.roundTrip()
	c.forgotten(2)
	c.send(&clientv1alpha1.ConnectionResume{Connection: 1, Frames: 1000})
	c.faulted("request.invalid")
	c.laneEnds(1, true)
	c.send(&clientv1alpha1.ConnectionResume{Connection: 7, Frames: 1})
	c.faulted("request.invalid")
	c.laneEnds(7, true)
	c.barrier(1)
	r.fence()
}

// forgotten waits until the gateway has forgotten a channel that has ended, which it has when it has heard that the client ended its stream.
func (c *client) forgotten(channel uint64) {
	c.mu.Lock()
	frames := c.channels[channel]
	c.mu.Unlock()
	for range 50 {
		c.send(&clientv1alpha1.ConnectionResume{Connection: channel, Frames: frames})
		m := want(c, func(m proto.Message) bool {
			switch m.(type) {
			case *clientv1alpha1.ConnectionResumed, *clientv1alpha1.ProtocolError:
				return true
			}
			return false
		})
		if fault, is := m.(*clientv1alpha1.ProtocolError); is {
			code := fault.Error.GetGroup() + "." + fault.Error.GetCode()
			c.play.check(code == "connection.not_found", "protocolError", "the fault is %s", code)
			c.laneEnds(channel, true)
			return
		}
		c.laneEnds(channel, false)
	}
	c.play.failf("forgotten", "the gateway goes on with channel %d, which has ended and is acknowledged", channel)
}

func unreadStream(p *play) {
	r, c := p.runner(), p.overStreams()
	ref, connection := c.connect(r, 2, "a", true)
	c.lanes().hold(1)
	c.send(&clientv1alpha1.ConnectionOpen{Connection: 1, Target: p.to("a")})
	unread := r.admit().Connection
	const bytes = 2 << 20 // more than a stream takes that is not read, and less than a gateway queues
	size := min(int(r.welcome.Limits.MaxEvent), 60_000) - 100
	args := append([]byte{0x81}, text(size)...)
	for sent := 0; sent < bytes; sent += size {
		r.send(&runnerv1alpha1.Emit{Actor: ref, Event: "tick", To: []uint64{unread}, Args: args})
	}
	for i := range byte(20) {
		r.send(&runnerv1alpha1.Emit{Actor: ref, Event: "tock", To: []uint64{connection}, Args: []byte{0x81, i}})
		m := want[*clientv1alpha1.Event](c)
		p.check(m.Connection == 2 && m.Args[1] == i, "event", "event %d is %s", i, show(m))
	}
	c.roundTrip()
}

func closeCodes(p *play) {
	r, c := p.runner(), p.overStreams("resume")
	c.connect(r, 1, "a", true)
	n := c.back(c.welcome.ResumeToken, c.received())
	p.check(n.welcome.Resumed, "resumed", "the session goes on as %s", show(n.welcome))
	bye := want[*commonv1alpha1.Goodbye](c)
	p.check(bye.Code == "session.superseded", "goodbye", "the first socket ends with %s", show(bye))
	c.closedWith(p.patience(5*time.Second), 1008, "session.superseded")
	n.barrier(1)
	if p.clientToken == "" {
		return
	}
	c = p.socketOver(WebTransport, clientPath)
	c.send(&clientv1alpha1.Hello{})
	want[*clientv1alpha1.Reject](c)
	c.closedWith(p.patience(5*time.Second), 1008, "auth.unauthenticated")
}

// channelOf is how much a Welcome says has come of a channel.
func channelOf(w *clientv1alpha1.Welcome, channel uint64) uint64 {
	i := slices.IndexFunc(w.Received, func(r *clientv1alpha1.Received) bool { return r.Connection == channel })
	if i < 0 {
		return 0
	}
	return w.Received[i].Frames
}
