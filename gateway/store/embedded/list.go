package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Bounds of a page: what it scans for few matches, and what it returns at once.
const (
	maxListScan  = 10_000
	maxListBytes = 1 << 20
)

// A cursor is cursorMark and the id behind which the next page begins; the id names its partition.
const cursorMark = "after."

// List walks the records partition by partition. A page ends early when it has looked at maxListScan actors.
func (s *Store) List(ctx context.Context, f store.Filter, cursor string, limit int) ([]store.Record, string, error) {
	l := lister{filter: f, limit: limit}
	if err := l.start(cursor); err != nil {
		return nil, "", err
	}
	err := s.read(ctx, func(v view) error { return l.run(ctx, v) })
	if err != nil {
		return nil, "", err
	}
	if !l.more {
		return l.page, "", nil
	}
	return l.page, cursorMark + l.last.id, nil
}

type lister struct {
	filter store.Filter
	limit  int

	last    ref // the last actor looked at
	page    []store.Record
	scanned int
	bytes   int
	more    bool
}

func (l *lister) start(cursor string) error {
	if err := l.filter.Check(l.limit); err != nil {
		return err
	}
	if cursor == "" {
		return nil
	}
	id, marked := strings.CutPrefix(cursor, cursorMark)
	r, ok := parseRef(id)
	if !marked || !ok {
		return fmt.Errorf("cursor %q: %w", cursor, store.ErrInvalid)
	}
	l.last = r
	return nil
}

func (l *lister) run(ctx context.Context, v view) error {
	if l.filter.HasKey && l.filter.Namespace != "" {
		return l.lookUp(v)
	}
	it, err := v.r.NewIter(nil)
	if err != nil {
		return err
	}
	return errors.Join(l.walk(ctx, v, it), it.Close())
}

// lookUp serves a filter that names one address.
func (l *lister) lookUp(v view) error {
	addr := address.Address{Namespace: l.filter.Namespace, Type: l.filter.Type, Key: l.filter.Key}
	if addr.Validate() != nil {
		return nil // No actor can have it.
	}
	r, found, err := v.find(addr)
	if err != nil || !found || l.last.id != "" && !after(r, l.last) {
		return err
	}
	record, err := v.describe(r)
	l.page = append(l.page, record)
	return err
}

func after(a, b ref) bool {
	return a.partition > b.partition || a.partition == b.partition && a.id > b.id
}

func (l *lister) walk(ctx context.Context, v view, it *pebble.Iterator) error {
	next := appendPartition(nil, l.last.partition, kindRecord)
	if l.last.id != "" {
		next = actorEnd(kindRecord, l.last)
	}
	for partition := l.last.partition; partition < address.Partitions; {
		if !it.SeekGE(next) {
			return it.Error()
		}
		if err := l.walkPartition(v, it, appendPartition(nil, partition, kindRecord)); err != nil || l.more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !it.Valid() {
			return it.Error()
		}
		// What follows is another kind of this partition, or a later partition: skip the empty ones in between.
		partition = max(partition+1, binary.BigEndian.Uint16(it.Key()))
		next = appendPartition(next[:0], partition, kindRecord)
	}
	return nil
}

func (l *lister) walkPartition(v view, it *pebble.Iterator, prefix []byte) error {
	for ; it.Valid() && bytes.HasPrefix(it.Key(), prefix); it.Next() {
		if len(l.page) >= l.limit || l.scanned >= maxListScan || l.bytes >= maxListBytes {
			l.more = true
			return nil
		}
		l.scanned++
		r, ok := parseRef(string(it.Key()[len(prefix) : len(it.Key())-1]))
		if !ok {
			return fmt.Errorf("record key %x: %w", it.Key(), errCorrupt)
		}
		l.last = r
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := l.take(v, r, value); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) take(v view, r ref, value []byte) error {
	a, err := decodeActor(r, value)
	if err != nil {
		return err
	}
	record, err := a.record()
	if err != nil || !matches(l.filter, record.Address) {
		return err
	}
	if record, err = v.record(&a); err != nil {
		return err
	}
	l.page = append(l.page, record)
	l.bytes += len(a.addr) + len(record.Input) + 128
	return nil
}

func matches(f store.Filter, a address.Address) bool {
	return (f.Namespace == "" || f.Namespace == a.Namespace) &&
		(f.Type == "" || f.Type == a.Type) &&
		(!f.HasKey || slices.Equal(f.Key, a.Key))
}
