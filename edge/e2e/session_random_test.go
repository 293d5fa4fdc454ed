package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// restless is a client that does things at random and whose sockets break at random. Connection n is to an actor of its
// own, a counter, so that its events and results are known: 1, 2, 3.
type restless struct {
	*resumer
	rand *rand.Rand

	calls map[uint64]uint64 // unanswered: id to connection
	conns map[uint64]*counted
	last  uint64 // connection number
	next  func(*rand.Rand) bool
	own   counted
}

// counted is what was heard of one counter.
type counted struct {
	opened, closed bool
	events         int
	results        int
	inOrder        uint64 // results on the connection's own channel
	seen           map[uint64]bool
}

// [SESS-12] [SESS-14] [SESS-15] [SESS-16]: over hundreds of broken sockets each call is answered once, each action runs once,
// and each connection's events come once and in order.
func TestNothingIsLostOrDoubledOverBrokenSockets(t *testing.T) {
	seed := rand.Uint64()
	if fixed := os.Getenv("STAGEDOOR_SESSION_SEED"); fixed != "" {
		var err error
		if seed, err = strconv.ParseUint(fixed, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("STAGEDOOR_SESSION_SEED=%d", seed)
	limits := wire.DefaultLimits()
	limits.MaxSessionQueue = 16 << 10 // a replay may be more than a socket takes at once
	limits.MaxOutput, limits.MaxEvent = 8<<10, 8<<10
	overTransports(t, gateway.Config{Limits: limits}, func(w *world, r *resumer, next func(*rand.Rand) bool) {
		w.hostLab()
		c := &restless{
			resumer: r, rand: rand.New(rand.NewPCG(seed, 1)), calls: map[uint64]uint64{}, conns: map[uint64]*counted{}, next: next,
		}
		r.order = c.rand.IntN
		r.apart = next(c.rand)
		c.connect()
		cuts := 0
		for range 3000 {
			if c.step() {
				cuts++
			}
		}
		c.finish()
		w.Logf("%d sockets, %d connections, %d calls", cuts, c.last, c.lastID)
	})
}

// overTransports is inBothForms, and over WebTransport, and over a WebSocket or WebTransport by turns: next says which of these
// the next socket is.
func overTransports(t *testing.T, cfg gateway.Config, test func(w *world, r *resumer, next func(*rand.Rand) bool)) {
	t.Helper()
	for _, over := range []struct {
		name string
		json bool
		next func(*rand.Rand) bool
	}{
		{"proto", false, func(*rand.Rand) bool { return false }},
		{"JSON", true, func(*rand.Rand) bool { return false }},
		{"WebTransport", false, func(*rand.Rand) bool { return true }},
		{"by turns", false, func(r *rand.Rand) bool { return r.IntN(2) == 0 }},
	} {
		t.Run(over.name, func(t *testing.T) {
			inWorld(t, cfg, func(w *world) { test(w, w.resumer(over.json), over.next) })
		})
	}
}

// step does one thing. true: it was a cut.
func (c *restless) step() bool {
	switch n := c.rand.IntN(100); {
	case n < 45:
		c.callOne()
	case n < 50:
		c.last++
		c.conns[c.last] = new(counted)
		c.open(c.last, fmt.Sprintf("k%d", c.last), "x", "count")
	case n < 53:
		if k := c.anyOpen(); k != 0 {
			c.say(&clientv1alpha1.ConnectionClose{Connection: k})
		}
	case n < 55:
		if k := c.anyOpen(); k != 0 {
			c.w.act(fmt.Sprintf("lab:k%d", k), "kick", `["x"]`)
		}
	case n < 60:
		c.ack()
	case n < 90:
		for range c.rand.IntN(12) {
			c.heard(c.hear())
		}
	case n < 92:
		synctest.Wait()
	case n < 94:
		c.loseStream()
	default:
		c.breakOff()
		return true
	}
	return false
}

// loseStream resets the stream of a connection, and goes on over another.
func (c *restless) loseStream() {
	k := c.anyOpen()
	if k == 0 || c.session == nil || c.channels[k].resuming {
		return
	}
	c.channels[k].stream.reset(errStreamsCut)
	if c.rand.IntN(2) == 0 {
		synctest.Wait()
	}
	c.rejoin(k)
}

// callOne counts one up, over a connection or without.
func (c *restless) callOne() {
	k := c.anyOpen()
	if c.rand.IntN(4) == 0 {
		k = 0
	}
	c.calls[c.call(k, "add", 1)] = k
}

// anyOpen is some connection that the client takes for open, or 0.
func (c *restless) anyOpen() uint64 {
	for range 5 {
		if c.last == 0 {
			return 0
		}
		k := c.last - min(c.last-1, c.rand.Uint64N(6))
		if !c.conns[k].closed && c.channels[k] != nil && !c.channels[k].ended {
			return k
		}
	}
	return 0
}

// breakOff ends the socket in one of the ways in which sockets end, and goes on over another.
func (c *restless) breakOff() {
	switch c.rand.IntN(4) {
	case 0:
		synctest.Wait() // all is on its way
	case 1:
		if half := []byte{0x82, 0xfe, 0x7f}; c.session == nil {
			_, _ = c.s.conn.NetConn().Write(half)
		} else {
			c.write(0, half)
		}
	case 2:
		if c.rand.IntN(2) == 0 {
			c.connectAgain() // while the old one lives
			return
		}
	default:
	}
	c.cut()
	if c.rand.IntN(3) == 0 {
		sleep(time.Duration(c.rand.IntN(20)) * time.Second)
	}
	for c.rand.IntN(3) == 0 { // a Welcome that is never read
		c.apart = c.next(c.rand)
		c.dial()
		if c.rand.IntN(2) == 0 {
			synctest.Wait()
		}
		c.cut()
	}
	c.connectAgain()
}

func (c *restless) connectAgain() {
	c.apart = c.next(c.rand)
	if !c.connect() {
		c.w.Fatal("the session is lost")
	}
}

// heard checks one message.
func (c *restless) heard(m any) {
	c.w.Helper()
	switch m := m.(type) {
	case nil:
	case *clientv1alpha1.ConnectionOpened:
		k := c.conns[m.GetConnection()]
		if k.opened || k.closed {
			c.w.Fatalf("connection %d: %+v", m.GetConnection(), k)
		}
		k.opened = true
	case *clientv1alpha1.ConnectionClosed:
		k := c.conns[m.GetConnection()]
		if k.closed || m.GetError().GetCode() == "resume_lost" {
			c.w.Fatalf("connection %d: %+v, %v", m.GetConnection(), k, m)
		}
		k.closed = true
	case *wire.ClientEvent:
		c.event(m)
	case *wire.ClientCallResult:
		c.result(m)
	default:
		c.w.Fatalf("heard %s: %v", c.short(m), m)
	}
}

func (c *restless) event(m *wire.ClientEvent) {
	c.w.Helper()
	k := c.conns[m.Connection]
	if string(m.Event) != "count" {
		return
	}
	k.events++
	if got := c.short(m); !k.opened || k.closed || got != fmt.Sprintf("%d count %d", m.Connection, k.events) {
		c.w.Fatalf("%s, after %+v", got, k)
	}
}

func (c *restless) result(m *wire.ClientCallResult) {
	c.w.Helper()
	number, asked := c.calls[m.ID]
	if !asked {
		c.w.Fatalf("%s, which is not unanswered", c.short(m))
	}
	delete(c.calls, m.ID)
	if m.Error != nil {
		if m.Error.Ran != wire.RanNo {
			c.w.Fatal(c.short(m))
		}
		return
	}
	k := &c.own
	if number != 0 {
		k = c.conns[number]
	}
	// What crossed a close comes on channel 0, in no order with what came before it.
	got, _ := c.value(m.Output).(uint64)
	if k.seen == nil {
		k.seen = map[uint64]bool{}
	}
	if k.seen[got] || m.Connection != 0 && got != k.inOrder+1 {
		c.w.Fatalf("%s, after %+v", c.short(m), k)
	}
	k.seen[got] = true
	k.results++
	if m.Connection != 0 {
		k.inOrder++
	}
}

// finish hears the rest and compares with what the actors have done.
func (c *restless) finish() {
	c.w.Helper()
	c.cut()
	c.connectAgain()
	for m := c.hear(); m != nil; m = c.hear() {
		c.heard(m)
	}
	if len(c.calls) > 0 {
		c.w.Errorf("%d calls are unanswered", len(c.calls))
	}
	check := func(address string, want int) {
		if got := strings.TrimSpace(c.w.act(address, "get", "[]").raw); got != fmt.Sprintf(`{"output":%d}`, want) {
			c.w.Errorf("%s: %s, want %d", address, got, want)
		}
	}
	check("lab:a", c.own.results)
	for n, k := range c.conns {
		check(fmt.Sprintf("lab:k%d", n), k.results)
		if !k.closed && k.events != k.results {
			c.w.Errorf("connection %d: %+v", n, k)
		}
	}
}
