package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/stagedoor-dev/stagedoor/edge/certificate"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	core "github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
)

// development is a gateway as dev runs it, on a port of this machine, which takes plain text, TLS and QUIC.
func development(t *testing.T) (host string, hashes func() [][]byte) {
	certificates := must(certificate.NewDevelopment(""))
	inner := ledgerGateway(t, core.Config{Development: true, Certificates: certificates.Hashes})
	tcp, udp, err := serve.ListenBoth(t.Context(), "127.0.0.1:0", time.Minute)
	noError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		noError(t, serve.Run(ctx, inner.Gateway, serve.Options{
			HTTP: tcp, QUIC: udp, Certificates: certificates, PlainToo: true, SessionStreams: 100,
			DrainTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
		}))
	})
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	awaitRunner(t, inner)
	return tcp.Addr().String(), func() (list [][]byte) {
		for _, sum := range certificates.Hashes() {
			list = append(list, sum[:])
		}
		return list
	}
}

// awaitRunner waits until the gateway knows ledgers.
func awaitRunner(t *testing.T, g *gatewaytest.Gateway) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return g.Dial(ctx) }
	c := must(New("http://gateway", Options{Dial: dial}))
	defer func() { noError(t, c.Close()) }()
	for {
		_, err := c.GetOrCreate("ledger", []string{"first"}).Resolve(t.Context())
		if CodeOf(err) != CodeActorTypeNotFound {
			noError(t, err)
			return
		}
	}
}

// Over UDP, with the certificate that the gateway has made for itself: the client is told its hash, or asks for it.
func TestOverUDP(t *testing.T) {
	host, hashes := development(t)
	shared := &quic.Transport{Conn: must(net.ListenPacket("udp", "127.0.0.1:0"))}
	defer func() {
		noError(t, shared.Close())
		noError(t, shared.Conn.Close())
	}()
	through := func(ctx context.Context, address string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
		to, err := net.ResolveUDPAddr("udp", address)
		if err != nil {
			return nil, err
		}
		return shared.Dial(ctx, to, t, q)
	}
	for name, dial := range map[string]struct {
		endpoint string
		options  Options
	}{
		"asked":           {"http://" + host, Options{}},
		"told":            {"https://" + host, Options{CertificateHashes: hashes()}},
		"a shared socket": {"https://" + host, Options{CertificateHashes: hashes(), DialQUIC: through}},
		"by name":         {"ws://localhost:" + portOf(host), Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			dial.options.Transport = WebTransport
			c := must(New(dial.endpoint, dial.options))
			defer func() { noError(t, c.Close()) }()
			useLedger(t, c)
		})
	}
}

func portOf(host string) string {
	_, port, _ := net.SplitHostPort(host)
	return port
}

// useLedger makes a client's way through everything there is.
func useLedger(t *testing.T, c *Client) {
	t.Helper()
	h, err := c.Create(t.Context(), "ledger", []string{t.Name()})
	noError(t, err)
	heard := make(chan string, 2)
	conn := h.Connect(ConnectOptions{Setup: func(conn *Connection) {
		On(conn, "added", func(entry string) { heard <- entry })
		On(conn, "shouted", func(word string) { heard <- word })
	}})
	n, err := Call[int](t.Context(), conn, "add", "a")
	noError(t, err)
	if got := <-heard; n != 1 || got != "a" {
		t.Errorf("entry %d, heard %q", n, got)
	}
	for got := ""; got == ""; { // a datagram may get lost
		noError(t, conn.Call(t.Context(), "shout", nil, "b"))
		select {
		case got = <-heard:
		case <-time.After(time.Second):
		}
	}
	all, err := Call[[]string](t.Context(), h, "all")
	noError(t, err)
	if len(all) != 1 {
		t.Errorf("%q", all)
	}
}

// Of a gateway that does not answer by UDP, and one that has no hashes to tell.
func TestNoGatewayOverUDP(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing said": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) },
		"no QUIC":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"certificateHashes":["AAAA"]}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			tcp, silent, err := serve.ListenBoth(t.Context(), "127.0.0.1:0", time.Minute)
			noError(t, err)
			server := &http.Server{Handler: handler}
			var serving sync.WaitGroup
			serving.Go(func() { _ = server.Serve(tcp) })
			defer serving.Wait()
			defer func() { noError(t, server.Close()) }()
			defer func() { noError(t, silent.Close()) }()
			c := must(New("http://"+tcp.Addr().String(), Options{
				Transport: WebTransport, WaitTimeout: time.Millisecond, DialTimeout: 100 * time.Millisecond,
			}))
			defer func() { noError(t, c.Close()) }()
			wantError(t, c.Get("a", nil).Call(t.Context(), "f", nil), CodeClientUnreachable, RanNo)
			_, err = c.Create(t.Context(), "a", nil)
			wantError(t, err, CodeClientUnreachable, RanNo)
		})
	}
}
