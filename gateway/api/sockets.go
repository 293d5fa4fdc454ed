package api

import (
	"context"
	"maps"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// enter counts a session, so that Close can end it; false: the gateway is closing.
func (h *Handler) enter(s *session.Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.sockets.Add(1)
	h.sessions[s] = struct{}{}
	return true
}

func (h *Handler) leave(s *session.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s)
	h.sockets.Done()
}

// track counts a link, so that Close can end it, and returns what undoes that. A link that comes when the gateway is
// closing is sent away.
func (h *Handler) track(l *link.Link) (undo func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		l.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return func() {}
	}
	h.sockets.Add(1)
	h.links[l] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.links, l)
		h.sockets.Done()
	}
}

// CloseSessions says Goodbye to every client; they may come back elsewhere.
func (h *Handler) CloseSessions() {
	h.mu.Lock()
	h.closed = true
	sessions := slices.Collect(maps.Keys(h.sessions))
	h.mu.Unlock()
	for _, s := range sessions {
		s.Goodbye(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	}
}

// Close ends all sockets and waits until they have ended, or ctx has.
func (h *Handler) Close(ctx context.Context) error {
	h.CloseSessions()
	h.mu.Lock()
	links := slices.Collect(maps.Keys(h.links))
	h.mu.Unlock()
	for _, l := range links {
		l.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	}
	done := make(chan struct{})
	go func() {
		h.sockets.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
