package client

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode/utf8"
)

// endpoint is where the gateway is, and who we are to it.
type endpoint struct {
	base      url.URL // http or https, without user, query and trailing slash
	token     string
	namespace string
}

// parseEndpoint reads http(s):// or ws(s)://[namespace:token@]host[:port][/base].
func parseEndpoint(text string, o Options) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint: %w", withoutURL(err))
	}
	e := endpoint{token: o.Token, namespace: o.Namespace}
	switch u.Scheme {
	case "http", "ws":
		e.base.Scheme = "http"
	case "https", "wss":
		e.base.Scheme = "https"
	default:
		return endpoint{}, fmt.Errorf("endpoint: scheme %q is none of http, https, ws, wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("endpoint: %q names no host", u.Redacted())
	}
	e.base.Host, e.base.Path = u.Host, strings.TrimRight(u.Path, "/")
	if u.User != nil {
		password, _ := u.User.Password()
		e.namespace, e.token = firstOf(e.namespace, u.User.Username()), firstOf(e.token, password)
	}
	if !utf8.ValidString(e.token) || !utf8.ValidString(e.namespace) {
		return endpoint{}, fmt.Errorf("endpoint: token and namespace have to be valid UTF-8")
	}
	return e, nil
}

// withoutURL keeps a token out of the error: a *url.Error repeats the whole URL.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (e endpoint) secure() bool { return e.base.Scheme == "https" }

// address is what is dialed.
func (e endpoint) address() string {
	port := e.base.Port()
	if port == "" {
		port = "80"
		if e.secure() {
			port = "443"
		}
	}
	return net.JoinHostPort(e.base.Hostname(), port)
}

// connectURL is the WebSocket's address.
func (e endpoint) connectURL() string {
	u := e.base
	u.Scheme = "ws"
	if e.secure() {
		u.Scheme = "wss"
	}
	return u.String() + "/v1/connect"
}

// webTransportURL is the WebTransport session's address.
func (e endpoint) webTransportURL() string {
	u := e.base
	u.Scheme = "https"
	if !e.secure() {
		u.Host = e.address() // the port of https is another one
	}
	return u.String() + "/v1/connect"
}

// actorURL is the address of an actor's HTTP resource.
func (e endpoint) actorURL(t *target) string { return e.base.String() + "/v1/actors/" + t.segment() }
