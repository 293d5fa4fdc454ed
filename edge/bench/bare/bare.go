// Package bare does the work that the product does, without the product: what is measured here is what the machine, the
// network and the libraries would allow.
//
// Calls take the way from a client over WebSocket or WebTransport to a relay, over one TCP link to an echo server, and back;
// requests over HTTP are answered by the server that they come to. Commits go to
// Pebble, one synced batch for all that wait. Events are bytes, made once, that a broadcaster writes to every WebSocket.
// There are no actors, no errors, no slow readers. Each baseline is as good as we know how to make it, or the ratio to it
// would flatter us.
//
// The servers are the roles of Serve, each a process of its own; package task and the callers that Dial makes are their
// clients. edge/bench starts and calls them.
package bare

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
)

// The roles of Serve.
const (
	Echo        = "echo"
	Relay       = "relay"       // where is the address of an Echo
	HTTP        = "http"        // sends the body of every request back
	HTTP3       = "http3"       // the same over HTTP/3, and a relay for the streams of WebTransport; where is the address of an Echo
	Broadcaster = "broadcaster" // WebSockets to SenderPath send, others listen
	WriterRole  = "writer"      // where is a directory that it may make; it serves package task
)

// Serve plays a role until ctx ends. ready is told the address as soon as it listens.
func Serve(ctx context.Context, role, where string, ready func(address string) error) error {
	roles := map[string]func(ctx context.Context, where string, l net.Listener) error{
		Echo: serveEcho, Relay: serveRelay, HTTP: serveHTTP, Broadcaster: serveBroadcaster, WriterRole: serveWriter,
	}
	serve := roles[role]
	if role == HTTP3 {
		return serveHTTP3(ctx, where, ready)
	}
	if serve == nil {
		return fmt.Errorf("there is no role %q", role)
	}
	l, err := task.Listen(ctx, ready)
	if err != nil {
		return err
	}
	return serve(ctx, where, l)
}

// house accepts connections until its context ends, then closes them and waits for whoever serves them.
type house struct {
	mu      sync.Mutex
	guests  map[net.Conn]struct{} // nil: the house is closed
	serving sync.WaitGroup
}

// run welcomes each connection; then, if not nil, is its goroutine, and the connection is closed after it.
func (h *house) run(ctx context.Context, l net.Listener, welcome func(net.Conn) (then func(), err error)) error {
	h.guests = map[net.Conn]struct{}{}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			h.close()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if !h.enter(conn) {
			continue
		}
		h.serving.Go(func() {
			then, err := welcome(conn)
			if err != nil {
				h.leave(conn)
				return
			}
			// On a goroutine of its own, whose stack did not grow with the handshake.
			h.serving.Go(func() {
				defer h.leave(conn)
				then()
			})
		})
	}
}

func (h *house) enter(conn net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.guests == nil {
		_ = conn.Close()
		return false
	}
	h.guests[conn] = struct{}{}
	return true
}

func (h *house) leave(conn net.Conn) {
	_ = conn.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.guests, conn)
}

func (h *house) close() {
	h.mu.Lock()
	for conn := range h.guests {
		_ = conn.Close()
	}
	h.guests = nil
	h.mu.Unlock()
	h.serving.Wait()
}

// readRequest reads the head of a WebSocket handshake.
func readRequest(conn net.Conn, size int) (*http.Request, *bufio.Reader, error) {
	in := bufio.NewReaderSize(conn, size)
	r, err := http.ReadRequest(in)
	return r, in, err
}
