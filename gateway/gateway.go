// Package gateway assembles a gateway: the router, the placer, the sessions and links, and their HTTP face.
//
// It is the one place where these packages meet; it opens no socket and no store. The edge gives it both, and
// gatewaytest runs one in memory. Safe for concurrent use.
package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/api"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/budget"
	"github.com/stagedoor-dev/stagedoor/gateway/link"
	"github.com/stagedoor-dev/stagedoor/gateway/place"
	"github.com/stagedoor-dev/stagedoor/gateway/quota"
	"github.com/stagedoor-dev/stagedoor/gateway/route"
	"github.com/stagedoor-dev/stagedoor/gateway/session"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// Config of a Gateway.
type Config struct {
	// Store is used, not closed.
	Store store.Store
	// Region names where this gateway is; default "local".
	Region string
	// Version is the build's, for display.
	Version string
	// Tokens of the three kinds of principal; none needs Insecure [AUTH-1].
	Tokens   auth.Tokens
	Insecure bool
	// Development opens CORS and lets the text of internal errors out.
	Development bool
	// AllowedOrigins may call from a browser; default: the same origin only [HTTP-7].
	AllowedOrigins []string
	// RequireRunner keeps /readyz red until a runner has joined [HTTP-6].
	RequireRunner bool
	// Limits; zero: wire.DefaultLimits.
	Limits   wire.Limits
	Timeouts route.Timeouts
	// Backup makes a backup of the store by a name, and says where it is. nil: not through the gateway [STORE-5].
	Backup func(ctx context.Context, name string) (path string, err error)
	// Certificates are the SHA-256 sums of the certificates that clients may take by their hash. nil: there are none [TLS-1].
	Certificates func() [][sha256.Size]byte
	// StrictReads has the store confirm the owner before anything that an actor says leaves, also where it changed nothing
	// [READ-2]. Default: leases are trusted.
	StrictReads bool
	// SleepAfter is what runners are told for types that name no idle time; default 30 s [SLEEP-1].
	SleepAfter time.Duration
	// ClientPing and RunnerPing are the heartbeats; defaults 15 s and 3 s.
	ClientPing, RunnerPing time.Duration
	// ResumeWait is how long a client's session waits for another socket; default 30 s [SESS-15].
	ResumeWait time.Duration
	// TrustedProxies may say in X-Forwarded-For whom a request counts for [LIMIT-2].
	TrustedProxies []netip.Prefix
	Logger         *slog.Logger
}

// Gateway stands between clients and runners.
type Gateway struct {
	cfg     Config
	placer  *place.Placer
	router  *route.Router
	handler *api.Handler
	budget  *budget.Budget
	stats   *stats.Stats
}

// New assembles a gateway. Close ends it.
func New(cfg Config) (*Gateway, error) {
	if cfg.Region == "" {
		cfg.Region = "local"
	}
	if err := address.ValidateRegion(cfg.Region); err != nil {
		return nil, err
	}
	if cfg.Limits == (wire.Limits{}) {
		cfg.Limits = wire.DefaultLimits()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SleepAfter <= 0 {
		cfg.SleepAfter = 30 * time.Second
	}
	cfg.Timeouts = cfg.Timeouts.WithDefaults()
	authenticator, err := auth.New(cfg.Tokens, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg}
	id := cfg.Region + "-" + strings.ToLower(rand.Text()[:10])
	if err := g.assemble(id, authenticator); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Gateway) assemble(id string, authenticator *auth.Authenticator) error {
	cfg, counters := g.cfg, new(stats.Stats)
	g.stats = counters
	var err error
	g.placer, err = place.New(context.Background(), place.Config{
		Store: cfg.Store, Auth: authenticator, Gateway: id, Region: cfg.Region, Logger: cfg.Logger, Lease: 5 * cfg.RunnerPing,
		Development: cfg.Development, Expecting: cfg.RequireRunner,
		Timeouts: map[string]time.Duration{
			"action": cfg.Timeouts.Action, "start": cfg.Timeouts.Start, "stop": cfg.Timeouts.Stop,
			"hook": cfg.Timeouts.Start, "sleep_after": cfg.SleepAfter,
		},
	})
	if err != nil {
		return fmt.Errorf("start placing: %w", err)
	}
	g.budget = budget.New(cfg.Limits.MaxMemory)
	g.router = route.New(route.Config{
		Store: cfg.Store, Placer: g.placer, Region: cfg.Region, Limits: cfg.Limits, Timeouts: cfg.Timeouts,
		Stats: counters, Logger: cfg.Logger, Budget: g.budget, StrictReads: cfg.StrictReads,
	})
	g.placer.SetAdopter(g.router)
	links := new(link.Links)
	g.budget.Register(links)
	g.handler = api.New(api.Config{
		Router: g.router, Version: cfg.Version, Region: cfg.Region, AllowedOrigins: cfg.AllowedOrigins, Ready: g.missing, Certificates: cfg.Certificates,
		Backup:         cfg.Backup,
		TrustedProxies: cfg.TrustedProxies,
		Session: session.Config{
			Router: g.router, Auth: authenticator, Limits: cfg.Limits, Stats: counters, Logger: cfg.Logger,
			Gateway: id, Development: cfg.Development, PingEvery: cfg.ClientPing, ResumeWait: cfg.ResumeWait,
			Quotas: quota.New(cfg.Limits, counters), Budget: g.budget,
		},
		Link: link.Config{
			Host: g.placer, Links: links, Limits: cfg.Limits, Stats: counters, Budget: g.budget, Logger: cfg.Logger,
			PingEvery: cfg.RunnerPing, LostAfter: 5 * cfg.RunnerPing,
		},
	})
	return nil
}

// missing names what the gateway still lacks to serve [HTTP-6].
func (g *Gateway) missing(ctx context.Context) []string {
	var reasons []string
	if err := g.cfg.Store.Ready(ctx); err != nil {
		reasons = append(reasons, "the store is not ready: "+err.Error())
	}
	if g.cfg.RequireRunner && g.placer.Runners() == 0 {
		reasons = append(reasons, "no runner has registered yet")
	}
	return reasons
}

// Handler serves every HTTP endpoint, the WebSockets of clients and runners among them.
func (g *Gateway) Handler() http.Handler { return g.handler }

// ServeRunner runs one runner link on a tcp, tls or unix connection until it ends. It owns conn.
func (g *Gateway) ServeRunner(conn net.Conn) { g.handler.ServeRunner(conn) }

// Unserved counts a client's connection that has ended before it brought a whole request.
func (g *Gateway) Unserved() { g.stats.Unserved.Inc() }

// Drain refuses new work, lets every actor make its final commit, and sends the clients elsewhere. When ctx ends first,
// what has not stopped is left to Close.
func (g *Gateway) Drain(ctx context.Context) error {
	within := g.cfg.Timeouts.Stop
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline))
	}
	err := g.router.Drain(ctx, within)
	g.handler.CloseSessions()
	return err
}

// closeWait bounds how long Close waits for sockets that do not end.
const closeWait = 5 * time.Second

// Close ends all sockets and everything that the gateway has started. The store is the caller's to close, after it.
func (g *Gateway) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := g.handler.Close(ctx)
	g.budget.Close()
	g.router.Close()
	g.placer.Close()
	return err
}
