package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
)

// Random schedules of calls, connections and cuts against a gateway written from the spec. With nothing but cuts, every
// call and every event arrives once and in order; with sessions and channels lost besides, nothing arrives twice, what is
// missing is told, and what is said not to have run did not. STAGEDOOR_SOAK=1 plays more schedules, from a seed of its own
// each time; STAGEDOOR_SEED plays one again. With lanes, sockets of both kinds take turns. [SESS-12] [SESS-14] [SESS-15] [SESS-16] [SESS-17] [CALL-1] [CALL-3].
func TestRandomCuts(t *testing.T) {
	first, count := uint64(1), uint64(200)
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		first, count = uint64(time.Now().UnixNano()), 50_000
	}
	if text := os.Getenv("STAGEDOOR_SEED"); text != "" {
		first, count = must(strconv.ParseUint(text, 10, 64)), 1
	}
	for seed := first; seed < first+count && !t.Failed(); seed++ {
		for i := range 4 {
			harsh, lanes := i%2 > 0, i/2 > 0
			t.Run(fmt.Sprintf("seed %d harsh=%v lanes=%v", seed, harsh, lanes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { newWorld(t, seed, harsh, lanes).run() })
			})
		}
	}
}

// world is one schedule: a session of the client, the gateway, and a wire between them that breaks.
type world struct {
	t     *testing.T
	rnd   *rand.Rand
	harsh bool
	s     *session
	h     *Handle
	gw    *modelGateway

	up      bool // there is a socket
	changes bool // some sockets have lanes
	lanes   []*lane
	writers []*lane
	spawned chan *lane
	wire    map[*lane][][]byte // written by the client, and on the way; nil: by a socket without lanes
	batch   batch
	number  int
	under   []*underWay
	oneways []int // that were written
	members []*member
}

// underWay is a call whose outcome is not known.
type underWay struct {
	call   *call
	number int
}

// member is a connection, and what it was told.
type member struct {
	conn   *Connection
	number uint64 // of the opening that the last event came from
	seen   int    // events of it
	resets int
	off    func()
	closed bool
}

func newWorld(t *testing.T, seed uint64, harsh, lanes bool) *world {
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := &world{t: t, rnd: rnd, harsh: harsh, changes: lanes, wire: map[*lane][][]byte{}, spawned: make(chan *lane, 1024)}
	w.s = newSession(Options{}.withDefaults(), "", "")
	w.s.start = func() {}
	w.s.random = rnd.Float64
	w.h = &Handle{client: &Client{session: w.s}, target: byID("x")}
	w.gw = &modelGateway{t: t, rnd: rnd, ran: map[int]bool{}}
	if seed%2 > 0 {
		w.gw.limits = &clientv1alpha1.Limits{MaxCalls: 3} // the others wait for their room
	}
	return w
}

func (w *world) run() {
	for range 300 {
		w.step()
		w.poll()
	}
	w.gw.refuses = false
	w.quiet()
	w.check()
	w.s.close()
	synctest.Wait()
}

func (w *world) step() {
	switch w.rnd.IntN(12) {
	case 0, 1:
		w.call()
	case 2:
		w.change()
	case 3, 4:
		w.write()
	case 5, 6:
		w.arrive()
	case 7, 8:
		w.read()
	case 9, 10:
		w.gw.act(w.harsh)
	case 11:
		switch {
		case !w.up:
			w.begin()
		case w.rnd.IntN(2) == 0:
			w.cutLane()
		case w.rnd.IntN(2) == 0:
			w.cut()
		}
	}
}

// call makes a call somewhere, or gives one up.
func (w *world) call() {
	if len(w.under) > 0 && w.rnd.IntN(6) == 0 {
		w.abandon(w.rnd.IntN(len(w.under)))
		return
	}
	w.number++
	r := request{target: w.h.target, action: "f", args: []any{w.number}, oneway: w.rnd.IntN(3) == 0}
	if len(w.members) > 0 && w.rnd.IntN(3) > 0 {
		r.conn = w.members[w.rnd.IntN(len(w.members))].conn
		r.target = r.conn.target
	}
	c, err := w.s.prepare(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.submit(c); err != nil {
		if !r.conn.isOver() {
			w.t.Fatal(err)
		}
		return
	}
	w.under = append(w.under, &underWay{call: c, number: w.number})
}

func (c *Connection) isOver() bool { return c != nil && c.Status() == StatusClosed }

func (w *world) abandon(i int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	u := w.under[i]
	if u.call.oneway {
		return // written or not, it is to be looked at
	}
	err := w.s.abandon(u.call, ctx)
	if err == nil {
		return // done: poll will see
	}
	w.under = append(w.under[:i], w.under[i+1:]...)
	w.ended(u, err)
}

// change opens, closes or resubscribes a connection.
func (w *world) change() {
	if len(w.members) < 2 || w.rnd.IntN(6) == 0 && len(w.members) < 6 {
		m := &member{}
		m.conn = w.h.Connect(ConnectOptions{Setup: func(c *Connection) {
			c.On("n", func(e Event) { w.hear(m, e) })
			c.OnReset(func(error) { m.resets++ })
		}})
		w.members = append(w.members, m)
		return
	}
	m := w.members[w.rnd.IntN(len(w.members))]
	switch {
	case w.rnd.IntN(8) == 0:
		m.closed = true
		m.conn.Close()
	case m.off == nil:
		m.off = m.conn.On("extra", func(Event) {})
	default:
		m.off()
		m.off = nil
	}
}

// hear checks that the events of one opening come in a row from the first on.
func (w *world) hear(m *member, e Event) {
	var number uint64
	var n int
	if err := e.Decode(&number, &n); err != nil {
		w.t.Error(err)
	}
	if number != m.number {
		m.number, m.seen = number, 0
	}
	if m.seen++; n != m.seen {
		w.t.Errorf("event %d of channel %d, want %d", n, number, m.seen)
	}
}

func (w *world) begin() {
	if w.s.stopping() {
		return
	}
	w.pass(time.Duration(w.rnd.IntN(2000)) * time.Millisecond)
	if w.harsh && w.rnd.IntN(8) == 0 {
		w.pass(31 * time.Second)
	}
	w.gw.refuses = w.harsh && w.rnd.IntN(8) == 0
	w.s.expire(time.Now())
	w.up = true
	w.gw.lanes = w.changes && w.rnd.IntN(3) > 0
	if w.gw.lanes {
		w.s.begin(w.spawn, time.Now())
	} else {
		w.s.begin(nil, time.Now())
	}
}

// pass lets time pass, and everything happen that is due.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) now() time.Time { return time.Now() }

// write takes a batch of the client to the wire.
func (w *world) write() bool {
	if w.up && w.gw.lanes {
		return w.writeLane()
	}
	if !w.up || !w.s.take(&w.batch, time.Now()) {
		return false
	}
	w.wire[nil] = append(w.wire[nil], bytes.Clone(w.batch.buf))
	w.s.wrote(&w.batch)
	w.batch.reset()
	return true
}

// arrive takes a batch from the wire to the gateway.
func (w *world) arrive() bool {
	return w.some(w.arriveOn)
}

// some does it with one lane after the other, from any on, until it was done.
func (w *world) some(do func(*lane) bool) bool {
	if !w.gw.lanes {
		return do(nil)
	}
	for i, first := 0, w.rnd.IntN(len(w.lanes)+1); i < len(w.lanes); i++ {
		if do(w.lanes[(first+i)%len(w.lanes)]) {
			return true
		}
	}
	return false
}

// read takes a message of the gateway to the client.
func (w *world) read() bool {
	return w.up && w.some(w.readFrom)
}

func (w *world) readFrom(l *lane) bool {
	out := w.gw.out[l]
	if len(out) == 0 {
		return false
	}
	n := 1 + w.rnd.IntN(len(out))
	var data []byte
	for _, frame := range out[:n] {
		w.delivered(frame)
		data = append(data, frame...)
	}
	w.gw.out[l] = out[n:]
	if err := w.s.receive(l, data, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return true
}

// delivered counts for the gateway what the client is about to read.
func (w *world) delivered(data []byte) {
	kind, counted := isCountedFrame(data)
	if !counted {
		return
	}
	for _, ch := range w.gw.session.channels {
		if ch.holds(data) {
			ch.delivered++
			return
		}
	}
	w.t.Fatalf("a frame of kind %d that nobody sent", kind)
}

// holds tells whether the frame is the next that the client lacks.
func (ch *modelChannel) holds(frame []byte) bool {
	i := int(ch.delivered) - int(ch.acked)
	return i >= 0 && i < len(ch.kept) && &ch.kept[i][0] == &frame[0]
}

var errCut = errors.New("cut")

// cut ends the socket, amid a write or not; the gateway may have got that write or not.
func (w *world) cut() {
	if !w.harsh && w.s.phase == phaseHello {
		return // there is no session yet
	}
	var rests []rest
	w.admit()
	if w.gw.lanes {
		for _, l := range slices.Clone(w.writers) {
			rests = append(rests, w.breakOff(l))
		}
	} else if b := (&batch{}); w.s.take(b, time.Now()) {
		wrote := w.rnd.IntN(len(b.buf) + 1)
		if w.rnd.IntN(2) == 0 {
			w.wire[nil] = append(w.wire[nil], b.buf)
			wrote = len(b.buf)
		}
		rests = append(rests, rest{batch: b, wrote: wrote})
	}
	for range w.rnd.IntN(8) {
		w.arrive()
	}
	for _, l := range w.lanes {
		w.gw.loseLane(l)
	}
	clear(w.wire)
	w.lanes, w.writers = nil, nil
	w.gw.greeted, w.gw.out = false, nil
	w.up = false
	w.s.end(errCut, rests, time.Now())
}

// poll looks which calls have ended.
func (w *world) poll() {
	w.pass(time.Millisecond) // for pauses and handlers
	var rest []*underWay
	for _, u := range w.under {
		select {
		case <-u.call.done:
			w.done(u)
		default:
			rest = append(rest, u)
		}
	}
	w.under = rest
}

// done checks the outcome of a call and gives it back.
func (w *world) done(u *underWay) {
	c := u.call
	if c.err != nil {
		w.ended(u, c.err)
	} else if c.oneway {
		w.oneways = append(w.oneways, u.number)
	} else {
		var n int
		if err := c.decode(&n); err != nil || n != u.number || !w.gw.ran[u.number] {
			w.t.Fatalf("call %d came to %d, %v; it ran: %v", u.number, n, err, w.gw.ran[u.number])
		}
	}
	w.s.recycle(c)
}

// ended checks the error of a call.
func (w *world) ended(u *underWay, err *Error) {
	if err.Ran == RanNo && w.gw.ran[u.number] {
		w.t.Fatalf("call %d has run: %v", u.number, err)
	}
	switch err.Name() {
	case CodeActionCanceled, CodeConnectionClosed:
	case CodeSessionLost, CodeConnectionResumeLost, CodeClientUnreachable:
		if !w.harsh {
			w.t.Fatalf("call %d: %v", u.number, err)
		}
	default:
		w.t.Fatalf("call %d: %v", u.number, err)
	}
}

// quiet lets everything come to its end.
func (w *world) quiet() {
	for i := range 200 {
		if i%60 == 59 {
			w.pass(w.s.options.Backoff.Max) // the end of all pauses
		}
		if !w.up {
			w.begin()
		}
		for w.write() || w.arrive() || w.read() {
		}
		w.acked()
		if w.gw.session != nil && w.up {
			w.gw.calm()
		}
		w.poll()
	}
}

// acked checks that the client owes no acknowledgement [SESS-14].
func (w *world) acked() {
	if !w.up || w.gw.session == nil {
		return
	}
	for _, ch := range w.gw.session.channels {
		if _, on := w.gw.way(ch); !on {
			continue // its next lane is to come
		}
		if n := len(ch.kept); n >= ackFrames || n > 0 && ch.ended {
			w.t.Fatalf("%d frames of channel %d are not acknowledged, ended: %v", n, ch.number, ch.ended)
		}
	}
}

func (w *world) check() {
	synctest.Wait() // the handlers have run
	s := w.s
	if len(w.under) > 0 || s.waiting != 0 || s.kept != 0 || len(s.unanswered) != 0 || len(s.changes) != 0 {
		w.t.Errorf("%d calls without outcome, %d bytes wait, %d are kept, %d unanswered, %d changes",
			len(w.under), s.waiting, s.kept, len(s.unanswered), len(s.changes))
	}
	for _, m := range w.members {
		w.checkMember(m)
	}
	if w.harsh {
		return
	}
	for _, n := range w.oneways {
		if !w.gw.ran[n] {
			w.t.Errorf("one-way call %d was lost", n)
		}
	}
}

// checkMember: an open connection has heard all events of its opening.
func (w *world) checkMember(m *member) {
	if m.conn.isOver() {
		return
	}
	ch := m.conn.channel
	if ch == nil || w.gw.session.channels[ch.number] == nil {
		w.t.Errorf("a connection is %v", m.conn.Status())
		return
	}
	if events := w.gw.session.channels[ch.number].events; events > 0 && (m.number != ch.number || m.seen != events) {
		w.t.Errorf("%d events heard of %d", m.seen, events)
	}
	if !w.harsh && m.resets > 0 {
		w.t.Errorf("%d resets", m.resets)
	}
}
