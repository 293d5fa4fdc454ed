package sockets_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/bench/sockets"
	clientv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/client/v1alpha1"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a WebSocket server that says something to each client, and hands on what clients say.
type server struct {
	gws.BuiltinEventHandler
	heard   chan string // opcode and payload
	reading sync.WaitGroup
}

func (s *server) OnMessage(_ *gws.Conn, m *gws.Message) {
	s.heard <- fmt.Sprint(m.Opcode, m.Bytes())
	_ = m.Close()
}

func (s *server) OnPong(_ *gws.Conn, payload []byte) { s.heard <- "pong " + string(payload) }

// serve greets each client with say and returns the address.
func serve(t *testing.T, say func(*gws.Conn)) (*server, string) {
	t.Helper()
	s := &server{heard: make(chan string, 10)}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := gws.NewUpgrader(s, &gws.ServerOption{}).Upgrade(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		s.reading.Go(ws.ReadLoop)
		say(ws)
	}))
	t.Cleanup(func() {
		h.Close()
		s.reading.Wait()
	})
	return s, strings.TrimPrefix(h.URL, "http://")
}

func message(frames ...wire.Message) []byte {
	var b []byte
	for _, f := range frames {
		b = wire.AppendMessage(b, f)
	}
	return b
}

var (
	welcome = wire.Client(&clientv1alpha1.Welcome{Session: "s"})
	opened  = wire.Client(&clientv1alpha1.ConnectionOpened{Connection: 1})
)

func event(args string) wire.Message {
	return &wire.ClientEvent{Connection: 1, Event: []byte("tick"), Args: []byte(args)}
}

func open(t *testing.T, address string, onEvent func(int, []byte)) *sockets.Group {
	t.Helper()
	g, err := sockets.Open(t.Context(), 1, sockets.Options{
		Address: address, Path: func(i int) string { return fmt.Sprintf("/%d", i) }, OnEvent: onEvent,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func write(t *testing.T, ws *gws.Conn, opcode gws.Opcode, payload []byte) {
	t.Helper()
	if err := ws.WriteMessage(opcode, payload); err != nil {
		t.Error(err)
	}
}

// One message of many frames is longer than the buffer; its events are heard all the same.
func TestEventsOfEveryFormAreHeard(t *testing.T) {
	const n = 500
	many := make([]wire.Message, n)
	for i := range many {
		many[i] = event(fmt.Sprintf("%0100d", i))
	}
	_, address := serve(t, func(ws *gws.Conn) {
		write(t, ws, gws.OpcodeBinary, message(welcome))
		write(t, ws, gws.OpcodeBinary, message(opened, event("first")))
		write(t, ws, gws.OpcodeBinary, message(many...))
		write(t, ws, gws.OpcodeBinary, message(event(strings.Repeat("x", 70_000))))
		write(t, ws, gws.OpcodeBinary, message(event("last")))
	})
	var heard, bytes atomic.Int64
	done := make(chan struct{})
	g := open(t, address, func(_ int, args []byte) {
		heard.Add(1)
		bytes.Add(int64(len(args)))
		if string(args) == "last" {
			close(done)
		}
	})
	select {
	case <-done:
	case err := <-g.Faults():
		t.Fatal(err)
	}
	if heard.Load() != n+3 || bytes.Load() != 100*n+70_000+9 {
		t.Errorf("%d events, %d bytes", heard.Load(), bytes.Load())
	}
}

// [SESS-5].
func TestPingsAreAnswered(t *testing.T) {
	s, address := serve(t, func(ws *gws.Conn) {
		write(t, ws, gws.OpcodeBinary, message(opened))
		write(t, ws, gws.OpcodePing, []byte("there?"))
		write(t, ws, gws.OpcodeBinary, message(wire.Client(&commonv1alpha1.Ping{Nonce: 7})))
	})
	open(t, address, nil)
	if got := <-s.heard; got != "pong there?" {
		t.Errorf("heard %s", got)
	}
	pong := message(wire.Client(&clientv1alpha1.Pong{Nonce: 7}))
	if got := <-s.heard; got != fmt.Sprint(gws.OpcodeBinary, pong) {
		t.Errorf("heard %s", got)
	}
}

func TestWhatIsNotExpectedIsAFault(t *testing.T) {
	refused := &clientv1alpha1.ConnectionClosed{Connection: 1}
	for name, say := range map[string]func(*gws.Conn){
		"a message that is no frame":     func(ws *gws.Conn) { write(t, ws, gws.OpcodeBinary, []byte{0, 0, 0}) },
		"a text":                         func(ws *gws.Conn) { write(t, ws, gws.OpcodeText, []byte("hello")) },
		"the end of the connection":      func(ws *gws.Conn) { write(t, ws, gws.OpcodeBinary, message(wire.Client(refused))) },
		"the end of the socket":          func(ws *gws.Conn) { _ = ws.WriteClose(1001, []byte("leaving")) },
		"the end of the socket, unasked": func(ws *gws.Conn) { _ = ws.NetConn().Close() },
		"an event that is none": func(ws *gws.Conn) {
			write(t, ws, gws.OpcodeBinary, []byte{0, 0, 0, 3, 0x1a, 1, 0xff})
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := serve(t, func(ws *gws.Conn) {
				write(t, ws, gws.OpcodeBinary, message(opened))
				say(ws)
			})
			if err := <-open(t, address, nil).Faults(); err == nil {
				t.Error("no fault")
			}
		})
	}
}

func TestARefusedHandshakeSaysWhy(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today", http.StatusServiceUnavailable)
	}))
	defer h.Close()
	_, err := sockets.Open(t.Context(), 3, sockets.Options{
		Address: strings.TrimPrefix(h.URL, "http://"), Path: func(int) string { return "/" },
	})
	if err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("got %v", err)
	}
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, address := serve(t, func(*gws.Conn) { cancel() })
	if _, err := sockets.Open(ctx, 1, sockets.Options{Address: address, Path: func(int) string { return "/" }}); err == nil {
		t.Error("it is open")
	}
}
