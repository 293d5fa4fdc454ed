package serve_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
	realgateway "github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// runReal is Run with a gateway as it is, over TCP and UDP.
func runReal(t *testing.T, cfg realgateway.Config, set ...func(*serve.Options)) running {
	t.Helper()
	cfg.Store, cfg.Insecure, cfg.Logger = gatewaytest.NewStore(t), true, slog.New(slog.DiscardHandler)
	g, err := realgateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return runSecure(t, g, set...)
}

// visitor is a QUIC connection for WebTransport sessions; it ends with the test.
type visitor struct {
	*testing.T
	address string
	conn    *quic.Conn
	*webtransport.ClientConn
}

func (r running) visit(t *testing.T, subprotocols ...string) *visitor {
	t.Helper()
	config := &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true, KeepAlivePeriod: 100 * time.Millisecond}
	conn, err := quic.DialAddr(t.Context(), r.http, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, config) //nolint:gosec // only tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.CloseWithError(0, "") // the gateway may have closed it
		<-conn.Context().Done()
	})
	client, err := (&webtransport.Transport{ApplicationProtocols: subprotocols}).NewClientConn(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, r.http, conn, client}
}

// open asks for a session; status is what is answered, 0 if nothing.
func (v *visitor) open(header http.Header) (status int, session *webtransport.Session) {
	v.Helper()
	response, session, err := v.Dial(v.Context(), "https://"+v.address+"/v1/connect", header)
	if response != nil {
		status = response.StatusCode
	}
	if (err == nil) != (status == http.StatusOK) {
		v.Fatalf("status %d, %v", status, err)
	}
	return status, session
}

// begin opens a session and says Hello in it.
func (v *visitor) begin() (*webtransport.Session, *webtransport.Stream) {
	v.Helper()
	status, session := v.open(nil)
	if status != http.StatusOK {
		v.Fatalf("status %d", status)
	}
	stream, err := session.OpenStream()
	if err != nil {
		v.Fatal(err)
	}
	v.say(stream, wire.Client(&clientv1alpha1.Hello{}))
	if m, ok := v.hear(stream).(*clientv1alpha1.Welcome); !ok {
		v.Fatalf("heard %v", m)
	}
	return session, stream
}

func (v *visitor) say(stream io.Writer, m wire.Message) {
	v.Helper()
	if _, err := stream.Write(wire.AppendMessage(nil, m)); err != nil {
		v.Fatal(err)
	}
}

func (v *visitor) hear(stream io.Reader) any {
	v.Helper()
	header := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(stream, header); err != nil {
		v.Fatal(err)
	}
	raw := make([]byte, binary.BigEndian.Uint32(header))
	if _, err := io.ReadFull(stream, raw); err != nil {
		v.Fatal(err)
	}
	f, err := wire.ParseFrame(raw)
	if err != nil {
		v.Fatal(err)
	}
	m, err := wire.DecodeClient(f)
	if err != nil {
		v.Fatal(err)
	}
	return m
}

const subprotocol = wire.SubprotocolClientProto

// [SESS-19] [HTTP-7]
func TestWhoMayBeginAWebTransportSession(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     realgateway.Config
		offered []string
		header  http.Header
		want    int
	}{
		{"as it is meant", realgateway.Config{}, []string{subprotocol}, nil, 200},
		{"others offered, too", realgateway.Config{}, []string{"other", subprotocol}, nil, 200},
		{"no subprotocol", realgateway.Config{}, nil, nil, 400},
		{"no subprotocol, in development", realgateway.Config{Development: true}, nil, nil, 200},
		{"another subprotocol, in development", realgateway.Config{Development: true}, []string{"other"}, nil, 400},
		{"another origin", realgateway.Config{}, []string{subprotocol}, http.Header{"Origin": {"https://elsewhere.example"}}, 403},
		{"an allowed origin", realgateway.Config{AllowedOrigins: []string{"https://elsewhere.example"}}, []string{subprotocol}, http.Header{"Origin": {"https://elsewhere.example"}}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := runReal(t, c.cfg)
			if got, _ := r.visit(t, c.offered...).open(c.header); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
			r.end(t)
		})
	}
}

// A session begins with CONNECT at its own endpoint, and with nothing else.
func TestOnlyConnectBeginsAWebTransportSession(t *testing.T) {
	r := runReal(t, realgateway.Config{})
	v := r.visit(t, subprotocol)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/connect", http.StatusBadRequest},
		{http.MethodPost, "/v1/connect", http.StatusMethodNotAllowed},
		{http.MethodGet, "/healthz", http.StatusOK},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+r.http+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := v.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, response.StatusCode, c.want)
		}
	}
	for path, want := range map[string]int{"/healthz": http.StatusMethodNotAllowed, "/nowhere": http.StatusNotFound} {
		response, _, err := v.Dial(t.Context(), "https://"+r.http+path, nil)
		if err == nil || response == nil || response.StatusCode != want {
			t.Errorf("CONNECT %s: %v, %v", path, response, err)
		}
	}
	v.begin()
	r.end(t)
}

// [SESS-18] [SESS-22]: the client hears why, and that it may go elsewhere, before its session is closed.
func TestADrainEndsWebTransportSessions(t *testing.T) {
	r := runReal(t, realgateway.Config{})
	v := r.visit(t, subprotocol)
	session, stream := v.begin()
	begun := time.Now()
	r.stop()
	if m, ok := v.hear(stream).(*commonv1alpha1.Goodbye); !ok || m.GetCode() != "gateway.draining" || m.GetReconnect() != commonv1alpha1.Reconnect_RECONNECT_ANY {
		t.Errorf("heard %v", m)
	}
	_, err := session.AcceptStream(t.Context())
	if e, ok := errors.AsType[*webtransport.SessionError](err); !ok || e.ErrorCode != 1001 || e.Message != "gateway.draining" {
		t.Errorf("the session ended with %v", err)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 30*time.Second { // of a minute
		t.Errorf("the drain took %v", took)
	}
}

// A connection carries one session; whoever wants more of them is told so, and keeps the first.
func TestASecondSessionOfAConnectionIsRefused(t *testing.T) {
	r := runReal(t, realgateway.Config{})
	v := r.visit(t, subprotocol)
	_, stream := v.begin()
	for range 3 {
		if status, _ := v.open(nil); status != http.StatusBadRequest {
			t.Errorf("status %d", status)
		}
	}
	v.say(stream, wire.Client(&commonv1alpha1.Ping{Nonce: 5}))
	if m, ok := v.hear(stream).(*clientv1alpha1.Pong); !ok || m.GetNonce() != 5 {
		t.Errorf("heard %v", m)
	}
	r.end(t)
}

// [LIMIT-2]
func TestWebTransportSessionsAreSockets(t *testing.T) {
	limits := wire.DefaultLimits()
	limits.MaxSockets = 1
	r := runReal(t, realgateway.Config{Limits: limits})
	first, second := r.visit(t, subprotocol), r.visit(t, subprotocol)
	session, _ := first.begin()
	if status, _ := second.open(nil); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	if err := session.CloseWithError(0, ""); err != nil {
		t.Fatal(err)
	}
	for status := 0; status != http.StatusOK; { // the place is given back when the gateway has seen that
		status, _ = second.open(nil)
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Fatalf("status %d", status)
		}
	}
	r.end(t)
}

// Of a request whose head does not come, http3 thinks that it is under way; the connection is idle all the same. A session is
// under way as long as it lives.
func TestAConnectionWithoutRequestsIsClosed(t *testing.T) {
	r := runReal(t, realgateway.Config{}, func(o *serve.Options) { o.IdleTimeout = 300 * time.Millisecond })
	idle, slow, busy := r.visit(t), r.visit(t), r.visit(t, subprotocol)
	_, stream := busy.begin()
	head, err := slow.conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := head.Write([]byte{1, 100, 0}); err != nil { // HEADERS of 100 bytes, and the first of them
		t.Fatal(err)
	}
	for _, v := range []*visitor{idle, slow} {
		<-v.conn.Context().Done()
		if e, ok := errors.AsType[*quic.ApplicationError](context.Cause(v.conn.Context())); !ok || e.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
			t.Errorf("closed with %v", context.Cause(v.conn.Context()))
		}
	}
	busy.say(stream, wire.Client(&commonv1alpha1.Ping{Nonce: 5}))
	if m, ok := busy.hear(stream).(*clientv1alpha1.Pong); !ok || m.GetNonce() != 5 {
		t.Errorf("heard %v", m)
	}
	r.end(t)
}
