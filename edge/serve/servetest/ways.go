// Package servetest has HTTP clients for tests, one for each way to a gateway: each version of HTTP, with TLS and without.
//
// The tests of edge/serve and edge/e2e use it; nothing else may.
package servetest

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// Way is a client of one version of HTTP. Its connections end with the test.
type Way struct {
	Version string // as Response.Proto has it
	Scheme  string
	*http.Client
}

// Ways are all of them, HTTP/1.1 without TLS first.
func Ways(t testing.TB, config *tls.Config) []Way {
	t.Helper()
	tcp := func(version, scheme string, set func(*http.Protocols, bool)) Way {
		transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: config.Clone()}
		set(transport.Protocols, true)
		t.Cleanup(transport.CloseIdleConnections)
		return Way{version, scheme, &http.Client{Transport: transport}}
	}
	quic := &http3.Transport{TLSClientConfig: config.Clone()}
	t.Cleanup(func() { _ = quic.Close() })
	return []Way{
		tcp("HTTP/1.1", "http", (*http.Protocols).SetHTTP1),
		tcp("HTTP/2.0", "http", (*http.Protocols).SetUnencryptedHTTP2),
		tcp("HTTP/1.1", "https", (*http.Protocols).SetHTTP1),
		tcp("HTTP/2.0", "https", (*http.Protocols).SetHTTP2),
		{"HTTP/3.0", "https", &http.Client{Transport: quic}},
	}
}
