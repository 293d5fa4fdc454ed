package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/stagedoor-dev/stagedoor/edge/certificate"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/serve/servetest"
)

// trust takes any certificate: that of a test is of no authority.
var trust = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // only tests

// runSecure is Run with a certificate, over TCP and UDP.
func runSecure(t *testing.T, g serve.Gateway, set ...func(*serve.Options)) running {
	t.Helper()
	source, err := certificate.NewDevelopment("")
	if err != nil {
		t.Fatal(err)
	}
	l, udp, err := serve.ListenBoth(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := running{http: l.Addr().String(), stop: cancel, ended: make(chan error, 1)}
	options := serve.Options{
		HTTP: l, QUIC: udp, Certificates: source, SessionStreams: 64, DrainTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range set {
		f(&options)
	}
	go func() { r.ended <- serve.Run(ctx, g, options) }()
	return r
}

func plainToo(o *serve.Options) { o.PlainToo = true }

func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// [HTTP-9] [TLS-1]
func TestEveryVersionOfHTTPOnOnePort(t *testing.T) {
	r := runSecure(t, newGateway(), plainToo)
	_, port, _ := net.SplitHostPort(r.http)
	for _, w := range servetest.Ways(t, trust) {
		t.Run(w.Scheme+" "+w.Version, func(t *testing.T) {
			response, err := w.Get(w.Scheme + "://" + r.http + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != w.Version {
				t.Errorf("answered by %q, %v", body, err)
			}
			want := ""
			if w.Scheme == "https" && w.Version != "HTTP/3.0" {
				want = `h3=":` + port + `"`
			}
			if got, _, _ := strings.Cut(response.Header.Get("Alt-Svc"), ";"); got != want {
				t.Errorf("Alt-Svc %q, want %q", got, want)
			}
		})
	}
	r.end(t)
}

// [HTTP-9]: a request under way is answered, a client that does nothing holds nobody up, and a new one is not let in.
func TestShutdownFinishesRequestsOverHTTP3(t *testing.T) {
	g := newGateway()
	r := runSecure(t, g, plainToo)
	busy, idle := &http3.Transport{TLSClientConfig: trust.Clone()}, &http3.Transport{TLSClientConfig: trust.Clone()}
	defer busy.Close()
	defer idle.Close()
	get(t, &http.Client{Transport: idle}, "https://"+r.http+"/")
	answer := make(chan string, 1)
	go func() { answer <- get(t, &http.Client{Transport: busy}, "https://"+r.http+"/wait") }()
	<-g.waiting
	r.stop()
	if got := <-answer; got != "HTTP/3.0" {
		t.Errorf("answered %q", got)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	late := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer late.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+r.http+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := (&http.Client{Transport: late}).Do(request); err == nil {
		response.Body.Close()
		t.Error("it still serves")
	}
}

// With a certificate of its own, and outside development, a gateway takes TLS alone.
func TestPlainTextIsNotTakenWithTLS(t *testing.T) {
	r := runSecure(t, newGateway())
	for _, w := range servetest.Ways(t, trust) {
		response, err := w.Get(w.Scheme + "://" + r.http + "/")
		if served := err == nil && response.StatusCode == http.StatusOK; served != (w.Scheme == "https") {
			t.Errorf("%s %s: served %t, %v", w.Scheme, w.Version, served, err)
		}
		if err == nil {
			response.Body.Close()
		}
	}
	r.end(t)
}

// Those who say nothing are parted from when the listener closes; until then they cost nobody anything.
func TestSilentConnectionsHoldNobodyUp(t *testing.T) {
	r := runSecure(t, newGateway(), plainToo)
	silent, err := net.Dial("tcp", r.http)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Dial("tcp", r.http)
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	transport := &http.Transport{}
	if got := get(t, &http.Client{Transport: transport}, "http://"+r.http+"/"); got != "HTTP/1.1" {
		t.Errorf("answered %q", got)
	}
	transport.CloseIdleConnections()
	r.end(t)
	if n, err := silent.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came", n)
	}
}

func TestAPortWhoseUDPIsTakenIsToldWithTheRemedy(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, _, err = serve.ListenBoth(t.Context(), udp.LocalAddr().String(), 0)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "--no-http3") {
		t.Errorf("got %v", err)
	}
}
