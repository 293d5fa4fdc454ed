package serve

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Pauses after a failed accept. Doubling, since what is missing comes back only when others let go of it.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// acceptRunners hands each runner socket to the gateway, until the listener is closed.
func (s *server) acceptRunners(l net.Listener) error {
	pause := minAcceptPause
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			s.serveRunner(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case !passes(err):
			return err
		default:
			s.options.Logger.Warn("accepting runners pauses", "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-s.stopping:
			}
			pause = min(2*pause, maxAcceptPause)
		}
	}
}

// passes tells errors that concern one socket, or a lack that ends by itself.
func passes(err error) bool {
	for _, temporary := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

func (s *server) serveRunner(conn net.Conn) {
	s.mu.Lock()
	open := s.runners != nil
	if open {
		s.runners[conn] = struct{}{}
	}
	s.mu.Unlock()
	if !open {
		_ = conn.Close() // the shutdown was faster
		return
	}
	setNoDelay(conn)
	s.serving.Go(func() {
		defer s.forget(conn)
		s.gateway.ServeRunner(conn)
	})
}

func (s *server) forget(conn net.Conn) {
	_ = conn.Close() // the gateway has closed it, or its peer is gone
	s.mu.Lock()
	delete(s.runners, conn)
	s.mu.Unlock()
}

func (s *server) closeRunners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.runners {
		_ = conn.Close() // the time is up; its goroutine sees it
	}
	s.runners = nil
}

// setNoDelay sends small frames at once. Go does so by default; the protocol depends on it, so it is said.
func setNoDelay(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // fails only on a socket that is dead already
	}
}
