package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/stagedoor-dev/stagedoor/internal/payload"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// contentType of all bodies, in both directions [HTTP-3].
const contentType = "application/cbor"

// api is the gateway's HTTP side, for what the session has no message for: creating, resolving and destroying [HTTP-2].
type api struct {
	ctx      context.Context // ends with the client
	options  Options
	endpoint endpoint
	client   *http.Client
	close    func()
}

func newAPI(ctx context.Context, o Options, e endpoint, u *udp) *api {
	a := &api{ctx: ctx, options: o, endpoint: e}
	if o.Transport == WebTransport {
		h3 := overHTTP3(ctx, u)
		a.client, a.close = httpClient(h3), func() { _ = h3.Close() }
		a.endpoint.base.Scheme = "https"
		return a
	}
	h1 := overHTTP1(o, e)
	a.client, a.close = httpClient(h1), h1.CloseIdleConnections
	return a
}

// overHTTP1 makes requests over HTTP/1.1, like the WebSocket's.
func overHTTP1(o Options, e endpoint) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialPlain(ctx, o, network, address)
		},
		TLSClientConfig:     tlsConfig(o, e, o.CertificateHashes),
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSHandshakeTimeout: o.DialTimeout,
		IdleConnTimeout:     requestIdle,
	}
}

func httpClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // keeps the token here
	}
}

// creation is the body of PUT and POST. An input is never empty where it is present [PAY-3].
type creation struct {
	Input cbor.RawMessage `cbor:"input,omitempty"`
}

// described is the answer about an actor.
type described struct {
	Actor struct {
		ID string `cbor:"id"`
	} `cbor:"actor"`
}

// refusal is the answer that is an error [HTTP-4].
type refusal struct {
	Error struct {
		Group        string          `cbor:"group"`
		Code         string          `cbor:"code"`
		Message      string          `cbor:"message"`
		Metadata     cbor.RawMessage `cbor:"metadata"`
		Retryable    bool            `cbor:"retryable"`
		Ran          string          `cbor:"ran"`
		RetryAfterMs uint32          `cbor:"retryAfterMs"`
	} `cbor:"error"`
}

func (a *api) create(ctx context.Context, t *target) (id string, err error) {
	return a.identify(ctx, http.MethodPost, t, creation{t.input})
}

func (a *api) getOrCreate(ctx context.Context, t *target) (id string, err error) {
	return a.identify(ctx, http.MethodPut, t, creation{t.input})
}

func (a *api) describe(ctx context.Context, t *target) (id string, err error) {
	return a.identify(ctx, http.MethodGet, t, nil)
}

func (a *api) destroy(ctx context.Context, t *target) error {
	_, err := a.request(ctx, http.MethodDelete, t, nil)
	return plain(err)
}

func (a *api) identify(ctx context.Context, method string, t *target, body any) (string, error) {
	answer, fault := a.request(ctx, method, t, body)
	if fault != nil {
		return "", fault
	}
	var d described
	if err := payload.Unmarshal(answer, &d); err != nil {
		return "", raise(wire.ClientInvalidResponse, wire.RanYes, "").because(err)
	}
	if d.Actor.ID == "" {
		return "", raise(wire.ClientInvalidResponse, wire.RanYes, "The gateway's answer names no actor id.")
	}
	return d.Actor.ID, nil
}

// request makes one request and returns the body of a success. net/http repeats on its own only a GET, and what was not
// written at all.
func (a *api) request(ctx context.Context, method string, t *target, body any) ([]byte, *Error) {
	if t.invalid != nil {
		return nil, t.invalid
	}
	if ctx.Err() != nil {
		return nil, interrupted(ctx, wire.RanNo, nil)
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel = context.WithTimeout(bounded, a.options.WaitTimeout)
		defer cancel()
	}
	defer context.AfterFunc(a.ctx, cancel)()
	var reached atomic.Bool
	bounded = httptrace.WithClientTrace(bounded, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached.Store(true) }})
	request, fault := a.compose(bounded, method, t, body)
	if fault != nil {
		return nil, fault
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, a.failure(ctx, err, reached.Load())
	}
	defer func() { _ = response.Body.Close() }()
	return a.read(ctx, response)
}

func (a *api) compose(ctx context.Context, method string, t *target, body any) (*http.Request, *Error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = payload.Marshal(body); err != nil {
			return nil, raise(wire.RequestInvalidPayload, wire.RanNo, "").because(err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.endpoint.actorURL(t), bytes.NewReader(encoded))
	if err != nil {
		return nil, raise(wire.RequestInvalid, wire.RanNo, "").because(withoutURL(err))
	}
	header := request.Header
	header.Set("Accept", contentType)
	if body != nil {
		header.Set("Content-Type", contentType)
	}
	if a.endpoint.token != "" {
		header.Set("Authorization", "Bearer "+a.endpoint.token)
	}
	if a.endpoint.namespace != "" {
		header.Set("Stagedoor-Namespace", a.endpoint.namespace)
	}
	if deadline, ok := ctx.Deadline(); ok {
		header.Set("Stagedoor-Deadline-Ms", strconv.FormatUint(uint64(remaining(deadline, time.Now())), 10))
	}
	return request, nil
}

// failure is the error of a request without answer. reached: there was a connection for it.
func (a *api) failure(ctx context.Context, err error, reached bool) *Error {
	err = withoutURL(err)
	dialing := !reached
	ran := wire.RanMaybe
	if dialing {
		ran = wire.RanNo
	}
	switch {
	case a.ctx.Err() != nil:
		return raise(wire.ClientClosed, ran, "").because(err)
	case ctx.Err() != nil && dialing:
		return interrupted(ctx, ran, err)
	case ctx.Err() != nil:
		return interrupted(ctx, ran, nil)
	case dialing:
		return raise(wire.ClientUnreachable, ran, "The gateway cannot be reached: %v", err).because(err)
	}
	return raise(wire.SessionLost, ran, "The answer did not come: %v", err).because(err)
}

func (a *api) read(ctx context.Context, r *http.Response) ([]byte, *Error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(a.options.MaxMessage)))
	if err != nil {
		return nil, a.failure(ctx, err, true)
	}
	if r.StatusCode/100 == 2 {
		return body, nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var answer refusal
	if kind != contentType || payload.Unmarshal(body, &answer) != nil || answer.Error.Group == "" {
		return nil, raise(wire.ClientInvalidResponse, wire.RanMaybe, "The answer, %s of type %q, is not the gateway's.", r.Status, kind)
	}
	return nil, answer.received(r.Header)
}

func (r refusal) received(h http.Header) *Error {
	e := r.Error
	err := fromWire(&wire.Error{
		Group: e.Group, Code: e.Code, Message: e.Message, Metadata: e.Metadata,
		Retryable: e.Retryable, Ran: wire.ParseRan(e.Ran), RetryAfterMs: e.RetryAfterMs,
	})
	if seconds, bad := strconv.Atoi(h.Get("Retry-After")); bad == nil && seconds > 0 && err.RetryAfter == 0 {
		err.RetryAfter = time.Duration(seconds) * time.Second
	}
	return err
}
