package redis

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// operations is docs/operations.md.
func operations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table returns the rows of the table under a heading, without its head, by their first cell.
func table(t *testing.T, heading string) map[string][]string {
	t.Helper()
	_, below, found := strings.Cut(operations(t), heading+" †\n")
	if !found {
		t.Fatalf("docs/operations.md has no heading %q", heading)
	}
	rows, begun := map[string][]string{}, false
	for line := range strings.Lines(below) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case strings.HasPrefix(line, "|---"):
			begun = true
		case !strings.HasPrefix(line, "|") && begun:
			return rows
		case begun:
			rows[cells[0]] = cells[1:]
		}
	}
	return rows
}

// An ACL user with the rights that the documentation names can do everything, and nothing beside its prefix.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	_, line, found := strings.Cut(operations(t), "ACL SETUSER stagedoor ")
	if !found {
		t.Fatal("docs/operations.md names no rights")
	}
	line, _, _ = strings.Cut(line, "\n")
	rule := append([]string{"ACL", "SETUSER", "stagedoor"}, strings.Fields(strings.Replace(line, ">PASSWORD", ">sesame", 1))...)
	for name, servers := range map[string]*redistest.Servers{
		"standalone": redistest.Standalone(t, durable), "Cluster": redistest.Cluster(t, durable, 3, 0),
	} {
		for _, n := range servers.Nodes {
			n.Must(rule...)
		}
		s, err := Open(t.Context(), Config{
			URL: strings.Replace(servers.URL(), "redis://", "redis://stagedoor:sesame@", 1), Require: []store.Durability{store.Disk},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		o := newOwner(t, s, address.Address{Namespace: "default", Type: "room"})
		o.must(store.Commit{
			CommitID: [16]byte{1}, Durability: store.Disk, State: make([]byte, 100), HasState: true,
			KV:          []store.KVOp{{Key: []byte("a"), Value: []byte("b"), HasValue: true}, {Key: []byte("b"), Until: []byte("c"), IsRange: true}},
			Schedules:   []store.ScheduleOp{{ID: "s", At: fromMicros(1)}},
			Finished:    []store.Finished{{Key: []byte("k"), Result: []byte("r")}},
			Connections: store.ConnectionsDelta{Added: []string{"c"}},
		})
		_, err1 := s.ClaimDue(t.Context(), 0, 1, 1)
		_, _, err2 := s.List(t.Context(), store.Filter{}, "", 10)
		if err := errors.Join(err1, err2, s.Destroy(t.Context(), o.record.ID), s.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err = Open(t.Context(), Config{
			URL: strings.Replace(servers.URL(), "redis://", "redis://stagedoor:sesame@", 1), Prefix: "other:",
		})
		if err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("%s: another prefix: %v", name, err)
		}
	}
}

// Gateways of two builds work on one store: each calls functions of its own, which mean the same records.
func TestLibrariesOfTwoBuildsStandSideBySide(t *testing.T) {
	servers := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	server := servers.Nodes[0]
	const older = "sd_00000000_"
	server.Must("FUNCTION", "LOAD", strings.NewReplacer(libraryName, "stagedoor_00000000", functionPrefix, older).Replace(librarySource))
	s, err := Open(t.Context(), Config{URL: servers.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := newOwner(t, s, address.Address{Namespace: "default", Type: "room"})
	o.must(store.Commit{CommitID: [16]byte{1}})
	c := o.prepare(store.Commit{CommitID: [16]byte{2}, State: []byte("by the older one"), HasState: true})
	keys, _ := s.keys.of(c.ID)
	server.Must(append([]string{"FCALL", strings.Replace(fnCommit, functionPrefix, older, 1), "2", keys[0], keys[1]}, s.encodeCommit(&c, false)...)...)
	o.version++
	o.must(store.Commit{CommitID: [16]byte{3}})
	server.Must("FUNCTION", "DELETE", "stagedoor_00000000")
	again, err := s.Acquire(t.Context(), store.Acquire{ID: c.ID})
	if err != nil || string(again.State) != "by the older one" || again.Record.Version != 3 {
		t.Errorf("%q, version %d, %v", again.State, again.Record.Version, err)
	}
}

// TestSleepingActorIsSmall measures what the server uses, all that an actor costs it included.
func TestSleepingActorIsSmall(t *testing.T) {
	const actors = 4000
	small := store.Commit{State: make([]byte, 32), HasState: true}
	with := func(change func(*store.Commit)) store.Commit {
		c := small
		change(&c)
		return c
	}
	cases := map[string]store.Commit{
		"32 bytes of state":    small,
		"100 bytes of state":   with(func(c *store.Commit) { c.State = make([]byte, 100) }),
		"1,000 bytes of state": with(func(c *store.Commit) { c.State = make([]byte, 1000) }),
		"32 bytes of state, 10 KV entries of 16 + 64 bytes": with(func(c *store.Commit) {
			for i := range 10 {
				c.KV = append(c.KV, store.KVOp{Key: fmt.Appendf(nil, "key-%012d", i), Value: make([]byte, 64), HasValue: true})
			}
		}),
		"32 bytes of state, a schedule": with(func(c *store.Commit) {
			c.Schedules = []store.ScheduleOp{{ID: "reminder", At: fromMicros(1 << 50), Spec: make([]byte, 32)}}
		}),
		"32 bytes of state, a kept result of 32 bytes": with(func(c *store.Commit) {
			c.Finished = []store.Finished{{Key: make([]byte, 16), Result: make([]byte, 32)}}
		}),
	}
	documented := table(t, "## Sizing")
	if len(documented) != len(cases) {
		t.Errorf("the documentation has %d rows: %v", len(documented), documented)
	}
	for name, c := range cases {
		servers := redistest.Standalone(t, redistest.Options{})
		s := open(newPlainCaller(plainClient(t, servers)), "stagedoor:", store.DefaultLimits(), nil)
		before := used(t, servers.Nodes[0])
		for i := range actors {
			o := newOwner(t, s, address.Address{
				Namespace: "default", Type: "chat-room", Key: []string{"tenant-17", fmt.Sprint("room-", i)},
			})
			o.must(c)
			if err := s.Release(t.Context(), o.record.ID, o.record.Generation, o.record.Nonce); err != nil {
				t.Fatal(err)
			}
		}
		each := (used(t, servers.Nodes[0]) - before) / actors
		t.Logf("%d bytes per actor with %s", each, name)
		var most int
		if row := documented[name]; row == nil {
			t.Errorf("the documentation has no row %q", name)
		} else if _, err := fmt.Sscan(strings.ReplaceAll(row[0], ",", ""), &most); err != nil || each > most {
			t.Errorf("%d bytes per actor with %s; the documentation says at most %s", each, name, row[0])
		}
		_ = s.Close()
	}
}

func used(t *testing.T, node *redistest.Node) int {
	t.Helper()
	info, err := node.Info("memory")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(fmt.Sprint(info["used_memory_dataset"]))
	if err != nil {
		t.Fatal(err)
	}
	overhead, err := strconv.Atoi(fmt.Sprint(info["used_memory_overhead"]))
	if err != nil {
		t.Fatal(err)
	}
	return n + overhead
}
