package e2e

import (
	"fmt"
	"sync"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// [LIMIT-5] [LINK-3]: actors whose frames are together larger than a link may put together at once wait for each other.
func TestLargeStatesAtOnce(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		c := w.client()
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				lab := c.GetOrCreate("lab", []string{fmt.Sprint(i)})
				if n, err := client.Call[int](w.Context(), lab, "blob", 7<<20); err != nil || n != 7<<20 {
					t.Errorf("actor %d: %d, %v", i, n, err)
				}
			})
		}
		all.Wait()
	})
}
