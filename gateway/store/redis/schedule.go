package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// decodeSchedule reads the text of library/schedule.lua.
func decodeSchedule(id, text string) (s store.Schedule, err error) {
	fields := strings.SplitN(text, " ", 6)
	if len(fields) != 6 {
		return s, fmt.Errorf("decode schedule %q: %w", id, errCorrupt)
	}
	var numbers [4]uint64
	for i := range numbers {
		if numbers[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return s, fmt.Errorf("decode schedule %q: %w", id, errCorrupt)
		}
	}
	s = store.Schedule{
		ID: id, Fire: numbers[0], DueAt: fromMicros(numbers[1]), Attempt: uint32(numbers[2]),
		InDoubt: fields[4] == "1", Spec: []byte(fields[5]),
	}
	if numbers[3] > 0 {
		s.Claimed = fromMicros(numbers[3])
	}
	return s, nil
}

// Claims are acknowledged in the default class: when one is lost, its fire comes again sooner, which its receiver must
// expect anyway.

// ClaimDue claims due fires, by the time since which they can be claimed. After an unknown outcome, fires may be hidden
// that nobody was told of; they come again.
func (s *Store) ClaimDue(ctx context.Context, partition uint16, limit int, visibility time.Duration) ([]store.Due, error) {
	if partition >= address.Partitions || limit < 1 || visibility <= 0 {
		return nil, fmt.Errorf("claim %d fires of partition %d for %v: %w", limit, partition, visibility, store.ErrInvalid)
	}
	m, err := s.change(ctx, store.DurabilityDefault, fnClaim, s.keys.partitions[partition],
		strconv.Itoa(limit), ceilDuration(visibility))
	if err != nil {
		return nil, err
	}
	var due []store.Due
	r := newReply(m)
	for r.more() {
		claimed, _ := r.list()
		actor := claimed.text()
		schedule, err := decodeSchedule(claimed.text(), claimed.text())
		if err != nil {
			return nil, err
		}
		due = append(due, store.Due{ActorID: actor, Schedule: schedule})
	}
	return due, r.finish("claims")
}

// ExtendClaim hides a fire for longer.
func (s *Store) ExtendClaim(ctx context.Context, d store.Due, visibility time.Duration) error {
	if visibility <= 0 {
		return fmt.Errorf("extend a claim by %v: %w", visibility, store.ErrInvalid)
	}
	keys, ok := s.keys.of(d.ActorID)
	if !ok {
		return store.ErrNotFound
	}
	_, err := s.change(ctx, store.DurabilityDefault, fnExtend, keys, d.ActorID, d.Schedule.ID,
		decimal(d.Schedule.Fire), decimal(toMicros(d.Schedule.DueAt)), ceilDuration(visibility))
	return err
}

// NextDue reads the first timer. Times behind the year 2255 are rounded.
func (s *Store) NextDue(ctx context.Context, partition uint16) (next time.Time, err error) {
	if partition >= address.Partitions {
		return next, fmt.Errorf("partition %d: %w", partition, store.ErrInvalid)
	}
	m, err := s.ask(ctx, fnNextDue, s.keys.partitions[partition])
	if err != nil {
		return next, err
	}
	text, err := m.ToString()
	if err != nil || text == "" {
		return next, err
	}
	us, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return next, fmt.Errorf("decode due time %q: %w", text, errCorrupt)
	}
	return fromMicros(us), nil
}
