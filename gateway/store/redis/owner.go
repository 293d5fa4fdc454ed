package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Acquire takes the actor over. The nonce is chosen here, so that a repetition whose first answer was lost is answered
// with the same acquisition.
func (s *Store) Acquire(ctx context.Context, q store.Acquire) (store.Acquired, error) {
	d, err := s.class(q.Durability)
	if err != nil {
		return store.Acquired{}, fmt.Errorf("acquire: %w", err)
	}
	keys, ok := s.keys.of(q.ID)
	if !ok {
		return store.Acquired{}, store.ErrNotFound
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	args := append(make([]string, 0, 6+2*len(q.Preload)),
		q.ID, "", "", string(nonce[:]), q.Runner, strconv.Itoa(q.PreloadBytes))
	if q.Generation != 0 {
		args[1], args[2] = decimal(q.Generation), string(q.Nonce[:])
	}
	for _, r := range q.Preload {
		args = append(args, string(r.From), string(r.Until))
	}
	m, err := s.change(ctx, d, fnAcquire, keys, args...)
	if err != nil {
		return store.Acquired{}, err
	}
	return readAcquired(m, q.Preload)
}

func readAcquired(m rueidis.RedisMessage, asked []store.Range) (out store.Acquired, err error) {
	r := newReply(m)
	record, _ := r.list()
	out.PreviousOwns = r.text() == "1"
	out.State, out.HasState = r.bytes()
	schedules, _ := r.list()
	connections, _ := r.list()
	preload, _ := r.list()
	if err := r.finish("acquisition"); err != nil {
		return store.Acquired{}, err
	}
	if out.Record, err = readRecord(record); err != nil {
		return store.Acquired{}, err
	}
	for schedules.more() {
		schedule, err := decodeSchedule(schedules.text(), schedules.text())
		if err != nil {
			return store.Acquired{}, err
		}
		out.Schedules = append(out.Schedules, schedule)
	}
	slices.SortFunc(out.Schedules, func(a, b store.Schedule) int { return strings.Compare(a.ID, b.ID) })
	for connections.more() {
		out.Connections = append(out.Connections, connections.text())
	}
	slices.Sort(out.Connections)
	for _, r := range asked {
		if entries, fits := preload.list(); fits {
			out.Preload = append(out.Preload, readEntries(entries)...)
			out.Preloaded = append(out.Preloaded, store.Range{From: slices.Clone(r.From), Until: slices.Clone(r.Until)})
		}
	}
	return out, preload.finish("preloaded ranges")
}

// Release forgets the runner. It is acknowledged in the default class: when it is lost, the actor names a runner that is
// gone, as after a crash.
func (s *Store) Release(ctx context.Context, id string, generation uint64, nonce [16]byte) error {
	keys, ok := s.keys.of(id)
	if !ok {
		return store.ErrGone
	}
	_, err := s.change(ctx, store.DurabilityDefault, fnRelease, keys, id, decimal(generation), string(nonce[:]))
	return err
}
