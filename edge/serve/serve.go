// Package serve runs a gateway on sockets: HTTP and runner listeners, limits of the HTTP server, shutdown.
//
// It opens and closes listeners and decides when the gateway drains; what is said on a socket is the gateway's affair, of
// which it knows five methods. edge/cli calls Listen for each address, then Run once. Run returns when every goroutine
// that it started has ended.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Gateway is the part of *gateway.Gateway that is served.
type Gateway interface {
	// Handler answers HTTP and upgrades to WebSocket.
	Handler() http.Handler
	// ServeRunner speaks the runner protocol on a socket until it ends.
	ServeRunner(net.Conn)
	// Unserved counts a client's connection that has ended before it brought a whole request.
	Unserved()
	// Drain stops the actors and takes leave of everybody.
	Drain(context.Context) error
	// Close ends what is left at once.
	Close() error
}

// Certificates are where the certificate of each handshake comes from.
type Certificates interface {
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Options are the listeners and bounds of Run.
type Options struct {
	// HTTP serves HTTP/1.1, HTTP/2 and WebSockets.
	HTTP net.Listener
	// Certificates have HTTP take TLS. nil: it takes plain text.
	Certificates Certificates
	// PlainToo has HTTP take both, told apart by their first byte [TLS-1].
	PlainToo bool
	// QUIC serves HTTP/3 on the port of HTTP, with Certificates. nil: nobody does.
	QUIC net.PacketConn
	// SessionStreams is how many streams a WebTransport session may have open: one for each connection, and some that end.
	SessionStreams int
	// Runners serve the framed runner protocol.
	Runners []net.Listener
	// IdleTimeout is how long a client's connection may have no request under way. Default 90 s.
	IdleTimeout time.Duration
	// DrainTimeout bounds the shutdown. Zero: no wait.
	DrainTimeout time.Duration
	Logger       *slog.Logger
}

// Run serves until ctx ends or a listener fails, then drains and closes listeners and gateway. A shutdown within the
// time-out returns nil.
func Run(ctx context.Context, g Gateway, o Options) error {
	s := &server{
		gateway: g, options: o, stopping: make(chan struct{}),
		runners: map[net.Conn]struct{}{},
	}
	if err := s.prepare(); err != nil {
		return errors.Join(err, s.shutdown())
	}
	s.start()
	var failure error
	select {
	case <-ctx.Done():
		o.Logger.Info("shutting down", "timeout", o.DrainTimeout)
	case failure = <-s.failed:
		o.Logger.Error("a listener failed; shutting down", "error", failure)
	}
	return errors.Join(failure, s.shutdown())
}

type server struct {
	gateway  Gateway
	options  Options
	http     *http.Server
	tcp      []net.Listener // of http
	quic     *overQUIC      // nil: none
	failed   chan error     // one place for each listener
	stopping chan struct{}
	serving  sync.WaitGroup // accept loops and runner sockets

	mu      sync.Mutex
	runners map[net.Conn]struct{} // nil once the sockets are closed
}

// prepare makes what serves each protocol.
func (s *server) prepare() error {
	o, handler := &s.options, s.gateway.Handler()
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = idleTimeout
	}
	var fault error
	if o.QUIC != nil {
		if s.quic, fault = newOverQUIC(o.QUIC, handler, o.Certificates, o.SessionStreams, o.IdleTimeout, s.gateway.Unserved, o.Logger); fault == nil {
			handler, fault = alternative(handler, o.QUIC.LocalAddr())
		}
	}
	s.http = httpServer(handler, o.IdleTimeout, s.gateway.Unserved, o.Logger)
	switch {
	case o.Certificates == nil:
		s.tcp = []net.Listener{o.HTTP}
	case o.PlainToo && CanPeek:
		plain, secure := newEither(o.HTTP, s.gateway.Unserved)
		s.tcp = []net.Listener{plain, secured(secure, o.Certificates)}
	case o.PlainToo:
		s.tcp = []net.Listener{o.HTTP}
	default:
		s.tcp = []net.Listener{secured(o.HTTP, o.Certificates)}
	}
	s.failed = make(chan error, len(s.tcp)+1+len(o.Runners))
	return fault
}

func (s *server) start() {
	for _, l := range s.tcp {
		s.serving.Go(func() {
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
			}
		})
	}
	if s.quic != nil {
		s.serving.Go(func() {
			if err := s.quic.serve(); err != nil {
				s.failed <- fmt.Errorf("serve HTTP/3 on %s: %w", s.options.QUIC.LocalAddr(), err)
			}
		})
	}
	for _, l := range s.options.Runners {
		s.serving.Go(func() {
			if err := s.acceptRunners(l); err != nil {
				s.failed <- fmt.Errorf("accept runners on %s: %w", l.Addr(), err)
			}
		})
	}
}

// shutdown stops listening at once, so that new clients go elsewhere, and lets the gateway finish what is under way.
func (s *server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	close(s.stopping)
	for _, l := range s.options.Runners {
		_ = l.Close() // its only error is that it is closed already
	}
	// Side by side: Shutdown waits for requests whose answers Drain brings about.
	stopped := make(chan error, 2)
	go func() { stopped <- s.http.Shutdown(ctx) }()
	go func() { stopped <- s.quic.shutdown(ctx) }()
	drained := s.gateway.Drain(ctx)
	finished := errors.Join(<-stopped, <-stopped)
	if finished != nil {
		_ = s.http.Close() // the time is up; what Shutdown said is reported
	}
	closed := s.gateway.Close()
	s.closeRunners()
	s.serving.Wait()
	return errors.Join(wrap("drain", drained), wrap("finish HTTP requests", finished), wrap("close the gateway", closed))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
