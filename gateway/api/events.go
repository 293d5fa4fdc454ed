package api

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// events serves GET /v1/actors/{address}/events: a connection whose events are the response [HTTP-10].
func (h *Handler) events(w http.ResponseWriter, r *http.Request, target route.Request) {
	last := lastEventID(r)
	if session.SSEOver(last) {
		w.WriteHeader(http.StatusNoContent) // an EventSource stays away for nothing else
		return
	}
	if _, ok := h.authenticate(w, r, auth.Client); !ok {
		return
	}
	open, e := eventsConnection(r, target)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	if !h.takeSocket() {
		h.fail(w, r, wire.GatewayOverloaded.Newf("The gateway has as many sockets as it may."))
		return
	}
	defer h.freeSocket()
	s := newEventSocket(w, r)
	s.out = &outgoing{Conn: s.conn, limit: h.limits.MaxSessionQueue, budget: h.cfg.Session.Budget, waiting: h.waiting}
	s.client = h.sessions.Accept(s, session.SSE{}, open.GetTarget().GetNamespace(), token(r), h.remote(r))
	s.out.drainedTo(s.drained)
	if !h.enter(s.client) {
		s.client.Ended()
		h.fail(w, r, wire.GatewayDraining.New())
		return
	}
	defer h.leave(s.client)
	if refusal := s.serve(r, open, last, h.sessions.PingEvery()); refusal != nil {
		h.fail(w, r, refusal)
	}
}

// lastEventID is the id of the last event that the client has. A page cannot set the header, and what it sets in the URL
// stays there when the browser comes back, so the header counts.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return parameter(r, "lastEventId", "")
}

func eventsConnection(r *http.Request, target route.Request) (*clientv1alpha1.ConnectionOpen, *wire.Error) {
	open, e := firstConnection(r, target)
	if e != nil {
		return nil, e
	}
	open.Subscriptions = r.URL.Query()["event"]
	for _, name := range open.Subscriptions {
		if !session.ValidSSEName(name) {
			return nil, wire.RequestInvalid.Newf("The event %q cannot be sent as a server-sent event: a name is UTF-8 in one line, and does not begin with stagedoor:.", name)
		}
	}
	return open, nil
}

// eventSocket is a response as session.Socket. Its text is queued as that of other sockets; the goroutine of the request
// writes it.
type eventSocket struct {
	out    *outgoing
	conn   *eventConn
	client *session.Attachment
	peer   string

	mu   sync.Mutex
	text session.SSEStream
	buf  []byte // for encoding
	over bool   // nothing follows: the response ends when everything is written
}

func newEventSocket(w http.ResponseWriter, r *http.Request) *eventSocket {
	return &eventSocket{peer: r.RemoteAddr, conn: &eventConn{
		w: w, control: http.NewResponseController(w),
		texts: make(chan []byte), written: make(chan error, 1), closed: make(chan struct{}),
	}}
}

// serve runs the response until it ends. An error: it has not begun, and is to be an answer as others.
func (s *eventSocket) serve(r *http.Request, open *clientv1alpha1.ConnectionOpen, last string, every time.Duration) *wire.Error {
	s.client.Follow(&s.text, open, last) // where it fails, the socket has ended
	s.write(r, every)
	_ = s.conn.Close()
	refusal, begun := s.outcome()
	if !begun { // nobody has an id to come back with
		s.client.Close(wire.ConnectionClosed.New(), commonv1alpha1.Reconnect_RECONNECT_NEVER)
	}
	s.client.Ended()
	_ = s.out.Close()
	s.out.wait()
	return refusal
}

func (s *eventSocket) outcome() (refusal *wire.Error, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Refusal, s.text.Begun()
}

// write writes what is queued until the socket is closed, or the client has gone. There is no other sign of life of a
// client than that it takes what is written.
func (s *eventSocket) write(r *http.Request, every time.Duration) {
	silence := time.NewTimer(every)
	defer silence.Stop()
	for {
		var err error
		select {
		case text := <-s.conn.texts:
			err = s.conn.send(text, s.client.Heard)
			s.conn.written <- err
		case <-silence.C:
			err = s.conn.ping()
		case <-s.conn.closed:
			return
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return
		}
		s.client.Heard()
		silence.Reset(every)
	}
}

// drained is told when all that was queued is written.
func (s *eventSocket) drained() {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over {
		s.out.finish(nil)
		return
	}
	s.client.Drained()
}

// keepText bounds the encoding buffer that a socket keeps between messages.
const keepText = 4 << 10

// Send implements session.Socket.
func (s *eventSocket) Send(message []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, last := s.text.Append(s.buf[:0], message)
	if s.buf = text; cap(text) > keepText {
		s.buf = nil
	}
	if len(text) > 0 {
		if _, err := s.out.Write(text); err != nil {
			return false
		}
	}
	if s.over = last; last && len(text) == 0 {
		s.out.finish(nil)
	}
	return true
}

// Backlog implements session.Socket.
func (s *eventSocket) Backlog() int { return s.out.backlog() }

// Ended implements session.Socket.
func (s *eventSocket) Ended() bool { return s.out.ended() }

// Finish implements session.Socket.
func (s *eventSocket) Finish(farewell []byte, e *wire.Error) { s.out.finish(s.farewell(farewell, e)) }

// Cut implements session.Socket.
func (s *eventSocket) Cut(farewell []byte, e *wire.Error) { s.out.cut(s.farewell(farewell, e)) }

func (s *eventSocket) farewell(farewell []byte, e *wire.Error) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil // it was said
	}
	s.over = true
	return s.text.Farewell(farewell, e)
}

// Ping implements session.Socket. write sees to it.
func (s *eventSocket) Ping() {}

// Transport implements session.Socket.
func (s *eventSocket) Transport() string { return "sse" }

// Peer implements session.Socket.
func (s *eventSocket) Peer() string { return s.peer }

// eventConn has the goroutine of a request write what outgoing has for it. Of net.Conn it has what that needs.
type eventConn struct {
	net.Conn
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool // owned by the request's goroutine
	texts   chan []byte
	written chan error // answers texts
	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex
	writing bool
}

// Write implements net.Conn.
func (c *eventConn) Write(p []byte) (int, error) {
	select {
	case c.texts <- p:
		return len(p), <-c.written
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// Close implements net.Conn: what is being written is given up.
func (c *eventConn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		_ = c.control.SetWriteDeadline(time.Unix(1, 0)) // without deadlines it ends with the client
	}
	return nil
}

// eventChunk is written at once: a client that reads slowly has ping_ms three times for each.
const eventChunk = 64 << 10

// send writes a text whole. progress is called behind each part of it.
func (c *eventConn) send(text []byte, progress func()) error {
	if !c.begin() {
		return net.ErrClosed
	}
	defer c.end()
	if !c.begun {
		c.begun = true
		c.head()
	}
	for len(text) > 0 {
		n, err := c.w.Write(text[:min(len(text), eventChunk)])
		if err != nil {
			return err
		}
		text = text[n:]
		progress()
	}
	return c.control.Flush()
}

// ping says that the gateway lives, once the response has begun.
func (c *eventConn) ping() error {
	if !c.begun {
		return nil
	}
	return c.send([]byte(": ping\n\n"), func() {})
}

func (c *eventConn) head() {
	header := c.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather it
	header.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusOK)
}

// begin begins a write that Close can end; false: it is closed.
func (c *eventConn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return false
	default:
	}
	c.writing = true
	return true
}

func (c *eventConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
}
