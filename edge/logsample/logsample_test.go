package logsample_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/logsample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is what was logged. Handlers write a line at a time, but several handlers may at once.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

// take is what was logged since the last time, without the time of day.
func (t *text) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := regexp.MustCompile(`time=\S+ `).ReplaceAllString(t.b.String(), "")
	t.b.Reset()
	return s
}

// inLog runs a test under virtual time with a log that is sampled.
func inLog(t *testing.T, test func(t *testing.T, log *slog.Logger, h *logsample.Handler, out *text)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		out := new(text)
		h := logsample.New(slog.NewTextHandler(out, nil))
		defer h.Close()
		test(t, slog.New(h), h, out)
	})
}

func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

func times(n int, line string) string { return strings.Repeat(line+"\n", n) }

func want(t *testing.T, out *text, want string) {
	t.Helper()
	if got := out.take(); got != want {
		t.Fatalf("logged\n%s, want\n%s", got, want)
	}
}

func TestAMessageHasTenLinesInTenSeconds(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, _ *logsample.Handler, out *text) {
		for range 1000 {
			log.Warn("rejected")
		}
		log.Warn("another")
		log.Info("rejected") // of another level
		want(t, out, times(10, "level=WARN msg=rejected")+"level=WARN msg=another\nlevel=INFO msg=rejected\n")
		pass(9 * time.Second)
		log.Warn("rejected")
		want(t, out, "")
		pass(time.Second)
		want(t, out, "level=WARN msg=\"more lines were left out\" of=rejected lines=991 within=10s\n")
		for range 11 {
			log.Warn("rejected")
		}
		want(t, out, times(10, "level=WARN msg=rejected"))
	})
}

func TestAQuietLogIsLeftAlone(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, _ *logsample.Handler, out *text) {
		for range 10 {
			log.Info("joined")
		}
		pass(time.Minute)
		log.Debug("not enabled")
		want(t, out, times(10, "level=INFO msg=joined"))
	})
}

func TestErrorsHaveMoreLines(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, _ *logsample.Handler, out *text) {
		for range 60 {
			log.Error("panic")
		}
		want(t, out, times(50, "level=ERROR msg=panic"))
		pass(10 * time.Second)
		want(t, out, "level=ERROR msg=\"more lines were left out\" of=panic lines=10 within=10s\n")
	})
}

// Whoever logs through a logger of its own counts with the others, and what is left out is said without its attributes.
func TestLoggersOfALogShareItsCounts(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, _ *logsample.Handler, out *text) {
		for i := range 6 {
			log.With("i", i).Info("x")
			log.WithGroup("g").Info("x", "i", i)
		}
		if got := out.take(); strings.Count(got, "\n") != 10 || !strings.Contains(got, "msg=x i=4\n") || !strings.Contains(got, "msg=x g.i=4\n") {
			t.Errorf("logged %s", got)
		}
		pass(10 * time.Second)
		want(t, out, "level=INFO msg=\"more lines were left out\" of=x lines=2 within=10s\n")
	})
}

// What is remembered is bounded, whatever the texts are.
func TestAnyNumberOfTexts(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, _ *logsample.Handler, out *text) {
		for i := range 100_000 {
			log.Warn(fmt.Sprintf("text %d", i))
		}
		if n := strings.Count(out.take(), "\n"); n != 128+10 {
			t.Errorf("%d lines", n)
		}
		log.Error("an error among them")
		want(t, out, "level=ERROR msg=\"an error among them\"\n")
		pass(10 * time.Second)
		want(t, out, fmt.Sprintf("level=WARN msg=\"more lines were left out\" of=\"\" lines=%d within=10s\n", 100_000-138))
		long := strings.Repeat("x", 200)
		for i := range 20 {
			log.Warn(fmt.Sprint(long, i))
		}
		if n := strings.Count(out.take(), long); n != 10 {
			t.Errorf("%d lines of a long text", n)
		}
	})
}

func TestCloseSaysWhatIsLeft(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, h *logsample.Handler, out *text) {
		for range 12 {
			log.Info("x")
		}
		h.Close()
		want(t, out, times(10, "level=INFO msg=x")+"level=INFO msg=\"more lines were left out\" of=x lines=2 within=10s\n")
		log.Info("x")
		want(t, out, "level=INFO msg=x\n")
		h.Close()
	})
}

func TestManyGoroutinesLogAtOnce(t *testing.T) {
	inLog(t, func(t *testing.T, log *slog.Logger, h *logsample.Handler, out *text) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					log.Info("x")
				}
			})
		}
		all.Wait()
		h.Close()
		want(t, out, times(10, "level=INFO msg=x")+"level=INFO msg=\"more lines were left out\" of=x lines=790 within=10s\n")
	})
}
