package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// either takes a listener's connections apart: those that begin as TLS does, and those that speak plain text [TLS-1].
type either struct {
	from     net.Listener
	unserved func()
	waiting  sync.WaitGroup

	mu      sync.Mutex
	unknown map[net.Conn]struct{} // have said nothing yet

	plain, secure *branch
}

// branch is a listener for one kind.
type branch struct {
	net.Listener
	conns chan net.Conn
	over  chan struct{} // closed when the listener has failed
	err   error         // why, then
	close func() error
}

// Close implements net.Listener, for both.
func (b *branch) Close() error { return b.close() }

// newEither begins to accept. Closing either branch closes the listener and both.
func newEither(from net.Listener, unserved func()) (plain, secure net.Listener) {
	over := make(chan struct{})
	closing := sync.OnceValue(from.Close)
	e := &either{
		from: from, unserved: unserved, unknown: map[net.Conn]struct{}{},
		plain:  &branch{Listener: from, conns: make(chan net.Conn), over: over, close: closing},
		secure: &branch{Listener: from, conns: make(chan net.Conn), over: over, close: closing},
	}
	go e.accept(over)
	return e.plain, e.secure
}

func (e *either) accept(over chan struct{}) {
	defer e.close(over)
	for {
		conn, err := e.from.Accept()
		if err != nil {
			var passing net.Error
			if errors.As(err, &passing) && passing.Temporary() { //nolint:staticcheck // what net/http asks of the same error
				time.Sleep(acceptPause)
				continue
			}
			e.plain.err, e.secure.err = err, err
			return
		}
		e.mu.Lock()
		e.unknown[conn] = struct{}{}
		e.mu.Unlock()
		e.waiting.Go(func() { e.part(conn, over) })
	}
}

// acceptPause is how long accepting rests when there are too many files.
const acceptPause = 5 * time.Millisecond

// part waits for the first byte, without taking it.
func (e *either) part(conn net.Conn, over <-chan struct{}) {
	to := e.plain
	err := conn.SetReadDeadline(time.Now().Add(readHeaderTimeout))
	if err == nil {
		var first byte
		if first, err = peek(conn); first == recordHandshake {
			to = e.secure
		}
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	e.mu.Lock()
	delete(e.unknown, conn)
	e.mu.Unlock()
	if err != nil {
		_ = conn.Close() // nothing was said on it
		e.unserved()
		return
	}
	select {
	case to.conns <- conn:
	case <-over:
		_ = conn.Close() // nobody serves any more
	}
}

// recordHandshake is the first byte that a TLS client sends, RFC 8446 section 5.1. No method of HTTP begins with it.
const recordHandshake = 0x16

var errSilent = errors.New("the connection ended before it said anything")

// peek is the first byte that comes, which stays to be read.
func peek(conn net.Conn) (first byte, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var b [1]byte
	n, fault := 0, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		n, fault = peekAt(fd, b[:])
		return !errors.Is(fault, syscall.EAGAIN)
	})
	switch {
	case err != nil:
		return 0, err
	case fault != nil:
		return 0, fault
	case n == 0:
		return 0, errSilent
	}
	return b[0], nil
}

// close ends what has said nothing, and both branches.
func (e *either) close(over chan struct{}) {
	e.mu.Lock()
	for conn := range e.unknown {
		_ = conn.Close() // nothing was said on it
	}
	e.mu.Unlock()
	close(over)
	e.waiting.Wait()
}

// Accept implements net.Listener.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case conn := <-b.conns:
		return conn, nil
	case <-b.over:
		return nil, b.err
	}
}

// secured is the TLS of a TCP listener.
func secured(l net.Listener, c Certificates) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: c.Certificate,
	})
}
