package vgw

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// What a session does by itself unless it is held.
const (
	Pongs   = "pongs"
	Acks    = "acks"
	Credits = "credit"
	Drains  = "drain"
	Adopts  = "adopt"
	Commits = "commits"
	Reads   = "reads"
)

// Session is what begins with Welcome; with resume it outlives its socket.
type Session struct {
	g       *Gateway
	Hello   *runnerv1alpha1.Hello
	welcome *runnerv1alpha1.Welcome
	resumes bool
	credit  bool

	mu            sync.Mutex
	socket        *Socket // nil: lost
	lostAt        time.Time
	over          bool
	ledger        *frame.Ledger
	parts         frame.Assembler
	fromRunner    Tap
	toRunner      Tap
	ackedAs       uint64
	actors        map[uint64]*Actor
	holds         map[string]bool
	withheld      []func() // what a hold of the link kept back, in order
	draining      bool
	spent, offset uint64 // events of the link: their cost, and the credit for it
	pings         uint64
}

func newSession(g *Gateway, hello *runnerv1alpha1.Hello, m *runnerv1alpha1.Welcome) *Session {
	s := &Session{
		g: g, Hello: hello, welcome: m, ledger: frame.NewLedger(), actors: map[uint64]*Actor{}, holds: map[string]bool{},
		resumes: slices.Contains(m.Features, "resume"), credit: slices.Contains(m.Features, "credit"), offset: m.Limits.GetLinkWindow(),
	}
	if g.cfg.FromRunner != nil {
		s.fromRunner = g.cfg.FromRunner()
	}
	if g.cfg.ToRunner != nil {
		s.toRunner = g.cfg.ToRunner()
	}
	return s
}

// Features are what was agreed on.
func (s *Session) Features() []string { return s.welcome.Features }

// Limits are what Welcome said.
func (s *Session) Limits() *runnerv1alpha1.Limits { return s.welcome.Limits }

// Socket is where the session is now; nil: it has none.
func (s *Session) Socket() *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket
}

// Alive says whether frames reach the runner now.
func (s *Session) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket != nil && !s.over
}

func (s *Session) attach(socket *Socket, m *runnerv1alpha1.Welcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = socket
	socket.mu.Lock()
	socket.session = s
	socket.mu.Unlock()
	socket.Bare(&Frame{Kind: &runnerv1alpha1.Frame_Welcome{Welcome: m}})
	if m.PingMs > 0 {
		s.g.readers.Go(func() { s.ping(time.Duration(m.PingMs) * time.Millisecond) })
	}
}

// ping pings until the session is over [LINK-7].
func (s *Session) ping(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.g.quit:
			return
		}
		s.mu.Lock()
		lost := s.socket == nil && time.Since(s.lostAt) > time.Duration(s.welcome.ResumeMs)*time.Millisecond
		if s.over || lost {
			s.mu.Unlock()
			return
		}
		if s.socket != nil && !s.holds[Pongs] {
			s.pings++
			s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Ping{Ping: &commonv1alpha1.Ping{Nonce: 1<<40 + s.pings}}})
		}
		s.mu.Unlock()
	}
}

func (s *Session) socketEnded(socket *Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != socket {
		return
	}
	s.socket, s.lostAt = nil, time.Now()
	if !s.resumes || socket.Goodbye() != nil {
		s.over = true
	}
}

// End makes the session over: it will not be resumed.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *Session) resumable(received uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	expired := s.socket == nil && time.Since(s.lostAt) > time.Duration(s.welcome.ResumeMs)*time.Millisecond
	return s.resumes && !s.over && !expired && received <= s.ledger.Sent() && received >= s.ledger.Acked()
}

// Hold keeps the session from doing something by itself; Release takes that back.
func (s *Session) Hold(what ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range what {
		s.holds[w] = true
	}
}

// Release lets the session do again what was held, and what it did not do meanwhile; with drop it forgets that.
func (s *Session) Release(drop bool, what ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range what {
		delete(s.holds, w)
	}
	withheld := s.withheld
	s.withheld = nil
	if drop {
		return
	}
	for _, do := range withheld {
		do()
	}
	if s.resumes && s.socket != nil {
		s.ackLocked()
	}
}

// unless does it now, or when the hold is released.
func (s *Session) unless(hold string, do func()) {
	if s.holds[hold] {
		s.withheld = append(s.withheld, func() { s.unless(hold, do) })
		return
	}
	do()
}

// Send sends frames, each as one WebSocket message.
func (s *Session) Send(frames ...*Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket == nil && !s.resumes {
		return errors.New("send to the runner: its session is over")
	}
	for _, f := range frames {
		s.sendLocked(f)
	}
	return nil
}

// SendTogether sends frames in one WebSocket message.
func (s *Session) SendTogether(frames ...*Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket == nil {
		return errors.New("send to the runner: it has no socket")
	}
	var message []byte
	for _, f := range frames {
		for _, body := range s.encode(f) {
			s.count(body)
			s.socket.trace(&trace.Event{Direction: trace.ToRunner, Frame: body})
			message = frame.Append(message, body)
		}
	}
	s.socket.Write(websocket.Binary, message)
	return nil
}

// SendRaw sends a frame body as it stands; it counts like others.
func (s *Session) SendRaw(body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket == nil {
		return errors.New("send to the runner: it has no socket")
	}
	s.count(body)
	s.put(body)
	return nil
}

// sendLocked sends a frame, or what the Tap makes of it; the trace has what the gateway meant.
func (s *Session) sendLocked(f *Frame) {
	if s.toRunner == nil {
		s.sendAs(f, true)
		return
	}
	s.meant(f)
	for _, f := range s.toRunner(f) {
		s.sendAs(f, false)
	}
}

// meant keeps in the trace what a Tap is about to change, in Parts as it would go.
func (s *Session) meant(f *Frame) {
	bodies := s.encode(f)
	if s.socket == nil || len(bodies) == 0 {
		return
	}
	if whole, err := proto.Marshal(f); err == nil && len(bodies) > 1 {
		s.socket.trace(&trace.Event{Direction: trace.ToRunner, Frame: whole, Assembled: true})
	}
	for _, body := range bodies {
		s.socket.trace(&trace.Event{Direction: trace.ToRunner, Frame: body})
	}
}

func (s *Session) sendAs(f *Frame, traced bool) {
	bodies := s.encode(f)
	if traced && len(bodies) > 1 && s.socket != nil {
		if whole, err := proto.Marshal(f); err == nil {
			s.socket.trace(&trace.Event{Direction: trace.ToRunner, Frame: whole, Assembled: true})
		}
	}
	for _, body := range bodies {
		if kind, _ := frame.KindOf(body); kind.Link() && s.socket == nil {
			continue
		}
		s.count(body)
		if s.socket == nil {
			continue
		}
		if traced {
			s.put(body)
		} else {
			s.socket.Write(websocket.Binary, frame.Append(nil, body))
		}
	}
}

func (s *Session) encode(f *Frame) [][]byte {
	body, err := proto.Marshal(f)
	if err != nil {
		return nil
	}
	m, _ := MessageOf(f)
	parts, err := frame.Cut(ActorOf(m), body)
	if err != nil {
		return nil
	}
	return parts
}

func (s *Session) count(body []byte) {
	kind, _ := frame.KindOf(body)
	if s.resumes {
		s.ledger.Keep(kind, body)
	}
}

func (s *Session) put(body []byte) {
	if s.socket == nil {
		return
	}
	s.socket.trace(&trace.Event{Direction: trace.ToRunner, Frame: body})
	s.socket.Write(websocket.Binary, frame.Append(nil, body))
}

// take handles a frame of the runner.
func (s *Session) take(socket *Socket, kind frame.Kind, body []byte, f *Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket != socket || socket.isLeft() {
		return nil
	}
	if s.resumes {
		s.ledger.Take(kind)
	}
	part := f.GetPart()
	if part == nil {
		return s.pass(socket, kind, body, f, false)
	}
	socket.note(kind, body, f)
	whole, err := s.parts.Add(part, maxFrame)
	if err != nil || whole == nil {
		return err
	}
	f = &Frame{}
	if kind, err = frame.KindOf(whole); err == nil {
		err = proto.Unmarshal(whole, f)
	}
	if err != nil {
		return fmt.Errorf("%w: of parts: %w", errMalformed, err)
	}
	return s.pass(socket, kind, whole, f, true)
}

// pass takes a whole frame through the Tap.
func (s *Session) pass(socket *Socket, kind frame.Kind, body []byte, f *Frame, assembled bool) error {
	out := []*Frame{f}
	if s.fromRunner != nil {
		out = s.fromRunner(f)
	}
	for _, g := range out {
		if g != f {
			body, _ = proto.Marshal(g)
			kind, _ = frame.KindOf(body)
		}
		socket.trace(&trace.Event{Direction: trace.FromRunner, Frame: body, Assembled: assembled})
		e := socket.entry(kind, g)
		s.handle(socket, e)
		socket.g.Log.add(e) // Whoever waits for it finds what it has done.
	}
	if s.resumes {
		s.ackLocked()
	}
	return nil
}

// ackLocked acknowledges what has come [LINK-14].
func (s *Session) ackLocked() {
	n := s.ledger.Received()
	if n == s.ackedAs || s.holds[Acks] {
		return
	}
	s.ackedAs = n
	s.sendLocked(&Frame{Kind: &runnerv1alpha1.Frame_Ack{Ack: &runnerv1alpha1.Ack{Received: n}}})
}
