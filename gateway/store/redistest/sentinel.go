package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"
)

const (
	masterName = "stagedoor"
	sentinels  = 3
	quorum     = 2
)

// Sentinel starts a master with two replicas and three Sentinels that agree on it by two.
func Sentinel(t testing.TB, o Options) *Servers {
	t.Helper()
	s := Replicated(t, o, 2)
	s.master = masterName
	for range sentinels {
		s.Sentinels = append(s.Sentinels, s.startNode(s.watching(s.Nodes[0]), true))
	}
	s.Await("the Sentinels to know each other and the replicas", func() error {
		for _, n := range s.Sentinels {
			if err := n.sees(sentinels-1, len(s.Nodes)-1); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

// watching are a Sentinel's directives. It calls a master dead after a second without an answer, and tries again after two when
// the Sentinels did not agree on who promotes a replica.
func (s *Servers) watching(master *Node) []string {
	lines := []string{
		fmt.Sprintf("sentinel monitor %s %s %d", masterName, master.hostPort(), quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", masterName, time.Second.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", masterName, (2 * time.Second).Milliseconds()),
	}
	if s.options.User != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-user %s %s", masterName, s.options.User))
	}
	if s.options.Password != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", masterName, s.options.Password))
	}
	return lines
}

// sees checks what a Sentinel has found out about the others.
func (n *Node) sees(others, replicas int) error {
	reply, err := n.Do("SENTINEL", "MASTER", masterName)
	if err != nil {
		return err
	}
	list, _ := reply.([]any)
	facts := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		facts[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	if facts["num-other-sentinels"] != strconv.Itoa(others) || facts["num-slaves"] != strconv.Itoa(replicas) {
		return fmt.Errorf("%s sees %s Sentinels and %s replicas", n.Addr, facts["num-other-sentinels"], facts["num-slaves"])
	}
	return nil
}

// Failover has the Sentinels make a replica the master although the master is well, and waits for it.
func (s *Servers) Failover() {
	s.t.Helper()
	before := s.MasterOf("")
	// A Sentinel that has just seen another fail-over knows no good replica for a while.
	s.Await("a Sentinel to begin", func() error {
		_, err := s.Sentinels[0].Do("SENTINEL", "FAILOVER", masterName)
		return err
	})
	s.Await("another master", func() error {
		reply, err := s.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
		if err != nil {
			return err
		}
		list, _ := reply.([]any)
		if len(list) != 2 {
			return errors.New("the Sentinel knows no master")
		}
		if addr := net.JoinHostPort(fmt.Sprint(list[0]), fmt.Sprint(list[1])); addr == before.Addr {
			return fmt.Errorf("it is %s still", addr)
		}
		return nil
	})
}
