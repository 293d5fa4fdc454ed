// Package api is the HTTP face of a gateway: actions, actors, events, health, and the WebSockets and WebTransport sessions of clients and runners.
//
// A Handler is an http.Handler without listener, TLS or certificates; those are the edge's. It turns requests into calls
// on gateway/route and sockets into gateway/session and gateway/link, and their errors into statuses, once. Safe for
// concurrent use. Requirements: HTTP-1 to HTTP-7, HTTP-10, SESS-1, SESS-7, SESS-19 to SESS-22,
// ADDR-3, AUTH-1.
package api

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	"github.com/stagedoor-dev/stagedoor/internal/crew"
	commonv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/common/v1alpha1"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Config of a Handler.
type Config struct {
	Router  *route.Router
	Session session.Config // what every client session shares
	Link    link.Config    // what every runner link shares
	Version string
	Region  string
	// AllowedOrigins may call from a browser; "*" is any. In development any may.
	AllowedOrigins []string
	// TrustedProxies may say in X-Forwarded-For whom a request counts for [LIMIT-2].
	TrustedProxies []netip.Prefix
	// Backup makes a backup of the store by a name, and says where it is. nil: the store has other means [STORE-5].
	Backup func(ctx context.Context, name string) (path string, err error)
	// Certificates are those that clients may take by their SHA-256 sum. nil: there are none [TLS-1].
	Certificates func() [][sha256.Size]byte
	// Ready names what the gateway still lacks; nothing: it is ready.
	Ready func(context.Context) []string
}

// Handler serves every HTTP endpoint of a gateway.
type Handler struct {
	cfg       Config
	auth      *auth.Authenticator
	limits    wire.Limits
	metrics   http.Handler
	upgraders upgraders

	sessions *session.Sessions
	taken    atomic.Int64 // sockets that count [LIMIT-2]
	flusher  flusher
	waiting  *crew.Crew[writing]
	writers  sync.WaitGroup // its goroutines

	mu      sync.Mutex
	clients map[*session.Attachment]struct{}
	runners map[*link.Conn]struct{}
	sockets sync.WaitGroup
	closed  bool
}

// New makes a Handler.
func New(cfg Config) *Handler {
	h := &Handler{
		cfg: cfg, auth: cfg.Session.Auth, limits: cfg.Session.Limits,
		metrics: metricsHandler(cfg.Session.Stats), upgraders: newUpgraders(cfg.Session.Limits.MaxFrame),
		sessions: session.New(cfg.Session), clients: map[*session.Attachment]struct{}{}, runners: map[*link.Conn]struct{}{},
	}
	h.waiting = crew.New(&h.writers, writing.drain)
	return h
}

// ServeHTTP implements http.Handler. The escaped path is split before it is decoded [ADDR-3].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.bodyDeadline(w, r)
	if !h.cors(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(path, "v1/actors/"); ok && rest != "" {
		h.serveActor(w, r, strings.Split(rest, "/"))
		return
	}
	e := endpoints[path]
	taker, streams := w.(WebTransporter)
	switch {
	case streams && r.Method == http.MethodConnect && path == "v1/connect":
		h.connectWebTransport(taker, r)
	case e.serve == nil:
		h.fail(w, r, wire.RequestNotFound.Newf("There is no endpoint %s.", r.URL.Path))
	case r.Method != e.method && (r.Method != http.MethodHead || e.method != http.MethodGet):
		h.wrongMethod(w, r, e.method)
	default:
		e.serve(h, w, r)
	}
}

type endpoint struct {
	method string
	serve  func(*Handler, http.ResponseWriter, *http.Request)
}

// endpoints are the paths that name no actor.
var endpoints = map[string]endpoint{
	"healthz":         {http.MethodGet, (*Handler).healthz},
	"readyz":          {http.MethodGet, (*Handler).readyz},
	"metrics":         {http.MethodGet, (*Handler).serveMetrics},
	"v1/metadata":     {http.MethodGet, (*Handler).metadata},
	"v1/store/backup": {http.MethodPost, (*Handler).backup},
	"v1/connect":      {http.MethodGet, (*Handler).connect},
	"v1/actors":       {http.MethodGet, (*Handler).list},
	"runner/v1alpha1": {http.MethodGet, (*Handler).connectRunner},
}

// serveActor serves the paths below one actor's address.
func (h *Handler) serveActor(w http.ResponseWriter, r *http.Request, segments []string) {
	target, err := h.target(r, segments[0])
	switch {
	case err != nil:
		h.fail(w, r, err)
	case len(segments) == 1:
		h.actor(w, r, target)
	case len(segments) == 3 && segments[1] == "actions":
		if r.Method != http.MethodPost {
			h.wrongMethod(w, r, http.MethodPost)
			return
		}
		h.action(w, r, target, segments[2])
	case len(segments) == 2 && segments[1] == "connect":
		if r.Method != http.MethodGet {
			h.wrongMethod(w, r, http.MethodGet)
			return
		}
		h.connectActor(w, r, target)
	case len(segments) == 2 && segments[1] == "events":
		if r.Method != http.MethodGet {
			h.wrongMethod(w, r, http.MethodGet)
			return
		}
		h.events(w, r, target)
	default:
		h.fail(w, r, wire.RequestNotFound.Newf("There is no endpoint %s below an actor.", r.URL.Path))
	}
}

// target reads whom a request is for. Mode and deadline are read by those who use them.
func (h *Handler) target(r *http.Request, segment string) (route.Request, *wire.Error) {
	namespace := parameter(r, "namespace", "Stagedoor-Namespace")
	if namespace == "" {
		namespace = address.DefaultNamespace
	}
	addr, id, err := address.ParseSegment(segment, namespace)
	if err != nil {
		return route.Request{}, wire.RequestInvalidAddress.Newf("%v.", err)
	}
	return route.Request{Address: addr, ID: id, Mode: commonv1alpha1.Mode_MODE_GET_OR_CREATE}, nil
}

// parameter is a query parameter or, without it, a header [HTTP-5].
func parameter(r *http.Request, query, header string) string {
	if r.URL.RawQuery != "" {
		if v := r.URL.Query().Get(query); v != "" {
			return v
		}
	}
	return r.Header.Get(header)
}

// token is what the request carries to show who it comes from [AUTH-1].
func token(r *http.Request) string {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	return parameter(r, "token", "")
}

// authenticate answers a request that its token does not allow.
func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request, want auth.Kind) (auth.Principal, bool) {
	p, refusal := h.auth.Authenticate(token(r), want)
	if refusal != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.fail(w, r, refusal)
		return p, false
	}
	return p, true
}

func (h *Handler) wrongMethod(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	h.fail(w, r, wire.RequestMethodNotAllowed.Newf("%s %s takes %s.", r.Method, r.URL.Path, allow))
}
