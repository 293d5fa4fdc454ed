package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"
)

// wipePage is about how many keys are looked at, and removed, in one step.
const wipePage = 1000

// Wipe removes all keys of a store that nobody uses any more, from every master. The functions stay: other stores may use
// them. So that it cannot be the wrong store, the URL has to name its prefix.
func Wipe(ctx context.Context, raw string) error {
	e, err := parseURL(raw)
	if err != nil {
		return err
	}
	if e.prefix == "" {
		return fmt.Errorf("wipe %s: it names no prefix", redact(raw))
	}
	s := newSurveyor(e)
	defer s.close()
	if err := s.tellCluster(ctx); err != nil {
		return fmt.Errorf("wipe %s: %w", redact(raw), err)
	}
	found, err := s.find(ctx)
	if err != nil {
		return fmt.Errorf("wipe %s: %w", redact(raw), err)
	}
	for _, n := range found.masters {
		if err := n.wipe(ctx, e.prefix); err != nil {
			return fmt.Errorf("wipe %s: %w", redact(raw), &downError{n.addr, err})
		}
	}
	return nil
}

func (n *node) wipe(ctx context.Context, prefix string) error {
	for cursor := uint64(0); ; {
		scan := n.client.B().Scan().Cursor(cursor).Match(globOf(prefix)).Count(wipePage).Build()
		page, err := n.client.Do(ctx, scan).AsScanEntry()
		if err != nil {
			return fmt.Errorf("look for keys: %w", err)
		}
		if err := n.unlink(ctx, page.Elements); err != nil {
			return fmt.Errorf("remove keys: %w", err)
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}

// unlink removes each key by itself: in a Cluster they lie in different slots.
func (n *node) unlink(ctx context.Context, keys []string) error {
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = n.client.B().Unlink().Key(key).Build()
	}
	var failures []error
	for _, reply := range n.client.DoMulti(ctx, commands...) {
		failures = append(failures, reply.Error())
	}
	return errors.Join(failures...)
}
