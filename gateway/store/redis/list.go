package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// Bounds: of what a partition scans for few matches and answers at once, and of the partitions that are asked at once.
const (
	maxListScan   = 1000
	maxListBytes  = 1 << 20
	maxListWindow = 64
)

// A cursor is cursorMark and the id behind which the next page begins; the id names its partition.
const cursorMark = "after."

// List walks the partitions' sets of ids, several partitions at a time where they hold little [LIST-1].
func (s *Store) List(ctx context.Context, f store.Filter, cursor string, limit int) ([]store.Record, string, error) {
	l := lister{s: s, filter: f, limit: limit}
	if err := l.start(cursor); err != nil {
		return nil, "", err
	}
	if err := l.run(ctx); err != nil {
		return nil, "", err
	}
	if !l.more {
		return l.page, "", nil
	}
	return l.page, cursorMark + l.last, nil
}

type lister struct {
	s      *Store
	filter store.Filter
	limit  int

	partition uint16
	last      string // the last actor looked at
	page      []store.Record
	more      bool
}

func (l *lister) start(cursor string) error {
	if err := l.filter.Check(l.limit); err != nil {
		return err
	}
	if cursor == "" {
		return nil
	}
	id, marked := strings.CutPrefix(cursor, cursorMark)
	partition, err := address.ParseID(id)
	if !marked || err != nil {
		return fmt.Errorf("cursor %q: %w", cursor, store.ErrInvalid)
	}
	l.partition, l.last = partition, id
	return nil
}

func (l *lister) run(ctx context.Context) error {
	if l.filter.HasKey && l.filter.Namespace != "" {
		return l.lookUp(ctx)
	}
	first, end := int(l.partition), address.Partitions
	behind, window := l.last, 1
	for first < end && !l.more {
		if len(l.page) >= l.limit {
			l.more = true
			return nil
		}
		window = min(window, end-first)
		before := len(l.page)
		if err := l.ask(ctx, l.s.keys.partitions[first:first+window], behind); err != nil {
			return err
		}
		first, behind = first+window, ""
		window = l.nextWindow(window, len(l.page)-before)
	}
	return nil
}

// lookUp serves a filter that names one address.
func (l *lister) lookUp(ctx context.Context) error {
	addr := address.Address{Namespace: l.filter.Namespace, Type: l.filter.Type, Key: l.filter.Key}
	if addr.Validate() != nil {
		return nil // No actor can have it.
	}
	record, err := l.s.Resolve(ctx, addr)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	partition := addr.Partition()
	if err == nil && (partition > l.partition || partition == l.partition && record.ID > l.last) {
		l.page = append(l.page, record)
	}
	return err
}

// ask asks partitions that follow each other; behind is where to begin in the first.
func (l *lister) ask(ctx context.Context, partitions [][]string, behind string) error {
	type answer struct {
		m   rueidis.RedisMessage
		err error
	}
	answers := make([]chan answer, len(partitions))
	for i, keys := range partitions {
		answers[i] = make(chan answer, 1)
		l.s.caller.send(store.DurabilityDefault, fnList, keys, l.question(behind),
			func(m rueidis.RedisMessage, err error) { answers[i] <- answer{m, err} })
		behind = ""
	}
	for _, answered := range answers {
		select {
		case a := <-answered:
			if a.err != nil {
				return known(a.err)
			}
			if err := l.take(a.m); err != nil || l.more {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *lister) question(behind string) []string {
	f := &l.filter
	key := ""
	if f.HasKey {
		key = keyPart(f.Key)
	}
	return []string{
		l.s.clock(), behind, strconv.Itoa(l.limit - len(l.page)), strconv.Itoa(maxListScan), strconv.Itoa(maxListBytes),
		f.Namespace, f.Type, flag(f.HasKey), key,
	}
}

// keyPart is what follows the type in address.AppendKey.
func keyPart(key []string) string {
	whole := address.Address{Key: key}.AppendKey(nil)
	return string(whole[len(address.AppendTypeKey(nil, "", "")):])
}

// take adds one partition's records to the page.
func (l *lister) take(m rueidis.RedisMessage) error {
	r := newReply(m)
	last := r.text()
	records, _ := r.list()
	if err := r.finish("list of actors"); err != nil {
		return err
	}
	for records.more() {
		if len(l.page) >= l.limit {
			l.more = true
			return nil
		}
		item, _ := records.list()
		record, err := readRecord(item)
		if err != nil {
			return err
		}
		l.page, l.last = append(l.page, record), record.ID
	}
	if last != "" {
		l.last, l.more = last, true
	}
	return records.finish("list of actors")
}

// nextWindow is how many partitions will probably fill the page.
func (l *lister) nextWindow(asked, found int) int {
	if found == 0 {
		return min(8*asked, maxListWindow)
	}
	return min(max((l.limit-len(l.page))*asked/found, 1), maxListWindow)
}
