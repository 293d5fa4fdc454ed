package e2e

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lxzan/gws"
	"google.golang.org/protobuf/proto"

	"github.com/stagedoor-dev/stagedoor/gateway"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
	"github.com/stagedoor-dev/stagedoor/internal/wire/clientjson"
)

// resumer is a client that goes on with its session over one raw WebSocket after another, in either form, or over WebTransport
// sessions, and does nothing by itself: the test says what it sends, how much it reads of what has come, and when its socket breaks. It holds itself
// to the counting of SESS-12.
type resumer struct {
	w     *world
	json  bool
	token string // of the client; empty: none is needed
	mute  bool   // it does not acknowledge the end of a channel
	apart bool   // the next socket has a stream for each channel
	// order says which of n streams is read next; nil: the one of the lowest channel.
	order func(n int) int

	s        *raw
	pipe     *pausable
	session  *streams // instead of both
	inbox    []any    // read from the socket, not yet heard
	resume   []byte
	welcome  *clientv1alpha1.Welcome
	channels map[uint64]*side
	lastID   uint64
	acks     int // heard
}

// side is one channel as the client sees it.
type side struct {
	received uint64
	ended    bool
	stream   *stream // of its own; nil: it has none
	resuming bool    // the stream's ConnectionResumed has not come
	base     uint64  // frames that the gateway has
	unacked  []sent  // the others
}

// sent is a frame that was sent, and the call that it is; 0: another.
type sent struct {
	frame []byte
	call  uint64
}

// inBothForms runs a test once with the binary form and once with JSON.
func inBothForms(t *testing.T, cfg gateway.Config, test func(w *world, r *resumer)) {
	t.Helper()
	for _, form := range []string{"proto", "JSON"} {
		t.Run(form, func(t *testing.T) {
			inWorld(t, cfg, func(w *world) { test(w, w.resumer(form == "JSON")) })
		})
	}
}

// inAllForms is inBothForms, and over WebTransport.
func inAllForms(t *testing.T, cfg gateway.Config, test func(w *world, r *resumer)) {
	t.Helper()
	inBothForms(t, cfg, test)
	t.Run("WebTransport", func(t *testing.T) {
		inWorld(t, cfg, func(w *world) {
			r := w.resumer(false)
			r.apart = true
			test(w, r)
		})
	})
}

func (w *world) resumer(json bool) *resumer {
	return &resumer{w: w, json: json, channels: map[uint64]*side{0: {}}}
}

// dial opens a socket and says Hello.
func (r *resumer) dial() {
	r.w.Helper()
	r.dialWith(r.hello())
}

func (r *resumer) dialWith(hello *clientv1alpha1.Hello) {
	r.w.Helper()
	r.session = nil
	for _, c := range r.channels {
		c.stream, c.resuming = nil, false
	}
	if r.apart {
		r.s, r.inbox, r.welcome = nil, nil, nil
		r.session = r.w.connectStreams()
		r.channels[0].stream = r.session.open()
		r.write(0, r.encode(hello))
		return
	}
	subprotocol := wire.SubprotocolClientProto
	if r.json {
		subprotocol = wire.SubprotocolClientJSON
	}
	pipe, err := r.w.Dial(r.w.Context())
	if err != nil {
		r.w.Fatal(err)
	}
	r.pipe = &pausable{Conn: pipe}
	r.pipe.flow()
	in := &inbox{messages: make(chan []byte, 4096), closed: make(chan error, 1)}
	conn, _, err := gws.NewClientFromConn(in, &gws.ClientOption{
		Addr: "ws://gateway/v1/connect", RequestHeader: http.Header{"Sec-Websocket-Protocol": {subprotocol}}, ReadMaxPayloadSize: 64 << 20,
	}, r.pipe)
	if err != nil {
		r.w.Fatal(err)
	}
	r.s, r.inbox, r.welcome = &raw{w: r.w, conn: conn, in: in, done: make(chan struct{})}, nil, nil
	go func() {
		defer close(in.messages)
		conn.ReadLoop()
	}()
	r.w.Cleanup(func() {
		r.pipe.flow()
		_ = pipe.Close()
		for range in.messages { // until the reading has ended
		}
	})
	r.write(0, r.encode(hello))
}

// pausable is a connection whose reading can be held up.
type pausable struct {
	net.Conn
	gate atomic.Pointer[chan struct{}]
}

func (p *pausable) Read(b []byte) (int, error) {
	<-*p.gate.Load()
	return p.Conn.Read(b)
}

// pause lets at most one more Read come to its end.
func (p *pausable) pause() { gate := make(chan struct{}); p.gate.Store(&gate) }

func (p *pausable) flow() {
	gate := make(chan struct{})
	if old := p.gate.Swap(&gate); old != nil {
		select {
		case <-*old:
		default:
			close(*old)
		}
	}
	close(gate)
}

func (r *resumer) hello() *clientv1alpha1.Hello {
	m := &clientv1alpha1.Hello{Token: r.token, Features: []string{wire.FeatureClientResume}}
	if r.resume != nil {
		m.Resume = &clientv1alpha1.Resume{Token: r.resume}
		for _, n := range slices.Sorted(maps.Keys(r.channels)) {
			m.Resume.Received = append(m.Resume.Received, &clientv1alpha1.Received{Connection: n, Frames: r.channels[n].received})
		}
	}
	return m
}

// connect dials and takes the Welcome; resumed tells whether the session goes on.
func (r *resumer) connect() (resumed bool) {
	r.w.Helper()
	r.dial()
	return r.greet()
}

// greet takes the Welcome: it sends again what the gateway lacks, then the Ack that every Welcome with a token asks for.
func (r *resumer) greet() (resumed bool) {
	r.w.Helper()
	m := r.hear()
	w, ok := m.(*clientv1alpha1.Welcome)
	if !ok {
		r.w.Fatalf("got %s, want a Welcome", r.short(m))
	}
	r.welcome, r.resume = w, w.GetResumeToken()
	if len(r.resume) == 0 || w.GetResumeMs() == 0 || !slices.Contains(w.GetFeatures(), "resume") {
		r.w.Fatalf("no resume in %v", w)
	}
	if !w.GetResumed() {
		r.channels = map[uint64]*side{0: {stream: r.channels[0].stream}}
	} else {
		r.goOn(w.GetReceived())
	}
	r.ack()
	return w.GetResumed()
}

func (r *resumer) goOn(list []*clientv1alpha1.Received) {
	r.w.Helper()
	has := map[uint64]uint64{}
	for _, m := range list {
		has[m.GetConnection()] = m.GetFrames()
	}
	for _, n := range slices.Sorted(maps.Keys(r.channels)) {
		c := r.channels[n]
		frames, known := has[n]
		if !known && c.ended {
			delete(r.channels, n) // the gateway has forgotten it, so it has all of it
			continue
		}
		r.acked(n, frames)
		switch {
		case n == 0 || r.session == nil:
			r.repeat(n, c)
		case known && r.channels[n] != nil:
			r.rejoin(n)
		case !known:
			c.stream = r.session.open()
			r.repeat(n, c)
		}
	}
}

// repeat sends what the gateway has not got of a channel.
func (r *resumer) repeat(n uint64, c *side) {
	for _, s := range c.unacked {
		r.write(n, s.frame)
	}
}

// rejoin opens another stream for a channel.
func (r *resumer) rejoin(n uint64) {
	r.w.Helper()
	c := r.channels[n]
	c.stream, c.resuming = r.session.open(), true
	_, _ = c.stream.up.write(r.encode(&clientv1alpha1.ConnectionResume{Connection: n, Frames: c.received}))
}

// rejoined takes the gateway's answer to that.
func (r *resumer) rejoined(m *clientv1alpha1.ConnectionResumed) {
	r.w.Helper()
	n := m.GetConnection()
	if c := r.channels[n]; c == nil || !c.resuming {
		r.w.Fatalf("%v, which was not asked for", m)
	}
	c := r.channels[n]
	c.resuming = false
	r.acked(n, m.GetFrames())
	r.repeat(n, c)
}

// acked drops what the gateway has.
func (r *resumer) acked(n, frames uint64) {
	r.w.Helper()
	c := r.channels[n]
	if r.session != nil && (c == nil || frames < c.base) {
		return // it was overtaken
	}
	if c == nil || frames < c.base || frames > c.base+uint64(len(c.unacked)) {
		r.w.Fatalf("the gateway has %d frames of channel %d: %+v", frames, n, c)
	}
	c.unacked = c.unacked[frames-c.base:]
	c.base = frames
	r.forget(n)
}

// forget drops a channel that has ended when the gateway has all of it.
func (r *resumer) forget(n uint64) {
	c := r.channels[n]
	if !c.ended || len(c.unacked) > 0 {
		return
	}
	if c.stream != nil {
		c.stream.up.close()
	}
	delete(r.channels, n)
}

// ack tells what has come.
func (r *resumer) ack() {
	r.w.Helper()
	m := new(clientv1alpha1.Ack)
	for _, n := range slices.Sorted(maps.Keys(r.channels)) {
		m.Received = append(m.Received, &clientv1alpha1.Received{Connection: n, Frames: r.channels[n].received})
	}
	r.write(0, r.encode(m))
}

// say sends a message, and keeps it if it counts.
func (r *resumer) say(m any) {
	r.w.Helper()
	frame := r.encode(m)
	n, call := uint64(0), uint64(0)
	switch m := m.(type) {
	case *wire.ClientCall:
		n, call = m.Connection, m.ID
	case *clientv1alpha1.ConnectionOpen:
		n = m.GetConnection()
		r.channels[n] = &side{}
		if r.session != nil {
			r.channels[n].stream = r.session.open()
		}
	case *clientv1alpha1.ConnectionClose:
		n = m.GetConnection()
	case *clientv1alpha1.Subscribe:
		n = m.GetConnection()
	case *clientv1alpha1.Ack, *commonv1alpha1.Goodbye, *commonv1alpha1.Ping, *clientv1alpha1.Hello:
		r.write(0, frame)
		return
	}
	r.channels[n].unacked = append(r.channels[n].unacked, sent{frame, call})
	if !r.channels[n].resuming {
		r.write(n, frame)
	}
}

func (r *resumer) encode(m any) []byte {
	r.w.Helper()
	if r.json {
		b, err := clientjson.Append(nil, m)
		if err != nil {
			r.w.Fatal(err)
		}
		return b
	}
	if m, ok := m.(wire.Message); ok {
		return wire.AppendMessage(nil, m)
	}
	return wire.AppendMessage(nil, wire.Client(m.(proto.Message)))
}

// write writes to the socket, or the channel's stream, which may have broken.
func (r *resumer) write(n uint64, b []byte) {
	if r.session != nil {
		_, _ = r.channels[n].stream.up.write(b)
		return
	}
	opcode := gws.OpcodeBinary
	if r.json {
		opcode = gws.OpcodeText
	}
	if r.s != nil {
		_ = r.s.conn.WriteMessage(opcode, b)
	}
}

// hear takes the next message of the socket; nil: nothing has come. Acks it takes by itself.
func (r *resumer) hear() any {
	r.w.Helper()
	for {
		m := r.next()
		if resumed, ok := m.(*clientv1alpha1.ConnectionResumed); ok {
			r.rejoined(resumed)
			continue
		}
		ack, ok := m.(*clientv1alpha1.Ack)
		if !ok {
			r.count(m)
			return m
		}
		r.acks++
		for _, a := range ack.GetReceived() {
			r.acked(a.GetConnection(), a.GetFrames())
		}
	}
}

func (r *resumer) next() any {
	r.w.Helper()
	synctest.Wait()
	for r.s != nil && len(r.s.in.messages) > 0 {
		r.inbox = append(r.inbox, r.decode(<-r.s.in.messages)...)
	}
	if r.session != nil && len(r.inbox) == 0 {
		r.gather()
	}
	if len(r.inbox) == 0 {
		return nil
	}
	m := r.inbox[0]
	r.inbox = r.inbox[1:]
	return m
}

// gather takes what has come on one of the streams.
func (r *resumer) gather() {
	r.w.Helper()
	for more := true; more; synctest.Wait() { // a frame may be longer than a window
		more = false
		var some []*stream
		for _, n := range slices.Sorted(maps.Keys(r.channels)) {
			c := r.channels[n].stream
			if c == nil {
				continue
			}
			b := c.down.take()
			more = more || len(b) > 0
			if c.rest = append(c.rest, b...); whole(c.rest) > 0 {
				some = append(some, c)
			}
		}
		if len(some) > 0 {
			c := some[0]
			if r.order != nil {
				c = some[r.order(len(some))]
			}
			k := whole(c.rest)
			r.inbox = r.decode(c.rest[:k])
			c.rest = c.rest[k:]
			return
		}
	}
}

// whole is the length of the first frame, if it has come.
func whole(b []byte) int {
	if len(b) < wire.HeaderLen {
		return 0
	}
	n := wire.HeaderLen + int(binary.BigEndian.Uint32(b))
	if n > len(b) {
		return 0
	}
	return n
}

func (r *resumer) decode(b []byte) (list []any) {
	r.w.Helper()
	if r.json {
		m, err := clientjson.Decode(b)
		if err != nil {
			r.w.Fatalf("%s: %v", b, err)
		}
		return []any{m}
	}
	for len(b) > 0 {
		raw, rest, err := wire.NextFrame(b, 64<<20)
		if err != nil {
			r.w.Fatal(err)
		}
		f, err := wire.ParseFrame(raw)
		if err != nil {
			r.w.Fatal(err)
		}
		m, err := wire.DecodeClient(f)
		if err != nil {
			r.w.Fatal(err)
		}
		list, b = append(list, m), rest
	}
	return list
}

// count counts a message on its channel. The end of a channel is acknowledged at once.
func (r *resumer) count(m any) {
	r.w.Helper()
	n := uint64(0)
	switch m := m.(type) {
	case nil, *clientv1alpha1.Welcome, *clientv1alpha1.Reject, *commonv1alpha1.Ping, *clientv1alpha1.Pong, *commonv1alpha1.Goodbye:
		return
	case *wire.ClientCallResult:
		n = m.Connection
	case *wire.ClientEvent:
		n = m.Connection
	case *clientv1alpha1.ConnectionOpened:
		n = m.GetConnection()
	case *clientv1alpha1.ConnectionClosed:
		n = m.GetConnection()
	case *clientv1alpha1.SubscriptionResult:
		n = m.GetConnection()
	}
	c := r.channels[n]
	if c == nil || c.ended {
		r.w.Fatalf("%v on channel %d, which has ended", m, n)
	}
	c.received++
	if answer, ok := m.(*wire.ClientCallResult); ok { // [SESS-14]
		if i := slices.IndexFunc(c.unacked, func(s sent) bool { return s.call == answer.ID }); i >= 0 {
			r.acked(n, c.base+uint64(i)+1)
		}
	}
	if _, closed := m.(*clientv1alpha1.ConnectionClosed); closed {
		c.ended = true
		if r.mute {
			return
		}
		r.write(0, r.encode(&clientv1alpha1.Ack{Received: []*clientv1alpha1.Received{{Connection: n, Frames: c.received}}}))
		if c.stream != nil {
			c.stream.up.close()
		}
		r.forget(n)
	}
}

// cut breaks the socket. What has come and was not heard is lost.
func (r *resumer) cut() {
	if r.session != nil {
		r.session.cut()
	} else {
		_ = r.s.conn.NetConn().Close()
	}
	r.s, r.inbox = nil, nil
	synctest.Wait()
}

// open opens connection n to lab:key as name, subscribed to events.
func (r *resumer) open(n uint64, key, name string, events ...string) {
	r.w.Helper()
	params, err := payload.Marshal(labConn{Name: name})
	if err != nil {
		r.w.Fatal(err)
	}
	r.say(&clientv1alpha1.ConnectionOpen{
		Connection: n, Target: &commonv1alpha1.Address{Type: "lab", Key: []string{key}}, Params: params, Subscriptions: events,
		Mode: commonv1alpha1.Mode_MODE_GET_OR_CREATE,
	})
}

// opened is open, and the answer, and the event of onConnect.
func (r *resumer) opened(n uint64, key, name string, events ...string) {
	r.w.Helper()
	r.open(n, key, name, events...)
	r.want(fmt.Sprintf("opened %d", n), fmt.Sprintf("%d welcome %s", n, name))
}

// call calls an action of connection n and returns the call's id.
func (r *resumer) call(n uint64, action string, args ...any) uint64 {
	r.w.Helper()
	return r.ask(&wire.ClientCall{Connection: n, Action: []byte(action)}, args)
}

// send is a call that nobody answers.
func (r *resumer) send(n uint64, action string, args ...any) {
	r.w.Helper()
	r.ask(&wire.ClientCall{Connection: n, Action: []byte(action), Oneway: true}, args)
}

func (r *resumer) ask(m *wire.ClientCall, args []any) uint64 {
	r.w.Helper()
	r.lastID++
	if args == nil {
		args = []any{}
	}
	encoded, err := payload.Marshal(args)
	if err != nil {
		r.w.Fatal(err)
	}
	m.ID, m.Args = r.lastID, encoded
	if m.Connection == 0 {
		m.Target = &commonv1alpha1.Address{Type: "lab", Key: []string{"a"}}
	}
	r.say(m)
	return r.lastID
}

// want hears messages and compares their short forms.
func (r *resumer) want(short ...string) {
	r.w.Helper()
	for _, s := range short {
		if got := r.short(r.hear()); got != s {
			r.w.Fatalf("heard %q, want %q", got, s)
		}
	}
}

// silent wants nothing to have come.
func (r *resumer) silent() { r.w.Helper(); r.want("nothing") }

// short is a message in a few words: "result 3 = 5", "result 0/4 action.timed_out", "1 tick 7", "closed 1 code reconnect".
func (r *resumer) short(m any) string {
	r.w.Helper()
	switch m := m.(type) {
	case nil:
		return "nothing"
	case *wire.ClientCallResult:
		if m.Error != nil {
			return fmt.Sprintf("result %d/%d %s %s", m.Connection, m.ID, m.Error.Name(), m.Error.Ran)
		}
		return fmt.Sprintf("result %d/%d = %v", m.Connection, m.ID, r.value(m.Output))
	case *wire.ClientEvent:
		args, _ := r.value(m.Args).([]any)
		return fmt.Sprintf("%d %s %v", m.Connection, m.Event, args[0])
	case *clientv1alpha1.ConnectionOpened:
		return fmt.Sprintf("opened %d", m.GetConnection())
	case *clientv1alpha1.ConnectionClosed:
		return strings.TrimSpace(fmt.Sprintf("closed %d %s %s", m.GetConnection(), code(m.GetError()), reconnectName(m.GetReconnect())))
	case *clientv1alpha1.SubscriptionResult:
		return fmt.Sprintf("subscribed %d/%d %s", m.GetConnection(), m.GetId(), code(m.GetError()))
	case *clientv1alpha1.ProtocolError:
		return "error " + code(m.GetError())
	case *clientv1alpha1.Reject:
		return "reject " + code(m.GetError())
	case *commonv1alpha1.Goodbye:
		return fmt.Sprintf("goodbye %s %s", m.GetCode(), reconnectName(m.GetReconnect()))
	case *commonv1alpha1.Unsupported:
		return fmt.Sprintf("unsupported %d", m.GetKind())
	case *clientjson.Unsupported:
		return "unsupported " + m.Kind
	default:
		return fmt.Sprintf("%T", m)
	}
}

func (r *resumer) value(b []byte) any {
	r.w.Helper()
	if len(b) == 0 {
		return nil
	}
	var v any
	if err := payload.Unmarshal(b, &v); err != nil {
		r.w.Fatalf("%x: %v", b, err)
	}
	return v
}

func code(e *commonv1alpha1.Error) string {
	if e == nil {
		return "-"
	}
	return e.GetGroup() + "." + e.GetCode()
}

func reconnectName(r commonv1alpha1.Reconnect) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "RECONNECT_"))
}

// closed tells whether the gateway has closed the socket.
func (r *resumer) closed() bool { return r.s.isClosed() }
