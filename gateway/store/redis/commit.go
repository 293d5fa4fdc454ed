package redis

import (
	"errors"
	"fmt"
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
	tooLarge := s.limits.CheckCommit(&c) // fence and version come first, so the library refuses it
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
	if err := c.Check(); err != nil {
		return nil, err
	}
	if !s.Supports(c.Durability) {
		return nil, fmt.Errorf("commit in durability class %d: %w", c.Durability, store.ErrInvalid)
	}
	keys, ok := s.keys.of(c.ID)
	if !ok {
		return nil, store.ErrGone
	}
	return keys, nil
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
