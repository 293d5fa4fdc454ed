package client

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// modelGateway is the gateway's side of SESS-12 to SESS-18 as the spec has it, without I/O: receive takes what the client
// wrote, out is what goes to the client. It fails the test where the client breaks a rule. Actions take a number and answer
// it; no number may run twice, and those of a channel run in growing order.
type modelGateway struct {
	t   *testing.T
	rnd *rand.Rand

	session *modelSession
	greeted bool // the present socket has had its Hello
	refuses bool // sessions are forgotten
	lanes   bool // the present socket has lanes
	zero    *lane
	out     map[*lane][][]byte // nil: of a socket without lanes
	ran     map[int]bool
	tokens  int
	resets  int // sessions that were not resumed
	limits  *clientv1alpha1.Limits
}

// modelSession is what the gateway keeps of a session.
type modelSession struct {
	token, taken string // the second is void with the first frame behind Hello
	channels     map[uint64]*modelChannel
	forgotten    map[uint64]bool
	used         map[uint64]bool
	pending      []modelCall
}

type modelCall struct {
	id, connection uint64
	number         int
}

// modelChannel is one channel as the gateway sees it.
type modelChannel struct {
	number    uint64
	received  uint64
	told      uint64   // received, acknowledged to the client
	kept      [][]byte // sent and not acknowledged
	acked     uint64   // sent before those
	delivered uint64   // sent, and the client has read it
	lost      bool     // the oldest of kept is missing
	opened    bool
	ended     bool
	left      bool  // the client has ended its stream
	givenUp   bool  // by the client, after so many lost lanes
	lane      *lane // nil: none now
	events    int
	last      int // number that ran last
}

func (ch *modelChannel) sent() uint64 { return ch.acked + uint64(len(ch.kept)) }

func newModelSession() *modelSession {
	return &modelSession{
		channels:  map[uint64]*modelChannel{0: {}},
		forgotten: map[uint64]bool{},
		used:      map[uint64]bool{},
	}
}

// receive takes one message of the client.
func (g *modelGateway) receive(l *lane, data []byte) {
	for len(data) > 0 {
		raw, rest, err := wire.NextFrame(data, 1<<20)
		if err != nil {
			g.t.Fatal(err)
		}
		data = rest
		frame, err := wire.ParseFrame(raw)
		if err != nil {
			g.t.Fatal(err)
		}
		m, err := wire.DecodeClient(frame)
		if err != nil {
			g.t.Fatal(err)
		}
		g.handle(l, frame.Kind, m)
	}
}

func (g *modelGateway) handle(l *lane, kind wire.Kind, m any) {
	if hello, ok := m.(*clientv1alpha1.Hello); ok {
		g.zero = l
		g.hello(hello)
		return
	}
	if !g.greeted {
		g.t.Fatalf("%T before Hello", m)
	}
	s := g.session
	s.taken = "" // [SESS-16]
	if resume, ok := m.(*clientv1alpha1.ConnectionResume); ok {
		g.rejoin(l, resume)
		return
	}
	if isCounted(kind) {
		ch := g.inbound(m)
		ch.received++
		g.expectLane(ch, l, m)
	}
	switch m := m.(type) {
	case *clientv1alpha1.Ack:
		g.onAck(m)
	case *clientv1alpha1.ConnectionOpen:
		// counted by inbound
	case *clientv1alpha1.ConnectionClose:
		if ch := s.channels[m.GetConnection()]; !ch.ended {
			g.end(ch, &clientv1alpha1.ConnectionClosed{Connection: ch.number})
		}
	case *clientv1alpha1.Subscribe:
		ch := g.about(m.GetConnection())
		g.send(ch, &clientv1alpha1.SubscriptionResult{Id: m.GetId(), Connection: ch.number})
	case *clientv1alpha1.Unsubscribe:
		ch := g.about(m.GetConnection())
		g.send(ch, &clientv1alpha1.SubscriptionResult{Id: m.GetId(), Connection: ch.number})
	case *clientv1alpha1.CancelCall:
		if i := slices.IndexFunc(s.pending, func(c modelCall) bool { return c.id == m.GetId() }); i >= 0 {
			g.answer(i, &wire.ClientCallResult{ID: m.GetId(), Error: wire.ActionCanceled.New()})
		}
	case *wire.ClientCall:
		g.call(m)
	default:
		g.t.Fatalf("the client sent %T %v", m, m)
	}
}

// inbound is the channel of a client's frame. A ConnectionOpen begins one.
func (g *modelGateway) inbound(m any) *modelChannel {
	s, n := g.session, uint64(0)
	switch m := m.(type) {
	case *wire.ClientCall:
		n = m.Connection
	case *clientv1alpha1.ConnectionOpen:
		n = m.GetConnection()
		if s.used[n] {
			g.t.Fatalf("connection %d was opened twice", n)
		}
		s.used[n] = true
		s.channels[n] = &modelChannel{number: n}
	case interface{ GetConnection() uint64 }:
		n = m.GetConnection()
	}
	ch := s.channels[n]
	if ch == nil {
		g.t.Fatalf("%T on channel %d, which is not there", m, n)
	}
	return ch
}

func (g *modelGateway) hello(m *clientv1alpha1.Hello) {
	if g.greeted {
		g.t.Fatal("a second Hello")
	}
	g.greeted, g.out = true, map[*lane][][]byte{}
	welcome := &clientv1alpha1.Welcome{Features: []string{wire.FeatureClientResume}, ResumeMs: 30_000, Limits: g.limits}
	s := g.session
	if r := m.GetResume(); r != nil && s != nil && !g.refuses && (string(r.GetToken()) == s.token || string(r.GetToken()) == s.taken) {
		s.taken = string(r.GetToken())
		welcome.Resumed = true
		for _, n := range g.numbers() {
			welcome.Received = append(welcome.Received, &clientv1alpha1.Received{Connection: n, Frames: s.channels[n].received})
		}
		g.settle(r.GetReceived())
	} else {
		g.session = newModelSession()
		g.resets++
	}
	g.tokens++
	g.session.token = fmt.Sprint("token ", g.tokens)
	welcome.ResumeToken = []byte(g.session.token)
	g.out[g.zero] = append([][]byte{encoded(welcome)}, g.out[g.zero]...)
}

// settle drops what the client has, and sends the rest again, channel by channel.
func (g *modelGateway) settle(received []*clientv1alpha1.Received) {
	s := g.session
	listed := map[uint64]uint64{}
	for _, r := range received {
		n := r.GetConnection()
		listed[n] = r.GetFrames()
		if s.channels[n] == nil && !s.forgotten[n] && r.GetFrames() > 0 {
			g.t.Fatalf("the client has %d frames of channel %d, which is not there", r.GetFrames(), n)
		}
	}
	for _, n := range g.numbers() {
		ch := s.channels[n]
		ch.told = ch.received
		frames, ok := listed[n]
		if !ok {
			if (!ch.ended || ch.delivered != ch.sent()) && !ch.givenUp {
				g.t.Fatalf("the client has forgotten channel %d", n)
			}
			g.forget(n)
			continue
		}
		if frames != ch.delivered {
			g.t.Fatalf("the client has %d frames of channel %d, %d were delivered", frames, n, ch.delivered)
		}
		g.acknowledged(ch, frames)
		if !g.lanes || n == 0 {
			g.replay(ch, frames)
		}
	}
}

// replay sends what the client lacks.
func (g *modelGateway) replay(ch *modelChannel, frames uint64) {
	if ch.lost {
		g.lose(ch, frames)
		return
	}
	to, _ := g.way(ch)
	g.out[to] = append(g.out[to], ch.kept...)
}

// lose ends a channel of which not everything was kept [SESS-17]. Its count goes on from what the client has.
func (g *modelGateway) lose(ch *modelChannel, frames uint64) {
	ch.acked, ch.kept, ch.lost = frames, nil, false
	g.session.pending = slices.DeleteFunc(g.session.pending, func(c modelCall) bool { return c.connection == ch.number })
	g.end(ch, closedBy(ch.number, wire.ConnectionResumeLost, same))
}

func (g *modelGateway) numbers() (list []uint64) {
	for n := range g.session.channels {
		list = append(list, n)
	}
	slices.Sort(list)
	g.rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (g *modelGateway) onAck(m *clientv1alpha1.Ack) {
	for _, r := range m.GetReceived() {
		ch := g.session.channels[r.GetConnection()]
		if ch == nil {
			if !g.session.forgotten[r.GetConnection()] {
				g.t.Fatalf("Ack of channel %d, which was not there", r.GetConnection())
			}
			continue
		}
		if r.GetFrames() > ch.sent() {
			g.t.Fatalf("Ack of %d frames of channel %d, %d were sent", r.GetFrames(), ch.number, ch.sent())
		}
		g.acknowledged(ch, r.GetFrames())
		if ch.ended && len(ch.kept) == 0 {
			g.ack(ch) // the last word about it [SESS-14]
			g.release(ch)
		}
	}
}

func (g *modelGateway) acknowledged(ch *modelChannel, frames uint64) {
	for ch.acked < frames {
		ch.kept, ch.lost = ch.kept[1:], false
		ch.acked++
	}
}

func (g *modelGateway) forget(n uint64) {
	delete(g.session.channels, n)
	g.session.forgotten[n] = true
}

// send sends a counted frame of the channel.
func (g *modelGateway) send(ch *modelChannel, m any) {
	frame := encoded(m)
	ch.kept = append(ch.kept, frame)
	if to, ok := g.way(ch); ok {
		g.out[to] = append(g.out[to], frame)
	}
}

// about is the channel of an answer about a connection: its own, or, if that has ended, the session's.
func (g *modelGateway) about(connection uint64) *modelChannel {
	if ch := g.session.channels[connection]; ch != nil && !ch.ended {
		return ch
	}
	return g.session.channels[0]
}

func (g *modelGateway) end(ch *modelChannel, m proto.Message) {
	g.send(ch, m)
	ch.ended = true
}

// ack acknowledges a channel, if there is a socket.
func (g *modelGateway) ack(ch *modelChannel) {
	if g.greeted && ch.told < ch.received {
		ch.told = ch.received
		g.out[g.zero] = append(g.out[g.zero], encoded(&clientv1alpha1.Ack{Received: counts(ch.number, ch.received)}))
	}
}

func (g *modelGateway) call(m *wire.ClientCall) {
	var args []int
	if err := payload.Unmarshal(m.Args, &args); err != nil {
		g.t.Fatal(err)
	}
	number := args[0]
	if g.ran[number] {
		g.t.Fatalf("call %d came twice", number)
	}
	ch := g.session.channels[m.Connection]
	if number <= ch.last {
		g.t.Fatalf("call %d came behind %d on channel %d", number, ch.last, ch.number)
	}
	ch.last = number
	if ch.ended {
		if !m.Oneway {
			g.send(g.session.channels[0], &wire.ClientCallResult{ID: m.ID, Error: wire.ConnectionClosed.New().With(wire.RanNo)})
		}
		return
	}
	g.ran[number] = true
	if !m.Oneway {
		g.session.pending = append(g.session.pending, modelCall{m.ID, m.Connection, number})
	}
}

// answer ends the i-th of the pending calls. r nil: with its number.
func (g *modelGateway) answer(i int, r *wire.ClientCallResult) {
	c := g.session.pending[i]
	g.session.pending = slices.Delete(g.session.pending, i, i+1)
	if r == nil {
		r = &wire.ClientCallResult{ID: c.id, Output: must(payload.Marshal(c.number)), HasOutput: true}
	}
	ch := g.about(c.connection)
	r.Connection = ch.number
	g.send(ch, r)
}

// act does something on its own.
func (g *modelGateway) act(harsh bool) {
	s := g.session
	if s == nil {
		return
	}
	numbers := g.numbers()
	ch := s.channels[numbers[0]]
	switch g.rnd.IntN(6) {
	case 0:
		g.ack(ch)
	case 1, 2:
		if len(s.pending) > 0 {
			g.answer(g.rnd.IntN(len(s.pending)), nil)
		}
	case 3:
		if ch.number != 0 && !ch.opened && !ch.ended {
			ch.opened = true
			g.send(ch, &clientv1alpha1.ConnectionOpened{Connection: ch.number, ActorId: "a", ConnectionId: fmt.Sprint(ch.number)})
		}
	case 4:
		for range []int{0, 1, 2, 3, 100}[g.rnd.IntN(5)] {
			if ch.opened && !ch.ended {
				ch.events++
				g.send(ch, event(ch.number, "n", ch.number, ch.events))
			}
		}
	case 5:
		if !harsh || ch.number == 0 || ch.ended {
			return
		}
		if g.rnd.IntN(2) == 0 && len(ch.kept) > 0 {
			ch.lost = true
			return
		}
		r := []commonv1alpha1.Reconnect{same, never}[g.rnd.IntN(2)]
		g.end(ch, closedBy(ch.number, wire.ConnectionClosed, r))
	}
}

// calm opens, answers and acknowledges all there is.
func (g *modelGateway) calm() {
	for _, n := range g.numbers() {
		ch := g.session.channels[n]
		if n != 0 && !ch.opened && !ch.ended {
			ch.opened = true
			g.send(ch, &clientv1alpha1.ConnectionOpened{Connection: n, ActorId: "a", ConnectionId: fmt.Sprint(n)})
		}
		g.ack(ch)
	}
	for len(g.session.pending) > 0 {
		g.answer(0, nil)
	}
}
