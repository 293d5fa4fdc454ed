package e2e

import (
	"context"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// cell is an actor that histories are made of: a count, and a value that is written over.
type cell struct {
	runner.Actor[struct{ Count, Value int }, runner.None]
}

func (c *cell) increment(_ context.Context, n int) (int, error) {
	c.State().Count += n
	c.Broadcast("count", c.State().Count)
	return c.State().Count, nil
}

func (c *cell) getCount(context.Context) (int, error) { return c.View().Count, nil }

func (c *cell) write(_ context.Context, v int) (int, error) {
	c.State().Value = v
	return v, nil
}

func (c *cell) read(context.Context) (int, error) { return c.View().Value, nil }

var classes = map[string]runner.Durability{"fast": runner.Fast, "disk": runner.Disk, "replicated": runner.Replicated}

// cellTypes are cells by the names of their durability classes.
func cellTypes(names []string) []runner.Definition {
	var types []runner.Definition
	for _, name := range names {
		t := runner.Define[cell](name, runner.WithDurability(classes[name]), runner.WithEvents("count"))
		runner.Action1(t, "increment", (*cell).increment)
		runner.Action0(t, "getCount", (*cell).getCount)
		runner.Action1(t, "write", (*cell).write)
		runner.Action0(t, "read", (*cell).read)
		types = append(types, t)
	}
	return types
}
