package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

// Transport is what a client goes by.
type Transport string

// The transports.
const (
	// WebSocket is one WebSocket over TCP, and HTTP/1.1.
	WebSocket Transport = "websocket"
	// WebTransport is HTTP/3 for all, over QUIC, that is UDP. Every connection to an actor has a stream of its own: a lost
	// packet, or a connection with much to say, holds up no other one. Unreliable events can get lost [CONN-11].
	WebTransport Transport = "webtransport"
)

// Options configure a Client. The zero Options are ready to use.
type Options struct {
	// Token identifies the client to the gateway; it takes precedence over one in the endpoint.
	Token string
	// Namespace of all addresses; it takes precedence over one in the endpoint. Default "default".
	Namespace string
	// Logger gets what has no caller to be returned to: lost sockets, refused frames. Default: none.
	Logger *slog.Logger

	// Transport is what the session and the requests by HTTP go by. Default WebSocket.
	Transport Transport
	// Dial opens the connections of WebSocket and HTTP/1.1; TLS is put on top of it for https and wss. Default: TCP
	// with TCP_NODELAY.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialQUIC opens the connections of WebTransport and HTTP/3, such as a quic.Transport.Dial, through which many clients
	// share a UDP socket. The client closes them. Default: a UDP socket for each.
	DialQUIC func(ctx context.Context, address string, tls *tls.Config, config *quic.Config) (*quic.Conn, error)
	// TLS is used for https and wss, and by WebTransport. Default: the system's roots.
	TLS *tls.Config
	// CertificateHashes are SHA-256 sums of certificates. If there are any, the gateway has to have one of those, which is
	// trusted without roots and names. As in browsers (serverCertificateHashes) it has to be valid for two weeks at most, and
	// have an ECDSA key. A gateway in development names those that it has as certificateHashes in /v1/metadata [TLS-1], which
	// a client with WebTransport and an endpoint http:// or ws:// asks by itself: it trusts whom it reaches, as it would
	// without TLS.
	CertificateHashes [][]byte
	// DialTimeout bounds the way from dialing to the gateway's Welcome. Default 10 s.
	DialTimeout time.Duration
	// Backoff is the pause between attempts to reach the gateway, and to open a connection again. The first attempt to go on
	// with a session is made without one.
	Backoff Backoff

	// WaitTimeout is how long a request whose context has no deadline waits for a session, or for its connection to
	// be open; then it fails with client.unreachable, or with what keeps the connection from opening. Once it was
	// written, the gateway's own default deadline holds. Create, Resolve and Destroy are bounded by it in all. Default 60 s.
	WaitTimeout time.Duration
	// MaxMessage bounds one message from the gateway, in bytes; one that is longer costs the socket. Default 16 MiB.
	MaxMessage int
	// MaxQueued bounds the calls that wait to be written and what was written and the gateway has not acknowledged, in bytes
	// of arguments plus 256 for each call; one more fails with session.too_many_calls. The second part is at most half:
	// beyond it calls wait. What a gateway need not acknowledge, up to 272 KiB of each connection and as much besides, is
	// not counted. Default 64 MiB.
	MaxQueued int
	// EventQueue is how many events of one connection wait for its handlers. At the bound, or at 16 MiB, the oldest are
	// dropped and OnError is told. Default 1,024.
	EventQueue int
}

// Backoff is the pause before the n-th attempt in a row: evenly distributed between 0 and Min doubled n-1 times, at
// most Max (full jitter), plus what the gateway asked for. Attempts are not limited. They count from one again after a
// session, or connection, that lasted for Max.
type Backoff struct {
	// Min is the bound of the first pause. Default 250 ms.
	Min time.Duration
	// Max is the bound of any pause. Default 30 s.
	Max time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == "" {
		o.Transport = WebSocket
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	orDefault(&o.DialTimeout, 10*time.Second)
	orDefault(&o.WaitTimeout, 60*time.Second)
	orDefault(&o.Backoff.Min, 250*time.Millisecond)
	orDefault(&o.Backoff.Max, 30*time.Second)
	orDefault(&o.MaxMessage, 16<<20)
	orDefault(&o.MaxQueued, 64<<20)
	orDefault(&o.EventQueue, 1024)
	return o
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// pause is how long to wait before attempt n, which counts from 1; random is in [0, 1).
func (b Backoff) pause(n int, random float64) time.Duration {
	bound := b.Min
	for ; n > 1 && bound < b.Max; n-- {
		bound *= 2
	}
	return time.Duration(random * float64(min(bound, b.Max)))
}
