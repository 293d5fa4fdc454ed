package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/dev"
	"github.com/stagedoor-dev/stagedoor/edge/logsample"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
)

// devPatience is how long dev waits for what a predecessor still holds: one that was just killed, or is draining.
const devPatience = 5 * time.Second

func (p *Program) devCommand() *cobra.Command {
	base := config.Default()
	base.Development = true
	base.Patience = devPatience
	base.DrainTimeout = 5 * time.Second
	cmd := &cobra.Command{
		Use:   "dev [flags] [-- RUNNER COMMAND...]",
		Short: "Run a gateway for development, and a runner beside it",
		Long: `Run a gateway for development, and a runner beside it.

Without tokens everybody may do everything, so it listens on this machine only, unless told otherwise. The command after --
is started with STAGEDOOR_ENDPOINT (and STAGEDOOR_TOKEN, if runner tokens are set) in its environment, started again when it
dies, and stopped together with the gateway.`,
		Example: "  stagedoor dev -- ./my-runner",
	}
	flags := addConfigFlags(cmd, base)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
			return fmt.Errorf("unexpected %q; write the runner command behind --: stagedoor dev -- %[1]s", args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, command []string) error {
		cfg, err := flags.load(base, p.Env)
		if err != nil {
			return usageError{err}
		}
		return p.dev(cmd.Context(), cfg, command)
	}
	return cmd
}

func (p *Program) dev(ctx context.Context, cfg config.Config, command []string) error {
	if len(cfg.ClientTokens)+len(cfg.RunnerTokens)+len(cfg.AdminTokens) == 0 {
		cfg.Insecure = true
	}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	cfg.RequireRunner = len(command) > 0
	if cfg.RequireRunner {
		if _, err := exec.LookPath(command[0]); err != nil {
			return usageError{fmt.Errorf("the runner command: %w", err)}
		}
	}
	log := logsample.New(slog.NewTextHandler(p.Stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	defer log.Close()
	logger := slog.New(log)
	return p.run(ctx, cfg, logger, &devRunner{program: p, cfg: cfg, command: command, logger: logger})
}

// devRunner is the runner beside a development gateway.
type devRunner struct {
	program *Program
	cfg     config.Config
	command []string
	logger  *slog.Logger

	supervisor atomic.Pointer[dev.Supervisor] // nil: there is no command, or not yet
	stop       context.CancelFunc
	done       chan struct{}
}

// begin prints where everything is and starts the runner.
func (d *devRunner) begin(http net.Addr) error {
	if d.cfg.Insecure && !local(http) {
		d.logger.Warn("everybody who reaches this address may do everything", "address", http.String())
	}
	if err := d.greet(d.program.Stdout, http); err != nil {
		return err
	}
	if len(d.command) == 0 {
		return nil
	}
	supervisor, err := dev.New(dev.Options{
		Command: d.command, Env: d.runnerEnv(http), Stdout: d.program.Stdout, Stderr: d.program.Stderr, Logger: d.logger,
	})
	if err != nil {
		return fmt.Errorf("the runner command: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan struct{})
	d.supervisor.Store(supervisor)
	go func() {
		defer close(d.done)
		supervisor.Run(ctx)
	}()
	return nil
}

func (d *devRunner) end() {
	if d.supervisor.Load() != nil {
		d.stop()
		<-d.done
	}
}

func (d *devRunner) kill() {
	if s := d.supervisor.Load(); s != nil {
		s.Kill()
	}
}

// runnerEnv tells the runner where to dial.
func (d *devRunner) runnerEnv(http net.Addr) []string {
	env := []string{"STAGEDOOR_ENDPOINT=http://" + reachable(http)}
	if len(d.cfg.RunnerTokens) > 0 {
		env = append(env, "STAGEDOOR_TOKEN="+d.cfg.RunnerTokens[0].Reveal())
	}
	return env
}

func (d *devRunner) greet(out io.Writer, http net.Addr) error {
	host, token := reachable(http), ""
	if !d.cfg.Insecure {
		token = " -H 'Authorization: Bearer CLIENT-TOKEN'"
	}
	runner := "none; start one with STAGEDOOR_ENDPOINT=http://" + host
	if len(d.command) > 0 {
		runner = fmt.Sprintf("%q", d.command)
	}
	_, err := fmt.Fprintf(out, `Stagedoor is listening.

  HTTP       http://%[1]s
  WebSocket  ws://%[1]s/v1/connect
%[5]s  Ready      http://%[1]s/readyz
  Data       %[2]s
  Runner     %[3]s

Call an action of an actor type "counter", if the runner hosts one:

  curl -X POST http://%[1]s/v1/actors/counter:a/actions/increment%[4]s -d '{"args":[1]}'

`, host, d.cfg.Data, runner, token, d.secure(host))
	return err
}

// secure says how the same address is reached over TLS.
func (d *devRunner) secure(host string) string {
	var versions []string
	if serve.CanPeek {
		versions = append(versions, "HTTP/1.1", "HTTP/2")
	}
	if !d.cfg.NoHTTP3 {
		versions = append(versions, "HTTP/3", "WebTransport")
	}
	if len(versions) == 0 {
		return ""
	}
	return fmt.Sprintf("  TLS        https://%s: %s\n", host, strings.Join(versions, ", "))
}

// reachable is an address that a process on this machine can dial: 127.0.0.1 for all addresses.
func reachable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return address.String()
	}
	ip := tcp.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return net.JoinHostPort(ip.String(), fmt.Sprint(tcp.Port))
}

func local(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
