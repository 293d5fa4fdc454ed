package e2e

import (
	"fmt"
	"sync"
	"testing"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
	"github.com/stagedoor-dev/stagedoor/gateway"
	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

func TestTmpBigStates(t *testing.T) {
	inWorld(t, gateway.Config{}, func(w *world) {
		w.host(runner.Config{}, labType(labOptions{}))
		c := w.client()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				h := c.GetOrCreate("lab", []string{fmt.Sprint(i)})
				n, err := client.Call[int](w.Context(), h, "blob", 7<<20)
				t.Log(i, n, err)
			})
		}
		wg.Wait()
	})
}
