package planeg

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"

	"github.com/stagedoor-dev/stagedoor/conformance/frame"
	"github.com/stagedoor-dev/stagedoor/conformance/websocket"
)

// object is a message of a JSON session.
type object = map[string]any

// maxFrame bounds what a peer reads; gateways announce their own limits.
const maxFrame = 64 << 20

// peer is one socket that a case plays. Its reader puts what comes into a queue, from which the case takes.
type peer struct {
	play  *play
	name  string
	line  line
	blank proto.Message // a Frame of the protocol; nil: JSON
	// heard, if not nil, is told of each frame before it is queued; true keeps it out of the queue.
	heard func(kind frame.Kind, body []byte, m proto.Message) bool
	done  chan struct{}
	// others are the goroutines besides the reader.
	others sync.WaitGroup

	mu      sync.Mutex
	queue   []any // proto.Message or object
	ended   error
	changed chan struct{} // closed at each change, and made anew
}

// line is what carries a peer's frames.
type line interface {
	// serve hands over to the peer what comes, until the line ends, and says why it did.
	serve(*peer) error
	// write sends a frame.
	write(body []byte) error
	// raw sends bytes as they are.
	raw([]byte) error
	// close ends the line without a word.
	close()
}

// open makes a peer of a line; the reader starts with listen.
func (p *play) open(name string, l line, blank proto.Message) *peer {
	return &peer{play: p, name: name, line: l, blank: blank, done: make(chan struct{}), changed: make(chan struct{})}
}

// socketLine is a WebSocket.
type socketLine struct{ conn *websocket.Conn }

func (p *play) dialSocket(name, path, protocol string) socketLine {
	conn, err := websocket.Dial(p.ctx, p.gateway.socket(path), protocol, nil)
	if err != nil {
		p.failf("dial", "%s: %v", name, err)
	}
	return socketLine{conn}
}

func (l socketLine) serve(to *peer) error {
	for {
		_, message, err := l.conn.Read()
		if err == nil {
			err = to.take(message)
		}
		if err != nil {
			return err
		}
	}
}

func (l socketLine) write(body []byte) error { return l.raw(frame.Append(nil, body)) }
func (l socketLine) raw(b []byte) error      { return l.conn.Write(websocket.Binary, b) }
func (l socketLine) close()                  { _ = l.conn.Close() }

// listen starts the reader.
func (s *peer) listen() {
	s.play.atEnd(s.cut)
	go s.read()
}

// cut closes the socket without a word, and waits for what works on it.
func (s *peer) cut() {
	s.line.close()
	<-s.done
	s.others.Wait()
}

func (s *peer) read() {
	defer close(s.done)
	err := s.line.serve(s)
	s.play.note("%s: the socket ended: %v", s.name, err)
	s.change(func() { s.ended = err })
}

func (s *peer) take(message []byte) error {
	if s.blank == nil {
		o := object{}
		if err := json.Unmarshal(message, &o); err != nil {
			return fmt.Errorf("no JSON object came: %w", err)
		}
		s.play.note("%s gets %s", s.name, short(string(message)))
		s.change(func() { s.queue = append(s.queue, o) })
		return nil
	}
	frames, err := frame.Split(message, maxFrame)
	if err != nil {
		return err
	}
	for _, body := range frames {
		if err := s.frame(body); err != nil {
			return err
		}
	}
	return nil
}

func (s *peer) frame(body []byte) error {
	kind, err := frame.KindOf(body)
	if err != nil {
		return err
	}
	m, err := messageIn(s.blank, body)
	if err != nil {
		return err
	}
	if s.heard != nil && s.heard(kind, body, m) {
		return nil
	}
	s.change(func() { s.queue = append(s.queue, m) })
	return nil
}

// messageIn is the message of a frame; the frame itself, if it is of no kind that is known.
func messageIn(blank proto.Message, body []byte) (proto.Message, error) {
	f := blank.ProtoReflect().New()
	if err := proto.Unmarshal(body, f.Interface()); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	if field := f.WhichOneof(f.Descriptor().Oneofs().ByName("kind")); field != nil {
		return f.Get(field).Message().Interface(), nil
	}
	return f.Interface(), nil
}

func (s *peer) change(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *peer) side() *peer { return s }

// sided is a peer, or what embeds one.
type sided interface{ side() *peer }

// want takes the first message of that form, wherever it stands in what has come or comes.
func want[M any](of sided, fits ...func(M) bool) M {
	s := of.side()
	m, why := find(s, s.play.patience(5*time.Second), fits)
	if why != "" {
		s.play.failf(nameOf[M](), "%s: no %s came that fits: %s", s.name, nameOf[M](), why)
	}
	return m
}

// find is want, but says why nothing was found.
func find[M any](s *peer, patience time.Duration, fits []func(M) bool) (found M, why string) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		at := slices.IndexFunc(s.queue, func(a any) bool {
			m, ok := a.(M)
			return ok && !slices.ContainsFunc(fits, func(f func(M) bool) bool { return !f(m) })
		})
		if at >= 0 {
			found, _ = s.queue[at].(M)
			s.queue = slices.Delete(s.queue, at, at+1)
			s.mu.Unlock()
			return found, ""
		}
		changed, ended, rest := s.changed, s.ended, len(s.queue)
		s.mu.Unlock()
		if ended != nil {
			return found, fmt.Sprintf("the socket ended (%v); %s", ended, s.rest())
		}
		select {
		case <-changed:
		case <-s.play.ctx.Done():
			return found, "interrupted"
		case <-deadline.C:
			return found, fmt.Sprintf("nothing for %v; %d other messages: %s", patience, rest, s.rest())
		}
	}
}

// none checks that no message of that form has come so far.
func none[M any](of sided, why string, fits ...func(M) bool) {
	s := of.side()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.queue {
		if m, ok := a.(M); ok && !slices.ContainsFunc(fits, func(f func(M) bool) bool { return !f(m) }) {
			s.play.failf("no-"+nameOf[M](), "%s: %s, but this came: %s", s.name, why, show(m))
		}
	}
}

// closes waits for the end of the socket.
func (s *peer) closes() {
	deadline := time.NewTimer(s.play.patience(5 * time.Second))
	defer deadline.Stop()
	select {
	case <-s.done:
	case <-deadline.C:
		s.play.failf("closed", "%s: the gateway leaves the socket open", s.name)
	}
}

func (s *peer) rest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.queue[:min(len(s.queue), 5)] {
		all = append(all, show(m))
	}
	return strings.Join(all, "; ")
}

// encode wraps a message in its Frame.
func (s *peer) encode(m proto.Message) []byte {
	f := s.blank.ProtoReflect().New()
	fields := f.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); field.Message().FullName() == m.ProtoReflect().Descriptor().FullName() {
			f.Set(field, protoreflect.ValueOfMessage(m.ProtoReflect()))
		}
	}
	b, err := proto.Marshal(f.Interface())
	if err != nil {
		s.play.failf("encode", "%v", err)
	}
	return b
}

// write sends frames, each by itself. A gateway that has closed the socket is found by whoever waits for an answer.
func (s *peer) write(bodies ...[]byte) {
	for _, b := range bodies {
		if err := s.line.write(b); err != nil {
			s.play.note("%s: %v", s.name, err)
		}
	}
}

// raw sends bytes as one binary message, or on the stream of channel 0.
func (s *peer) raw(message []byte) {
	if err := s.line.raw(message); err != nil {
		s.play.note("%s: %v", s.name, err)
	}
}

func nameOf[M any]() string {
	var m M
	if p, ok := any(m).(proto.Message); ok {
		name := string(p.ProtoReflect().Descriptor().Name())
		return strings.ToLower(name[:1]) + name[1:]
	}
	return "message"
}

func show(m any) string {
	if p, ok := m.(proto.Message); ok {
		return string(p.ProtoReflect().Descriptor().Name()) + "{" + short(strings.Join(strings.Fields(fmt.Sprint(p)), " ")) + "}"
	}
	b, _ := json.Marshal(m)
	return short(string(b))
}

func short(text string) string {
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// changes encodes what a commit applies.
func changes(m *runnerv1alpha1.Changes) []byte {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m) // bytes and numbers alone, which never fail
	return b
}
