package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// pebbleLogger passes Pebble's log on. Its use of Store is limited to logger and fail.
type pebbleLogger struct{ s *Store }

// Infof is Pebble's own account of its work.
func (l pebbleLogger) Infof(format string, args ...any) {
	if l.s.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.s.logger.Debug("pebble", "message", fmt.Sprintf(format, args...))
	}
}

// Errorf reports background work that failed and will be tried again.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.logger.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble's memory and disk may disagree. A failed commit comes from the writer's goroutine,
// which stops acknowledging; Pebble returns to it afterwards. Anything else is a failed change of the manifest, in the
// background: going on could delete log files that a broken manifest still needs, so the process has to end.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.s.fail(errors.New(message))
	if !strings.HasPrefix(format, "pebble: fatal commit error") {
		panic("embedded store: " + message) //nolint:forbidigo // the process has to end: see above
	}
}
