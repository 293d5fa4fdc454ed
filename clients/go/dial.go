package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// dial opens the transport to the gateway, with TLS if the endpoint asks for it.
func dial(ctx context.Context, o Options, e endpoint) (net.Conn, error) {
	conn, err := dialPlain(ctx, o, "tcp", e.address())
	if err != nil || !e.secure() {
		return conn, err
	}
	config := tlsConfig(o, e, o.CertificateHashes)
	config.NextProtos = []string{"http/1.1"} // WebSocket is asked for in HTTP/1.1
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: TLS: %w", e.address(), err)
	}
	return secured, nil
}

func dialPlain(ctx context.Context, o Options, network, address string) (net.Conn, error) {
	conn, err := o.Dial(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // frames are coalesced here; a socket that refuses this works, slower
	}
	return conn, nil
}
