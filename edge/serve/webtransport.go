package serve

import (
	"context"
	"fmt"
	"net/http"

	"github.com/quic-go/webtransport-go"

	"github.com/stagedoor-dev/stagedoor/gateway/api"
)

// taker is the ResponseWriter of a request that may become a WebTransport session, which then counts as a request under way.
type taker struct {
	http.ResponseWriter
	from *overQUIC
}

// WebTransport implements api.WebTransporter.
func (t *taker) WebTransport(r *http.Request) (api.WebTransport, error) {
	s, err := t.from.sessions.Upgrade(t.ResponseWriter, r)
	if err != nil {
		return nil, fmt.Errorf("establish a WebTransport session: %w", err)
	}
	t.from.count(1)
	context.AfterFunc(s.Context(), func() { t.from.count(-1) })
	return quicSession{s}, nil
}

// Unwrap is for http.ResponseController.
func (t *taker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// quicSession is a session as api.WebTransport.
type quicSession struct{ *webtransport.Session }

// AcceptStream implements api.WebTransport.
func (s quicSession) AcceptStream(ctx context.Context) (api.WebTransportStream, error) {
	stream, err := s.Session.AcceptStream(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // only that it ended counts
	}
	return quicStream{stream}, nil
}

// CloseWithError implements api.WebTransport.
func (s quicSession) CloseWithError(code uint32, reason string) {
	_ = s.Session.CloseWithError(webtransport.SessionErrorCode(code), reason) // it has ended before
}

// quicStream is a stream as api.WebTransportStream.
type quicStream struct{ *webtransport.Stream }

// CancelRead implements api.WebTransportStream.
func (s quicStream) CancelRead() { s.Stream.CancelRead(0) }

// CancelWrite implements api.WebTransportStream.
func (s quicStream) CancelWrite() { s.Stream.CancelWrite(0) }

// Done implements api.WebTransportStream.
func (s quicStream) Done() <-chan struct{} { return s.Context().Done() }
