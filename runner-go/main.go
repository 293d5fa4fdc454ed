package runner

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/stagedoor-dev/stagedoor/internal/gcfloor"
)

// Main hosts the actor types until the process is told to end. It is the whole of most programs' main.
//
// The environment says where and who: STAGEDOOR_ENDPOINT (default DefaultEndpoint), STAGEDOOR_TOKEN, STAGEDOOR_POOL,
// STAGEDOOR_RUNNER_VERSION (a number). At SIGTERM or SIGINT the actors are handed over, then Main returns; a second
// signal ends the process at once. If the gateway will not have this runner, Main prints why and exits with status 1. Garbage is
// not collected before the heap has 32 MiB, unless GOGC or GOMEMLIMIT is set.
func Main(types ...Definition) {
	gcfloor.Set(gcfloor.Default)
	if err := serveFromEnv(types); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func serveFromEnv(types []Definition) error {
	config, err := configFromEnv(os.Getenv)
	if err != nil {
		return err
	}
	r, err := New(config, types...)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // the next signal is not ours
	return r.Serve(ctx)
}

func configFromEnv(env func(string) string) (Config, error) {
	config := Config{Endpoint: env("STAGEDOOR_ENDPOINT"), Token: env("STAGEDOOR_TOKEN"), Pool: env("STAGEDOOR_POOL")}
	if v := env("STAGEDOOR_RUNNER_VERSION"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return Config{}, fmt.Errorf("STAGEDOOR_RUNNER_VERSION is %q, not a number", v)
		}
		config.Version = n
	}
	return config, nil
}
