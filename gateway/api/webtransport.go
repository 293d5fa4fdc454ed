package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/stagedoor-dev/stagedoor/gateway/session"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// WebTransporter is a ResponseWriter that can hand its session over, as an http.Hijacker does its connection. Whoever serves
// HTTP/3 has its ResponseWriters be that, chooses the subprotocol, and leaves origins to the Handler.
type WebTransporter interface {
	http.ResponseWriter
	WebTransport(*http.Request) (WebTransport, error)
}

// WebTransport is a session, of whatever library. Its methods may be called at any time.
type WebTransport interface {
	// Context ends with the session.
	Context() context.Context
	// AcceptStream waits for a bidirectional stream of the client.
	AcceptStream(context.Context) (WebTransportStream, error)
	// SendDatagram may wait for the network.
	SendDatagram([]byte) error
	ReceiveDatagram(context.Context) ([]byte, error)
	// CloseWithError ends the session and its streams. It may have ended before.
	CloseWithError(code uint32, reason string)
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// WebTransportStream is one of its streams.
type WebTransportStream interface {
	io.ReadWriter
	// Close ends our side, behind what was written.
	Close() error
	CancelRead()
	CancelWrite()
	SetReadDeadline(time.Time) error
	// Done is closed when our side has ended, or the session.
	Done() <-chan struct{}
}

// connectWebTransport serves /v1/connect: a client session over WebTransport [SESS-19].
func (h *Handler) connectWebTransport(w WebTransporter, r *http.Request) {
	if e := h.subprotocol(r); e != nil {
		h.fail(w, r, e)
		return
	}
	if !h.takeSocket() {
		h.fail(w, r, wire.GatewayOverloaded.Newf("The gateway has as many sockets as it may."))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // that of a body ends here
	conn, err := w.WebTransport(r)
	if err != nil {
		h.freeSocket()
		h.fail(w, r, wire.RequestInvalid.Newf("The WebTransport session was not established: %v.", err))
		return
	}
	s := &streamed{handler: h, conn: conn}
	s.a = h.sessions.Accept(s, session.Proto{}, parameter(r, "namespace", "Stagedoor-Namespace"), token(r), h.remote(r))
	if !h.enter(s.a) {
		s.a.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		go s.attend(h.freeSocket)
		return
	}
	go s.attend(func() {
		h.leave(s.a)
		h.freeSocket()
	})
}

// subprotocol refuses a client that offers only others, and, where it is no developer's, one that offers none.
func (h *Handler) subprotocol(r *http.Request) *wire.Error {
	offered, err := httpsfv.UnmarshalList(r.Header.Values("WT-Available-Protocols"))
	known := len(offered) == 0 && h.cfg.Session.Development
	for _, member := range offered {
		item, _ := member.(httpsfv.Item)
		known = known || item.Value == wire.SubprotocolClientProto
	}
	if err != nil || !known {
		return wire.RequestInvalid.Newf("The subprotocol of WebTransport is %s.", wire.SubprotocolClientProto)
	}
	return nil
}

// streamed is a client's WebTransport session as session.Streams: channel 0 and each connection have a stream of their own.
type streamed struct {
	handler *Handler
	conn    WebTransport
	a       *session.Attachment

	queuedAll atomic.Int64
	reading   sync.WaitGroup // streams and datagrams
	ending    sync.WaitGroup // farewell
	datagrams datagrams

	mu      sync.Mutex
	control *lane // that of channel 0; nil: none has begun
	lanes   map[*lane]struct{}
	closing bool
}

// attend takes streams and datagrams until the session ends.
func (s *streamed) attend(done func()) {
	defer done()
	ctx := s.conn.Context()
	s.reading.Go(func() {
		for {
			data, err := s.conn.ReceiveDatagram(ctx)
			if err != nil {
				return
			}
			s.a.Datagram(data)
		}
	})
	for {
		stream, err := s.conn.AcceptStream(ctx)
		if err != nil {
			break
		}
		s.reading.Go(func() { s.serve(newLane(s, stream)) })
	}
	s.conn.CloseWithError(0, "")
	s.reading.Wait()
	s.a.Ended()
	s.Cut(nil, nil) // nothing ends it from now on
	s.ending.Wait()
	s.datagrams.wait()
	for _, l := range s.all() {
		l.Reset()
		l.out.wait()
	}
}

// serve reads a stream until it ends.
func (s *streamed) serve(l *lane) {
	defer l.frames.ended()
	data, err := l.first()
	if err != nil {
		s.told(err)
		l.Reset()
		s.drop(l)
		return
	}
	raw, _, _ := wire.NextFrame(data, s.handler.limits.MaxFrame)
	if f, bad := wire.ParseFrame(raw); bad == nil && f.Kind == wire.ClientHello && s.take(l) {
		s.serveControl(l, data)
		return
	}
	select {
	case <-s.a.Begun():
	case <-s.conn.Context().Done():
	}
	b := s.a.Branch(l)
	for err == nil && b.Receive(data) {
		data, err = l.frames.next()
	}
	s.told(err)
	lost := !errors.Is(err, io.EOF)
	b.Ended(lost)
	if lost {
		l.Reset()
	}
	<-l.stream.Done()     // our side has ended, too
	l.out.abort(errReset) // whoever ends the session now finds nothing to send on it
	l.out.wait()
	s.drop(l)
}

// told has the client know of a connection's stream that is reset for what came on it [SESS-19].
func (s *streamed) told(err error) {
	for _, cause := range []error{errFrameSize, errFrameLate, errMemory, io.ErrUnexpectedEOF} {
		if errors.Is(err, cause) {
			s.a.Garbled(err)
		}
	}
}

// take makes a stream that of channel 0; false: there is one.
func (s *streamed) take(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control != nil {
		return false
	}
	s.control = l
	return true
}

// serveControl reads the stream of channel 0, and ends the session with it.
func (s *streamed) serveControl(l *lane, data []byte) {
	var err error
	for err == nil && s.a.Receive(data) {
		data, err = l.frames.next()
	}
	switch {
	case errors.Is(err, errFrameSize):
		s.handler.cfg.Session.Stats.FramesMalformed.Inc()
		s.a.Close(wire.RequestInvalidFrame.Newf("Framing: %v.", err), commonv1alpha1.Reconnect_RECONNECT_ANY)
	case errors.Is(err, errFrameLate):
		s.a.Leave(wire.SessionPingTimedOut.New())
	case errors.Is(err, errMemory):
		s.a.Leave(wire.GatewayOverloaded.New())
	case err != nil:
		s.Finish(nil, nil) // the client is gone, or does as if it were
	}
	<-s.conn.Context().Done() // whatever ends the reading ends the session, behind its farewell
}

// Send implements session.Socket.
func (s *streamed) Send(message []byte) bool {
	l := s.root()
	return l != nil && l.Send(message)
}

// Backlog implements session.Socket.
func (s *streamed) Backlog() int {
	if l := s.root(); l != nil {
		return l.Backlog()
	}
	return 0
}

// Queued implements session.Streams.
func (s *streamed) Queued() int { return int(s.queuedAll.Load()) }

// Ended implements session.Socket.
func (s *streamed) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing || s.control == nil || s.control.Ended()
}

// Datagram implements session.Streams.
func (s *streamed) Datagram(frame []byte) {
	if !s.datagrams.send(s.conn, frame) {
		s.handler.cfg.Session.Stats.UnreliableDropped.Inc()
	}
}

// Ping implements session.Socket: a session over WebTransport begins with Hello, and understands ours.
func (s *streamed) Ping() {}

// Transport implements session.Socket.
func (s *streamed) Transport() string { return "webtransport" }

// Peer implements session.Socket.
func (s *streamed) Peer() string { return s.conn.RemoteAddr().String() }

func (s *streamed) root() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.control
}

func (s *streamed) all() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes := make([]*lane, 0, len(s.lanes))
	for l := range s.lanes {
		lanes = append(lanes, l)
	}
	return lanes
}

func (s *streamed) drop(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, l)
}
