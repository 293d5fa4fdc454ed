package assemble_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/edge/assemble"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redis"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// [CLASS-1] [RDS-8]: a server that cannot give the default class, or one that is asked for, is refused with the setting to
// change; one that can be reached later makes the gateway ready without a restart.
func TestARedisThatMayBeTrusted(t *testing.T) {
	cfg := inside(t)
	cfg.Store = redistest.Standalone(t, redistest.Options{}).URL()
	_, err := assemble.Gateway(t.Context(), cfg, discard)
	if !errors.Is(err, redis.ErrClass) || !strings.Contains(err.Error(), "set appendonly yes") {
		t.Errorf("without a log: %v", err)
	}
	servers := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	cfg.Store = servers.URL()
	g := open(t, cfg)
	ready := func() int {
		answer := httptest.NewRecorder()
		g.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), "GET", "/readyz", nil))
		return answer.Code
	}
	if code := ready(); code != 200 {
		t.Errorf("ready: %d", code)
	}
	await := func(what string, want int) {
		servers.Await(what, func() error {
			if code := ready(); code != want {
				return fmt.Errorf("it answers %d", code)
			}
			return nil
		})
	}
	servers.Nodes[0].Kill()
	await("the gateway to be not ready, without its store", 503) // [HTTP-6]
	servers.Nodes[0].Restart()
	await("the gateway to be ready again", 200)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	cfg.Durability = []string{"disk"}
	_, err = assemble.Gateway(t.Context(), cfg, discard)
	if !errors.Is(err, redis.ErrClass) || !strings.Contains(err.Error(), "set appendfsync always") {
		t.Errorf("class disk: %v", err)
	}
}
