package stores_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/stores"
	"github.com/stagedoor-dev/stagedoor/edge/bench/task"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const length = 50 * time.Millisecond

// play runs a role until the test ends, and returns how to ask it.
func play(t *testing.T, role, where string) func(task.Task) (load.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	address, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- stores.Serve(ctx, role, where, func(a string) error { address <- a; return nil })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", role, err)
		}
	})
	select {
	case a := <-address:
		return func(asked task.Task) (load.Result, error) { return task.Ask(t.Context(), a, asked) }
	case err := <-done:
		done <- nil
		t.Fatalf("%s: %v", role, err)
		return nil
	}
}

func sane(t *testing.T, r load.Result, err error, each int) {
	t.Helper()
	if err != nil || r.Operations == 0 || r.Operations%each != 0 || r.Errors != 0 || r.P50 <= 0 || r.Rate() <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func ownRedis(t *testing.T) (url string) {
	t.Helper()
	return redistest.Standalone(t, redistest.Options{AppendOnly: true}).URL() + "?prefix=bench:"
}

// The second round goes on from where the first has ended, and the third has more actors.
func TestACommitterCommits(t *testing.T) {
	ask := play(t, stores.Committer, ownRedis(t))
	for _, workers := range []int{2, 2, 5} {
		r, err := ask(task.Task{Do: stores.Commit, Workers: workers, Each: 3, Length: length})
		sane(t, r, err, 3)
	}
}

func TestAClaimerClaims(t *testing.T) {
	for name, where := range map[string]string{"embedded": filepath.Join(t.TempDir(), "store"), "redis": ownRedis(t)} {
		t.Run(name, func(t *testing.T) {
			ask := play(t, stores.Claimer, where)
			if _, err := ask(task.Task{Do: stores.Fill, Workers: 3}); err != nil {
				t.Fatal(err)
			}
			r, err := ask(task.Task{Do: stores.Claim, Workers: 2, Each: 100, Length: length})
			sane(t, r, err, 100)
			if name == "redis" {
				r, err = ask(task.Task{Do: stores.ClaimBare, Workers: 2, Each: 100, Length: length})
				sane(t, r, err, 100)
			}
			r, err = ask(task.Task{Do: stores.Claim, Workers: 1, Each: stores.Alarms + 1, Length: length})
			if err != nil || !strings.Contains(r.Fault, "1000 alarms were claimed of 1001") {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestWhatIsNotThereCannotBeAskedFor(t *testing.T) {
	ask := play(t, stores.Claimer, filepath.Join(t.TempDir(), "store"))
	for _, operation := range []string{stores.ClaimBare, "sing"} {
		if _, err := ask(task.Task{Do: operation}); err == nil || !strings.Contains(err.Error(), "no operation") {
			t.Errorf("%s: %v", operation, err)
		}
	}
	if _, err := ask(task.Task{Do: stores.Fill, Workers: 1025}); err == nil || !strings.Contains(err.Error(), "partitions") {
		t.Errorf("got %v", err)
	}
	if stores.Has("echo") || !stores.Has(stores.Claimer) {
		t.Error("the roles are others")
	}
}

func TestWipeDoesItsWorkAtTheEndOfAll(t *testing.T) {
	url := ownRedis(t)
	ask := play(t, stores.Committer, url)
	r, err := ask(task.Task{Do: stores.Commit, Workers: 1, Each: 1, Length: length})
	sane(t, r, err, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stores.Wipe(ctx, url); err != nil {
		t.Error(err)
	}
}
