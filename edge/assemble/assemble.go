// Package assemble turns a configuration into a gateway: it opens the store and gives both to package gateway.
//
// Beside edge/bench/stores it is the only package of the edge that knows a store. edge/cmd/stagedoor hands Gateway to
// edge/cli. Safe for concurrent use.
package assemble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/version"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
)

// retryEvery is how often a data directory that is in use is tried again.
const retryEvery = 50 * time.Millisecond

// Gateway opens the store and makes the gateway. Closing it closes the store.
func Gateway(ctx context.Context, cfg config.Config, logger *slog.Logger) (serve.Gateway, error) {
	opened, err := openStore(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(gateway.Config{
		Region: cfg.Region,
		Store:  opened,
		Tokens: auth.Tokens{
			Client: config.Reveal(cfg.ClientTokens), Runner: config.Reveal(cfg.RunnerTokens), Admin: config.Reveal(cfg.AdminTokens),
		},
		Insecure:       cfg.Insecure,
		Development:    cfg.Development,
		AllowedOrigins: cfg.AllowedOrigins,
		TrustedProxies: cfg.TrustedProxies,
		Limits:         cfg.Limits,
		Logger:         logger,
		Version:        version.Version(),
		RequireRunner:  cfg.RequireRunner,
		ResumeWait:     cfg.ResumeWait,
		StrictReads:    cfg.StrictReads,
		Backup:         backups(opened, cfg),
		Certificates:   cfg.CertificateHashes,
	})
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &owner{g, opened}, nil
}

// owner is a gateway with its store.
type owner struct {
	*gateway.Gateway
	store store.Store
}

// Close ends the gateway, then the store that it uses until then.
func (o *owner) Close() error {
	return errors.Join(o.Gateway.Close(), o.store.Close())
}

func openStore(ctx context.Context, cfg config.Config, logger *slog.Logger) (store.Store, error) {
	required := []store.Durability{store.Fast} // the weakest that a store has for its default [CLASS-1]
	for _, class := range cfg.Durability {
		required = append(required, classes[class])
	}
	var opened store.Store
	var err error
	if cfg.Store == config.Embedded {
		opened, err = openEmbedded(ctx, cfg, logger)
	} else {
		opened, err = redis.Open(ctx, redis.Config{
			URL: cfg.Store, DataDir: cfg.Data, AcceptDataLoss: cfg.AcceptDataLoss, Require: required, Logger: logger,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	for _, class := range cfg.Durability {
		if !opened.Supports(classes[class]) {
			return nil, errors.Join(fmt.Errorf("the store cannot give durability %s", class), opened.Close())
		}
	}
	return opened, nil
}

// classes are the durability classes as configurations name them.
var classes = map[string]store.Durability{"fast": store.Fast, "disk": store.Disk, "replicated": store.Replicated}

// openEmbedded waits up to the patience of the configuration for a data directory that a predecessor holds.
func openEmbedded(ctx context.Context, cfg config.Config, logger *slog.Logger) (store.Store, error) {
	deadline := time.Now().Add(cfg.Patience)
	for {
		opened, err := embedded.Open(embedded.Options{Dir: cfg.Data, Logger: logger})
		switch {
		case err == nil:
			return opened, nil
		case !errors.Is(err, embedded.ErrLocked) || time.Now().After(deadline):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(retryEvery):
		}
	}
}
