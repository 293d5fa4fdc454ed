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

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Bounds of a QUIC connection. What it buffers grows with what is read, up to these.
const (
	streamWindow     = 512 << 10
	maxStreamWindow  = 4 << 20
	connectionWindow = 1 << 20
	maxConnWindow    = 8 << 20
	// maxUniStreams are HTTP/3's own three, and some that it greases with.
	maxUniStreams = 8
)

// overQUIC serves HTTP/3 on a UDP socket.
type overQUIC struct {
	transport *quic.Transport
	listener  *quic.Listener
	server    *http3.Server
	sessions  *webtransport.Server
	serving   sync.WaitGroup // connections
	greeting  handshakes
	guests    guests

	mu       sync.Mutex
	conns    map[*quic.Conn]struct{}
	requests int
	answered chan struct{} // closed when there are none, once that is waited for; nil: it is not
}

// newOverQUIC begins to listen. sessionStreams is how many streams a WebTransport session may have open, beside those of requests, and
// idle how long a connection may have no request under way.
func newOverQUIC(socket net.PacketConn, handler http.Handler, c Certificates, sessionStreams int, idle time.Duration, unserved func(), logger *slog.Logger) (*overQUIC, error) {
	q := &overQUIC{
		conns: map[*quic.Conn]struct{}{}, greeting: handshakes{unserved: unserved},
		guests: guests{wait: idle, most: maxIdleGuests},
	}
	q.transport = &quic.Transport{Conn: socket, VerifySourceAddress: q.greeting.doubted, ConnContext: q.greeting.begin}
	q.server = &http3.Server{
		Handler: q.counted(handler), MaxHeaderBytes: maxHeaderBytes, ConnContext: q.guests.receive,
		Logger: slog.New(atDebug{logger.Handler()}),
	}
	q.sessions = &webtransport.Server{
		H3: q.server, ApplicationProtocols: []string{wire.SubprotocolClientProto},
		CheckOrigin: func(*http.Request) bool { return true }, // the handler has [HTTP-7]
	}
	webtransport.ConfigureHTTP3Server(q.server)
	config := http3.ConfigureTLSConfig(&tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: c.Certificate})
	var err error
	q.listener, err = q.transport.Listen(config, &quic.Config{
		HandshakeIdleTimeout: readHeaderTimeout, MaxIdleTimeout: idle, MaxIncomingStreams: maxStreams + int64(sessionStreams), MaxIncomingUniStreams: maxUniStreams,
		EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: maxStreamWindow,
		InitialConnectionReceiveWindow: connectionWindow, MaxConnectionReceiveWindow: maxConnWindow,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen to QUIC on %s: %w", socket.LocalAddr(), err), socket.Close())
	}
	return q, nil
}

// counted is the handler, with its requests counted: http3 itself waits for idle clients to go.
func (q *overQUIC) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := guestOf(r.Context())
		q.count(from, 1)
		defer q.count(from, -1)
		if r.Method == http.MethodConnect {
			w = &taker{ResponseWriter: w, from: q}
		}
		handler.ServeHTTP(w, r)
	})
}

func (q *overQUIC) count(from *guest, n int) {
	from.count(n)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests += n
	q.tell()
}

// tell closes answered if there is nothing to answer. With the lock held.
func (q *overQUIC) tell() {
	if q.requests == 0 && q.answered != nil {
		select {
		case <-q.answered:
		default:
			close(q.answered)
		}
	}
}

// serve accepts connections until the listener is closed.
func (q *overQUIC) serve() error {
	for {
		conn, err := q.listener.Accept(context.Background())
		if errors.Is(err, quic.ErrServerClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		greetingOf(conn.Context()).end()
		q.mu.Lock()
		q.conns[conn] = struct{}{}
		q.mu.Unlock()
		q.serving.Go(func() {
			_ = q.sessions.ServeQUICConn(conn) // How a connection ended is the client's affair.
			q.mu.Lock()
			delete(q.conns, conn)
			q.mu.Unlock()
		})
	}
}

// partingWait is how long clients may take to read their last answers.
const partingWait = time.Second

// shutdown takes no new connections, and closes those there are when the requests under way are answered, or ctx ends. A nil
// one has none.
func (q *overQUIC) shutdown(ctx context.Context) error {
	if q == nil {
		return nil
	}
	closed := q.listener.Close()
	q.mu.Lock()
	q.answered = make(chan struct{})
	q.tell()
	anybody := len(q.conns) > 0
	q.mu.Unlock()
	var late error
	select {
	case <-q.answered:
	case <-ctx.Done():
		late = ctx.Err()
	}
	if anybody && late == nil {
		parting, cancel := context.WithTimeout(ctx, partingWait)
		defer cancel()
		<-parting.Done()
	}
	q.mu.Lock()
	for conn := range q.conns {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") // it may be closed already
	}
	q.mu.Unlock()
	q.serving.Wait()
	return errors.Join(closed, late, q.sessions.Close(), q.transport.Close(), q.transport.Conn.Close())
}

// alternative has answers over TLS name HTTP/3 at the address's port, so that browsers go there [HTTP-9].
func alternative(handler http.Handler, at net.Addr) (http.Handler, error) {
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return handler, fmt.Errorf("the port of %s: %w", at, err)
	}
	value := fmt.Sprintf(`h3=":%s"; ma=%d`, port, int((24 * time.Hour).Seconds()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			w.Header().Set("Alt-Svc", value)
		}
		handler.ServeHTTP(w, r)
	}), nil
}

// atDebug logs everything at level debug: what clients do wrong is no news.
type atDebug struct{ slog.Handler }

func (h atDebug) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h atDebug) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // it is the handler's own
}

func (h atDebug) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atDebug{h.Handler.WithAttrs(attrs)}
}
func (h atDebug) WithGroup(name string) slog.Handler { return atDebug{h.Handler.WithGroup(name)} }
