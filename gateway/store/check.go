package store

import (
	"fmt"
	"slices"
)

// Check finds what no correct caller sends: ErrInvalid. Which classes it may ask for is the store's to say.
func (c *Commit) Check() error {
	switch {
	case c.Version == 0:
		return fmt.Errorf("commit of version 0: %w", ErrInvalid)
	case c.Durability == Volatile:
		return fmt.Errorf("commit in durability class %d: %w", c.Durability, ErrInvalid)
	case c.Destroy:
		return nil
	case slices.Contains(c.Connections.Added, ""), slices.Contains(c.Connections.Removed, ""):
		return fmt.Errorf("connection without an id: %w", ErrInvalid)
	}
	for i := range c.KV {
		if op := &c.KV[i]; op.IsRange && op.HasValue || !op.IsRange && len(op.Key) == 0 {
			return fmt.Errorf("KV operation %d: %w", i, ErrInvalid)
		}
	}
	return c.checkOutside()
}

// checkOutside checks all that names schedules or keys.
func (c *Commit) checkOutside() error {
	for i := range c.Schedules {
		op := &c.Schedules[i]
		// An empty time is a forgotten one; the store's clock begins in 1970.
		timed := op.After != nil && *op.After >= 0 || op.After == nil && op.At.UnixMicro() > 0
		if op.ID == "" || !op.Cancel && !timed {
			return fmt.Errorf("schedule operation %d: %w", i, ErrInvalid)
		}
	}
	for i := range c.Finished {
		f := &c.Finished[i]
		if f.Schedule == "" && len(f.Key) == 0 || !f.NextAt.IsZero() && f.NextAt.UnixMicro() <= 0 {
			return fmt.Errorf("finished call %d: %w", i, ErrInvalid)
		}
	}
	for i := range c.Open {
		if o := &c.Open[i]; o.Schedule == "" && len(o.Key) == 0 {
			return fmt.Errorf("open call %d: %w", i, ErrInvalid)
		}
	}
	return nil
}

// CheckCommit finds the parts of a commit that are too large by themselves: ErrTooLarge.
func (l *Limits) CheckCommit(c *Commit) error {
	if len(c.State) > l.State {
		return fmt.Errorf("state of %d bytes: %w", len(c.State), ErrTooLarge)
	}
	for i := range c.KV {
		if op := &c.KV[i]; !op.IsRange && len(op.Key) > l.KVKey || len(op.Value) > l.KVValue {
			return fmt.Errorf("KV operation %d, key of %d and value of %d bytes: %w", i, len(op.Key), len(op.Value), ErrTooLarge)
		}
	}
	return nil
}

// Check finds a listing that cannot be asked for: ErrInvalid.
func (f *Filter) Check(limit int) error {
	switch {
	case limit < 1:
		return fmt.Errorf("list at most %d actors: %w", limit, ErrInvalid)
	case f.HasKey && f.Type == "":
		return fmt.Errorf("list by key without a type: %w", ErrInvalid)
	}
	return nil
}
