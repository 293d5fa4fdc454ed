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

// ListenBoth is Listen for TCP, and opens UDP on the same port.
func ListenBoth(ctx context.Context, address string, patience time.Duration) (net.Listener, net.PacketConn, error) {
	deadline := time.Now().Add(patience)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	for try := 0; ; try++ {
		l, err := Listen(ctx, address, time.Until(deadline))
		if err != nil {
			return nil, nil, err
		}
		var config net.ListenConfig
		udp, err := config.ListenPacket(ctx, "udp", l.Addr().String())
		if err == nil {
			return l, udp, nil
		}
		_ = l.Close() // it was opened in vain
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, fmt.Errorf("listen to UDP for HTTP/3: %w", err)
		}
		wait := min(retryEvery, time.Until(deadline))
		switch {
		case port == "0" && try < freePorts: // another one is tried at once
			wait = 0
		case wait <= 0:
			return nil, nil, fmt.Errorf("listen on %s: %w for UDP; stop what uses it, choose another address, or leave HTTP/3 out with --no-http3", address, syscall.EADDRINUSE)
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// freePorts is how many free ports are tried whose UDP is taken.
const freePorts = 16

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
