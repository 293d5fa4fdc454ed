package redis

import (
	"context"
	"fmt"
	"slices"
)

// RememberTypes adds actor types to those ever announced.
func (s *Store) RememberTypes(ctx context.Context, names []string) error {
	known, err := s.KnownTypes(ctx)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, found := slices.BinarySearch(known, name)
		return found
	})
	if len(names) == 0 {
		return nil
	}
	_, err = s.change(ctx, s.strongest(), fnRememberTypes, s.keys.cluster, names...)
	return err
}

// KnownTypes lists them, sorted.
func (s *Store) KnownTypes(ctx context.Context) ([]string, error) {
	m, err := s.ask(ctx, fnKnownTypes, s.keys.cluster)
	if err != nil {
		return nil, err
	}
	names, err := m.AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("decode actor types: %w", errCorrupt)
	}
	slices.Sort(names)
	return names, nil
}
