package linkstate

import (
	"fmt"
	"math/rand/v2"
	"time"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// sim is a session between two States over a network that the schedule makes as bad as the protocol allows: bytes of one
// direction of one socket arrive in order or not at all, nothing else is promised. There is no real time. Everything is
// drawn from rng, so a seed names a schedule.
type sim struct {
	seed    uint64
	rng     *rand.Rand
	now     time.Time
	gateway *simSide
	runner  *simSide
	sockets []*simSocket
	credit  *simCredit
	mutant  mutant
	bound   int   // max_unacked_bytes
	err     error // the first invariant that was broken
}

// simSide is one side of the link, with what it has promised to its peer.
type simSide struct {
	*sim
	name   string
	state  State
	peer   *simSide
	socket *simSocket // nil: none
	lanes  []*simLane
	byRef  map[uint64]*simLane // of the peer, to check what comes
}

// simSocket is a socket with its two directions.
type simSocket struct {
	up, down simPipe // towards the gateway, towards the runner
	greeted  bool    // the gateway has seen the Hello
	welcomed bool    // the runner has seen the Welcome
}

type simPipe struct {
	flight  []byte   // written
	arrived []byte   // of this, not yet a whole frame
	delayed [][]byte // link frames that the network holds back
	cut     bool     // nothing comes after what is in flight
}

func newSim(seed uint64, m mutant) *sim {
	s := &sim{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: begin, mutant: m}
	s.bound = []int{1, maxStep, 2 * maxStep, 500_000, 16 << 20}[s.rng.IntN(5)]
	s.gateway = &simSide{sim: s, name: "gateway", byRef: map[uint64]*simLane{}}
	s.runner = &simSide{sim: s, name: "runner", byRef: map[uint64]*simLane{}}
	s.gateway.peer, s.runner.peer = s.runner, s.gateway
	socket := &simSocket{greeted: true, welcomed: true}
	s.sockets = []*simSocket{socket}
	for _, side := range s.sides() {
		side.state.Resume(s.bound)
		side.socket = socket
		for range 1 + s.rng.IntN(4) {
			side.addLane(uint64(len(side.lanes))) // the first is that of no actor
		}
		if m.setUp != nil {
			m.setUp(side)
		}
	}
	s.credit = newSimCredit(s)
	return s
}

func (s *sim) sides() [2]*simSide { return [2]*simSide{s.gateway, s.runner} }

func (s *sim) failf(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

// towards is the direction of a socket that ends at the side.
func (k *simSocket) towards(e *simSide) *simPipe {
	if e == e.gateway {
		return &k.up
	}
	return &k.down
}

// write lets the side write, if it is through with its handshake.
func (e *simSide) write(limit int) (wrote bool) {
	if e.socket == nil || !e.state.Attached() {
		return false
	}
	b := e.state.Take(nil, limit, e.now)
	if kept := e.state.Kept(); kept > max(e.bound, maxStep) {
		e.failf("the %s keeps %d bytes, at most %d are allowed", e.name, kept, e.bound)
	}
	wrote = len(b) > 0
	for len(b) > 0 {
		n := frameLen(b)
		e.send(b[:n:n])
		b = b[n:]
	}
	return wrote
}

// send puts a frame on the wire. The network may hold back or repeat what may be lost.
func (e *simSide) send(frame []byte) {
	p := e.socket.towards(e.peer)
	if p.cut {
		return
	}
	frames := [][]byte{frame}
	if e.mutant.wire != nil {
		frames = e.mutant.wire(e, frame)
	}
	for _, frame := range frames {
		if kind := parse(frame).Kind; kind == wire.RunnerAck || kind == wire.RunnerCredit {
			if e.chance(20) {
				p.delayed = append(p.delayed, frame)
			}
			if e.chance(20) {
				p.delayed = append(p.delayed, frame)
				continue
			}
		}
		p.flight = append(p.flight, frame...)
	}
}

// undelay lets one of the link frames go that the network has held back: perhaps for the second time, perhaps stale.
func (p *simPipe) undelay(rng *rand.Rand) {
	if n := len(p.delayed); n > 0 && !p.cut {
		i := rng.IntN(n)
		p.flight = append(p.flight, p.delayed[i]...)
		p.delayed = append(p.delayed[:i], p.delayed[i+1:]...)
	}
}

func parse(frame []byte) wire.Frame {
	f, err := wire.ParseFrame(frame[wire.HeaderLen:])
	if err != nil {
		panic(err) // our own
	}
	return f
}

// arrive moves up to n bytes of a socket to the side, which sees the end of the socket behind the last one.
func (e *simSide) arrive(k *simSocket, n int) {
	p := k.towards(e)
	n = min(n, len(p.flight))
	p.arrived = append(p.arrived, p.flight[:n]...)
	p.flight = p.flight[n:]
	for len(p.arrived) >= wire.HeaderLen && len(p.arrived) >= frameLen(p.arrived) && e.err == nil {
		n := frameLen(p.arrived)
		frame := p.arrived[:n:n]
		p.arrived = p.arrived[n:]
		e.read(k, parse(frame), n)
	}
	if p.cut && len(p.flight) == 0 && e.socket == k {
		e.leave()
	}
}

// read takes a frame of the socket; those of sockets that were left are ignored.
func (e *simSide) read(k *simSocket, f wire.Frame, size int) {
	if e == e.gateway && !k.greeted {
		k.greeted = true
		e.resumeGateway(k, f)
		return
	}
	if e.socket != k {
		return
	}
	if e == e.runner && !k.welcomed {
		k.welcomed = true
		e.resumeRunner(f)
		return
	}
	mine, err := e.state.Receive(f, size, e.now)
	if err != nil {
		e.failf("the %s: %w", e.name, err)
	}
	if mine || err != nil {
		return
	}
	e.use(f)
}

// dial leaves the present socket, if there is one, and says Hello on another [LINK-16].
func (s *sim) dial() {
	e := s.runner
	e.leave()
	e.socket = &simSocket{}
	s.sockets = append(s.sockets, e.socket)
	hello := &runnerv1alpha1.Hello{Resume: &runnerv1alpha1.Resume{Received: e.state.Received()}}
	e.socket.up.flight = wire.AppendMessage(nil, wire.Runner(hello))
}

// resumeGateway is a Hello, perhaps of a socket that the runner has left meanwhile. One that says less than was already
// acknowledged certainly is; the session goes on without it.
func (e *simSide) resumeGateway(k *simSocket, f wire.Frame) {
	var received uint64
	switch m := decode(f).(type) {
	case *runnerv1alpha1.Hello:
		received = m.GetResume().GetReceived()
	default:
		e.failf("the first frame of a socket is %T", m)
		return
	}
	if received < e.state.Acked() {
		k.close()
		return
	}
	if e.socket != nil {
		e.socket.close()
	}
	resumed := e.state.Received()
	if err := e.state.Attach(received, wire.Runner(&runnerv1alpha1.Welcome{ResumedReceived: &resumed})); err != nil {
		e.failf("the gateway: %w", err)
		return
	}
	e.socket = k
	e.credit.repeat()
	e.attached()
}

func (e *simSide) resumeRunner(f wire.Frame) {
	m, ok := decode(f).(*runnerv1alpha1.Welcome)
	if !ok {
		e.failf("kind %d instead of a Welcome", f.Kind)
		return
	}
	if err := e.state.Attach(m.GetResumedReceived()); err != nil {
		e.failf("the runner: %w", err)
	}
	e.attached()
}

func (e *simSide) attached() {
	if e.mutant.attached != nil {
		e.mutant.attached(e)
	}
}

// leave gives the socket up: by will, or because it has ended.
func (e *simSide) leave() {
	if e.socket == nil {
		return
	}
	e.state.Detach()
	e.socket.close()
	e.socket = nil
}

// close ends both directions: what is in flight may still arrive, in part.
func (k *simSocket) close() { k.up.cut, k.down.cut = true, true }

// breaks cuts a socket: each direction loses a suffix of what is in flight. Neither side knows yet.
func (s *sim) breaks(k *simSocket) {
	for _, p := range []*simPipe{&k.up, &k.down} {
		p.flight = p.flight[:s.rng.IntN(len(p.flight)+1)]
		p.delayed = nil
	}
	k.close()
}

func decode(f wire.Frame) any {
	m, err := wire.DecodeRunner(f)
	if err != nil {
		panic(err) // our own
	}
	return m
}

// step is one event of a schedule.
func (s *sim) step() {
	side := s.sides()[s.rng.IntN(2)]
	socket := s.sockets[len(s.sockets)-1-s.rng.IntN(min(3, len(s.sockets)))]
	switch p := s.rng.IntN(100); {
	case p < 22:
		side.push()
	case p < 24:
		side.state.PushLink(wire.Runner(&commonv1alpha1.Ping{}))
	case p < 45:
		side.write([]int{1, 1000, 64 << 10, 256 << 10}[s.rng.IntN(4)])
	case p < 73:
		side.arrive(socket, s.rng.IntN([]int{10, 1000, 100_000, 10 << 20}[s.rng.IntN(4)]))
	case p < 76:
		socket.towards(side).undelay(s.rng)
	case p < 82:
		s.now = s.now.Add(time.Duration(s.rng.IntN(60)) * time.Millisecond)
	case p < 91:
		s.credit.step()
	case p < 93:
		side.drop()
	case p < 95:
		s.breaks(socket)
	case p < 96:
		side.leave() // it notices before it has read everything
	case s.runner.socket == nil || p < 97: // also while the first one lives
		s.dial()
	}
}

// settle makes the network healthy: everything that was sent has to arrive and to be acknowledged within a number of
// rounds that what is outstanding bounds.
func (s *sim) settle() {
	rounds := 100 + 4*(s.outstanding()/wire.MaxStep+s.credit.outstanding())
	for range rounds {
		if s.err != nil || s.quiet() {
			return
		}
		if s.runner.socket == nil {
			s.dial()
		}
		for _, k := range s.sockets {
			for _, side := range s.sides() {
				p := k.towards(side)
				for len(p.delayed) > 0 && !p.cut {
					p.undelay(s.rng)
				}
				side.arrive(k, len(p.flight))
			}
		}
		s.credit.settle()
		s.now = s.now.Add(10 * time.Millisecond)
		for _, side := range s.sides() {
			for side.write(256<<10) && s.err == nil {
			}
		}
	}
	s.failf("stuck after %d rounds: %s", rounds, s.describe())
}

func (s *sim) quiet() bool {
	for _, e := range s.sides() {
		if e.socket == nil || !e.state.Attached() || e.state.Kept() > 0 || e.state.Queued() > 0 || e.peer.owes() > 0 {
			return false
		}
	}
	return s.credit.outstanding() == 0
}

func (s *sim) outstanding() int {
	n := s.credit.outstanding() * 200
	for _, e := range s.sides() {
		n += e.state.Kept() + e.state.Queued()
	}
	return n
}

func (s *sim) describe() string {
	text := ""
	for _, e := range s.sides() {
		text += fmt.Sprintf("%s: attached %v, queued %d, kept %d, owes %d frames; ", e.name, e.state.Attached(), e.state.Queued(), e.state.Kept(), e.owes())
	}
	return text + fmt.Sprintf("%d groups of events wait", s.credit.outstanding())
}

// run plays the schedule of a seed.
func (s *sim) run() error {
	for range 100 + s.rng.IntN(400) {
		if s.step(); s.err != nil {
			break
		}
	}
	s.settle()
	if s.err != nil {
		return fmt.Errorf("seed %d: %w", s.seed, s.err)
	}
	return nil
}
