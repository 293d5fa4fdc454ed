package redis

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/store"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// persist sends a commit until the store answers with success, as the gateway does [COMMIT-4].
func (c *client) persist(s *redistest.Servers, d store.Durability, partition, to int) {
	s.Await(fmt.Sprintf("commit %d", to), func() error { return c.bump(d, partition, to) })
}

// While Redis is away, writes and reads fail at once and nothing piles up; all is well again without a restart [ERR-5].
func TestOutageFailsFastAndEnds(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	c := mustDial(t, Config{URL: s.URL()})
	c.persist(s, store.Fast, 1, 1)
	if at := c.interrupted(); !at.IsZero() {
		t.Errorf("interrupted at %v before anything happened", at)
	}
	s.Nodes[0].Kill()
	if err := c.bump(store.Fast, 1, 2); !errors.Is(err, ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	if err := c.ready(t.Context()); err == nil {
		t.Error("ready")
	}
	// Known to be away: nobody dials, nobody waits. A thousand would take far longer than the test if each did.
	for range 1000 {
		if err := c.bump(store.Fast, 1, 2); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("commit: %v", err)
		}
		if _, err := c.call(t.Context(), store.DurabilityDefault, "sdtest_value", counterKeys(1), nil); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("read: %v", err)
		}
	}
	s.Nodes[0].Restart()
	c.persist(s, store.Fast, 1, 2)
	if c.interrupted().IsZero() {
		t.Error("the interruption is not told") // [PLACE-10]
	}
	s.Await("ready", func() error { return c.ready(t.Context()) })
	if got := c.value(t, 1); got != "2" {
		t.Errorf("value %q", got)
	}
}

// A server that hangs is no better than one that is gone.
func TestHangingServerIsUnavailable(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{AppendOnly: true})
	c := mustDial(t, Config{URL: s.URL()})
	c.persist(s, store.Fast, 1, 1)
	s.Nodes[0].Pause()
	if err := c.bump(store.Fast, 1, 2); !errors.Is(err, ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	s.Await("not ready", func() error {
		if c.ready(t.Context()) == nil {
			return errors.New("ready")
		}
		return nil
	})
	s.Nodes[0].Continue()
	c.persist(s, store.Fast, 1, 2)
}

func TestOpenNeedsTheServer(t *testing.T) {
	s := redistest.Standalone(t, redistest.Options{})
	s.Nodes[0].Kill()
	if _, err := dial(t, Config{URL: s.URL()}); err == nil {
		t.Error("opened a store that is not there")
	}
}

// service measures how long no commit is acknowledged when a master is killed.
func service(t *testing.T, s *redistest.Servers, c *client, partition int) {
	t.Helper()
	old := s.MasterOf(counterKeys(partition)[0])
	for to := range 20 {
		c.persist(s, store.Fast, partition, to+1)
	}
	began := time.Now()
	old.Kill()
	// What was acknowledged a moment ago may not have reached the replica: class fast. The count then goes on from less.
	s.Await("service", func() error {
		for to := 21; to > 0; to-- {
			err := c.bump(store.Fast, partition, to)
			var r *refusal
			if errors.As(err, &r) && r.code == "GAP" {
				continue
			}
			return err
		}
		return nil
	})
	t.Logf("service was away for %v", time.Since(began))
}

func TestClusterMasterIsKilled(t *testing.T) {
	s := redistest.Cluster(t, redistest.Options{AppendOnly: true}, 3, 1)
	c := mustDial(t, Config{URL: s.URL()})
	// Every part of the data has its own master.
	for partition := range 32 {
		c.persist(s, store.Fast, partition+100, 1)
	}
	service(t, s, c, 7)
	s.Await("ready", func() error { return c.ready(t.Context()) })
}

func TestSentinelMasterIsKilled(t *testing.T) {
	s := redistest.Sentinel(t, redistest.Options{AppendOnly: true})
	c := mustDial(t, Config{URL: s.URL(), Require: []store.Durability{store.Replicated}})
	c.persist(s, store.Replicated, 1, 1)
	service(t, s, c, 7)
	if got := c.value(t, 1); got != "1" {
		t.Errorf("class replicated lost its commit: %q", got)
	}
	before := c.interrupted()
	s.Failover()
	c.persist(s, store.Fast, 3, 1)
	s.Await("the fail-over to be told", func() error { // [PLACE-10]
		if !c.interrupted().After(before) {
			return errors.New("it is not")
		}
		return nil
	})
}

// The Sentinel that leads a fail-over has the old master's address beside the new epoch until all replicas follow the new one. The old
// master is back by then, and says that it is one. [RDS-10]
func TestTheLeaderOfAFailoverIsUnderstood(t *testing.T) {
	s := redistest.Sentinel(t, redistest.Options{AppendOnly: true, OneHeir: true})
	old := s.MasterOf("")
	replicas := s.ReplicasOf(old)
	for _, n := range s.Sentinels {
		n.Must("SENTINEL", "SET", "stagedoor", "failover-timeout", "600000")
	}
	s.CutReplica(replicas[0]) // The fail-over waits for it.
	c := mustDial(t, Config{URL: s.URL()})
	c.persist(s, store.Fast, 1, 1)
	old.Kill()
	leader := s.AwaitLeader(replicas[1])
	old.Restart()

	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Host = leader.Addr
	fresh := mustDial(t, Config{URL: u.String()})
	for _, c := range []*client{c, fresh} {
		c.persist(s, store.Fast, 1, 2)
		if n := c.surveyor.topology.Load().masters[0]; n.addr != replicas[1].Addr {
			t.Errorf("the master is %s, want %s", n.addr, replicas[1].Addr)
		}
	}
}

// A Sentinel that slept through a fail-over is not believed by whoever has heard of it, and the old master that it names may be back. [RDS-10]
func TestAFailoverIsNotForgotten(t *testing.T) {
	s := redistest.Sentinel(t, redistest.Options{AppendOnly: true, OneHeir: true})
	old := s.MasterOf("")
	heir := s.ReplicasOf(old)[1]
	c := mustDial(t, Config{URL: s.URL()})
	c.persist(s, store.Fast, 1, 1)
	sleeper, awake := s.Sentinels[0], s.Sentinels[1:]
	sleeper.Kill()
	old.Kill()
	s.AwaitBelief(heir, awake...)
	c.persist(s, store.Fast, 1, 2)
	for _, n := range awake {
		n.Kill()
	}
	old.Restart()
	sleeper.Restart()
	s.AwaitBelief(old, sleeper)
	for range 2 { // a survey that was under way, and one that began behind it
		surveyed := c.surveyor.surveyed.announced()
		c.surveyor.kick()
		<-surveyed
	}
	if err := c.bump(store.Fast, 1, 3); err != nil {
		t.Errorf("commit to the new master: %v", err)
	}
	if n := c.surveyor.topology.Load().masters[0]; n.addr != heir.Addr {
		t.Errorf("the master is %s, want %s", n.addr, heir.Addr)
	}
}

// The positive control: with the replica cut off, fast acknowledges what the fail-over loses, and replicated does not.
func TestReplicatedDoesNotAcknowledgeWhatIsLost(t *testing.T) {
	s := redistest.Cluster(t, redistest.Options{AppendOnly: true}, 3, 1)
	c := mustDial(t, Config{URL: s.URL(), Require: []store.Durability{store.Replicated}})
	const partition = 7
	c.persist(s, store.Replicated, partition, 1)
	master := s.MasterOf(counterKeys(partition)[0])
	replica := s.ReplicasOf(master)[0]
	s.CutReplica(replica)
	if err := c.bump(store.Replicated, partition, 2); !errors.Is(err, ErrUnavailable) {
		t.Errorf("replicated without a replica: %v", err)
	}
	// It may have been written all the same: fast goes on from there.
	last := 1
	for to := 2; to <= 4; to++ {
		if err := c.bump(store.Fast, partition, to); err != nil {
			t.Fatalf("fast: %v", err)
		}
		last = to
	}
	master.Kill()
	s.Await("the replica to be promoted", func() error {
		info, err := replica.Info("replication")
		if err == nil && info["role"] != "master" {
			err = errors.New("it is not")
		}
		return err
	})
	s.Await("service", func() error { return c.ready(t.Context()) })
	if got := c.value(t, partition); got != "1" {
		t.Errorf("after the fail-over it is %s; fast had acknowledged %d, replicated 1", got, last)
	}
}
