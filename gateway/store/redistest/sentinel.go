package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
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

// AwaitLeader waits until the replica was promoted and gives the Sentinel that leads the fail-over, which goes on while another replica
// does not follow.
func (s *Servers) AwaitLeader(heir *Node) (leader *Node) {
	s.t.Helper()
	s.Await("a Sentinel to promote the replica", func() error {
		for _, n := range s.Sentinels {
			facts, err := n.describe()
			if err == nil && strings.Contains(facts["flags"], "failover_in_progress") && n.believed() == heir.Addr {
				leader = n
				return nil
			}
		}
		return errors.New("none has")
	})
	return leader
}

// AwaitBelief waits until each of the Sentinels gives clients the node as the master.
func (s *Servers) AwaitBelief(master *Node, sentinels ...*Node) {
	s.t.Helper()
	s.Await("Sentinels to name "+master.Addr, func() error {
		for _, n := range sentinels {
			if got := n.believed(); got != master.Addr {
				return fmt.Errorf("%s names %q", n.Addr, got)
			}
		}
		return nil
	})
}

// believed is the master's address as the Sentinel gives it to clients; empty: it does not answer.
func (n *Node) believed() string {
	reply, _ := n.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName) // An error answers nothing.
	list, _ := reply.([]any)
	if len(list) != 2 {
		return ""
	}
	return net.JoinHostPort(fmt.Sprint(list[0]), fmt.Sprint(list[1]))
}

// describe is what the Sentinel has found out about the master.
func (n *Node) describe() (map[string]string, error) {
	reply, err := n.Do("SENTINEL", "MASTER", masterName)
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	facts := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		facts[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return facts, nil
}

// sees checks what a Sentinel has found out about the others.
func (n *Node) sees(others, replicas int) error {
	facts, err := n.describe()
	if err != nil {
		return err
	}
	if facts["num-other-sentinels"] != strconv.Itoa(others) || facts["num-slaves"] != strconv.Itoa(replicas) {
		return fmt.Errorf("%s sees %s Sentinels and %s replicas", n.Addr, facts["num-other-sentinels"], facts["num-slaves"])
	}
	return nil
}

// Failover has the Sentinels make a replica the master although the master is well, and waits for it.
func (s *Servers) Failover() {
	s.t.Helper()
	var before string
	// One that is under way ends a new one.
	s.Await("the last fail-over to end", func() error {
		before = s.Sentinels[0].believed()
		for _, n := range s.Sentinels {
			facts, err := n.describe()
			if err != nil {
				return err
			}
			if got := n.believed(); got != before || strings.Contains(facts["flags"], "failover_in_progress") {
				return fmt.Errorf("%s names %q, is %s", n.Addr, got, facts["flags"])
			}
		}
		return nil
	})
	// A Sentinel that has just seen another fail-over knows no good replica for a while.
	s.Await("a Sentinel to begin", func() error {
		_, err := s.Sentinels[0].Do("SENTINEL", "FAILOVER", masterName)
		return err
	})
	s.Await("another master", func() error {
		if addr := s.Sentinels[0].believed(); addr == "" || addr == before {
			return fmt.Errorf("it is %q still", addr)
		}
		return nil
	})
}
