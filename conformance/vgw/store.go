package vgw

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"

	runnerv1alpha1 "github.com/stagedoor-dev/stagedoor/internal/gen/stagedoor/runner/v1alpha1"
)

// Record is what the virtual store has of an actor.
type Record struct {
	ID, Namespace, Type string
	Key                 []string
	Input               []byte // nil: none
	Generation          uint64
	Nonce               []byte
	Version             uint64
	CommitID            []byte
	State               []byte // nil: none
	KV                  map[string][]byte
	Connections         []string // whose onDisconnect is owed (CONN-7)
	Destroyed           bool
}

func (r *Record) clone() *Record {
	c := *r
	c.KV = maps.Clone(r.KV)
	c.Connections = slices.Clone(r.Connections)
	return &c
}

// Store keeps the records of one gateway.
type Store struct {
	mu         sync.Mutex
	records    map[string]*Record
	generation uint64
}

func newStore() *Store { return &Store{records: map[string]*Record{}, generation: 1_000_000} }

// acquire creates the record if it is not there, raises the generation and sets another nonce [COMMIT-3] [FENCE-2].
func (s *Store) acquire(r Record) *Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.records[r.ID]
	if rec == nil {
		rec = r.clone()
		rec.KV = map[string][]byte{}
		s.records[r.ID] = rec
	}
	s.generation += 10
	rec.Generation, rec.Nonce = s.generation, nonce()
	return rec.clone()
}

// Disown gives the actor to nobody: whoever has it is fenced.
func (s *Store) Disown(id string) { s.acquire(Record{ID: id}) }

func nonce() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return b
}

// Get is a copy of a record; nil: there is none.
func (s *Store) Get(id string) *Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec := s.records[id]; rec != nil {
		return rec.clone()
	}
	return nil
}

// outcome of a commit, as COMMIT-2 names them; empty: applied, or applied before.
type outcome string

const (
	applied  outcome = ""
	fenced   outcome = "FENCED"
	conflict outcome = "CONFLICT"
	stale    outcome = "STALE"
	gap      outcome = "GAP"
)

// apply is one atomic step.
func (s *Store) apply(id string, generation, version uint64, raw []byte, changes *runnerv1alpha1.Changes) outcome {
	sum := sha256.Sum256(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.records[id]
	switch {
	case rec == nil, rec.Destroyed:
		return fenced
	case rec.Generation != generation:
		return fenced
	case version == rec.Version && bytes.Equal(rec.CommitID, sum[:16]):
		return applied
	case version == rec.Version:
		return conflict
	case version < rec.Version:
		return stale
	case version > rec.Version+1:
		return gap
	}
	rec.Version, rec.CommitID = version, sum[:16]
	rec.change(changes)
	return applied
}

func (r *Record) change(c *runnerv1alpha1.Changes) {
	if c.Destroy {
		r.Destroyed, r.State, r.KV = true, nil, map[string][]byte{}
		return
	}
	if c.State != nil {
		r.State = append([]byte{}, c.State...)
	}
	for _, op := range c.Kv {
		switch {
		case op.Value != nil:
			r.KV[string(op.Key)] = append([]byte{}, op.Value...)
		case op.DeleteUntil != nil:
			maps.DeleteFunc(r.KV, func(k string, _ []byte) bool {
				return k >= string(op.Key) && (len(op.DeleteUntil) == 0 || k < string(op.DeleteUntil))
			})
		default:
			delete(r.KV, string(op.Key))
		}
	}
	for _, id := range c.ConnectionsAdded {
		if !slices.Contains(r.Connections, id) {
			r.Connections = append(r.Connections, id)
		}
	}
	r.Connections = slices.DeleteFunc(r.Connections, func(id string) bool { return slices.Contains(c.ConnectionsRemoved, id) })
}

// read serves a KvRead [KV-4].
func (s *Store) read(id string, m *runnerv1alpha1.KvRead) *runnerv1alpha1.KvResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := &runnerv1alpha1.KvResult{Actor: m.Actor, Id: m.Id}
	rec := s.records[id]
	if rec == nil {
		return result
	}
	if m.Range == nil {
		for _, key := range m.Keys {
			result.Entries = append(result.Entries, &runnerv1alpha1.KvEntry{Key: key, Value: clone(rec.KV, string(key))})
		}
		return result
	}
	size, page := 0, pageOf(m)
	for _, key := range rec.within(m.Range, m.Reverse) {
		size += len(key) + len(rec.KV[key])
		if m.Limit > 0 && len(result.Entries) == int(m.Limit) || size > page && len(result.Entries) > 0 {
			result.More = true
			break
		}
		result.Entries = append(result.Entries, &runnerv1alpha1.KvEntry{Key: []byte(key), Value: clone(rec.KV, key)})
	}
	return result
}

// pageOf is how many bytes an answer to a range has.
func pageOf(m *runnerv1alpha1.KvRead) int {
	if m.MaxBytes == 0 {
		return 1 << 20
	}
	return int(min(m.MaxBytes, 4<<20))
}

func (r *Record) within(bounds *runnerv1alpha1.KvRange, reverse bool) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(r.KV)) {
		if key >= string(bounds.From) && (bounds.Until == nil || key < string(bounds.Until)) {
			keys = append(keys, key)
		}
	}
	if reverse {
		slices.Reverse(keys)
	}
	return keys
}

// clone keeps an empty value apart from none.
func clone(kv map[string][]byte, key string) []byte {
	v, ok := kv[key]
	if !ok {
		return nil
	}
	return append([]byte{}, v...)
}
