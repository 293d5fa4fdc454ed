package embedded

import (
	"github.com/stagedoor-dev/stagedoor/gateway/store"
)

// applyConnections adds, then removes: a connection that came and went within one commit is gone [CONN-7].
func (t *tx) applyConnections(a *actor, d *store.ConnectionsDelta) error {
	recorded := make(map[string]bool, len(d.Added)+len(d.Removed))
	for _, id := range d.Added {
		recorded[id] = true
	}
	for _, id := range d.Removed {
		recorded[id] = false
	}
	had := a.connections > 0
	for id, is := range recorded {
		key := t.actorKey(kindConnection, a.ref, id)
		was := false
		if had {
			var err error
			if _, was, err = t.size(key); err != nil {
				return err
			}
		}
		switch {
		case is && !was:
			a.connections++
			t.set(key, nil, nil)
		case was && !is:
			a.connections--
			t.delete(key)
		}
	}
	return nil
}
