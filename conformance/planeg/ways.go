package planeg

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/quic-go/quic-go/http3"
)

// Transport is what scripted clients speak [SESS-1] [SESS-19].
type Transport string

// The transports.
const (
	WebSocket    Transport = "websocket" // binary messages
	JSON         Transport = "json"      // WebSocket with text messages
	WebTransport Transport = "webtransport"
)

// Transports are all, the default first.
func Transports() []Transport { return []Transport{WebSocket, JSON, WebTransport} }

// HTTP is a version of HTTP.
type HTTP string

// The versions.
const (
	HTTP1 HTTP = "h1"
	HTTP2 HTTP = "h2"
	HTTP3 HTTP = "h3"
)

// HTTPs are all versions, the default first.
func HTTPs() []HTTP { return []HTTP{HTTP1, HTTP2, HTTP3} }

// ways are how a run reaches the gateway, where its cases do not say it themselves.
type ways struct {
	transport Transport
	http      HTTP
}

// scope says of a case for which transports it is; nothing: for all.
type scope struct {
	transports []Transport
	why        string
}

// overWebSocket is for what only a WebSocket does, inFrames for what JSON has no form for, inMessages for both.
func overWebSocket(why string) scope { return scope{[]Transport{WebSocket, JSON}, why} }
func inFrames(why string) scope      { return scope{[]Transport{WebSocket, WebTransport}, why} }
func inMessages(why string) scope    { return scope{[]Transport{WebSocket}, why} }

// Over says whether the case is one for clients of that transport, and if not, why.
func (c *Case) Over(t Transport) (fits bool, why string) {
	if len(c.scope.transports) == 0 || slices.Contains(c.scope.transports, t) {
		return true, ""
	}
	return false, c.scope.why
}

// Scope says for which transports the case is, and why; empty: for all.
func (c *Case) Scope() string {
	if len(c.scope.transports) == 0 {
		return ""
	}
	words := make([]string, len(c.scope.transports))
	for i, t := range c.scope.transports {
		words[i] = string(t)
	}
	return "for clients over " + strings.Join(words, " and ") + " alone: " + c.scope.why
}

// asker speaks HTTP in one version, and takes certificates as they are shown.
func asker(w ways) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // the gateway under test shows what it has
	if w.http == HTTP3 {
		return &http.Client{Transport: &http3.Transport{TLSClientConfig: config}}
	}
	t := &http.Transport{TLSClientConfig: config, Protocols: &http.Protocols{}, MaxIdleConnsPerHost: 16}
	if w.http == HTTP2 {
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
	} else {
		t.Protocols.SetHTTP1(true)
	}
	return &http.Client{Transport: t}
}

// get asks, and passes over what the body says.
func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	_ = answer.Body.Close()
	return answer, nil
}

// hangUp closes what a client of HTTP has open.
func hangUp(client *http.Client) {
	if t, is := client.Transport.(*http3.Transport); is {
		_ = t.Close()
		return
	}
	client.CloseIdleConnections()
}
