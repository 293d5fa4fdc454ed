// Package tunnel goes to servers over QUIC, for the clients of the bench: HTTP/3 connections and WebTransport sessions, thousands
// of which share a few UDP sockets.
//
// The servers are on this machine and make their certificates themselves, which nobody checks. A Dialer is safe for
// concurrent use; whoever dials closes what it got, and then the Dialer. edge/bench/callers and edge/bench use it.
package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// How many connections share a UDP socket, and how many sockets there are at least where there are as many connections.
const (
	share  = 625
	fewest = 4
)

// idleTimeout is far over the pings of whoever is called.
const idleTimeout = 10 * time.Minute

// Dialer has the UDP sockets.
type Dialer struct {
	sockets []*quic.Transport
	next    atomic.Uint64
}

// New opens UDP sockets for n connections.
func New(n int) (*Dialer, error) {
	d := &Dialer{}
	for range min(n, max(fewest, (n+share-1)/share)) {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.sockets = append(d.sockets, &quic.Transport{Conn: socket})
	}
	return d, nil
}

// QUIC opens a connection for HTTP/3 and WebTransport.
func (d *Dialer) QUIC(ctx context.Context, address string) (*quic.Conn, error) {
	to, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return nil, err
	}
	socket := d.sockets[d.next.Add(1)%uint64(len(d.sockets))]
	return socket.Dial(ctx, to, &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // it is a certificate of a process that we have started
		NextProtos:         []string{http3.NextProtoH3},
	}, &quic.Config{
		MaxIdleTimeout: idleTimeout, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	})
}

// Session is a WebTransport session with a QUIC connection of its own.
type Session struct {
	*webtransport.Session
	conn *quic.Conn
}

// Session opens a session at a path, with a subprotocol if that is not empty.
func (d *Dialer) Session(ctx context.Context, address, path, subprotocol string) (*Session, error) {
	conn, err := d.QUIC(ctx, address)
	if err != nil {
		return nil, err
	}
	session, err := open(ctx, conn, "https://"+address+path, subprotocol)
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	return &Session{session, conn}, nil
}

func open(ctx context.Context, conn *quic.Conn, url, subprotocol string) (*webtransport.Session, error) {
	t := &webtransport.Transport{}
	if subprotocol != "" {
		t.ApplicationProtocols = []string{subprotocol}
	}
	defer func() { _ = t.Close() }() // it has done its part
	client, err := t.NewClientConn(conn)
	if err != nil {
		return nil, err
	}
	response, session, err := client.Dial(ctx, url, nil)
	if err != nil && response != nil {
		err = fmt.Errorf("%w: %s", err, response.Status)
	}
	return session, err
}

// Close ends the session without a word, and its connection.
func (s *Session) Close() error { return hangUp(s.conn) }

func hangUp(conn *quic.Conn) error {
	return conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// Close closes the UDP sockets.
func (d *Dialer) Close() error {
	var faults []error
	for _, s := range d.sockets {
		faults = append(faults, s.Close(), s.Conn.Close())
	}
	return errors.Join(faults...)
}
