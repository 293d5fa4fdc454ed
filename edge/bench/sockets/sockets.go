// Package sockets holds thousands of WebSockets to one server open, each with one actor connection, and listens.
//
// A socket costs one goroutine and one small buffer: ten thousand clients of the SDK would measure themselves. It is a
// client all the same: it reads every WebSocket header, cuts and decodes every frame, answers pings, and takes anything that
// it did not expect for a fault. edge/bench opens groups of them, to the gateway and to the bare broadcaster alike. The
// methods of a Group are safe for concurrent use. Requirements: SESS-5, SESS-7, FRAME-1.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
)

// Options say what to open.
type Options struct {
	// Address is the server, host:port; Path is the URL's path and query for the i-th socket.
	Address string
	Path    func(i int) string
	// OnEvent is called for every event, on the socket's own goroutine; args are valid until it returns. nil: they are
	// only decoded.
	OnEvent func(i int, args []byte)
}

// Group is sockets that are open. Open makes it.
type Group struct {
	options Options
	sockets []*socket
	faults  chan error
	reading sync.WaitGroup
	closing chan struct{}
	once    sync.Once
}

// dialers is how many sockets are being opened at once.
const dialers = 32

// Open opens n sockets and waits until the actor has accepted the connection of each.
func Open(ctx context.Context, n int, o Options) (*Group, error) {
	g := &Group{options: o, sockets: make([]*socket, n), faults: make(chan error, 1), closing: make(chan struct{})}
	err := load.Each(ctx, n, dialers, g.open)
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func (g *Group) open(ctx context.Context, i int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", g.options.Address)
	if err != nil {
		return fmt.Errorf("open socket %d: %w", i, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := newSocket(conn)
	if g.options.OnEvent != nil {
		s.onEvent = func(args []byte) { g.options.OnEvent(i, args) }
	}
	if err := s.begin(g.options.Address, g.options.Path(i)); err != nil {
		_ = conn.Close()
		return fmt.Errorf("open socket %d: %w", i, err)
	}
	g.sockets[i] = s
	g.reading.Go(func() { g.read(i, s) })
	return nil
}

func (g *Group) read(i int, s *socket) {
	err := s.read()
	select {
	case <-g.closing:
		return
	default:
	}
	select {
	case g.faults <- fmt.Errorf("socket %d: %w", i, errors.Join(err, s.conn.Close())):
	default: // one fault is enough
	}
}

// Faults gives the first fault of a socket that was open.
func (g *Group) Faults() <-chan error { return g.faults }

// Close closes the sockets without a word and waits for their goroutines.
func (g *Group) Close() {
	g.once.Do(func() { close(g.closing) })
	for _, s := range g.sockets {
		if s != nil {
			_ = s.conn.Close()
		}
	}
	g.reading.Wait()
}
