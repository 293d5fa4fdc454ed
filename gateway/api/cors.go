package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// The headers that a page may send and read.
var (
	corsAllow  = strings.Join([]string{"Authorization", "Content-Type", "Accept", "Idempotency-Key", "Stagedoor-Mode", "Stagedoor-Namespace", "Stagedoor-Deadline-Ms", "Last-Event-ID", "traceparent", "tracestate"}, ", ")
	corsExpose = "Retry-After"
)

// cors answers what a browser asks about other origins [HTTP-7]. false: the request is answered. A request from an
// origin that is not allowed is refused, for the browser would have it take effect and only hide the answer.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	w.Header().Add("Vary", "Origin")
	if !h.allowed(origin, r) {
		h.fail(w, r, wire.AuthForbidden.Newf("The origin %q is not allowed; add it to the allowed origins of the gateway.", origin))
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", corsExpose)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return true
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", corsAllow)
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return false
}

func (h *Handler) allowed(origin string, r *http.Request) bool {
	if h.cfg.Session.Development || slices.Contains(h.cfg.AllowedOrigins, "*") || slices.Contains(h.cfg.AllowedOrigins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
