package e2e

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/logsample"
	"github.com/stagedoor-dev/stagedoor/gateway"
	"github.com/stagedoor-dev/stagedoor/gateway/gatewaytest"
)

// Whoever is rejected, breaks the framing or costs actors their lives ten times a second fills no disk with it.
func TestAFloodOfFaultsIsNotAFloodOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(synced)
		log := logsample.New(slog.NewTextHandler(out, nil))
		w := &world{t, gatewaytest.Start(t, gateway.Config{Logger: slog.New(log)})}
		const floods = 600
		for range floods {
			s := w.script()
			s.cold(s.aHello())
			s.bytes([]byte{0, 0, 0, 0})
			bad := w.script()
			bad.bytes([]byte{0, 0, 0, 0})
			rejected := w.script()
			hello := rejected.aHello()
			hello.Types = nil
			rejected.cold(hello)
			sleep(100 * time.Millisecond)
		}
		log.Close()
		// Four messages, of each ten lines and one more in each of six windows, and a seventh that Close has ended.
		if lines := bytes.Count([]byte(out.String()), []byte("\n")); lines > 4*7*11 || lines < 4*6*11 {
			t.Errorf("%d lines for %d floods:\n%s", lines, floods, out)
		}
	})
}
