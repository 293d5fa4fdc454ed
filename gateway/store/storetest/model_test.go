package storetest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestModel shows that the suite and the model mean the same.
func TestModel(t *testing.T) {
	Run(t, func(_ *testing.T, clock *Clock, limits store.Limits) store.Store { return NewModel(limits, clock.Now) })
}
