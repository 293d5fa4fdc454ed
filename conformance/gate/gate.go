// Package gate is the place where a contract app waits for the suite: an HTTP server that answers GET /ID when the gate of that
// id is opened. A gate that is open stays open, and one may be opened before anybody comes.
//
// The engine makes one server per runner; it is safe for concurrent use.
package gate

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server holds the gates.
type Server struct {
	listen net.Listener
	server *http.Server

	mu    sync.Mutex
	gates map[string]*one
	done  chan struct{}
}

type one struct {
	reached, opened       chan struct{}
	wasReached, wasOpened bool
}

// Listen begins to listen on a free port of the loopback interface.
func Listen() (*Server, error) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for gates: %w", err)
	}
	s := &Server{listen: listen, gates: map[string]*one{}, done: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listen)
	}()
	return s, nil
}

// URL is what the app gets as CONFORM_GATE_URL.
func (s *Server) URL() string { return "http://" + s.listen.Addr().String() }

// Close ends all waits, too.
func (s *Server) Close() {
	_ = s.server.Close()
	<-s.done
}

func (s *Server) gate(id string) *one {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[id]
	if g == nil {
		g = &one{reached: make(chan struct{}), opened: make(chan struct{})}
		s.gates[id] = g
	}
	return g
}

// ServeHTTP is the app's side.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/")
	if id == "" || r.Method != http.MethodGet {
		http.Error(w, "GET /ID waits for a gate", http.StatusNotFound)
		return
	}
	g := s.gate(id)
	s.mu.Lock()
	if !g.wasReached {
		g.wasReached = true
		close(g.reached)
	}
	s.mu.Unlock()
	select {
	case <-g.opened:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	}
}

// Open lets through who waits, and whoever comes later.
func (s *Server) Open(id string) {
	g := s.gate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.wasOpened {
		g.wasOpened = true
		close(g.opened)
	}
}

// OpenAll opens every gate that was named so far.
func (s *Server) OpenAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.gates {
		if !g.wasOpened {
			g.wasOpened = true
			close(g.opened)
		}
	}
}

// Reached waits until somebody has come to the gate.
func (s *Server) Reached(ctx context.Context, id string) error {
	select {
	case <-s.gate(id).reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the app at a gate: %w", context.Cause(ctx))
	}
}
