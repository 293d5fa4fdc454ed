package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/api"
)

// streams is a WebTransport session in memory, so that it can be played in virtual time: the gateway's end is the
// api.WebTransport, the test's is the rest. Its streams deliver in order each, and the test says in which among them.
type streams struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	incoming chan *stream
	up, down chan []byte // datagrams

	mu  sync.Mutex
	all []*stream
}

// stream is one of them.
type stream struct {
	up, down *flow
	done     chan struct{} // the gateway's side has ended
	once     sync.Once
	rest     []byte // of down, no whole frame yet
}

// connectStreams opens /v1/connect.
func (w *world) connectStreams() *streams {
	w.Helper()
	s := &streams{incoming: make(chan *stream, 1024), up: make(chan []byte, 128), down: make(chan []byte, 128)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	context.AfterFunc(s.ctx, s.end)
	answer := httptest.NewRecorder()
	w.Handler().ServeHTTP(&streamsWriter{answer, s}, &http.Request{
		Method: http.MethodConnect, Proto: "webtransport", URL: &url.URL{Path: "/v1/connect"}, RemoteAddr: "127.0.0.1:1",
		Header: http.Header{"Wt-Available-Protocols": {`"stagedoor.v1.proto"`}},
	})
	if answer.Code != http.StatusOK {
		w.Fatalf("/v1/connect answers %d %s", answer.Code, answer.Body)
	}
	w.Cleanup(func() {
		s.cut()
		synctest.Wait()
	})
	return s
}

// streamsWriter is the ResponseWriter of /v1/connect.
type streamsWriter struct {
	http.ResponseWriter
	session *streams
}

// WebTransport implements api.WebTransporter.
func (w *streamsWriter) WebTransport(*http.Request) (api.WebTransport, error) { return w.session, nil }

var errStreamsCut = errors.New("the session was cut")

// cut ends the session as the loss of its network does.
func (s *streams) cut() { s.cancel(errStreamsCut) }

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		t.reset(errStreamsCut)
		t.finish()
	}
}

// open opens a stream.
func (s *streams) open() *stream {
	t := &stream{up: newFlow(), down: newFlow(), done: make(chan struct{})}
	s.mu.Lock()
	s.all = append(s.all, t)
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		t.reset(errStreamsCut)
		t.finish()
	}
	s.incoming <- t
	return t
}

// reset loses the stream, for both.
func (t *stream) reset(cause error) {
	t.up.cut(cause)
	t.down.cut(cause)
}

func (t *stream) finish() { t.once.Do(func() { close(t.done) }) }

// Context implements api.WebTransport.
func (s *streams) Context() context.Context { return s.ctx }

// AcceptStream implements api.WebTransport.
func (s *streams) AcceptStream(ctx context.Context) (api.WebTransportStream, error) {
	select {
	case t := <-s.incoming:
		return t, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// SendDatagram implements api.WebTransport.
func (s *streams) SendDatagram(b []byte) error {
	select {
	case s.down <- b:
	default: // lost
	}
	return nil
}

// ReceiveDatagram implements api.WebTransport.
func (s *streams) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	select {
	case b := <-s.up:
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// CloseWithError implements api.WebTransport.
func (s *streams) CloseWithError(_ uint32, reason string) { s.cancel(errors.New(reason)) }

// LocalAddr implements api.WebTransport.
func (s *streams) LocalAddr() net.Addr { return &net.UDPAddr{} }

// RemoteAddr implements api.WebTransport.
func (s *streams) RemoteAddr() net.Addr { return &net.UDPAddr{} }

// Read implements api.WebTransportStream.
func (t *stream) Read(p []byte) (int, error) { return t.up.read(p) }

// Write implements api.WebTransportStream.
func (t *stream) Write(p []byte) (int, error) { return t.down.write(p) }

// Close implements api.WebTransportStream.
func (t *stream) Close() error {
	t.down.close()
	t.finish()
	return nil
}

// CancelRead implements api.WebTransportStream.
func (t *stream) CancelRead() { t.up.cut(errStreamsCut) }

// CancelWrite implements api.WebTransportStream.
func (t *stream) CancelWrite() {
	t.down.cut(errStreamsCut)
	t.finish()
}

// SetReadDeadline implements api.WebTransportStream: what these tests write comes at once.
func (*stream) SetReadDeadline(time.Time) error { return nil }

// Done implements api.WebTransportStream.
func (t *stream) Done() <-chan struct{} { return t.done }

// flow is one direction of a stream, with a window as a network has one.
type flow struct {
	mu      sync.Mutex
	changed chan struct{} // closed at each change, and made anew
	queued  []byte
	err     error // behind what is queued; but for io.EOF at once
}

const window = 8 << 10

func newFlow() *flow { return &flow{changed: make(chan struct{})} }

func (f *flow) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *flow) close() {
	f.change(func() {
		if f.err == nil {
			f.err = io.EOF
		}
	})
}

func (f *flow) cut(cause error) {
	f.change(func() {
		f.queued = nil
		f.err = cause
	})
}

func (f *flow) write(p []byte) (n int, err error) {
	for {
		var wait <-chan struct{}
		f.change(func() {
			if err = f.err; err != nil {
				return
			}
			k := min(window-len(f.queued), len(p))
			f.queued = append(f.queued, p[:k]...)
			n, p = n+k, p[k:]
		})
		if err != nil || len(p) == 0 {
			return n, err
		}
		f.mu.Lock()
		wait = f.changed
		full := len(f.queued) == window && f.err == nil
		f.mu.Unlock()
		if full {
			<-wait
		}
	}
}

// read waits for something.
func (f *flow) read(p []byte) (n int, err error) {
	for {
		f.mu.Lock()
		wait := f.changed
		nothing := len(f.queued) == 0 && f.err == nil
		f.mu.Unlock()
		if nothing {
			<-wait
			continue
		}
		f.change(func() {
			n = copy(p, f.queued)
			f.queued = f.queued[n:]
			if n == 0 {
				err = f.err
			}
		})
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// take is what has come, without waiting.
func (f *flow) take() (b []byte) {
	f.change(func() { b, f.queued = f.queued, nil })
	return b
}
