package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/certificate"
	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/logsample"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/edge/version"
)

func (p *Program) gatewayCommand() *cobra.Command {
	base := config.Default()
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run a gateway",
		Long: `Run a gateway.

Settings come from flags, STAGEDOOR_* variables, a TOML file (--config) and defaults, the first that has one. Tokens are
better given by variables or the file: other users of the machine can read the flags of a process.`,
		Args: cobra.NoArgs,
	}
	flags := addConfigFlags(cmd, base)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(base, p.Env)
		if err == nil {
			err = cfg.Validate()
		}
		if err != nil {
			return usageError{err}
		}
		log := logsample.New(slog.NewJSONHandler(p.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
		defer log.Close()
		return p.run(cmd.Context(), cfg, slog.New(log), nil)
	}
	return cmd
}

// companion is what dev does beside a gateway: it begins when the gateway is served, and is told when that is over.
type companion interface {
	begin(http net.Addr) error
	end()
	kill()
}

// run serves a gateway until a signal comes. On the second one everything is dropped where it stands.
func (p *Program) run(ctx context.Context, cfg config.Config, logger *slog.Logger, beside companion) (err error) {
	ctx, stop := serve.Signals(ctx, func() {
		logger.Warn("second signal: leaving at once")
		if beside != nil {
			beside.kill()
		}
		p.Exit(failed)
	})
	defer stop()
	certificates, err := certificateOf(cfg, logger)
	if err != nil {
		return err
	}
	if certificates != nil && certificates.Hashes() != nil {
		cfg.CertificateHashes = certificates.Hashes
	}
	listeners, udp, err := listen(ctx, cfg, certificates != nil && !cfg.NoHTTP3)
	if err != nil {
		return err
	}
	closeAll := func() error { return closeAll(listeners, udp) }
	gateway, err := p.Assemble(ctx, cfg, logger)
	if err != nil {
		return errors.Join(err, closeAll())
	}
	if beside != nil {
		if err := beside.begin(listeners[0].Addr()); err != nil {
			return errors.Join(err, gateway.Close(), closeAll())
		}
		defer beside.end() // after the drain, which needs the runner
	}
	logger.Info("gateway started", "version", version.Version(), "address", listeners[0].Addr().String())
	logger.Log(ctx, configLevel(cfg), "configuration", "config", cfg)
	options := serve.Options{
		HTTP: listeners[0], QUIC: udp, SessionStreams: 2 * cfg.Limits.MaxConnections, PlainToo: cfg.Development, Runners: listeners[1:], DrainTimeout: cfg.DrainTimeout, Logger: logger,
	}
	if certificates != nil {
		options.Certificates = certificates
	}
	err = serve.Run(ctx, gateway, options)
	if err == nil {
		logger.Info("gateway stopped")
	}
	return err
}

// configLevel spares developers a long line at each start.
func configLevel(cfg config.Config) slog.Level {
	if cfg.Development {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// certificateOf is where the certificate of a gateway comes from; nil: it speaks plain text.
func certificateOf(cfg config.Config, logger *slog.Logger) (certificate.Source, error) {
	switch {
	case cfg.TLSCert != "":
		return certificate.NewFiles(cfg.TLSCert, cfg.TLSKey, logger)
	case cfg.Development:
		host, _, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("the address to listen on: %w", err)
		}
		return certificate.NewDevelopment(host)
	}
	return nil, nil //nolint:nilnil // that there is none is no error
}

// listen opens the HTTP address, that of HTTP/3 with it, and then those for runners. It comes before the store is opened, so that
// a taken address is told soon and clients of a restarted gateway wait in the queue instead of being refused.
func listen(ctx context.Context, cfg config.Config, http3 bool) (open []net.Listener, udp net.PacketConn, err error) {
	for i, address := range append([]string{cfg.Listen}, cfg.RunnerListen...) {
		var l net.Listener
		if i == 0 && http3 {
			l, udp, err = serve.ListenBoth(ctx, address, cfg.Patience)
		} else {
			l, err = serve.Listen(ctx, address, cfg.Patience)
		}
		if err != nil {
			return nil, nil, errors.Join(err, closeAll(open, udp))
		}
		open = append(open, l)
	}
	return open, udp, nil
}

func closeAll(listeners []net.Listener, udp net.PacketConn) error {
	var faults []error
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			faults = append(faults, fmt.Errorf("close %s: %w", l.Addr(), err))
		}
	}
	if udp != nil {
		faults = append(faults, udp.Close())
	}
	return errors.Join(faults...)
}
