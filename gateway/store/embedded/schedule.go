package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// schedule is a decoded schedule. Times are in µs; claimed is 0 if it is not claimed.
type schedule struct {
	id      string
	fire    uint64
	dueAt   uint64
	attempt uint64
	claimed uint64
	inDoubt bool
	spec    []byte
}

// visibleAt is when ClaimDue may return it: its place among the timers.
func (s *schedule) visibleAt() uint64 { return max(s.dueAt, s.claimed) }

func (s *schedule) appendTo(dst []byte) []byte {
	dst = append(dst, recordVersion, 0)
	if s.inDoubt {
		dst[len(dst)-1] = 1
	}
	for _, n := range [...]uint64{s.fire, s.dueAt, s.attempt, s.claimed} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(dst, s.spec...)
}

// decodeSchedule reads a schedule; its spec borrows from b.
func decodeSchedule(id string, b []byte) (schedule, error) {
	d := newDecoder(b)
	s := schedule{id: id, inDoubt: d.byte() == 1}
	for _, n := range [...]*uint64{&s.fire, &s.dueAt, &s.attempt, &s.claimed} {
		*n = d.uvarint()
	}
	s.spec = d.remainder()
	return s, d.finish("schedule")
}

// export is the form for callers, with a copy of the spec.
func (s *schedule) export() store.Schedule {
	out := store.Schedule{
		ID: s.id, Fire: s.fire, DueAt: fromMicros(s.dueAt), Spec: bytes.Clone(s.spec),
		Attempt: uint32(s.attempt), InDoubt: s.inDoubt,
	}
	if s.claimed > 0 {
		out.Claimed = fromMicros(s.claimed)
	}
	return out
}

// eachSchedule calls f for the actor's schedules by id; f must not keep the spec.
func (v view) eachSchedule(r ref, f func(*schedule)) error {
	return v.scanActor(kindSchedule, r, func(id, value []byte) (bool, error) {
		s, err := decodeSchedule(string(id), value)
		if err == nil {
			f(&s)
		}
		return true, err
	})
}

func (v view) schedule(r ref, id string) (s schedule, found bool, err error) {
	value, found, err := v.get(actorKey(kindSchedule, r, []byte(id)))
	if err != nil || !found {
		return schedule{}, false, err
	}
	s, err = decodeSchedule(id, value)
	return s, true, err
}

// putSchedule writes a schedule and moves its timer from where it was; 0: it had none.
func (t *tx) putSchedule(r ref, s *schedule, was uint64) {
	if was != 0 && was != s.visibleAt() {
		t.delete(t.timerKey(r, was, s.id))
	}
	if was != s.visibleAt() {
		t.set(t.timerKey(r, s.visibleAt(), s.id), nil, nil)
	}
	start := len(t.arena)
	t.arena = s.appendTo(t.arena)
	value := t.kept(start)
	t.set(t.actorKey(kindSchedule, r, s.id), value, nil)
}

// scheduleSet holds the schedules that a commit touches, as they will be.
type scheduleSet struct {
	t       *tx
	a       *actor
	touched map[string]*touchedSchedule
}

type touchedSchedule struct {
	schedule
	was     uint64 // where its timer stands; 0: it did not exist
	exists  bool   // now
	changed bool
}

func (set *scheduleSet) get(id string) (*touchedSchedule, error) {
	if s, ok := set.touched[id]; ok {
		return s, nil
	}
	s := &touchedSchedule{schedule: schedule{id: id}}
	if set.a.schedules > 0 {
		stored, found, err := set.t.schedule(set.a.ref, id)
		if err != nil {
			return nil, err
		}
		if found {
			s.schedule, s.exists, s.was = stored, true, stored.visibleAt()
		}
	}
	set.touched[id] = s
	return s, nil
}

func (set *scheduleSet) applyOps(ops []store.ScheduleOp) error {
	for i := range ops {
		op := &ops[i]
		s, err := set.get(op.ID)
		if err != nil {
			return err
		}
		s.changed = true
		if op.Cancel {
			*s = touchedSchedule{schedule: schedule{id: s.id}, was: s.was, changed: true}
			continue
		}
		due := ceilMicros(op.At)
		if op.After != nil {
			due = set.t.after(*op.After) // [ALARM-7]
		}
		s.next(due)
		s.spec = op.Spec
	}
	return nil
}

// next makes it the next fire: not claimed, not in doubt, never tried.
func (s *touchedSchedule) next(due uint64) {
	s.schedule = schedule{id: s.id, fire: s.fire + 1, dueAt: due, spec: s.spec}
	s.exists, s.changed = true, true
}

// finish consumes a fire if it is still that one.
func (set *scheduleSet) finish(f *store.Finished) error {
	if f.Schedule == "" {
		return nil
	}
	s, err := set.get(f.Schedule)
	if err != nil || !s.exists || s.fire != f.Fire {
		return err
	}
	if f.NextAt.IsZero() {
		s.exists, s.changed = false, true
		return nil
	}
	s.next(ceilMicros(f.NextAt))
	return nil
}

// open marks a fire in doubt [ONCE-1].
func (set *scheduleSet) open(o *store.Open) error {
	if o.Schedule == "" {
		return nil
	}
	s, err := set.get(o.Schedule)
	if err == nil && s.exists && s.fire == o.Fire && !s.inDoubt {
		s.inDoubt, s.changed = true, true
	}
	return err
}

// write adds the result to the changes.
func (set *scheduleSet) write() error {
	before := set.a.schedules
	for _, s := range set.touched {
		switch {
		case !s.changed:
		case s.exists:
			if s.was == 0 {
				set.a.schedules++
			}
			set.t.putSchedule(set.a.ref, &s.schedule, s.was)
		case s.was != 0:
			set.a.schedules--
			set.t.delete(set.t.timerKey(set.a.ref, s.was, s.id))
			set.t.delete(set.t.actorKey(kindSchedule, set.a.ref, s.id))
		}
	}
	if n := set.a.schedules; n > uint64(set.t.limits.Schedules) && n > before {
		return fmt.Errorf("%d of %d schedules: %w", n, set.t.limits.Schedules, store.ErrTooLarge)
	}
	return nil
}
