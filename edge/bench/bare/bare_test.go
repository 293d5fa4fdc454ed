package bare_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/sockets"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const length = 50 * time.Millisecond

// play runs a role until the test ends and returns its address.
func play(t *testing.T, role, where string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	address, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- bare.Serve(ctx, role, where, func(a string) error { address <- a; return nil })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", role, err)
		}
	})
	select {
	case a := <-address:
		return a
	case err := <-done:
		done <- nil
		t.Fatalf("%s: %v", role, err)
		return ""
	}
}

func sane(t *testing.T, r load.Result) {
	t.Helper()
	if r.Operations == 0 || r.Errors != 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Rate() <= 0 {
		t.Errorf("%+v", r)
	}
}

func dial(t *testing.T, address string, size int) *callers.Callers {
	t.Helper()
	c, err := bare.Dial(t.Context(), address, 3, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCallsGoThroughTheRelayAndBack(t *testing.T) {
	c := dial(t, play(t, bare.Relay, play(t, bare.Echo, "")), 64)
	for _, inFlight := range []int{1, 4, 200} {
		sane(t, c.Round(t.Context(), load.Open(length), inFlight))
	}
}

// The broadcaster greets whoever comes, which no relay does.
func TestAnAnswerThatIsNoneIsCounted(t *testing.T) {
	c := dial(t, play(t, bare.Broadcaster, ""), 64)
	if r := c.Round(t.Context(), load.Open(length), 2); r.Errors != 6 || !strings.Contains(r.Fault, "came back of 72") {
		t.Errorf("%+v", r)
	}
}

func TestAnEchoEndsWithGarbage(t *testing.T) {
	conn, err := net.Dial("tcp", play(t, bare.Echo, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0xff, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestWritersCommit(t *testing.T) {
	writer := play(t, bare.WriterRole, filepath.Join(t.TempDir(), "bare"))
	for _, asked := range []task.Task{
		{Do: bare.Commit, Workers: 8, Length: length},
		{Do: bare.CommitTwice, Workers: 1, Length: length},
		{Do: bare.Commit, Workers: 3, Length: length},
	} {
		r, err := task.Ask(t.Context(), writer, asked)
		if err != nil {
			t.Fatal(err)
		}
		sane(t, r)
	}
	if _, err := task.Ask(t.Context(), writer, task.Task{Do: "sing"}); err == nil || !strings.Contains(err.Error(), "no operation") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownRoleIsAnError(t *testing.T) {
	err := bare.Serve(t.Context(), "director", "", func(string) error { t.Error("it listens"); return nil })
	if err == nil {
		t.Error("it played")
	}
}

// talker is a WebSocket that sends to a broadcaster.
func talker(t *testing.T, address string) (send func([]byte)) {
	t.Helper()
	ws, _, err := gws.NewClient(gws.BuiltinEventHandler{}, &gws.ClientOption{Addr: "ws://" + address + bare.SenderPath})
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(ws.ReadLoop)
	t.Cleanup(func() {
		_ = ws.NetConn().Close()
		reading.Wait()
	})
	return func(message []byte) {
		if err := ws.WriteMessage(gws.OpcodeBinary, message); err != nil {
			t.Error(err)
		}
	}
}

// Both kinds of length are used: an event of a few bytes, and one of over 125.
func TestEverybodyHearsEverything(t *testing.T) {
	const listeners, events = 20, 50
	address := play(t, bare.Broadcaster, "")
	var sum, left atomic.Int64
	left.Store(listeners * events)
	done := make(chan struct{})
	group, err := sockets.Open(t.Context(), listeners, sockets.Options{
		Address: address, Path: func(int) string { return "/listen" },
		OnEvent: func(_ int, args []byte) {
			sum.Add(int64(binary.BigEndian.Uint16(args)))
			if left.Add(-1) == 0 {
				close(done)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	send, want := talker(t, address), 0
	for i := range events {
		args := make([]byte, 2+200*(i%2))
		binary.BigEndian.PutUint16(args, uint16(i))
		send(wire.AppendMessage(nil, &wire.ClientEvent{Connection: 1, Event: []byte("tick"), Args: args}))
		want += i * listeners
	}
	select {
	case <-done:
	case err := <-group.Faults():
		t.Fatal(err)
	}
	if got := sum.Load(); got != int64(want) {
		t.Errorf("the sum is %d, not %d", got, want)
	}
}

func TestCallsOverWebTransportComeBack(t *testing.T) {
	through, err := tunnel.New(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := through.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := bare.DialStreams(t.Context(), through, play(t, bare.HTTP3, play(t, bare.Echo, "")), 3, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, inFlight := range []int{1, 4, 200} {
		sane(t, c.Round(t.Context(), load.Open(length), inFlight))
	}
	if err := c.Lost(); err != nil {
		t.Error(err)
	}
}

// The echoes send the body back over each version of HTTP.
func TestBodiesComeBack(t *testing.T) {
	h3 := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own certificate
	t.Cleanup(func() { _ = h3.Close() })
	h1 := &http.Transport{}
	t.Cleanup(h1.CloseIdleConnections)
	for url, via := range map[string]http.RoundTripper{
		"http://" + play(t, bare.HTTP, ""): h1, "https://" + play(t, bare.HTTP3, play(t, bare.Echo, "")): h3,
	} {
		response, err := (&http.Client{Transport: via}).Post(url, "application/cbor", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != "hello" || response.Header.Get("Content-Type") != "application/cbor" {
			t.Errorf("%s: %q %v", url, body, err)
		}
	}
}
