package runner

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// runnerPath is where a gateway takes runners over WebSocket.
const runnerPath = "/runner/v1alpha1"

// endpoint is where the gateway is, and how it is reached.
type endpoint struct {
	network, address string
	tls              bool
	webSocket        string // the URL; empty: frames follow each other on the bare stream
	host             string // for TLS
}

// parseEndpoint reads ws://, wss:// (http:// and https:// are the same), tcp://, tls:// and unix:// endpoints.
func parseEndpoint(s string) (endpoint, error) {
	u, err := url.Parse(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: %w", s, err)
	}
	e := endpoint{network: "tcp", address: u.Host, host: u.Hostname()}
	port := ""
	switch u.Scheme {
	case "ws", "http":
		u.Scheme, port = "ws", "80"
	case "wss", "https":
		u.Scheme, port, e.tls = "wss", "443", true
	case "tcp":
	case "tls":
		e.tls = true
	case "unix":
		e.network, e.address = "unix", u.Host+u.Path // unix:///path, unix://relative
		if e.address == "" {
			return endpoint{}, fmt.Errorf("endpoint %q: a unix endpoint needs a path", s)
		}
		return e, nil
	default:
		return endpoint{}, fmt.Errorf("endpoint %q: the scheme is ws, wss, http, https, tcp, tls or unix", s)
	}
	if e.host == "" || u.Port() == "" && port == "" {
		return endpoint{}, fmt.Errorf("endpoint %q: host or port missing", s)
	}
	if u.Port() == "" {
		e.address = net.JoinHostPort(e.host, port)
	}
	if port != "" {
		if u.Path == "" || u.Path == "/" {
			u.Path = runnerPath
		}
		u.User, u.Fragment = nil, ""
		e.webSocket = u.String()
	}
	return e, nil
}

// dial makes a socket. hook, if not nil, makes the connection under it; TLS and WebSocket come on top as the endpoint says.
func (e endpoint) dial(ctx context.Context, hook func(context.Context) (net.Conn, error), config *tls.Config, token string) (socket, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if hook == nil {
		hook = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, e.network, e.address)
		}
	}
	conn, err := hook(ctx)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // Go's default; said since the latency of every call hangs on it
	}
	if e.tls {
		if conn, err = handshakeTLS(ctx, conn, config, e.host); err != nil {
			return nil, err
		}
	}
	if e.webSocket == "" {
		return stream{conn}, nil
	}
	// A handshake that hangs is ended by closing its connection, so that nothing of it stays behind.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	header := http.Header{"Sec-Websocket-Protocol": {wire.SubprotocolRunner}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return upgrade(conn, e.webSocket, header)
}

func handshakeTLS(ctx context.Context, conn net.Conn, config *tls.Config, host string) (net.Conn, error) {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nil
}
