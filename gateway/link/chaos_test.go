package link

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/linkstate"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [LINK-16] [LINK-15] [LINK-14] [LINK-3]: whatever happens to its sockets, a link with its goroutines and clocks brings each
// actor's frames in order and exactly once, both ways. STAGEDOOR_SOAK=1 plays more schedules.
func TestSocketsComeAndGo(t *testing.T) {
	schedules := uint64(60)
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		schedules = 5000
	}
	for seed := range schedules {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bound := []int{1, 200_000, 16 << 20}[seed%3]
			inWorld(t, func(c *Config) { c.Limits.MaxUnacked = bound }, func(w *world) {
				newChaos(w, seed, bound).run()
			})
		})
		if t.Failed() {
			return
		}
	}
}

// chaos is an honest runner, and a network that is not.
type chaos struct {
	*world
	rng    *rand.Rand
	link   *Link
	actors []*counting
	relays sync.WaitGroup

	mu    sync.Mutex
	state linkstate.State
	conn  net.Conn // the present socket
	wake  chan struct{}
	lanes map[uint64]*lane
}

// lane is one direction of an actor.
type lane struct {
	wire.Lane
	sent  uint64 // by this side
	came  uint64 // from the other
	parts wire.Assembler
}

// counting is an actor that wants its frames in order.
type counting struct {
	actor
	sent uint64
	came uint64
}

// Receive implements Actor.
func (a *counting) Receive(msg any) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m, ok := msg.(*wire.Commit); !ok || m.Version != a.came+1 {
		a.Errorf("the gateway got %T %d of actor %d after %d", msg, m.Version, a.binding.Ref, a.came)
	}
	a.came++
	return false
}

func newChaos(w *world, seed uint64, bound int) *chaos {
	c := &chaos{world: w, rng: rand.New(rand.NewPCG(seed, 3)), lanes: map[uint64]*lane{}, wake: make(chan struct{}, 1)}
	c.state.Resume(bound)
	c.connect(nil)
	c.until("the link is there", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.links) == 1 })
	c.link = w.last()
	for range 3 {
		a := &counting{actor: actor{world: w, link: c.link}}
		a.binding = c.link.Bind(a)
		c.actors = append(c.actors, a)
		c.mu.Lock()
		c.lanes[a.binding.Ref] = &lane{Lane: wire.Lane{Actor: a.binding.Ref}}
		c.mu.Unlock()
	}
	w.Cleanup(func() {
		c.mu.Lock()
		_ = c.conn.Close()
		c.mu.Unlock()
		c.relays.Wait()
	})
	return c
}

func (c *chaos) run() {
	for range 150 {
		a := c.actors[c.rng.IntN(len(c.actors))]
		size := c.rng.IntN(500)
		if c.rng.IntN(20) == 0 {
			size = c.rng.IntN(150_000)
		}
		switch p := c.rng.IntN(20); {
		case p < 8:
			a.sent++
			a.send(a.sent, size)
		case p < 15:
			c.push(a.binding.Ref, size)
		case p < 18:
			pass(time.Duration(c.rng.IntN(40)) * time.Millisecond)
		case p < 19:
			c.cut()
		default:
			c.connect(c.link) // perhaps while the first one lives
		}
	}
	c.until("everything has arrived", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.conn == nil {
			c.mu.Unlock()
			c.connect(c.link)
			c.mu.Lock()
		}
		c.world.mu.Lock()
		defer c.world.mu.Unlock()
		for _, a := range c.actors {
			if l := c.lanes[a.binding.Ref]; a.came < l.sent || l.came < a.sent {
				return false
			}
		}
		c.link.mu.Lock()
		defer c.link.mu.Unlock()
		return c.state.Kept() == 0 && c.link.state.Kept() == 0
	})
	c.did("joined")
}

func (c *chaos) until(what string, done func() bool) {
	c.Helper()
	for range 300 {
		if done() {
			return
		}
		pass(20 * time.Millisecond)
	}
	c.Fatalf("waited in vain until %s", what)
}

// push sends a frame of the runner.
func (c *chaos) push(ref uint64, size int) {
	c.mu.Lock()
	l := c.lanes[ref]
	l.sent++
	c.state.Push(&l.Lane, &wire.Commit{Actor: ref, Version: l.sent, Changes: make([]byte, size)})
	c.mu.Unlock()
	c.nudge()
}

func (c *chaos) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// cut ends the present socket; what is under way in the relays is lost.
func (c *chaos) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// connect leaves the present socket and says Hello on another one.
func (c *chaos) connect(l *Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hello := features(wire.FeatureResume)
	if l != nil {
		c.state.Detach()
		hello.Resume = &runnerv1alpha1.Resume{Session: l.welcome.GetSession(), Received: c.state.Received()}
	}
	if old := c.conn; old != nil {
		time.AfterFunc(time.Duration(c.rng.IntN(100))*time.Millisecond, func() { _ = old.Close() })
	}
	ours, near := net.Pipe()
	far, theirs := net.Pipe()
	c.conn = ours
	c.sockets.Go(func() { ServeStream(c.cfg, theirs, func(*Conn) func() { return func() {} }) })
	c.relay(near, far, c.rng.Uint64())
	c.relay(far, near, c.rng.Uint64())
	c.relays.Go(func() { c.read(ours, l != nil) })
	c.relays.Go(func() {
		if _, err := ours.Write(wire.AppendMessage(nil, wire.Runner(hello))); err == nil {
			c.write(ours)
		}
	})
}

// relay carries bytes with delay, in pieces of any size.
func (c *chaos) relay(from, to net.Conn, seed uint64) {
	c.relays.Go(func() {
		defer from.Close()
		defer to.Close()
		rng := rand.New(rand.NewPCG(seed, 4))
		for {
			buf := make([]byte, 1+rng.IntN([]int{100, 10_000, 300_000}[rng.IntN(3)]))
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			<-time.After(time.Duration(rng.IntN(8)) * time.Millisecond)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

// read reads a socket to its end; if it was not left meanwhile, another one is needed.
func (c *chaos) read(conn net.Conn, resumes bool) {
	defer conn.Close()
	p := &peer{conn: conn}
	for first := true; ; first = false {
		m, err := p.next()
		c.mu.Lock()
		if c.conn != conn {
			c.mu.Unlock()
			return
		}
		if err != nil {
			c.state.Detach()
			c.conn = nil
			c.mu.Unlock()
			return
		}
		if first {
			c.welcomed(m, resumes)
		} else {
			c.receive(m)
		}
		c.mu.Unlock()
		c.nudge()
	}
}

func (c *chaos) welcomed(m any, resumes bool) {
	w, ok := m.(*runnerv1alpha1.Welcome)
	switch {
	case word(m) == "goodbye runner.superseded same":
		// The Hello of a socket that was left came behind this one's. The runner comes again.
	case !ok:
		c.Errorf("%s instead of a Welcome", word(m))
	case resumes != (w.ResumedReceived != nil):
		c.Error("the session was lost")
	case resumes:
		if err := c.state.Attach(w.GetResumedReceived()); err != nil {
			c.Error(err)
		}
	}
}

func (c *chaos) receive(m any) {
	framed, ok := m.(wire.Message)
	if !ok {
		framed = wire.Runner(m.(proto.Message))
	}
	f := wire.Frame{Kind: framed.Kind(), Body: framed.AppendTo(nil)}
	if mine, err := c.state.Receive(f, len(f.Body), time.Now()); mine || err != nil {
		if err != nil {
			c.Error(err)
		}
		return
	}
	switch m := m.(type) {
	case *wire.Part:
		l := c.lanes[m.Actor]
		raw, err := l.parts.Add(m, 1<<30)
		if err != nil {
			c.Error(err)
		}
		if raw != nil {
			whole, _ := wire.ParseFrame(raw)
			c.came(wire.ActorRef(whole.Body), wire.NumberAt(whole.Body, 2))
		}
	case *wire.Commit:
		c.came(m.Actor, m.Version)
	}
}

func (c *chaos) came(ref, version uint64) {
	l := c.lanes[ref]
	if version != l.came+1 {
		c.Errorf("the runner got %d of actor %d after %d", version, ref, l.came)
	}
	l.came++
}

// write writes to a socket until it is left.
func (c *chaos) write(conn net.Conn) {
	for {
		c.mu.Lock()
		if c.conn != conn {
			c.mu.Unlock()
			c.nudge() // what woke this one was for the next
			return
		}
		b := c.state.Take(nil, 64<<10, time.Now())
		due := c.state.AckAt()
		c.mu.Unlock()
		if len(b) > 0 {
			if _, err := conn.Write(b); err != nil {
				return
			}
			continue
		}
		wait := time.Second
		if !due.IsZero() {
			wait = time.Until(due)
		}
		select {
		case <-c.wake:
		case <-time.After(wait):
		}
	}
}
