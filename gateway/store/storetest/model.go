package storetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Model is a store in memory, written for reading: what it answers is what the interface means. It supports Volatile and
// Fast in the sense of a process that never dies, and claims Disk so that it can stand in for a store in tests.
//
// Where the interface leaves a choice, this is the choice:
//   - A commit is checked for shape, fence, version, sizes, quota, in this order. State and KV sizes and the number of
//     schedules are ErrTooLarge. A commit that does not grow what the actor holds passes a limit lowered below it.
//   - A commit of version 0, of class Volatile, or with an empty KV key, connection or schedule id is ErrInvalid.
//   - A destroying commit that is repeated is ErrGone.
//   - Parts of a commit apply in the order of its fields; connections are added, then removed.
//   - Times are whole microseconds; due times are rounded up. Due order is by the time since which a fire can be
//     claimed (due, or the end of the last claim), then by actor id and schedule id.
//   - A fire is set anew when its number or its due time differ.
//   - A key once marked in doubt keeps the age of its first mark; a result is as old as the commit that kept it. Marks
//     count as results.
type Model struct {
	// NewID and NewNonce may be set before use, to follow another store's choices.
	NewID    func(region string, partition uint16, now time.Time) string
	NewNonce func() [16]byte

	limits store.Limits
	now    func() time.Time

	mu     sync.Mutex
	wg     sync.WaitGroup // callbacks
	closed bool
	actors map[string]*modelActor
	leases map[string]store.Lease
	types  map[string]bool
}

var _ store.Store = (*Model)(nil)

type modelActor struct {
	record      store.Record
	state       []byte
	hasState    bool
	kv          map[string][]byte
	schedules   map[string]store.Schedule
	connections map[string]bool
	results     []modelResult // oldest first
}

type modelResult struct {
	key    string
	known  store.KeyedResult
	keptAt time.Time
}

// NewModel makes an empty store.
func NewModel(limits store.Limits, now func() time.Time) *Model {
	m := &Model{
		NewID: address.NewID, NewNonce: randomNonce,
		limits: limits, now: func() time.Time { return micro(now()) },
		actors: make(map[string]*modelActor), leases: make(map[string]store.Lease),
	}
	return m
}

func randomNonce() (n [16]byte) {
	_, _ = rand.Read(n[:])
	return n
}

func micro(t time.Time) time.Time     { return time.UnixMicro(t.UnixMicro()).UTC() }
func ceilMicro(t time.Time) time.Time { return micro(t.Add(time.Microsecond - 1)) }

// enter takes the lock; the caller unlocks it if there is no error.
func (m *Model) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// Supports every class but Replicated.
func (m *Model) Supports(d store.Durability) bool { return d <= store.Disk }

// Interrupted is never.
func (m *Model) Interrupted() time.Time { return time.Time{} }

// Ready answers nil until the model is closed.
func (m *Model) Ready(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return store.ErrClosed
	}
	return nil
}

// Close waits for callbacks.
func (m *Model) Close() error {
	m.mu.Lock()
	was := m.closed
	m.closed = true
	m.mu.Unlock()
	m.wg.Wait()
	if was {
		return store.ErrClosed
	}
	return nil
}

func (m *Model) find(a address.Address) *modelActor {
	for _, actor := range m.actors {
		if slices.Equal(actor.record.Address.Key, a.Key) && actor.record.Address.Type == a.Type &&
			actor.record.Address.Namespace == a.Namespace {
			return actor
		}
	}
	return nil
}

// Resolve looks an address up.
func (m *Model) Resolve(ctx context.Context, a address.Address) (store.Record, error) {
	if err := a.Validate(); err != nil {
		return store.Record{}, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer m.mu.Unlock()
	if actor := m.find(a); actor != nil {
		return actor.record, nil
	}
	return store.Record{}, store.ErrNotFound
}

// Describe looks an id up.
func (m *Model) Describe(ctx context.Context, id string) (store.Record, error) {
	if err := m.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer m.mu.Unlock()
	if actor := m.actors[id]; actor != nil {
		return actor.record, nil
	}
	return store.Record{}, store.ErrNotFound
}

// Create makes an actor or finds the one with the address.
func (m *Model) Create(ctx context.Context, c store.Create) (store.Record, bool, error) {
	if c.Address.Validate() != nil || address.ValidateRegion(c.Region) != nil || c.Durability > store.Disk {
		return store.Record{}, false, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return store.Record{}, false, err
	}
	defer m.mu.Unlock()
	if actor := m.find(c.Address); actor != nil {
		return actor.record, false, nil
	}
	actor := &modelActor{
		kv: make(map[string][]byte), schedules: make(map[string]store.Schedule), connections: make(map[string]bool),
	}
	c.Address.Key = slices.Clone(c.Address.Key)
	actor.record = store.Record{
		ID: m.NewID(c.Region, c.Address.Partition(), m.now()), Address: c.Address, CreatedAt: m.now(), HasInput: c.HasInput,
	}
	if c.HasInput {
		actor.record.Input = bytes.Clone(c.Input)
	}
	m.actors[actor.record.ID] = actor
	return actor.record, true, nil
}

// List sorts all there is.
func (m *Model) List(ctx context.Context, f store.Filter, cursor string, limit int) ([]store.Record, string, error) {
	last := store.Record{ID: strings.TrimPrefix(cursor, "model:")}
	_, err := address.ParseID(last.ID)
	if limit < 1 || f.HasKey && f.Type == "" || cursor != "" && (err != nil || last.ID == cursor) {
		return nil, "", store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return nil, "", err
	}
	defer m.mu.Unlock()
	var all []store.Record
	for _, actor := range m.actors {
		r := actor.record
		if (f.Namespace == "" || f.Namespace == r.Address.Namespace) && (f.Type == "" || f.Type == r.Address.Type) &&
			(!f.HasKey || slices.Equal(f.Key, r.Address.Key)) && (cursor == "" || byPartition(r, last) > 0) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, byPartition)
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], "model:" + all[limit-1].ID, nil
}

// byPartition orders records as List returns them.
func byPartition(a, b store.Record) int {
	pa, _ := address.ParseID(a.ID)
	pb, _ := address.ParseID(b.ID)
	return cmp.Or(cmp.Compare(pa, pb), strings.Compare(a.ID, b.ID))
}

// Destroy removes an actor.
func (m *Model) Destroy(ctx context.Context, id string) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.actors[id] == nil {
		return store.ErrNotFound
	}
	delete(m.actors, id)
	return nil
}

// Acquire takes an actor over.
func (m *Model) Acquire(ctx context.Context, q store.Acquire) (store.Acquired, error) {
	if q.Durability > store.Disk {
		return store.Acquired{}, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return store.Acquired{}, err
	}
	defer m.mu.Unlock()
	a := m.actors[q.ID]
	if a == nil {
		return store.Acquired{}, store.ErrNotFound
	}
	if q.Generation != 0 && (q.Generation != a.record.Generation || q.Nonce != a.record.Nonce) {
		return store.Acquired{}, store.ErrFenced
	}
	out := store.Acquired{PreviousOwns: a.record.Runner != "", State: bytes.Clone(a.state), HasState: a.hasState}
	a.record.Generation = max(a.record.Generation+1, uint64(m.now().UnixMicro()))
	a.record.Nonce, a.record.Runner = m.NewNonce(), q.Runner
	out.Record = a.record
	for _, id := range slices.Sorted(maps.Keys(a.schedules)) {
		out.Schedules = append(out.Schedules, a.schedules[id])
	}
	out.Connections = slices.Sorted(maps.Keys(a.connections))
	left := q.PreloadBytes
	for _, r := range q.Preload {
		entries, size := a.entries(r)
		if size > left {
			continue
		}
		left -= size
		out.Preload, out.Preloaded = append(out.Preload, entries...), append(out.Preloaded, r)
	}
	return out, nil
}

func (a *modelActor) entries(r store.Range) (entries []store.KV, size int) {
	for _, key := range slices.Sorted(maps.Keys(a.kv)) {
		if within(r, key) {
			entries = append(entries, store.KV{Key: []byte(key), Value: bytes.Clone(a.kv[key]), Found: true})
			size += len(key) + len(a.kv[key])
		}
	}
	return entries, size
}

func within(r store.Range, key string) bool {
	return key >= string(r.From) && (len(r.Until) == 0 || key < string(r.Until))
}

func (m *Model) owned(id string, generation uint64, nonce [16]byte) (*modelActor, error) {
	a := m.actors[id]
	if a == nil {
		return nil, store.ErrGone
	}
	if a.record.Generation == 0 || a.record.Generation != generation || a.record.Nonce != nonce {
		return nil, store.ErrFenced
	}
	return a, nil
}

// Release forgets the runner.
func (m *Model) Release(ctx context.Context, id string, generation uint64, nonce [16]byte) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	a, err := m.owned(id, generation, nonce)
	if err == nil {
		a.record.Runner = ""
	}
	return err
}

// Read serves KV reads.
func (m *Model) Read(ctx context.Context, q store.Read) (out store.ReadResult, err error) {
	if q.Range != nil && q.Limit < 1 {
		return out, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return out, err
	}
	defer m.mu.Unlock()
	a, err := m.owned(q.ID, q.Generation, q.Nonce)
	if err != nil {
		return out, err
	}
	size := 0
	if q.Range == nil {
		for _, key := range q.Keys {
			value, found := a.kv[string(key)]
			if size += len(key) + len(value); q.MaxBytes > 0 && size > q.MaxBytes {
				return store.ReadResult{}, store.ErrTooLarge
			}
			out.Entries = append(out.Entries, store.KV{Key: bytes.Clone(key), Value: bytes.Clone(value), Found: found})
		}
		return out, nil
	}
	entries, _ := a.entries(*q.Range)
	if q.Reverse {
		slices.Reverse(entries)
	}
	for _, e := range entries {
		if size += len(e.Key) + len(e.Value); len(out.Entries) == q.Limit || len(out.Entries) > 0 && size > q.MaxBytes {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, e)
	}
	return out, nil
}

// Result looks a keyed call up.
func (m *Model) Result(ctx context.Context, id string, generation uint64, nonce [16]byte, key []byte) (
	store.KeyedResult, error,
) {
	if err := m.enter(ctx); err != nil {
		return store.KeyedResult{}, err
	}
	defer m.mu.Unlock()
	a, err := m.owned(id, generation, nonce)
	if err != nil {
		return store.KeyedResult{}, err
	}
	return a.known(string(key), m.now(), m.limits.ResultTTL), nil
}

func (a *modelActor) known(key string, now time.Time, ttl time.Duration) store.KeyedResult {
	for _, r := range a.results {
		if r.key == key && now.Before(r.keptAt.Add(ttl)) {
			return r.known
		}
	}
	return store.KeyedResult{}
}

// ClaimDue claims due fires.
func (m *Model) ClaimDue(ctx context.Context, partition uint16, limit int, visibility time.Duration) ([]store.Due, error) {
	if partition >= address.Partitions || limit < 1 || visibility <= 0 {
		return nil, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	due := slices.DeleteFunc(m.timers(partition), func(d store.Due) bool { return visibleAt(d.Schedule).After(m.now()) })
	due = due[:min(limit, len(due))]
	for i := range due {
		s := &due[i].Schedule
		s.Attempt++
		s.Claimed = m.now().Add(visibility)
		m.actors[due[i].ActorID].schedules[s.ID] = *s
	}
	return due, nil
}

func visibleAt(s store.Schedule) time.Time {
	if s.Claimed.After(s.DueAt) {
		return s.Claimed
	}
	return s.DueAt
}

func (m *Model) timers(partition uint16) (all []store.Due) {
	for id, a := range m.actors {
		if a.record.Address.Partition() == partition {
			for _, s := range a.schedules {
				all = append(all, store.Due{ActorID: id, Schedule: s})
			}
		}
	}
	slices.SortFunc(all, func(a, b store.Due) int {
		return cmp.Or(visibleAt(a.Schedule).Compare(visibleAt(b.Schedule)),
			strings.Compare(a.ActorID, b.ActorID), strings.Compare(a.Schedule.ID, b.Schedule.ID))
	})
	return all
}

// ExtendClaim hides a fire for longer.
func (m *Model) ExtendClaim(ctx context.Context, d store.Due, visibility time.Duration) error {
	if visibility <= 0 {
		return store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	a := m.actors[d.ActorID]
	if a == nil {
		return store.ErrNotFound
	}
	s, ok := a.schedules[d.Schedule.ID]
	if !ok || s.Fire != d.Schedule.Fire || !s.DueAt.Equal(d.Schedule.DueAt) {
		return store.ErrNotFound
	}
	s.Claimed = m.now().Add(visibility)
	a.schedules[s.ID] = s
	return nil
}

// NextDue reads the first timer.
func (m *Model) NextDue(ctx context.Context, partition uint16) (time.Time, error) {
	if partition >= address.Partitions {
		return time.Time{}, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return time.Time{}, err
	}
	defer m.mu.Unlock()
	if all := m.timers(partition); len(all) > 0 {
		return visibleAt(all[0].Schedule), nil
	}
	return time.Time{}, nil
}

// Grant makes or renews a lease.
func (m *Model) Grant(ctx context.Context, l store.Lease, ttl time.Duration) (time.Time, error) {
	if l.ID == "" || l.Session == "" || l.Kind < store.GatewayLease || l.Kind > store.RunnerLease || ttl <= 0 {
		return time.Time{}, store.ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return time.Time{}, err
	}
	defer m.mu.Unlock()
	if held, ok := m.leases[l.ID]; ok && held.Session != l.Session && held.Until.After(m.now()) {
		return time.Time{}, store.ErrHeld
	}
	l.Detail, l.Until = bytes.Clone(l.Detail), micro(m.now().Add(ttl))
	m.leases[l.ID] = l
	return l.Until, nil
}

// Revoke removes a lease.
func (m *Model) Revoke(ctx context.Context, id, session string) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	l, ok := m.leases[id]
	if !ok {
		return store.ErrNotFound
	}
	if l.Session != session {
		return store.ErrHeld
	}
	delete(m.leases, id)
	return nil
}

// Live lists the leases of a kind that have not run out.
func (m *Model) Live(ctx context.Context, kind store.LeaseKind) (live []store.Lease, err error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.leases)) {
		if l := m.leases[id]; l.Kind == kind && l.Until.After(m.now()) {
			live = append(live, l)
		}
	}
	return live, nil
}

// Lease looks one up.
func (m *Model) Lease(ctx context.Context, id string) (store.Lease, error) {
	if err := m.enter(ctx); err != nil {
		return store.Lease{}, err
	}
	defer m.mu.Unlock()
	if l, ok := m.leases[id]; ok {
		return l, nil
	}
	return store.Lease{}, store.ErrNotFound
}

// String is for test failures.
func (m *Model) String() string { return fmt.Sprintf("model with %d actors", len(m.actors)) }
