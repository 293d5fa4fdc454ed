package assemble_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/assemble"
	"github.com/stagedoor-dev/stagedoor/edge/config"
	"github.com/stagedoor-dev/stagedoor/edge/serve"
	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/store/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var discard = slog.New(slog.DiscardHandler)

func open(t *testing.T, cfg config.Config) serve.Gateway {
	t.Helper()
	g, err := assemble.Gateway(t.Context(), cfg, discard)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func inside(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Insecure = t.TempDir(), true
	return cfg
}

func TestTheGatewayServesAndClosesItsStore(t *testing.T) {
	cfg := inside(t)
	for range 2 { // the second one finds the directory free
		g := open(t, cfg)
		answer := httptest.NewRecorder()
		g.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/healthz", nil))
		if answer.Code != 200 {
			t.Errorf("healthz answers %d", answer.Code)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRequiringARunnerKeepsItUnready(t *testing.T) {
	cfg := inside(t)
	cfg.RequireRunner = true
	g := open(t, cfg)
	defer g.Close()
	answer := httptest.NewRecorder()
	g.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/readyz", nil))
	if answer.Code != 503 { // [HTTP-6]
		t.Errorf("readyz answers %d: %s", answer.Code, answer.Body)
	}
}

// [STORE-3]
func TestTheHolderOfTheDataIsNamed(t *testing.T) {
	cfg := inside(t)
	g := open(t, cfg)
	defer g.Close()
	cfg.Patience = 60 * time.Millisecond
	_, err := assemble.Gateway(t.Context(), cfg, discard)
	if !errors.Is(err, embedded.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestItWaitsForAPredecessor(t *testing.T) {
	cfg := inside(t)
	first := open(t, cfg)
	closed := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { closed <- first.Close() })
	cfg.Patience = time.Minute
	second := open(t, cfg)
	if err := errors.Join(<-closed, second.Close()); err != nil {
		t.Error(err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	cfg := inside(t)
	g := open(t, cfg)
	defer g.Close()
	cfg.Patience = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := assemble.Gateway(ctx, cfg, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAGatewayThatCannotBeMadeLetsGoOfItsStore(t *testing.T) {
	cfg := inside(t)
	cfg.Insecure = false // and no tokens [AUTH-1]
	if _, err := assemble.Gateway(t.Context(), cfg, discard); !errors.Is(err, auth.ErrNoTokens) {
		t.Errorf("got %v", err)
	}
	cfg.Insecure = true
	if err := open(t, cfg).Close(); err != nil {
		t.Error(err)
	}
}
