package api

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// endless is a handler that writes until its socket is closed, or the client has gone. It says when the first part of it has
// been taken, and what ended it.
type endless struct {
	socket chan *eventSocket
	ended  chan error
}

func (e endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := newEventSocket(w, r)
	begun := false
	e.ended <- s.conn.send(make([]byte, 64<<20), func() {
		if !begun {
			begun = true
			e.socket <- s
		}
	})
}

// [HTTP-10]: a write that nobody reads ends when the socket is closed, over each version of HTTP.
func TestAWriteOfEventsIsGivenUp(t *testing.T) {
	handler := endless{make(chan *eventSocket, 1), make(chan error, 1)}
	for version, client := range serveEach(t, handler) {
		response, err := client.Get(client.base)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if response.Proto != version {
			t.Errorf("answered over %s, not %s", response.Proto, version)
		}
		s := <-handler.socket
		if err := s.conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-handler.ended; err == nil {
			t.Errorf("%s: all was written", version)
		}
		_, _ = io.Copy(io.Discard, response.Body) // to a client of events it is all the same how they end
		_ = response.Body.Close()
		if _, err := s.conn.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: behind the end: %v", version, err)
		}
	}
}

// [HTTP-10]: so it does when the client goes.
func TestAWriteOfEventsEndsWithItsClient(t *testing.T) {
	handler := endless{make(chan *eventSocket, 1), make(chan error, 1)}
	for version, client := range serveEach(t, handler) {
		response, err := client.Get(client.base)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		<-handler.socket
		_ = response.Body.Close()
		if err := <-handler.ended; err == nil {
			t.Errorf("%s: all was written", version)
		}
	}
}

type based struct {
	*http.Client
	base string
}

// serveEach serves a handler over each version of HTTP until the test ends.
func serveEach(t *testing.T, handler http.Handler) map[string]based {
	t.Helper()
	one, two := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	three := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: two.TLS.Certificates, MinVersion: tls.VersionTLS13})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = three.Serve(socket) // until it is closed
	}()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the test's own server
	t.Cleanup(func() {
		_ = transport.Close()
		_ = three.Close()
		_ = socket.Close()
		<-served
	})
	return map[string]based{
		"HTTP/1.1": {one.Client(), one.URL}, "HTTP/2.0": {two.Client(), two.URL},
		"HTTP/3.0": {&http.Client{Transport: transport}, "https://" + socket.LocalAddr().String()},
	}
}
