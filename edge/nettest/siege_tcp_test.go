package nettest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// tcpAttacks are those on TCP, TLS and HTTP/1.1.
var tcpAttacks = []attack{
	{"nothing is said on TCP", func(s *siege) error { return s.dribbled("", "") }},
	{"a TLS ClientHello byte by byte", func(s *siege) error { return s.dribbled("", clientHello()) }},
	{"a request line byte by byte", func(s *siege) error { return s.dribbled("", "GET /healthz?"+strings.Repeat("a", 1000)) }},
	{"a header byte by byte", func(s *siege) error {
		return s.dribbled("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", strings.Repeat("a", 1000))
	}},
	{"a header byte by byte, over TLS", func(s *siege) error {
		return crowd(func() error {
			conn, err := tls.Dial("tcp", s.address, trust("http/1.1"))
			if err != nil {
				return err
			}
			_, err = dribble(conn, "GET /healthz HTTP/1.1\r\nX-Slow: ", strings.Repeat("a", 1000))
			return err
		})
	}},
	{"a body byte by byte", func(s *siege) error {
		head := "POST /v1/actors/tally:slow/actions/add HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
		return crowd(func() error {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				return err
			}
			answer, err := dribble(conn, head, strings.Repeat(" ", 1000))
			if err == nil && !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
				err = fmt.Errorf("answered %.80q", answer)
			}
			return err
		})
	}},
	{"a head without end", func(s *siege) error {
		head := "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("a", 1<<20)
		return s.counted(unserved, func() error {
			return crowd(func() error { return exchange(s.address, head, "HTTP/1.1 431 ") })
		})
	}},
	{"a malformed request", func(s *siege) error {
		return s.counted(unserved, func() error {
			return crowd(func() error { return exchange(s.address, "GET \x00 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 ") })
		})
	}},
	{"a body that is too large", func(s *siege) error {
		head := "POST /v1/actors/tally:large/actions/add HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000000\r\n\r\n"
		return s.counted(tooLarge, func() error { return exchange(s.address, head+strings.Repeat(" ", 17<<20), "HTTP/1.1 413 ") })
	}},
}

// many is how many do the same at once.
const many = 20

// dribbleEvery is how slow a slow client is.
const dribbleEvery = 250 * time.Millisecond

// crowd does the same many times at once.
func crowd(do func() error) error {
	faults := make([]error, many)
	var all sync.WaitGroup
	for i := range faults {
		all.Go(func() { faults[i] = do() })
	}
	all.Wait()
	return errors.Join(faults...)
}

// dribbled wants a crowd to be parted with that says something slowly, behind a beginning.
func (s *siege) dribbled(begin, slowly string) error {
	return s.counted(unserved, func() error {
		return crowd(func() error {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				return err
			}
			_, err = dribble(conn, begin, slowly)
			return err
		})
	})
}

var errStays = errors.New("the gateway has not parted with the client")

// dribble says something byte by byte until the gateway closes the connection, and returns what it said to that.
func dribble(conn net.Conn, begin, slowly string) (answer string, err error) {
	defer conn.Close()
	if _, err := io.WriteString(conn, begin); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(siegeWait)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for i := 0; ctx.Err() == nil && i < len(slowly); i++ {
			if _, err := io.WriteString(conn, slowly[i:i+1]); err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(dribbleEvery):
			}
		}
	}()
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", errStays
	}
	return string(said), nil // how it was closed is the gateway's affair
}

// exchange says something and wants an answer that begins in a certain way.
func exchange(address, text, want string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(siegeWait)); err != nil {
		return err
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, text) // the answer may come before its end
	}()
	b := make([]byte, len(want))
	_, err = io.ReadFull(conn, b)
	if err != nil || string(b) != want {
		err = fmt.Errorf("answered %q, want %q: %w", b, want, err)
	}
	_ = conn.Close()
	<-written
	return err
}

// clientHello is what a TLS client says first.
func clientHello() string {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, trust("h2")).Handshake() // nobody answers
		_ = ours.Close()
	}()
	b := make([]byte, 4<<10)
	n, _ := theirs.Read(b) // a pipe has no faults
	return string(b[:n])
}
