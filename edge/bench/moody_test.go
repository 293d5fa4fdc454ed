//go:build unix

package bench_test

import (
	"context"
	"fmt"
	"os"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// moodyVariable makes the runner one whose actors fail. Failing by themselves they do so for certain: a runner that is
// killed may have no call under way at that moment, and what is called later waits for the next one.
const moodyVariable = "BENCH_TEST_MOODY"

// moody is the bench actor, but that it fails every call once it is connected to.
type moody struct {
	runner.Actor[runner.None, runner.None]
}

func (m *moody) echo(_ context.Context, b []byte) ([]byte, error) {
	if m.Key()[0] == "connected" {
		return nil, runner.UserError{Code: "moody", Message: "not in the mood"}
	}
	return b, nil
}

// serveMoody is the role runner, for the gateway at endpoint. It is killed.
func serveMoody(endpoint string) {
	t := runner.Define[moody]("bench")
	runner.Action1(t, "echo", (*moody).echo)
	r, err := runner.New(runner.Config{Endpoint: endpoint}, t)
	if err == nil {
		err = r.Serve(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
