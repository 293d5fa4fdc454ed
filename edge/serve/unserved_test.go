package serve_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/stagedoor-dev/stagedoor/edge/serve/servetest"
)

// Each connection that brings no whole request is counted once; others are not.
func TestConnectionsThatBringNoRequestAreCounted(t *testing.T) {
	g := newGateway()
	r := runSecure(t, g, plainToo)
	counted := func(what string) {
		t.Helper()
		select {
		case <-g.unserved:
		case <-time.After(10 * time.Second):
			t.Errorf("%s is not counted", what)
		}
	}
	const whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	speak := func(conn net.Conn, says string, answers ...string) {
		t.Helper()
		defer conn.Close()
		if _, err := io.WriteString(conn, says); err != nil {
			t.Error(err)
		}
		in := bufio.NewReader(conn)
		for _, want := range answers {
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%q: %v", says, err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			if response.Status != want {
				t.Errorf("%q is answered %s", says, response.Status)
			}
		}
	}
	plain := func() net.Conn {
		conn, err := net.Dial("tcp", r.http)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	secure := func() net.Conn {
		conn := tls.Client(plain(), trust)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for name, dial := range map[string]func() net.Conn{"plain": plain, "TLS": secure} {
		speak(dial(), "")
		counted(name + ", silent")
		speak(dial(), "GET / HTTP/1.1\r\nHost")
		counted(name + ", half a head")
		speak(dial(), "this is no HTTP at all\r\n\r\n", "400 Bad Request")
		counted(name + ", no HTTP")
		speak(dial(), "GET / HTTP/1.1\r\nHost: a\r\nA: "+strings.Repeat("a", 256<<10)+"\r\n\r\n", "431 Request Header Fields Too Large")
		counted(name + ", a long head")
		speak(dial(), whole+whole, "200 OK", "200 OK")
	}
	speak(plain(), "\x16\x03\x01\x00\x05hello")
	counted("no handshake")

	for _, way := range servetest.Ways(t, trust) {
		get(t, way.Client, way.Scheme+"://"+r.http+"/")
		way.CloseIdleConnections()
	}
	config := trust.Clone()
	config.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(t.Context(), r.http, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWithError(0, "")
	counted("QUIC, silent")
	r.end(t)
	if n := len(g.unserved); n > 0 {
		t.Errorf("%d more are counted: those that brought requests", n)
	}
}
