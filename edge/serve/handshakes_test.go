package serve

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A handshake counts from its first packet to its end, whichever it is, and once.
func TestHandshakesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var unserved atomic.Int64
		h := handshakes{unserved: func() { unserved.Add(1) }}
		begin := func() (context.Context, context.CancelFunc, error) {
			ctx, cancel := context.WithCancel(t.Context())
			counted, err := h.begin(ctx, nil)
			return counted, cancel, err
		}
		var ends []context.CancelFunc
		for n := range maxHandshakes {
			if h.doubted(nil) != (n >= trustedHandshakes) {
				t.Fatalf("with %d under way the next is doubted: %v", n, h.doubted(nil))
			}
			_, cancel, err := begin()
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, cancel)
		}
		if _, cancel, err := begin(); !errors.Is(err, errManyHandshakes) {
			t.Errorf("one too many: %v", err)
		} else {
			cancel()
		}
		ends[0]() // it has failed
		synctest.Wait()
		done, cancel, err := begin()
		if err != nil {
			t.Errorf("one has ended, and the next is refused: %v", err)
		}
		greetingOf(done).end()
		greetingOf(done).end()
		cancel() // the connection ends much later
		for _, end := range ends {
			end()
		}
		synctest.Wait()
		if n := h.underWay.Load(); n != 0 {
			t.Errorf("%d are under way", n)
		}
		if n := unserved.Load(); n != maxHandshakes+1 {
			t.Errorf("%d are counted of %d that came to nothing", n, maxHandshakes+1)
		}
	})
}
