package storetest

import (
	"context"
	"maps"
	"slices"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// RememberTypes implements store.Types.
func (m *Model) RememberTypes(_ context.Context, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return store.ErrClosed
	}
	if m.types == nil {
		m.types = map[string]bool{}
	}
	for _, name := range names {
		m.types[name] = true
	}
	return nil
}

// KnownTypes implements store.Types.
func (m *Model) KnownTypes(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, store.ErrClosed
	}
	return slices.Sorted(maps.Keys(m.types)), nil
}

var typeTests = map[string]func(*harness){
	"remembered once, however often they are announced": func(h *harness) {
		for _, names := range [][]string{{"room", "counter"}, {"counter"}, {}, {"a.b-c_D", "counter"}} {
			h.noError(h.s.RememberTypes(h.ctx, names))
		}
		got, err := h.s.KnownTypes(h.ctx)
		h.noError(err)
		if want := []string{"a.b-c_D", "counter", "room"}; !slices.Equal(got, want) {
			h.Errorf("KnownTypes = %q, want %q", got, want)
		}
	},
}
