package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
	"github.com/stagedoor-dev/stagedoor/gateway/store/redistest"
)

// failovers is how often each fail-over is played: RDS-6 is a promise about chance.
func failovers() int {
	if os.Getenv("STAGEDOOR_SOAK") != "" {
		return 20
	}
	return 3
}

// awayAtMost is how long service may be away when a master is killed. A loaded machine is given more time, for it says nothing.
const awayAtMost = 6 * time.Second

// A master is killed under load, and before that the links of its replicas are cut, so that what it acknowledges by itself is lost with it:
// class fast loses in this harness, which shows that it would notice; class replicated has acknowledged nothing of what is lost.
// One replica's answer is enough for it, so that only one may be promoted, and is cut off last: it has all that any has acknowledged.
// [RDS-6] [RDS-8] [RDS-9]
func TestAMasterIsKilledWithoutItsReplicas(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *redistest.Servers{
		"Cluster": func(t *testing.T) *redistest.Servers { return redistest.Cluster(t, appendOnly, 3, 1) },
		"Sentinel": func(t *testing.T) *redistest.Servers {
			return redistest.Sentinel(t, redistest.Options{AppendOnly: true, OneHeir: true})
		},
	} {
		for i := range failovers() {
			t.Run(fmt.Sprint(name, i+1), func(t *testing.T) { loseAMaster(t, start(t)) })
		}
	}
}

var appendOnly = redistest.Options{AppendOnly: true}

func loseAMaster(t *testing.T, servers *redistest.Servers) {
	s := newRedisSite(t, servers, 16, "fast", "replicated")
	victim := servers.MasterOf(partitionKey(s.cells[0]))
	var hit []op // of class fast, on the victim
	on := map[op]bool{}
	for _, cell := range s.cells {
		if servers.MasterOf(partitionKey(cell)) != victim {
			continue
		}
		on[cell.of()] = true
		if cell.typ == "fast" {
			hit = append(hit, cell)
		}
	}
	replicas := servers.ReplicasOf(victim)
	heir := replicas[len(replicas)-1]
	for _, r := range replicas {
		if r == heir {
			servers.AwaitCopied(victim, heir) // also what the others have acknowledged before they were cut off
		}
		servers.CutReplica(r)
	}
	s.progress("class fast, to be lost,", hit)
	began := time.Now()
	victim.Kill()
	away := s.progress("class fast behind the fail-over", hit).Sub(began)
	t.Logf("service was away for %v", away)
	if os.Getenv("STAGEDOOR_SOAK") != "" && away > awayAtMost {
		t.Errorf("service was away for %v, at most %v are promised", away, awayAtMost)
	}
	s.healReplicas(victim, replicas)
	s.progress("all", s.cells)
	s.rest()
	s.readAll()
	s.check(t, "class replicated", porcupine.Ok, func(o op) bool { return o.typ == "replicated" })
	s.check(t, "class fast elsewhere", porcupine.Ok, func(o op) bool { return o.typ == "fast" && !on[o.of()] })
	s.check(t, "class fast on the victim", porcupine.Illegal, func(o op) bool { return o.typ == "fast" && on[o.of()] })
}

// healReplicas gives the new master a replica again: the old one comes back, and who was cut off follows, also where a second
// fail-over changes the roles meanwhile.
func (s *redisSite) healReplicas(victim *redistest.Node, cut []*redistest.Node) {
	s.t.Helper()
	victim.Restart()
	for _, r := range cut {
		s.servers.Await("a server to be master or to follow", func() error {
			role, err := r.Info("replication")
			switch {
			case err != nil:
				return err
			case role["role"] != "master" && net.JoinHostPort(role["master_host"], role["master_port"]) == victim.Addr:
				return errors.New("it still names the old master")
			}
			s.servers.JoinReplica(r)
			return nil
		})
	}
}

// partitionKey is a key that lies where the store keeps the actor.
func partitionKey(on op) string {
	a := address.Address{Namespace: "default", Type: on.typ, Key: []string{on.key}}
	return "stagedoor:{p" + strconv.Itoa(int(a.Partition())) + "}:"
}
