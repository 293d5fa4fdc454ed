package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/quic-go/webtransport-go"

	"github.com/stagedoor-dev/stagedoor/gateway/api"
)

// taker is the ResponseWriter of a request that may become a WebTransport session, which then counts as a request under way.
type taker struct {
	http.ResponseWriter
	from *overQUIC
}

var errSecondSession = errors.New("a QUIC connection carries one session at a time")

// WebTransport implements api.WebTransporter. The library would refuse a second session of a connection, too, but only when the
// client has got the head of an answer that lets it in.
func (t *taker) WebTransport(r *http.Request) (api.WebTransport, error) {
	from := guestOf(r.Context())
	if from.session.Swap(true) {
		return nil, errSecondSession
	}
	w := &kept{ResponseWriter: t.ResponseWriter}
	s, err := t.from.sessions.Upgrade(w, r)
	if err != nil {
		from.session.Store(false)
		return nil, fmt.Errorf("establish a WebTransport session: %w", err)
	}
	t.from.count(from, 1)
	context.AfterFunc(s.Context(), func() {
		from.session.Store(false)
		t.from.count(from, -1)
	})
	return quicSession{s, w.stream}, nil
}

// Unwrap is for http.ResponseController.
func (t *taker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// kept is the ResponseWriter of http3, with the stream of the session kept.
type kept struct {
	http.ResponseWriter
	stream *http3.Stream
}

// HTTPStream implements http3.HTTPStreamer.
func (k *kept) HTTPStream() *http3.Stream {
	k.stream = k.ResponseWriter.(http3.HTTPStreamer).HTTPStream()
	return k.stream
}

// ReceivedSettings implements http3.Settingser.
func (k *kept) ReceivedSettings() <-chan struct{} {
	return k.ResponseWriter.(http3.Settingser).ReceivedSettings()
}

// Flush implements http.Flusher.
func (k *kept) Flush() { k.ResponseWriter.(http.Flusher).Flush() }

// Settings implements http3.Settingser.
func (k *kept) Settings() *http3.Settings { return k.ResponseWriter.(http3.Settingser).Settings() }

// quicSession is a session as api.WebTransport.
type quicSession struct {
	*webtransport.Session
	stream *http3.Stream
}

// AcceptStream implements api.WebTransport.
func (s quicSession) AcceptStream(ctx context.Context) (api.WebTransportStream, error) {
	stream, err := s.Session.AcceptStream(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // only that it ended counts
	}
	return quicStream{stream}, nil
}

// The capsule that closes a session: 4 bytes of code, then the reason.
const (
	closeCapsule   = 0x2843
	maxCloseReason = 1024
	// closeWait is how long a client may take to answer it.
	closeWait = time.Second
)

// CloseWithError implements api.WebTransport. The library sends STOP_SENDING with its capsule, and Chromium, which reads that first,
// then takes the session for lost, and tells its page neither code nor reason. So the capsule and the end of the stream go ahead, and
// the client's end, which answers them, is waited for.
func (s quicSession) CloseWithError(code uint32, reason string) {
	reason = reason[:min(len(reason), maxCloseReason)]
	capsule := quicvarint.Append(quicvarint.Append(nil, closeCapsule), uint64(4+len(reason)))
	capsule = append(binary.BigEndian.AppendUint32(capsule, code), reason...)
	if s.Context().Err() == nil && s.stream.TryWriteAll(capsule) == nil && s.stream.Close() == nil {
		answered, cancel := context.WithTimeout(s.Context(), closeWait)
		<-answered.Done()
		cancel()
	}
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
