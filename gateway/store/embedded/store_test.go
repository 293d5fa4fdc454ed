package embedded

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuiteInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, limits store.Limits) store.Store {
		return mustOpen(t, Options{Dir: "data", FS: vfs.NewMem(), Limits: limits, Now: clock.Now})
	})
}

func TestSuiteOnDisk(t *testing.T) {
	root, n := t.TempDir(), 0
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock, limits store.Limits) store.Store {
		n++
		dir := fmt.Sprintf("%s/%d", root, n)
		return &disposable{mustOpen(t, Options{Dir: dir, Limits: limits, Now: clock.Now}), dir}
	})
}

// disposable removes its directory when it is closed: the walks against the model open thousands, each with a log file of
// tens of megabytes laid out in advance.
type disposable struct {
	*Store
	dir string
}

func (d *disposable) Close() error { return errors.Join(d.Store.Close(), os.RemoveAll(d.dir)) }
