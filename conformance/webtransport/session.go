// Package webtransport is a client's side of WebTransport for a peer that has to misbehave: whoever uses it opens, ends and resets
// streams as it likes, and writes any bytes to them. HTTP/3 and QUIC below are those of the libraries.
//
// Scripted clients dial gateways with it. Certificates are taken as they are shown. A session may be used by any number of goroutines;
// of a stream one may read and one write.
package webtransport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
)

// CloseError is how the other side closed a session.
type CloseError struct {
	Code   uint32
	Reason string
}

func (e *CloseError) Error() string { return fmt.Sprintf("closed with %d %s", e.Code, e.Reason) }

// ErrReset is a stream that the other side has given up, ErrLeft one that this side has.
var (
	ErrReset = errors.New("the stream was reset")
	ErrLeft  = errors.New("the stream was left")
)

// Session is one WebTransport session, alone on its QUIC connection.
type Session struct {
	conn    *quic.Conn
	session *wt.Session
}

// Dial makes the handshake with an https:// URL, with these subprotocols on offer. A refusal names the status.
func Dial(ctx context.Context, address string, protocols []string, header http.Header) (*Session, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}, MinVersion: tls.VersionTLS13} //nolint:gosec // the gateway under test shows what it has
	conn, err := quic.DialAddr(ctx, u.Host, config, &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true, MaxIdleTimeout: maxSilence})
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	session, err := establish(ctx, conn, address, protocols, header)
	if err != nil {
		_ = conn.CloseWithError(noError, "")
		return nil, fmt.Errorf("handshake with %q: %w", address, err)
	}
	context.AfterFunc(session.Context(), func() { _ = conn.CloseWithError(noError, "") })
	return &Session{conn: conn, session: session}, nil
}

// maxSilence is longer than any that a protocol above allows, which has its own Pings.
const maxSilence = 2 * time.Minute

const noError = quic.ApplicationErrorCode(http3.ErrCodeNoError)

func establish(ctx context.Context, conn *quic.Conn, address string, protocols []string, header http.Header) (*wt.Session, error) {
	t := &wt.Transport{ApplicationProtocols: protocols}
	client, err := t.NewClientConn(conn)
	if err != nil {
		return nil, err
	}
	answer, session, err := client.Dial(ctx, address, header)
	if answer != nil && err != nil {
		return nil, fmt.Errorf("answered %s: %w", answer.Status, err)
	}
	if err != nil {
		return nil, err
	}
	return session, nil
}

// Protocol is the subprotocol that the other side has chosen.
func (s *Session) Protocol() string { return s.session.SessionState().ApplicationProtocol }

// Open opens a bidirectional stream. The other side hears of it by the first byte.
func (s *Session) Open(ctx context.Context) (*Stream, error) {
	stream, err := s.session.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	return &Stream{stream: stream}, nil
}

// OpenOneWay opens a stream of one direction, and writes to it.
func (s *Session) OpenOneWay(ctx context.Context, b []byte) error {
	stream, err := s.session.OpenUniStreamSync(ctx)
	if err == nil {
		_, err = stream.Write(b)
	}
	if err != nil {
		return fmt.Errorf("open a stream of one direction: %w", err)
	}
	return nil
}

// SendDatagram sends bytes that may be lost.
func (s *Session) SendDatagram(b []byte) error { return s.session.SendDatagram(b) }

// ReceiveDatagram waits for a datagram.
func (s *Session) ReceiveDatagram() ([]byte, error) {
	return s.session.ReceiveDatagram(s.session.Context())
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.session.Context().Done() }

// Ended is why the session has ended, when Done is closed: a *CloseError if the other side closed it.
func (s *Session) Ended() error {
	_, err := s.session.AcceptStream(context.Background())
	var closed *wt.SessionError
	if errors.As(err, &closed) && closed.Remote {
		return &CloseError{Code: uint32(closed.ErrorCode), Reason: closed.Message}
	}
	return fmt.Errorf("the session ended: %w", err)
}

// Leave closes the session as a client does that has nothing more to say.
func (s *Session) Leave(code uint32, reason string) error {
	return s.session.CloseWithError(wt.SessionErrorCode(code), reason)
}

// Close closes the connection below without a word of the session's.
func (s *Session) Close() error { return s.conn.CloseWithError(noError, "") }

// Stream is a bidirectional stream.
type Stream struct {
	stream  *wt.Stream
	writing sync.Mutex
}

// Read reads; io.EOF: the other side has ended its side; ErrReset, ErrLeft: the stream was given up.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.stream.Read(b)
	if reset := new(wt.StreamError); errors.As(err, &reset) {
		err = ErrLeft
		if reset.Remote {
			err = ErrReset
		}
	}
	return n, err
}

// Write writes.
func (s *Stream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.stream.Write(b)
}

// Close ends this side. One that has not come to the end of what it writes is broken off, for the library has no end beside a Write.
func (s *Stream) Close() error {
	if !s.writing.TryLock() {
		s.stream.CancelWrite(0)
		return nil
	}
	defer s.writing.Unlock()
	return s.stream.Close()
}

// Reset gives the stream up, both ways.
func (s *Stream) Reset() {
	s.stream.CancelWrite(0)
	s.stream.CancelRead(0)
}
