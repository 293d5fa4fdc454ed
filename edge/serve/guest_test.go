package serve

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/stagedoor-dev/stagedoor/edge/certificate"
)

// Of idle connections the one that has been idle longest makes room for the next; who has a request under way stays.
func TestTheLongestIdleConnectionMakesRoom(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(began)
			<-release
		}
	})
	address := serveQUIC(t, handler, 2)
	busy := dialHTTP3(t, address)
	waited := make(chan error, 1)
	go func() { waited <- busy.get("/wait") }()
	<-began
	var idle []*visit
	for range 4 { // each becomes idle behind its request, in this order
		v := dialHTTP3(t, address)
		if err := v.get("/"); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, v)
	}
	for _, v := range idle[:2] {
		<-v.conn.Context().Done()
	}
	for i, v := range idle[2:] {
		if err := v.get("/"); err != nil {
			t.Errorf("connection %d: %v", i+2, err)
		}
	}
	close(release)
	if err := <-waited; err != nil {
		t.Errorf("the request under way: %v", err)
	}
}

// serveQUIC serves until the test ends, and returns where.
func serveQUIC(t *testing.T, handler http.Handler, mostIdle int) string {
	t.Helper()
	source, err := certificate.NewDevelopment("")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q, err := newOverQUIC(socket, handler, source, 0, time.Minute, func() {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	q.guests.most = mostIdle
	served := make(chan error, 1)
	go func() { served <- q.serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := q.shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socket.LocalAddr().String()
}

// visit is a client's connection for HTTP/3.
type visit struct {
	*http3.ClientConn
	conn *quic.Conn
}

func dialHTTP3(t *testing.T, address string) *visit {
	t.Helper()
	conn, err := quic.DialAddr(t.Context(), address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, nil) //nolint:gosec // only tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.CloseWithError(0, "") // the server may have closed it
		<-conn.Context().Done()
	})
	return &visit{(&http3.Transport{}).NewClientConn(conn), conn}
}

func (v *visit) get(path string) error {
	request, err := http.NewRequest(http.MethodGet, "https://a"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := v.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
