// Package counter is the smallest useful actor: a durable number that tells its listeners when it changes.
package counter

import (
	"context"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// State survives restarts, crashes and deployments.
type State struct {
	Count int `cbor:"count"`
}

// Counter is one counter. `counter:a` and `counter:b` count on their own.
type Counter struct {
	runner.Actor[State, runner.None]
}

// Increment adds n and returns the new count. The caller hears of it when it is on disk, not before.
func (c *Counter) Increment(_ context.Context, n int) (int, error) {
	c.State().Count += n
	c.Broadcast("count", c.State().Count)
	return c.State().Count, nil
}

// GetCount returns the count.
func (c *Counter) GetCount(context.Context) (int, error) {
	return c.View().Count, nil
}

// Type is what a runner hosts.
func Type() *runner.Type[Counter] {
	t := runner.Define[Counter]("counter", runner.WithEvents("count"))
	runner.Action1(t, "increment", (*Counter).Increment)
	runner.Action0(t, "getCount", (*Counter).GetCount)
	return t
}
