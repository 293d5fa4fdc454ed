package redis

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Commit queues the commit; done is called by a goroutine of the caller.
func (s *Store) Commit(c store.Commit, done func(error)) {
	keys, err := s.checkCommit(&c)
	if err != nil {
		go done(err) // not on this goroutine: whoever commits may hold what done needs
		return
	}
	tooLarge := s.checkSizes(&c)
	s.caller.send(c.Durability, fnCommit, keys, s.encodeCommit(&c, tooLarge != nil), func(_ rueidis.RedisMessage, err error) {
		err = known(err)
		if tooLarge != nil && errors.Is(err, store.ErrTooLarge) {
			err = tooLarge // says what it was
		}
		done(err)
	})
}

// checkCommit finds what no correct caller sends.
func (s *Store) checkCommit(c *store.Commit) (keys []string, err error) {
	if c.Version == 0 {
		return nil, fmt.Errorf("commit of version 0: %w", store.ErrInvalid)
	}
	if c.Durability == store.Volatile || !s.Supports(c.Durability) {
		return nil, fmt.Errorf("commit in durability class %d: %w", c.Durability, store.ErrInvalid)
	}
	if !c.Destroy {
		if err := checkParts(c); err != nil {
			return nil, err
		}
	}
	keys, ok := s.keys.of(c.ID)
	if !ok {
		return nil, store.ErrFenced
	}
	return keys, nil
}

func checkParts(c *store.Commit) error {
	for i := range c.KV {
		if op := &c.KV[i]; op.IsRange && op.HasValue || !op.IsRange && len(op.Key) == 0 {
			return fmt.Errorf("KV operation %d: %w", i, store.ErrInvalid)
		}
	}
	for i := range c.Schedules {
		op := &c.Schedules[i]
		// An empty time is a forgotten one; the store's clock begins in 1970.
		timed := op.After != nil && *op.After >= 0 || op.After == nil && op.At.UnixMicro() > 0
		if op.ID == "" || !op.Cancel && !timed {
			return fmt.Errorf("schedule operation %d: %w", i, store.ErrInvalid)
		}
	}
	for i := range c.Finished {
		f := &c.Finished[i]
		if f.Schedule == "" && len(f.Key) == 0 || !f.NextAt.IsZero() && f.NextAt.UnixMicro() <= 0 {
			return fmt.Errorf("finished call %d: %w", i, store.ErrInvalid)
		}
	}
	for i := range c.Open {
		if o := &c.Open[i]; o.Schedule == "" && len(o.Key) == 0 {
			return fmt.Errorf("open call %d: %w", i, store.ErrInvalid)
		}
	}
	if slices.Contains(c.Connections.Added, "") || slices.Contains(c.Connections.Removed, "") {
		return fmt.Errorf("connection without an id: %w", store.ErrInvalid)
	}
	return nil
}

// checkSizes finds what is too large. Fence and version come first, so the library refuses it.
func (s *Store) checkSizes(c *store.Commit) error {
	if len(c.State) > s.limits.State {
		return fmt.Errorf("state of %d bytes: %w", len(c.State), store.ErrTooLarge)
	}
	for i := range c.KV {
		if op := &c.KV[i]; !op.IsRange && len(op.Key) > s.limits.KVKey || len(op.Value) > s.limits.KVValue {
			return fmt.Errorf("KV operation %d, key of %d and value of %d bytes: %w",
				i, len(op.Key), len(op.Value), store.ErrTooLarge)
		}
	}
	return nil
}

// encodeCommit makes the arguments that library/commit.lua reads.
func (s *Store) encodeCommit(c *store.Commit, tooLarge bool) []string {
	args := append(make([]string, 0, 10+3*len(c.KV)), s.clock(), c.ID, decimal(c.Generation), string(c.Nonce[:]),
		decimal(c.Version), string(c.CommitID[:]), "", strconv.FormatInt(s.limits.Storage, 10))
	switch {
	case c.Destroy:
		args[6] = "D"
		return args
	case tooLarge:
		args[6] = "L"
		return args
	}
	if c.HasState {
		args = append(args, "S", string(c.State))
	}
	args = appendKV(args, c.KV)
	args = s.appendSchedules(args, c.Schedules)
	args = s.appendCalls(args, c)
	if d := &c.Connections; len(d.Added)+len(d.Removed) > 0 {
		args = append(args, "C", strconv.Itoa(len(d.Added)), strconv.Itoa(len(d.Removed)))
		args = append(append(args, d.Added...), d.Removed...)
	}
	return args
}

func appendKV(args []string, ops []store.KVOp) []string {
	if len(ops) == 0 {
		return args
	}
	args = append(args, "K", strconv.Itoa(len(ops)))
	for i := range ops {
		switch op := &ops[i]; {
		case op.IsRange:
			args = append(args, "R", string(op.Key), string(op.Until))
		case op.HasValue:
			args = append(args, "P", string(op.Key), string(op.Value))
		default:
			args = append(args, "D", string(op.Key), "")
		}
	}
	return args
}

func (s *Store) appendSchedules(args []string, ops []store.ScheduleOp) []string {
	if len(ops) == 0 {
		return args
	}
	args = append(args, "A", strconv.Itoa(len(ops)), strconv.Itoa(s.limits.Schedules))
	for i := range ops {
		switch op := &ops[i]; {
		case op.Cancel:
			args = append(args, "C", op.ID, "", "")
		case op.After != nil:
			args = append(args, "A", op.ID, ceilDuration(*op.After), string(op.Spec))
		default:
			args = append(args, "S", op.ID, decimal(ceilMicros(op.At)), string(op.Spec))
		}
	}
	return args
}

func (s *Store) appendCalls(args []string, c *store.Commit) []string {
	if len(c.Finished)+len(c.Open) == 0 {
		return args
	}
	args = append(args, "X", strconv.Itoa(s.limits.Results), s.resultTTL(), "F", strconv.Itoa(len(c.Finished)))
	for i := range c.Finished {
		f := &c.Finished[i]
		next := ""
		if !f.NextAt.IsZero() {
			next = decimal(ceilMicros(f.NextAt))
		}
		args = append(args, f.Schedule, decimal(f.Fire), next, string(f.Key), string(f.Result))
	}
	args = append(args, "O", strconv.Itoa(len(c.Open)))
	for i := range c.Open {
		o := &c.Open[i]
		args = append(args, o.Schedule, decimal(o.Fire), string(o.Key))
	}
	return args
}
