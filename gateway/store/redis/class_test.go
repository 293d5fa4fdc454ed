package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// What the settings of a server promise [RDS-8]; docs/operations.md has the same table.
func TestSettingsAndTheirClasses(t *testing.T) {
	documented := table(t, "### Which settings give which class")
	cases := map[string]struct {
		options  redistest.Options
		replicas int
		classes  []store.Durability
		advice   map[store.Durability]string
	}{
		"`appendonly no`": {
			advice: map[store.Durability]string{
				store.Fast: "appendonly yes", store.Disk: "appendonly yes", store.Replicated: "appendonly yes",
			},
		},
		"`appendonly yes`, `appendfsync everysec`": {
			options: redistest.Options{AppendOnly: true, Fsync: "everysec"},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "appendfsync always", store.Replicated: "add replicas"},
		},
		"`appendonly yes`, `appendfsync no`": {
			options: redistest.Options{AppendOnly: true, Fsync: "no"},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "appendfsync always"},
		},
		"`appendonly yes`, `appendfsync always`": {
			options: redistest.Options{AppendOnly: true, Fsync: "always"},
			classes: []store.Durability{store.Fast, store.Disk},
		},
		"`appendonly yes`, `appendfsync always`, `no-appendfsync-on-rewrite yes`": {
			options: redistest.Options{AppendOnly: true, Fsync: "always", Config: []string{"no-appendfsync-on-rewrite yes"}},
			classes: []store.Durability{store.Fast},
			advice:  map[store.Durability]string{store.Disk: "no-appendfsync-on-rewrite no"},
		},
		"`appendonly yes`, `appendfsync everysec`, a replica": {
			options: redistest.Options{AppendOnly: true, Fsync: "everysec"}, replicas: 1,
			classes: []store.Durability{store.Fast, store.Replicated},
		},
		"`appendonly no`, a replica": {
			replicas: 1,
			advice:   map[store.Durability]string{store.Replicated: "appendonly yes"},
		},
	}
	if len(documented) != len(cases) {
		t.Errorf("the documentation has %d rows", len(documented))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := redistest.Replicated(t, c.options, c.replicas)
			url := "redis://" + s.Nodes[0].Addr
			given := mustDial(t, Config{URL: url, Require: c.classes})
			for d := store.Fast; d <= store.Replicated; d++ {
				want := slices.Contains(c.classes, d)
				if given.supports(d) != want {
					t.Errorf("class %d: supported %t", d, !want)
				}
				if row := documented[name]; len(row) != 3 || (row[d-store.Fast] == "yes") != want {
					t.Errorf("class %d: the documentation says %v", d, row)
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

// [RDS-5]: who takes an actor over is acknowledged in its class, like what it writes.
func TestAnAcquisitionIsAcknowledgedInItsClass(t *testing.T) {
	servers := redistest.Replicated(t, redistest.Options{AppendOnly: true}, 1)
	s, err := Open(t.Context(), Config{URL: "redis://" + servers.Nodes[0].Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, _, err := s.Create(t.Context(), store.Create{
		Address: address.Address{Namespace: "default", Type: "room"}, Region: "local", Durability: store.Replicated,
	})
	if err != nil {
		t.Fatal(err)
	}
	acquire := func(d store.Durability) error {
		_, err := s.Acquire(t.Context(), store.Acquire{ID: r.ID, Runner: "r", Durability: d})
		return err
	}
	servers.Nodes[1].Pause()
	if err := acquire(store.Replicated); !errors.Is(err, ErrUnavailable) {
		t.Errorf("acquired without a replica: %v", err)
	}
	if err := acquire(store.Fast); err != nil {
		t.Errorf("class fast: %v", err)
	}
	servers.Nodes[1].Continue()
	servers.Await("the replica to acknowledge", func() error { return acquire(store.Replicated) })
}

// [RDS-7]: many commits share a WAIT.
func TestOneWaitAnswersForMany(t *testing.T) {
	servers := redistest.Replicated(t, redistest.Options{AppendOnly: true}, 1)
	master := servers.Nodes[0]
	c := mustDial(t, Config{URL: "redis://" + master.Addr})
	waits := func() (n int) {
		t.Helper()
		stats, err := master.Info("commandstats")
		if err != nil {
			t.Fatal(err)
		}
		if told := stats["cmdstat_wait"]; told != "" {
			if _, err := fmt.Sscanf(told, "calls=%d,", &n); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	const commits = 1024
	answers := make(chan error, commits)
	for i := range commits {
		c.send(store.Replicated, "sdtest_bump", counterKeys(i), []string{"", fmt.Sprint(i), "1"},
			func(_ rueidis.RedisMessage, err error) { answers <- err })
	}
	for range commits {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	if n := waits(); n < 1 || n > commits/10 {
		t.Errorf("%d WAITs for %d commits", n, commits)
	}
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
