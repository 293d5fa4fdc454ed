package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Claims are acknowledged in class fast: a loss of power brings a fire back sooner, which its receiver must expect
// anyway. A claim is never undone by itself while a later write of class disk stays.

// ClaimDue claims due fires, by the time since which they can be claimed.
func (s *Store) ClaimDue(ctx context.Context, partition uint16, limit int, visibility time.Duration) ([]store.Due, error) {
	if partition >= address.Partitions || limit < 1 || visibility <= 0 {
		return nil, fmt.Errorf("claim %d fires of partition %d for %v: %w", limit, partition, visibility, store.ErrInvalid)
	}
	return do(ctx, s, store.Fast, 0, func(t *tx) ([]store.Due, error) { return t.claim(partition, limit, visibility) })
}

func (t *tx) claim(partition uint16, limit int, visibility time.Duration) (due []store.Due, err error) {
	from := appendPartition(nil, partition, kindTimer)
	until := appendTimerTime(nil, partition, t.nowMicros()+1)
	hidden := t.after(visibility)
	err = t.scan(from, until, func(key, _ []byte) (bool, error) {
		r, s, err := t.timed(partition, key)
		if err != nil {
			return false, err
		}
		was := s.visibleAt()
		s.attempt++ // [ALARM-6]
		s.claimed = hidden
		t.putSchedule(r, &s, was)
		due = append(due, store.Due{ActorID: r.id, Schedule: s.export()})
		return len(due) < limit, nil
	})
	return due, err
}

// timed loads the schedule that a timer stands for.
func (t *tx) timed(partition uint16, key []byte) (ref, schedule, error) {
	id, name, ok := bytes.Cut(key[timerPrefixLen:], []byte{0})
	r := ref{partition, string(id)}
	if !ok {
		return r, schedule{}, fmt.Errorf("timer %x: %w", key, errCorrupt)
	}
	s, found, err := t.schedule(r, string(name))
	if err == nil && !found {
		err = fmt.Errorf("timer %x: %w", key, errCorrupt)
	}
	return r, s, err
}

// ExtendClaim hides a fire for longer.
func (s *Store) ExtendClaim(ctx context.Context, d store.Due, visibility time.Duration) error {
	if visibility <= 0 {
		return fmt.Errorf("extend a claim by %v: %w", visibility, store.ErrInvalid)
	}
	r, ok := parseRef(d.ActorID)
	if !ok {
		return store.ErrNotFound
	}
	_, err := do(ctx, s, store.Fast, 0, func(t *tx) (struct{}, error) {
		return struct{}{}, t.extend(r, &d.Schedule, visibility)
	})
	return err
}

// extend compares the due time too: a schedule that was canceled and made again counts its fires from 1.
func (t *tx) extend(r ref, claimed *store.Schedule, visibility time.Duration) error {
	s, found, err := t.schedule(r, claimed.ID)
	if err != nil {
		return err
	}
	if !found || s.fire != claimed.Fire || s.dueAt != toMicros(claimed.DueAt) {
		return store.ErrNotFound
	}
	was := s.visibleAt()
	s.claimed = t.after(visibility)
	t.putSchedule(r, &s, was)
	return nil
}

// NextDue reads the first timer.
func (s *Store) NextDue(ctx context.Context, partition uint16) (next time.Time, err error) {
	if partition >= address.Partitions {
		return next, fmt.Errorf("partition %d: %w", partition, store.ErrInvalid)
	}
	err = s.read(ctx, func(v view) error {
		from := appendPartition(nil, partition, kindTimer)
		return v.scan(from, appendPartition(nil, partition, kindTimer+1), func(key, _ []byte) (bool, error) {
			next = fromMicros(binary.BigEndian.Uint64(key[3:timerPrefixLen]))
			return false, nil
		})
	})
	return next, err
}
