package websocket

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Protocols are the subprotocols that a request offers.
func Protocols(r *http.Request) []string {
	var offered []string
	for _, line := range r.Header.Values("Sec-Websocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			offered = append(offered, strings.TrimSpace(p))
		}
	}
	return offered
}

// Accept answers a handshake with that subprotocol, which the request must offer. If it returns an error it has answered the
// request.
func Accept(w http.ResponseWriter, r *http.Request, protocol string) (*Conn, error) {
	if err := check(r, protocol); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return nil, errors.New("the HTTP server does not give its connections away")
	}
	conn, rw, err := hijacker.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		accept(r.Header.Get("Sec-Websocket-Key")) + "\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n"
	if _, err := conn.Write([]byte(answer)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("answer the handshake: %w", err)
	}
	return &Conn{net: conn, reader: rw.Reader}, nil
}

func check(r *http.Request, protocol string) error {
	switch {
	case r.Method != http.MethodGet, !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"),
		!strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade"):
		return errors.New("no WebSocket handshake")
	case r.Header.Get("Sec-Websocket-Version") != "13", r.Header.Get("Sec-Websocket-Key") == "":
		return errors.New("a WebSocket handshake of another version")
	case !slices.Contains(Protocols(r), protocol):
		return fmt.Errorf("subprotocol %s is not offered", protocol)
	}
	return nil
}

func accept(key string) string {
	sum := sha1.Sum([]byte(key + magic))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Dial makes the handshake with a ws:// or wss:// URL; the certificate is taken as it is shown.
func Dial(ctx context.Context, address, protocol string, header http.Header) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	conn := raw
	if u.Scheme == "wss" {
		conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // as the comment says
	}
	c, err := handshake(conn, u, protocol, header)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("handshake with %q: %w", address, err)
	}
	return c, nil
}

func handshake(conn net.Conn, u *url.URL, protocol string, header http.Header) (*Conn, error) {
	u = &url.URL{Scheme: "http", Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header.Clone()}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", key)
	if protocol != "" {
		r.Header.Set("Sec-Websocket-Protocol", protocol)
	}
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-Websocket-Accept") != accept(key) {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("answered %s", answer.Status)
	}
	return &Conn{net: conn, reader: reader, client: true}, nil
}
