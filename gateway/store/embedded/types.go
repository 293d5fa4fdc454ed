package embedded

import (
	"context"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// typePartition holds what concerns no partition.
const typePartition = 0

func typeKey(name string) []byte {
	return append(appendPartition(make([]byte, 0, 3+len(name)), typePartition, kindType), name...)
}

// RememberTypes adds actor types to those ever announced.
func (s *Store) RememberTypes(ctx context.Context, names []string) error {
	known, err := s.KnownTypes(ctx)
	if err != nil || containsAll(known, names) {
		return err
	}
	size := 0
	keys := make([][]byte, len(names))
	for i, name := range names {
		keys[i] = typeKey(name)
		size += len(keys[i])
	}
	_, err = do(ctx, s, store.Disk, size, func(t *tx) (struct{}, error) {
		for _, key := range keys {
			t.set(key, nil, nil)
		}
		return struct{}{}, nil
	})
	return err
}

func containsAll(sorted, names []string) bool {
	have := make(map[string]bool, len(sorted))
	for _, name := range sorted {
		have[name] = true
	}
	for _, name := range names {
		if !have[name] {
			return false
		}
	}
	return true
}

// KnownTypes lists them, in byte order as they are stored.
func (s *Store) KnownTypes(ctx context.Context) (names []string, err error) {
	from := appendPartition(nil, typePartition, kindType)
	until := appendPartition(nil, typePartition, kindType+1)
	err = s.read(ctx, func(v view) error {
		return v.scan(from, until, func(key, _ []byte) (bool, error) {
			names = append(names, string(key[len(from):]))
			return true, nil
		})
	})
	return names, err
}
