package runner_test

import (
	"context"
	"testing"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

type CounterState struct{ Count int }

type Counter struct {
	runner.Actor[CounterState, runner.None]
}

func (c *Counter) Increment(_ context.Context, n int) (int, error) {
	c.State().Count += n
	c.Broadcast("count", c.State().Count)
	return c.State().Count, nil
}

func (c *Counter) Get(context.Context) (int, error) { return c.View().Count, nil }

func defineCounter(opts ...runner.Option) *runner.Type[Counter] {
	t := runner.Define[Counter]("counter", opts...)
	runner.Action1(t, "increment", (*Counter).Increment)
	runner.Action0(t, "get", (*Counter).Get)
	return t
}

func TestAnActionsChangeEventAndResultFollowItsCommit(t *testing.T) {
	run(t, func(t *testing.T) {
		p := newStage(t, defineCounter()).welcome()
		ref := p.created("counter")
		p.call(ref, 1, "increment", 5)
		c := p.commit(2, 2)
		if got := decoded[CounterState](t, c.State).Count; got != 5 {
			t.Fatalf("state %d", got)
		}
		p.next()
		if got := result[int](p, 1); got != 5 {
			t.Fatalf("result %d", got)
		}
		p.silent()
	})
}
