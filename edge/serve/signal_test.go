package serve_test

import (
	"syscall"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/serve"
)

func TestTheFirstSignalStopsAndTheSecondEnds(t *testing.T) {
	now := make(chan struct{})
	ctx, stop := serve.Signals(t.Context(), func() { close(now) })
	defer stop()
	raise(t, syscall.SIGTERM)
	<-ctx.Done()
	select {
	case <-now:
		t.Fatal("the first signal ended the process")
	default:
	}
	raise(t, syscall.SIGINT)
	<-now
}

func TestStoppingLetsGoOfSignals(t *testing.T) {
	ctx, stop := serve.Signals(t.Context(), func() { t.Error("called") })
	stop()
	if ctx.Err() == nil {
		t.Error("the context lives on")
	}
}

func raise(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
		t.Fatal(err)
	}
}
