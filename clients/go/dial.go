package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// errDial marks what failed before anything was sent.
var errDial = errors.New("dial")

// dial opens the transport to the gateway, with TLS if the endpoint asks for it.
func dial(ctx context.Context, o Options, e endpoint) (net.Conn, error) {
	conn, err := dialPlain(ctx, o, "tcp", e.address())
	if err != nil || !e.secure() {
		return conn, err
	}
	config := o.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = e.base.Hostname()
	}
	config.NextProtos = []string{"http/1.1"} // WebSocket is asked for in HTTP/1.1
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w %s: TLS: %w", errDial, e.address(), err)
	}
	return secured, nil
}

func dialPlain(ctx context.Context, o Options, network, address string) (net.Conn, error) {
	conn, err := o.Dial(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errDial, address, err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // frames are coalesced here; a socket that refuses this works, slower
	}
	return conn, nil
}
