package vgw

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/trace"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// maxFrame bounds what a runner may send, whatever Welcome says: beyond it nothing is read.
const maxFrame = 32 << 20

// Socket is one WebSocket of the runner.
type Socket struct {
	Number int
	// Authorization is the header of the handshake.
	Authorization string

	g    *Gateway
	conn *websocket.Conn

	hello   chan *runnerv1alpha1.Hello // holds one
	greeted bool                       // the reader's
	done    chan struct{}
	stalled atomic.Pointer[chan struct{}]

	mu      sync.Mutex
	session *Session
	out     []outgoing
	wake    chan struct{} // holds one
	closing bool
	left    bool // frames of it are ignored from now on
	why     string
	faulty  bool                    // the runner broke the framing, or the bounds of the suite
	goodbye *commonv1alpha1.Goodbye // the runner's
}

type outgoing struct {
	op      websocket.Opcode
	message []byte
}

func newSocket(g *Gateway, number int, conn *websocket.Conn, authorization string) *Socket {
	return &Socket{
		Number: number, Authorization: authorization, g: g, conn: conn, hello: make(chan *runnerv1alpha1.Hello, 1),
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// Done is closed when the socket has ended.
func (s *Socket) Done() <-chan struct{} { return s.done }

// Why says how it ended.
func (s *Socket) Why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// Faulty says whether the suite ended it, for what the runner sent.
func (s *Socket) Faulty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulty
}

// Goodbye is what the runner said last; nil: nothing.
func (s *Socket) Goodbye() *commonv1alpha1.Goodbye {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goodbye
}

// Hello waits for the runner's first frame.
func (s *Socket) Hello(ctx context.Context) (*runnerv1alpha1.Hello, error) {
	select {
	case h := <-s.hello:
		return h, nil
	case <-s.done:
		select {
		case h := <-s.hello:
			return h, nil
		default:
		}
		return nil, fmt.Errorf("the socket ended before Hello: %s", s.Why())
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for Hello: %w", context.Cause(ctx))
	}
}

// Stall stops reading from the socket, or goes on with it.
func (s *Socket) Stall(stalled bool) {
	var hold *chan struct{}
	if stalled {
		c := make(chan struct{})
		hold = &c
	}
	if old := s.stalled.Swap(hold); old != nil {
		close(*old)
	}
}

// Shape sets how is written from now on: see websocket.Conn.Shape.
func (s *Socket) Shape(chunk, fragment int) { s.conn.Shape(chunk, fragment) }

// Cut breaks the socket without a word.
func (s *Socket) Cut(why string) {
	s.end(why, true)
	_ = s.conn.Close()
}

// Finish closes the socket when what is queued has been written.
func (s *Socket) Finish(why string) {
	s.mu.Lock()
	if s.why == "" {
		s.why = why
	}
	s.closing = true
	s.mu.Unlock()
	s.nudge()
}

func (s *Socket) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Write queues one WebSocket message.
func (s *Socket) Write(op websocket.Opcode, message []byte) {
	s.mu.Lock()
	if !s.closing {
		s.out = append(s.out, outgoing{op, message})
	}
	s.mu.Unlock()
	s.nudge()
}

// write writes what is queued until the socket is closed. Where the runner has closed it, what it said before is still read.
func (s *Socket) write() {
	for over := false; ; {
		s.mu.Lock()
		out, closing := s.out, s.closing
		s.out = nil
		s.mu.Unlock()
		for _, m := range out {
			if s.conn.Write(m.op, m.message) != nil {
				if closing || over {
					_ = s.conn.Close()
				}
				return
			}
		}
		if closing {
			_ = s.conn.WriteClose(1000, "")
		}
		if closing || over {
			_ = s.conn.Close()
			return
		}
		select {
		case <-s.wake:
		case <-s.done: // there may be a Goodbye left
			over = true
		}
	}
}

func (s *Socket) read() {
	err := s.readAll()
	framing := errors.Is(err, frame.ErrFault) || errors.Is(err, frame.ErrParts) || errors.Is(err, errMalformed)
	s.mu.Lock()
	s.faulty = framing || errors.Is(err, ErrFlood)
	s.mu.Unlock()
	if framing {
		s.bye("runner.invalid_frame", err.Error())
		s.Finish("the suite closed: " + err.Error())
	} else {
		_ = s.conn.Close()
	}
	s.end(err.Error(), false)
	close(s.done)
	s.g.forget(s)
	if session := s.current(); session != nil {
		session.socketEnded(s)
	}
}

func (s *Socket) current() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

func (s *Socket) readAll() error {
	for {
		op, message, err := s.conn.Read()
		if err != nil {
			return err
		}
		if hold := s.stalled.Load(); hold != nil {
			<-*hold
		}
		if err := s.g.spend(1, len(message)); err != nil {
			return err
		}
		if op != websocket.Binary {
			s.trace(&trace.Event{Direction: trace.FromRunner, Garbage: clip(message), Note: "a text message"})
			return fmt.Errorf("%w: a text message", frame.ErrFault)
		}
		bodies, err := frame.Split(message, maxFrame)
		for _, body := range bodies {
			if err := s.take(body); err != nil {
				return err
			}
		}
		if err != nil {
			s.trace(&trace.Event{Direction: trace.FromRunner, Garbage: clip(message), Note: err.Error()})
			return fmt.Errorf("%w, in a message that begins with % x", err, message[:min(len(message), 8)])
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 4096)] }

// errMalformed is wrapped by what cannot be decoded.
var errMalformed = errors.New("a malformed frame")

// take handles one frame.
func (s *Socket) take(body []byte) error {
	if err := s.g.spend(1, 0); err != nil {
		return err
	}
	f := &Frame{}
	kind, err := frame.KindOf(body)
	if err == nil {
		err = proto.Unmarshal(body, f)
	}
	if err != nil {
		s.trace(&trace.Event{Direction: trace.FromRunner, Garbage: clip(body), Note: err.Error()})
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if session := s.current(); session != nil {
		return session.take(s, kind, body, f)
	}
	s.note(kind, body, f)
	if h := f.GetHello(); h != nil && !s.greeted {
		s.greeted = true
		s.hello <- h
	}
	return nil
}

// note keeps a frame in trace and Log.
func (s *Socket) note(kind frame.Kind, body []byte, f *Frame) {
	s.trace(&trace.Event{Direction: trace.FromRunner, Frame: body})
	s.g.Log.add(s.entry(kind, f))
}

func (s *Socket) entry(kind frame.Kind, f *Frame) *Entry {
	e := &Entry{Socket: s, Kind: kind, Frame: f}
	if m, field := MessageOf(f); m != nil {
		e.Message, e.Name = m, field.JSONName()
	}
	return e
}

// end notes why the socket is over.
func (s *Socket) end(why string, ours bool) {
	s.mu.Lock()
	first := s.why == ""
	if first {
		s.why = why
	}
	happening := trace.Ended
	if ours || s.closing {
		happening = trace.Closed
	}
	why = s.why
	s.closing = true
	s.mu.Unlock()
	if hold := s.stalled.Swap(nil); hold != nil {
		close(*hold)
	}
	if first || !ours {
		s.trace(&trace.Event{Happening: happening, Note: why})
	}
}

func (s *Socket) trace(e *trace.Event) {
	e.Socket = uint32(s.Number)
	s.g.cfg.Trace.Add(e)
}

// bye writes Goodbye.
func (s *Socket) bye(code, text string) {
	s.Goodbyes(&commonv1alpha1.Goodbye{Code: code, Message: text, Reconnect: commonv1alpha1.Reconnect_RECONNECT_SAME})
}

// Goodbyes writes a Goodbye of whatever content.
func (s *Socket) Goodbyes(m *commonv1alpha1.Goodbye) {
	s.Bare(&Frame{Kind: &runnerv1alpha1.Frame_Goodbye{Goodbye: m}})
}

// Bare writes a frame past the session: uncounted, in no order but its own.
func (s *Socket) Bare(f *Frame) {
	body, err := proto.Marshal(f)
	if err != nil {
		return // only invalid UTF-8, which nobody here writes
	}
	s.trace(&trace.Event{Direction: trace.ToRunner, Frame: body})
	s.Write(websocket.Binary, frame.Append(nil, body))
}

// Garbage writes a WebSocket message that may be no frames.
func (s *Socket) Garbage(op websocket.Opcode, message []byte) {
	s.trace(&trace.Event{Direction: trace.ToRunner, Garbage: clip(message), Hostile: true})
	s.Write(op, message)
}
