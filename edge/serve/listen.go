package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// retryEvery is how often a taken address is tried again.
const retryEvery = 50 * time.Millisecond

// Listen opens tcp://host:port, unix:///path or host:port. It waits up to patience for an address that is taken, then says
// by whom.
func Listen(ctx context.Context, address string, patience time.Duration) (net.Listener, error) {
	network, where := split(address)
	deadline := time.Now().Add(patience)
	for {
		l, err := open(ctx, network, where)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		wait := min(retryEvery, time.Until(deadline))
		if wait <= 0 {
			return nil, taken(network, where)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func split(address string) (network, where string) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return "unix", path
	}
	return "tcp", strings.TrimPrefix(address, "tcp://")
}

func open(ctx context.Context, network, where string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, network, where)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandoned(where) {
		if err := os.Remove(where); err != nil {
			return nil, fmt.Errorf("remove the socket that a dead process left: %w", err)
		}
		return config.Listen(ctx, network, where)
	}
	return l, err
}

// abandoned tells a socket file whose listener died with SIGKILL: it is a socket, and nobody answers.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close() // it was only a knock
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func taken(network, where string) error {
	holder := ""
	if network == "tcp" {
		holder = Holder(where)
	}
	return fmt.Errorf("listen on %s: %w by %s; stop it, or choose another address",
		where, syscall.EADDRINUSE, cmp.Or(holder, "another process"))
}
