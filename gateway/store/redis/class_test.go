package redis

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// What the settings of a server promise [RDS-8].
func TestSettingsAndTheirClasses(t *testing.T) {
	for name, c := range map[string]struct {
		options  redistest.Options
		replicas int
		classes  []store.Durability
		advice   map[store.Durability]string
	}{
		"no log": {
			advice: map[store.Durability]string{
				store.Fast: "appendonly yes", store.Disk: "appendonly yes", store.Replicated: "appendonly yes",
			},
		},
		"everysec": {
			options: redistest.Options{AppendOnly: true},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "appendfsync always", store.Replicated: "add replicas"},
		},
		"fsync by the system": {
			options: redistest.Options{AppendOnly: true, Fsync: "no"},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "appendfsync always"},
		},
		"always": {
			options: redistest.Options{AppendOnly: true, Fsync: "always"},
			classes: []store.Durability{store.Fast, store.Disk},
		},
		"always, but not during rewrites": {
			options: redistest.Options{AppendOnly: true, Fsync: "always", Config: []string{"no-appendfsync-on-rewrite yes"}},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "no-appendfsync-on-rewrite no"},
		},
		"a replica": {
			options: redistest.Options{AppendOnly: true}, replicas: 1,
			classes: []store.Durability{store.Fast, store.Replicated},
		},
		"a replica without a log": {
			replicas: 1,
			advice:   map[store.Durability]string{store.Replicated: "appendonly yes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Replicated(t, c.options, c.replicas)
			url := "redis://" + s.Nodes[0].Addr
			given := mustDial(t, Config{URL: url, Require: c.classes})
			for d := store.Fast; d <= store.Replicated; d++ {
				if want := slices.Contains(c.classes, d); given.supports(d) != want {
					t.Errorf("class %d: supported %t", d, !want)
				}
			}
			for d, advice := range c.advice {
				if _, err := dial(t, Config{URL: url, Require: []store.Durability{d}}); !errors.Is(err, ErrClass) ||
					!strings.Contains(err.Error(), advice) {
					t.Errorf("class %d: %v", d, err)
				}
			}
			for i, d := range c.classes {
				if err := given.bump(d, int(d), 1); err != nil {
					t.Errorf("commit %d in class %d: %v", i, d, err)
				}
			}
		})
	}
}

// A server that is changed while the store is open gets no commits of a class that it no longer keeps [RDS-9].
func TestChangedSettingsAreNoticed(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{AppendOnly: true, Fsync: "always"})
	c := mustDial(t, Config{URL: s.URL()})
	if err := c.bump(store.Disk, 1, 1); err != nil {
		t.Fatal(err)
	}
	// A new connection is looked at before it counts, whatever the clock says.
	n := s.Nodes[0]
	n.Must("CONFIG", "SET", "appendfsync", "everysec")
	n.Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	if err := c.bump(store.Disk, 1, 2); !errors.Is(err, ErrClass) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := c.bump(store.Fast, 2, 1); err != nil {
		t.Errorf("class fast: %v", err)
	}
	n.Must("CONFIG", "SET", "appendfsync", "always")
	s.Await("class disk", func() error { return c.bump(store.Disk, 1, 2) })
}

// WAIT below the number is an unknown outcome [RDS-6], and the commit is acknowledged once a replica has it [RDS-4].
func TestTooFewReplicasIsUnknown(t *testing.T) {
	s := redistest.Replicated(t, redistest.Options{AppendOnly: true}, 1)
	c := mustDial(t, Config{URL: "redis://" + s.Nodes[0].Addr, Require: []store.Durability{store.Replicated}})
	if err := c.bump(store.Replicated, 1, 1); err != nil {
		t.Fatal(err)
	}
	replica := s.Nodes[1]
	replica.Pause() // the link stays up
	var r *refusal
	if err := c.bump(store.Replicated, 1, 2); !errors.Is(err, ErrUnavailable) || errors.As(err, &r) {
		t.Errorf("with a paused replica: %v", err)
	}
	if err := c.bump(store.Fast, 2, 1); err != nil {
		t.Errorf("class fast waits for the replica: %v", err)
	}
	replica.Continue()
	s.Await("the replica to acknowledge", func() error { return c.bump(store.Replicated, 1, 2) })
	s.CutReplica(replica)
	s.Await("the class to be gone", func() error {
		if err := c.bump(store.Replicated, 1, 3); !errors.Is(err, ErrClass) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
	s.JoinReplica(replica)
	s.Await("the class to be back", func() error { return c.bump(store.Replicated, 1, 3) })
}

// WAITAOF needs a server of 7.2, which judges by what such a server says of itself.
func TestNewerServersWaitForTheDisk(t *testing.T) {
	f := facts{
		info:    map[string]string{"aof_enabled": "1"},
		config:  map[string]string{"appendfsync": "everysec"},
		version: parseVersion("7.2.4"),
	}
	if p := f.disk(); p.err != nil || p.wait != waitDisk {
		t.Errorf("7.2 with everysec: %+v", p)
	}
	f.version, f.config = parseVersion("7.0.15"), nil
	if p := f.disk(); !errors.Is(p.err, ErrClass) || !strings.Contains(p.err.Error(), "CONFIG GET") {
		t.Errorf("7.0 that does not say: %+v", p)
	}
}
