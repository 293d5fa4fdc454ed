package redis

import (
	"context"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// ready has the servers looked at once more and says what keeps any part of the data from being served.
func (c *client) ready(ctx context.Context) error {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return store.ErrClosed
	}
	surveyed := c.surveyor.surveyed.announced()
	c.surveyor.kick()
	select {
	case <-surveyed:
	case <-ctx.Done():
		return ctx.Err()
	}
	t := c.surveyor.topology.Load()
	for _, n := range t.masters {
		if h := n.health.Load(); h == nil || h.err != nil {
			return downOf(n, h)
		}
	}
	for _, n := range t.bySlot {
		if n == nil {
			return errUnserved
		}
	}
	return nil
}

func (c *client) interrupted() time.Time {
	if back := c.surveyor.back.Load(); back != nil {
		return *back
	}
	return time.Time{}
}

func downOf(n *node, h *health) error {
	if h == nil {
		return &downError{n.addr, errUnchecked}
	}
	return &downError{n.addr, h.err}
}
