package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	// sessionIdle is beyond every ping interval: that nothing comes is for Ping to find out [SESS-5].
	sessionIdle = time.Hour
	// requestIdle is how long a connection for requests is kept for the next one.
	requestIdle = 90 * time.Second
)

// maxMetadata bounds what is read of /v1/metadata.
const maxMetadata = 64 << 10

var errNoAddress = errors.New("no address")

// udp opens QUIC connections to the gateway. Safe for concurrent use.
type udp struct {
	options  Options
	endpoint endpoint
}

// dial opens a connection for HTTP/3 and WebTransport, on which nothing may come for so long.
func (u *udp) dial(ctx context.Context, idle time.Duration) (*quic.Conn, error) {
	conn, err := u.connect(ctx, idle)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", u.endpoint.address(), err)
	}
	return conn, nil
}

func (u *udp) connect(ctx context.Context, idle time.Duration) (*quic.Conn, error) {
	hashes := u.options.CertificateHashes
	if len(hashes) == 0 && !u.endpoint.secure() {
		var err error
		if hashes, err = announcedHashes(ctx, u.options, u.endpoint); err != nil {
			return nil, err
		}
	}
	config := tlsConfig(u.options, u.endpoint, hashes)
	config.NextProtos = []string{http3.NextProtoH3}
	dial := u.options.DialQUIC
	if dial == nil {
		dial = dialOwn
	}
	return dial(ctx, u.endpoint.address(), config, &quic.Config{
		MaxIdleTimeout: idle, MaxIncomingStreams: -1, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	})
}

// dialOwn dials from a UDP socket of the connection's own: without connection ids, of which quic-go has only so many for a client
// whose address changes.
func dialOwn(ctx context.Context, address string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
	to, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	conn, err := quic.Dial(ctx, socket, to, t, q)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	context.AfterFunc(conn.Context(), func() { _ = socket.Close() })
	return conn, nil
}

// resolve prefers IPv4, as net.ResolveUDPAddr does.
func resolve(ctx context.Context, address string) (*net.UDPAddr, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	list, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNoAddress
	}
	i := max(0, slices.IndexFunc(list, func(a net.IPAddr) bool { return a.IP.To4() != nil }))
	return &net.UDPAddr{IP: list[i].IP, Zone: list[i].Zone, Port: port}, nil
}

// overHTTP3 makes requests over HTTP/3. ctx ends with the client: requests share a connection, and therefore none of theirs
// bounds its dialing.
func overHTTP3(ctx context.Context, u *udp) *http3.Transport {
	return &http3.Transport{
		Dial: func(context.Context, string, *tls.Config, *quic.Config) (*quic.Conn, error) {
			bounded, cancel := context.WithTimeout(ctx, u.options.DialTimeout)
			defer cancel()
			return u.dial(bounded, requestIdle)
		},
	}
}

// announced is what counts of /v1/metadata [TLS-1].
type announced struct {
	CertificateHashes [][]byte `json:"certificateHashes"`
}

// announcedHashes asks a gateway in development for the certificates that it has.
func announcedHashes(ctx context.Context, o Options, e endpoint) ([][]byte, error) {
	h1 := overHTTP1(o, e)
	defer h1.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base.String()+"/v1/metadata", nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	response, err := httpClient(h1).Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for certificate hashes: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	var a announced
	if err := json.NewDecoder(io.LimitReader(response.Body, maxMetadata)).Decode(&a); err != nil {
		return nil, fmt.Errorf("ask for certificate hashes: %s: %w", response.Status, err)
	}
	return a.CertificateHashes, nil
}
