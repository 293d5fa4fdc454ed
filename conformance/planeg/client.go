package planeg

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
	"github.com/stagedoor-dev/stagedoor/conformance/webtransport"
)

// client is a scripted client, over any transport.
type client struct {
	*peer
	over     Transport
	features []string
	welcome  *clientv1alpha1.Welcome
	channels map[uint64]uint64 // frames that came, by channel [SESS-12]; under peer.mu
	silent   atomic.Bool       // answers no Ping, but lets the case see it
}

// socket opens a client's socket, without a word.
func (p *play) socket() *client { return p.socketAt(clientPath) }

func (p *play) socketAt(path string) *client { return p.socketOver(p.ways.transport, path) }

func (p *play) socketOver(t Transport, path string) *client {
	c := p.unheard(t, path)
	c.listen()
	return c
}

// unheard is a client that does not read yet.
func (p *play) unheard(t Transport, path string) *client {
	c := &client{peer: p.open("client", p.clientLine(t, path), &clientv1alpha1.Frame{}), over: t, channels: map[uint64]uint64{}}
	c.heard = c.hear
	if t == p.ways.transport {
		p.clients.Add(1)
	}
	return c
}

func (p *play) clientLine(t Transport, path string) line {
	switch t {
	case WebTransport:
		return p.dialLanes(path, clientProtocol)
	case JSON:
		return textLine{p.dialSocket("client", path, jsonProtocol)}
	default:
		return p.dialSocket("client", path, clientProtocol)
	}
}

func (p *play) dialLanes(path string, protocols ...string) *lanes {
	session, err := webtransport.Dial(p.ctx, p.gateway.session(path), protocols, nil)
	if err != nil {
		p.failf("dial", "client: %v", err)
	}
	return newLanes(p.ctx, session)
}

// client is one that was welcomed.
func (p *play) client(features ...string) *client { return p.clientOver(p.ways.transport, features...) }

func (p *play) clientOver(t Transport, features ...string) *client {
	c := p.socketOver(t, clientPath)
	c.say(&clientv1alpha1.Hello{Token: p.clientToken, Features: features})
	return c
}

func (c *client) say(hello *clientv1alpha1.Hello) {
	c.features = hello.Features
	c.send(hello)
	c.welcome = want[*clientv1alpha1.Welcome](c)
	if len(c.welcome.ResumeToken) > 0 {
		c.ack() // [SESS-14]
	}
	if c.over == WebTransport && c.welcome.Resumed {
		for _, channel := range c.welcome.Received {
			if channel.Connection != 0 {
				c.rejoin(channel.Connection)
			}
		}
	}
}

// rejoin goes on with a connection over another stream, and returns how much of it the gateway has [SESS-20].
func (c *client) rejoin(connection uint64) uint64 {
	c.mu.Lock()
	frames := c.channels[connection]
	c.mu.Unlock()
	c.send(&clientv1alpha1.ConnectionResume{Connection: connection, Frames: frames})
	return want(c, func(m *clientv1alpha1.ConnectionResumed) bool { return m.Connection == connection }).Frames
}

// closedWith waits for the end of a WebTransport session, and checks what it says [SESS-22].
func (c *client) closedWith(patience time.Duration, code uint32, reason string) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case <-c.done:
	case <-deadline.C:
		c.play.failf("closed", "the gateway leaves the session open")
	}
	var closed *webtransport.CloseError
	c.play.check(errors.As(c.ended, &closed) && closed.Code == code && closed.Reason == reason, "closed", "the session ended so: %v; want %d %s", c.ended, code, reason)
}

// lanes are the streams of a client over WebTransport.
func (c *client) lanes() *lanes {
	l, is := c.line.(*lanes)
	c.play.check(is, "suite", "the client is not over WebTransport")
	return l
}

func (c *client) hear(kind frame.Kind, _ []byte, m proto.Message) bool {
	c.play.note("client gets %s", show(m))
	if ping, ok := m.(*commonv1alpha1.Ping); ok {
		if c.silent.Load() {
			return false
		}
		c.write(c.encode(&clientv1alpha1.Pong{Nonce: ping.Nonce}))
		return true
	}
	if kind.Counted() {
		channel := uint64(0)
		if field := m.ProtoReflect().Descriptor().Fields().ByName("connection"); field != nil {
			channel = m.ProtoReflect().Get(field).Uint()
		}
		c.mu.Lock()
		c.channels[channel]++
		c.mu.Unlock()
	}
	return false
}

// received says how far the channels are that the client has.
func (c *client) received() []*clientv1alpha1.Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []*clientv1alpha1.Received{{Frames: c.channels[0]}}
	for n, frames := range c.channels {
		if n != 0 {
			list = append(list, &clientv1alpha1.Received{Connection: n, Frames: frames})
		}
	}
	return list
}

func (c *client) ack() { c.send(&clientv1alpha1.Ack{Received: c.received()}) }

func (c *client) send(messages ...proto.Message) {
	for _, m := range messages {
		c.play.note("client sends %s", show(m))
		c.write(c.encode(m))
	}
}

// to is the address of an actor of the case's type.
func (p *play) to(key ...string) *commonv1alpha1.Address {
	return &commonv1alpha1.Address{Type: p.kind, Key: key}
}

// call calls an actor without connection.
func (c *client) call(id uint64, key, action string) {
	c.send(&clientv1alpha1.Call{Id: id, Action: action, Target: c.play.to(key), Args: []byte{0x80}})
}

// result takes the answer to a call.
func (c *client) result(id uint64) *clientv1alpha1.CallResult {
	return want(c, func(m *clientv1alpha1.CallResult) bool { return m.Id == id })
}

// answered checks that a call was answered with that value.
func (c *client) answered(id uint64, output string) {
	m := c.result(id)
	if m.Error != nil || string(m.Output) != output {
		c.play.failf("answer", "call %d is answered %s", id, show(m))
	}
}

// refused checks that a call was answered with one of those errors, and that it says whether user code ran [ERR-4].
func (c *client) refused(id uint64, codes ...string) *commonv1alpha1.Error {
	m := c.result(id)
	if m.Error == nil || !slices.Contains(codes, m.Error.Group+"."+m.Error.Code) {
		c.play.failf("error", "call %d is answered %s, not %v", id, show(m), codes)
	}
	if m.Error.Ran == commonv1alpha1.Ran_RAN_UNSPECIFIED {
		c.play.failf("ran", "the error of call %d does not say whether it ran", id)
	}
	return m.Error
}

// faulted takes a ProtocolError with that code.
func (c *client) faulted(code string) {
	m := want[*clientv1alpha1.ProtocolError](c)
	if got := m.Error.GetGroup() + "." + m.Error.GetCode(); got != code {
		c.play.failf("protocolError", "the fault is %s, not %s", got, code)
	}
}

// connect opens a connection that the runner admits.
func (c *client) connect(r *runner, number uint64, key string, start bool, subscriptions ...string) (ref, connection uint64) {
	c.send(&clientv1alpha1.ConnectionOpen{Connection: number, Target: c.play.to(key), Subscriptions: subscriptions})
	if start {
		r.begin(key)
	}
	open := r.admit()
	want(c, func(m *clientv1alpha1.ConnectionOpened) bool { return m.Connection == number })
	return open.Actor, open.Connection
}

// barrier waits until what left the actor for that connection before has come [CONN-5].
func (c *client) barrier(connection uint64) {
	id := c.play.next() << 20
	c.send(&clientv1alpha1.Subscribe{Id: id, Connection: connection, Events: []string{"barrier"}})
	want(c, func(m *clientv1alpha1.SubscriptionResult) bool { return m.Id == id })
}

// roundTrip waits for the answer to a Ping, which comes at once [SESS-5].
func (c *client) roundTrip() {
	nonce := c.play.next()
	c.send(&commonv1alpha1.Ping{Nonce: nonce})
	want(c, func(m *clientv1alpha1.Pong) bool { return m.Nonce == nonce })
}

// settle makes another actor, commits and answers, so that what an earlier commit of the runner's was to bring has come by
// all odds. A gateway that is slower than that is not found out, and none is accused that keeps its part.
func (c *client) settle(r *runner) {
	n := c.play.next()
	id, key := n<<32, c.play.unique("settle")
	c.call(id, key, "settle")
	start := r.begin(key)
	call := want(r, func(m *runnerv1alpha1.Call) bool { return m.Actor == start.Actor })
	r.commit(start.Actor, 2, "\x02", 1)
	r.reply(call, "\x01")
	r.acked(start.Actor, 2)
	c.answered(id, "\x01")
	c.roundTrip()
}

// speaker is a scripted client with a JSON session.
type speaker struct {
	*peer
	conn *websocket.Conn
}

func (p *play) speaker(path string) *speaker {
	l := p.dialSocket("client", path, jsonProtocol)
	s := &speaker{p.open("client", l, nil), l.conn}
	s.listen()
	return s
}

func (s *speaker) text(message string) {
	s.play.note("client sends %s", short(message))
	if err := s.conn.Write(websocket.Text, []byte(message)); err != nil {
		s.play.note("client: %v", err)
	}
}

// want takes the next message of that type.
func (s *speaker) want(kind string) object {
	return want(s, func(o object) bool { return o["type"] == kind })
}

// codeOf is the error of a message of a JSON session, or of an answer over HTTP.
func codeOf(o object) string {
	e, _ := o["error"].(object)
	group, _ := e["group"].(string)
	code, _ := e["code"].(string)
	return group + "." + code
}
