package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	slots = 16384
	// NodeTimeout is after how long the nodes of a Cluster begin to call one of them dead.
	NodeTimeout = 2 * time.Second
)

// Cluster starts masters with equal shares of the slots, each with so many replicas.
func Cluster(t testing.TB, o Options, masters, replicas int) *Servers {
	t.Helper()
	s := prepare(t, o)
	s.cluster = true
	for range masters * (1 + replicas) {
		s.Nodes = append(s.Nodes, s.startClustered())
	}
	for i, n := range s.Nodes {
		n.Must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < masters {
			n.Must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/masters), strconv.Itoa((i+1)*slots/masters-1))
		}
	}
	s.introduce()
	for i, n := range s.Nodes[masters:] {
		n.Must("CLUSTER", "REPLICATE", s.Nodes[i%masters].id())
	}
	for _, master := range s.Nodes[:masters] {
		s.awaitReplicas(master, replicas)
	}
	s.AwaitCluster(len(s.Nodes))
	return s
}

func (s *Servers) startClustered() *Node {
	s.t.Helper()
	return s.startNode([]string{
		"cluster-enabled yes",
		fmt.Sprintf("cluster-port %d", freePort()),
		fmt.Sprintf("cluster-node-timeout %d", NodeTimeout.Milliseconds()),
	}, false)
}

// introduce makes every node known to every other one.
func (s *Servers) introduce() {
	s.t.Helper()
	for _, n := range s.Nodes[1:] {
		n.Must("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(s.Nodes[0].port), s.Nodes[0].busPort())
	}
	s.Await("the nodes to know each other", func() error {
		for _, n := range s.Nodes {
			if known := n.known(); len(known) != len(s.Nodes) {
				return fmt.Errorf("%s knows %d of %d nodes", n.Addr, len(known), len(s.Nodes))
			}
		}
		return nil
	})
}

// AwaitCluster waits until so many nodes, by the account of each of them, are well and serve all slots.
func (s *Servers) AwaitCluster(nodes int) {
	s.t.Helper()
	s.Await("the Cluster", func() error {
		well := 0
		for _, n := range s.Nodes {
			reply, err := n.Do("CLUSTER", "INFO")
			if err != nil {
				continue
			}
			text, _ := reply.(string)
			if !strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, fmt.Sprintf("cluster_slots_ok:%d", slots)) {
				return fmt.Errorf("%s is not well", n.Addr)
			}
			if len(n.known()) < nodes {
				return fmt.Errorf("%s knows %d nodes", n.Addr, len(n.known()))
			}
			well++
		}
		if well < nodes {
			return fmt.Errorf("%d of %d nodes are well", well, nodes)
		}
		return nil
	})
}

// known are the lines of CLUSTER NODES that speak of connected nodes.
func (n *Node) known() []string {
	reply, err := n.Do("CLUSTER", "NODES")
	if err != nil {
		return nil
	}
	text, _ := reply.(string)
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "handshake") && !strings.Contains(line, "fail") {
			lines = append(lines, line)
		}
	}
	return lines
}

func (n *Node) id() string {
	n.s.t.Helper()
	id, _ := n.Must("CLUSTER", "MYID").(string)
	return id
}

// busPort is where the other nodes reach it.
func (n *Node) busPort() string {
	n.s.t.Helper()
	list, _ := n.Must("CONFIG", "GET", "cluster-port").([]any)
	return fmt.Sprint(list[1])
}
