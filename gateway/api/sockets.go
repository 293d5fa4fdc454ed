package api

import (
	"context"
	"maps"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// takeSocket counts a socket; false: the gateway has as many as it may [LIMIT-2]. freeSocket undoes it.
func (h *Handler) takeSocket() bool {
	if most := int64(h.limits.MaxSockets); h.taken.Add(1) > most && most > 0 {
		h.taken.Add(-1)
		h.cfg.Session.Stats.Limit(stats.MaxSockets)
		return false
	}
	return true
}

func (h *Handler) freeSocket() { h.taken.Add(-1) }

// enter counts a client's socket, so that Close can end it; false: the gateway is closing.
func (h *Handler) enter(a *session.Attachment) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.sockets.Add(1)
	h.clients[a] = struct{}{}
	return true
}

func (h *Handler) leave(a *session.Attachment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, a)
	h.sockets.Done()
}

// track counts a runner's socket, so that Close can end it, and returns what undoes that. One that comes when the gateway
// is closing is sent away.
func (h *Handler) track(c *link.Conn) (undo func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		c.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
		return func() {}
	}
	h.sockets.Add(1)
	h.runners[c] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.runners, c)
		h.sockets.Done()
	}
}

// CloseSessions says Goodbye to every client; they may come back elsewhere.
func (h *Handler) CloseSessions() {
	h.mu.Lock()
	h.closed = true
	clients := slices.Collect(maps.Keys(h.clients))
	h.mu.Unlock()
	for _, a := range clients {
		a.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	}
	h.sessions.Close()
}

// Close ends all sockets and links, and waits until they have ended, or ctx has.
func (h *Handler) Close(ctx context.Context) error {
	h.CloseSessions()
	h.waiting.Close()
	links := h.cfg.Link.Links
	links.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	h.mu.Lock()
	runners := slices.Collect(maps.Keys(h.runners)) // those without a link among them
	h.mu.Unlock()
	for _, c := range runners {
		c.Close(wire.GatewayDraining.New(), commonv1alpha1.Reconnect_RECONNECT_ANY)
	}
	done := make(chan struct{})
	go func() {
		h.sockets.Wait()
		links.Wait()
		h.writers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
