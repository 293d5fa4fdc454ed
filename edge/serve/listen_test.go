package serve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
)

func TestTheHolderOfAPortIsNamed(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		held, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("no such address here: %v", err)
		}
		defer held.Close()
		_, err = serve.Listen(t.Context(), held.Addr().String(), 0)
		want := fmt.Sprintf("process %d (", os.Getpid())
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestListenWaitsForAPredecessor(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = held.Close() })
	l, err := serve.Listen(t.Context(), held.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestListenStopsWaitingWithItsContext(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := serve.Listen(ctx, held.Addr().String(), time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestASocketFileOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runner.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as SIGKILL leaves it
	_ = dead.Close()
	living, err := serve.Listen(t.Context(), "unix://"+path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	if _, err := serve.Listen(t.Context(), "unix://"+path, 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a living socket was taken over: %v", err)
	}
}

func TestAFileThatIsNoSocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.Listen(t.Context(), "unix://"+path, 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
