package api

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/jsoncbor"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// upgraders holds one gws upgrader for each subprotocol that may be chosen; "" is none.
type upgraders map[string]*gws.Upgrader

func newUpgraders(maxMessage int) upgraders {
	u := upgraders{}
	for _, chosen := range []string{"", wire.SubprotocolClientProto, wire.SubprotocolClientJSON, wire.SubprotocolRunner} {
		option := &gws.ServerOption{
			CheckUtf8Enabled: true, ReadMaxPayloadSize: maxMessage,
			NewSession: func() gws.SessionStorage { return nil }, // a socket finds its own by its net.Conn
		}
		if chosen != "" {
			option.SubProtocols = []string{chosen}
		}
		u[chosen] = gws.NewUpgrader(socketEvents{}, option)
	}
	return u
}

// choose picks the subprotocol: the first that the client offers and we know. ok is false if it offers only others.
func choose(r *http.Request, known ...string) (chosen string, ok bool) {
	offered := r.Header.Values("Sec-WebSocket-Protocol")
	if len(offered) == 0 {
		return "", true
	}
	for _, name := range strings.Split(strings.Join(offered, ","), ",") {
		if name = strings.TrimSpace(name); slices.Contains(known, name) {
			return name, true
		}
	}
	return "", false
}

// connect serves /v1/connect: a client session over WebSocket [SESS-1].
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) { h.serveClient(w, r, nil) }

// connectActor serves /v1/actors/{address}/connect: a session with one connection opened at once [SESS-7].
func (h *Handler) connectActor(w http.ResponseWriter, r *http.Request, target route.Request) {
	open, e := firstConnection(r, target)
	if e != nil {
		h.fail(w, r, e)
		return
	}
	h.serveClient(w, r, open)
}

func firstConnection(r *http.Request, target route.Request) (*clientv1alpha1.ConnectionOpen, *wire.Error) {
	m, e := mode(r, target.ID)
	if e != nil {
		return nil, e
	}
	q := r.URL.Query()
	open := &clientv1alpha1.ConnectionOpen{TargetId: target.ID, Mode: m, Subscriptions: q["subscribe"]}
	if target.ID == "" {
		a := target.Address
		open.Target = &commonv1alpha1.Address{Namespace: a.Namespace, Type: a.Type, Key: a.Key}
	}
	var err error
	if q.Has("params") {
		if open.Params, err = jsoncbor.FromJSON([]byte(q.Get("params"))); err != nil {
			return nil, wire.RequestInvalidJSON.Newf("The parameter params: %v.", err)
		}
	}
	if q.Has("input") {
		if open.Input, err = jsoncbor.FromJSON([]byte(q.Get("input"))); err != nil {
			return nil, wire.RequestInvalidJSON.Newf("The parameter input: %v.", err)
		}
	}
	return open, nil
}

func (h *Handler) serveClient(w http.ResponseWriter, r *http.Request, first *clientv1alpha1.ConnectionOpen) {
	chosen, ok := choose(r, wire.SubprotocolClientProto, wire.SubprotocolClientJSON)
	if !ok {
		h.fail(w, r, wire.RequestInvalid.Newf("The subprotocols are %s and %s.", wire.SubprotocolClientProto, wire.SubprotocolClientJSON))
		return
	}
	socket, _ := h.upgrade(w, r, chosen, h.limits.MaxSessionQueue)
	if socket == nil {
		return
	}
	var form session.Form = session.JSON{}
	if chosen == wire.SubprotocolClientProto {
		form = session.Proto{}
	}
	a := h.sessions.Accept(socket, form, parameter(r, "namespace", "Stagedoor-Namespace"), token(r), h.remote(r))
	socket.out.drainedTo(a.Drained)
	socket.in.leave = a.Leave
	socket.reader = clientReader{a, socket.out}
	if !h.enter(a) {
		a.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		h.attend(socket, a, nil)
		return
	}
	// The request, its buffers and its goroutine's stack are not kept for as long as the socket lives.
	go func() {
		defer h.leave(a)
		h.attend(socket, a, first)
	}()
}

// attend reads a client's socket until it ends.
func (h *Handler) attend(s *socket, a *session.Attachment, first *clientv1alpha1.ConnectionOpen) {
	defer h.freeSocket()
	defer s.end(a.Ended)
	h.guard(s.ws, func() {
		if first == nil || a.OpenFirst(first) {
			s.ws.ReadLoop()
		}
	})
}

// read feeds the socket's reader until it ends.
func (h *Handler) read(conn *gws.Conn) { h.guard(conn, conn.ReadLoop) }

// guard reads from a socket. Bad framing can make the library panic (a length with the top bit set, gws 1.8.9): that is the
// peer's fault, and costs its socket. Any other panic costs no more, and is told.
func (h *Handler) guard(conn *gws.Conn, read func()) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		log, stack := h.cfg.Session.Logger.With("peer", conn.RemoteAddr(), "cause", cause), string(debug.Stack())
		if ofLibrary(stack) {
			log.Debug("a WebSocket frame of an impossible length")
			return
		}
		log.Error("panic while reading a WebSocket", "stack", stack)
	}()
	read()
}

// ofLibrary tells of the stack of a recovered panic whether gws itself has raised it, and not what gws calls.
func ofLibrary(stack string) bool {
	_, raised, _ := strings.Cut(stack, "\npanic(")
	for i, line := range strings.Split(raised, "\n") {
		if i > 0 && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "runtime.") {
			return strings.HasPrefix(line, "github.com/lxzan/gws")
		}
	}
	return false
}

// connectRunner serves /runner/v1alpha1: a runner link over WebSocket [LINK-1].
func (h *Handler) connectRunner(w http.ResponseWriter, r *http.Request) {
	chosen, ok := choose(r, wire.SubprotocolRunner)
	if !ok {
		h.fail(w, r, wire.RequestInvalid.Newf("The subprotocol is %s.", wire.SubprotocolRunner))
		return
	}
	socket, conn := h.upgrade(w, r, chosen, 0)
	if socket == nil {
		return
	}
	defer h.freeSocket()
	c := link.Accept(h.cfg.Link, linkSocket{socket})
	defer h.track(c)()
	socket.reader = linkReader{c}
	defer c.Ended()
	h.read(conn)
}

// ServeRunner runs a runner's socket, a byte stream, until it ends. It owns conn.
func (h *Handler) ServeRunner(conn net.Conn) {
	if !h.takeSocket() {
		_ = conn.Close() // before a Hello there is nothing to say it by
		return
	}
	defer h.freeSocket()
	link.ServeStream(h.cfg.Link, conn, h.track)
}

// upgrade takes the connection over. Without queue, writes go straight to it: a runner link has its own order.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, chosen string, queue int) (*socket, *gws.Conn) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		if r.ProtoMajor == 1 { // later versions have no such field, and clients take the answer for malformed
			w.Header().Set("Upgrade", "websocket")
		}
		h.fail(w, r, wire.RequestInvalid.Newf("This endpoint is a WebSocket, over HTTP/1.1."))
		return nil, nil
	}
	if !h.takeSocket() {
		h.fail(w, r, wire.GatewayOverloaded.Newf("The gateway has as many sockets as it may."))
		return nil, nil
	}
	raw, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.freeSocket()
		h.fail(w, r, wire.RequestInvalid.Newf("WebSocket needs HTTP/1.1."))
		return nil, nil
	}
	_ = raw.SetDeadline(time.Time{}) // the HTTP server's time-outs end here
	s := &socket{Conn: raw, stats: h.cfg.Session.Stats, text: chosen != wire.SubprotocolClientProto}
	reader := buffered.Reader
	if queue > 0 {
		early, _ := buffered.Peek(buffered.Reader.Buffered()) // it has so many
		s.out = &outgoing{Conn: raw, limit: queue, budget: h.cfg.Session.Budget, waiting: h.waiting, flusher: &h.flusher, ready: rawConn(raw)}
		s.in = newIncoming(raw, bytes.Clone(early), h.cfg.Session.Budget, h.sessions.MessageWait())
		s.Conn = s.out
		// No buffer, but for headers: incoming has one when it needs it.
		reader = bufio.NewReaderSize(s.in, maxClientHeader)
	}
	ws, err := h.upgraders[chosen].UpgradeFromConn(s, reader, r)
	if err != nil {
		h.freeSocket()
		_ = raw.Close()
		if s.out != nil {
			s.out.wait()
		}
		return nil, nil
	}
	s.ws = ws
	return s, ws
}

// maxClientHeader is the longest header of a masked frame.
const maxClientHeader = maxHeader + 4

// reader takes what a socket receives.
type reader interface {
	// Receive takes a message; false ends the socket.
	Receive([]byte) bool
	// Heard notes a sign of life.
	Heard()
	// Finished returns when the farewell was written and the connection closed: until then nothing more is read.
	Finished()
}

// socket is a WebSocket as session.Socket and as the base of a link.Socket. It is what the library takes for the connection.
type socket struct {
	net.Conn           // that is written to: out, or a runner's itself
	in       *incoming // nil for a runner's
	out      *outgoing // nil for a runner's
	ws       *gws.Conn
	stats    *stats.Stats
	text     bool
	reader   reader
}

// end tells the session that its socket is not read any more, and waits until what is queued was written.
func (s *socket) end(ended func()) {
	s.in.ended()
	ended()
	_ = s.out.Close()
	s.out.wait()
}

// Send implements session.Socket.
func (s *socket) Send(message []byte) bool {
	opcode := byte(opBinary)
	if s.text {
		opcode = opText
	}
	return s.out.message(opcode, message)
}

// Backlog implements session.Socket.
func (s *socket) Backlog() int { return s.out.backlog() }

// Ended implements session.Socket.
func (s *socket) Ended() bool { return s.out.ended() }

// Finish implements session.Socket.
func (s *socket) Finish(farewell []byte, e *wire.Error) { s.out.finish(s.last(farewell, e)) }

// Cut implements session.Socket.
func (s *socket) Cut(farewell []byte, e *wire.Error) { s.out.cut(s.last(farewell, e)) }

// last is the farewell and the close frame behind it.
func (s *socket) last(farewell []byte, e *wire.Error) []byte {
	var last []byte
	if len(farewell) > 0 {
		opcode := byte(opBinary)
		if s.text {
			opcode = opText
		}
		last = append(appendHeader(last, opcode, len(farewell)), farewell...)
	}
	code, reason := closeCode(e)
	return appendClose(last, code, reason)
}

// Ping implements session.Socket.
func (s *socket) Ping() { _ = s.ws.WritePing(nil) }

// Transport implements session.Socket.
func (s *socket) Transport() string { return "websocket" }

// Peer implements session.Socket and link.Socket.
func (s *socket) Peer() string { return s.RemoteAddr().String() }

// closeCode is the WebSocket close code of an error; none is a normal end.
func closeCode(e *wire.Error) (int, string) {
	const normal, goingAway, protocol, policy, internal = 1000, 1001, 1002, 1008, 1011
	switch {
	case e == nil:
		return normal, ""
	case errors.Is(e, wire.GatewayDraining):
		return goingAway, e.Name()
	case e.Group == "request" || e.Group == "runner":
		return protocol, e.Name()
	case e.Group == "auth" || e.Group == "session":
		return policy, e.Name()
	}
	return internal, e.Name()
}

// linkSocket is a runner's WebSocket as link.Socket.
type linkSocket struct{ *socket }

// WriteFrames implements link.Socket: one message of whole frames.
func (s linkSocket) WriteFrames(b []byte) error { return s.ws.WriteMessage(gws.OpcodeBinary, b) }

// Close implements link.Socket.
func (s linkSocket) Close() error { return s.Conn.Close() }

// linkReader is a runner's link.Conn as reader.
type linkReader struct{ *link.Conn }

// Receive implements reader.
func (l linkReader) Receive(b []byte) bool { return l.Conn.Receive(b) == nil }

// Heard implements reader.
func (l linkReader) Heard() {}

// Finished implements reader.
func (l linkReader) Finished() { l.Conn.Wait() }

// clientReader is an Attachment as reader.
type clientReader struct {
	*session.Attachment
	out *outgoing
}

// Finished implements reader.
func (c clientReader) Finished() { c.out.wait() }

// socketEvents hands what gws reads to the socket's reader. Control frames are the library's to answer.
type socketEvents struct{ gws.BuiltinEventHandler }

// OnMessage implements gws.Event.
func (socketEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if r := readerOf(c); !r.Receive(m.Bytes()) {
		r.Finished()
	}
}

// OnClose implements gws.Event: it counts what the library has refused for its size.
func (socketEvents) OnClose(c *gws.Conn, err error) {
	const tooLarge = 1009
	if code, ok := errors.AsType[closingCode](err); ok && code.Uint16() == tooLarge {
		c.NetConn().(*socket).stats.Limit(stats.MaxFrame)
	}
}

// closingCode is what gws closes a socket with by itself; its own type is internal.
type closingCode interface {
	error
	Uint16() uint16
}

// OnPing implements gws.Event.
func (socketEvents) OnPing(c *gws.Conn, p []byte) {
	readerOf(c).Heard()
	_ = c.WritePong(p)
}

// OnPong implements gws.Event.
func (socketEvents) OnPong(c *gws.Conn, _ []byte) { readerOf(c).Heard() }

// readerOf is who reads a socket. It is set before the reading begins.
func readerOf(c *gws.Conn) reader { return c.NetConn().(*socket).reader }
