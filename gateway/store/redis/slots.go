package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/rueidis"
)

// clusterView is one node's account of its Cluster.
type clusterView struct {
	epoch  int64
	ranges []slotRange
}

type slotRange struct {
	from, to int
	addr     string
}

// findInCluster asks all known nodes and believes the one that has seen the latest election: one that was cut off still
// tells of the time before.
func (s *surveyor) findInCluster(ctx context.Context) (*topology, error) {
	for _, addr := range s.e.seeds {
		s.node(addr)
	}
	var nodes []*node
	for _, n := range s.nodes {
		nodes = append(nodes, n)
	}
	var best *clusterView
	var failures []error
	for _, a := range askAll(nodes, func(n *node) (*clusterView, error) { return viewOf(ctx, n) }) {
		switch {
		case a.err != nil:
			failures = append(failures, &downError{a.from.addr, a.err})
		case best == nil || a.value.epoch > best.epoch:
			best = a.value
		}
	}
	if best == nil {
		return nil, errors.Join(failures...)
	}
	t := &topology{}
	for _, r := range best.ranges {
		t.add(s.node(r.addr), r.from, r.to)
	}
	return t, nil
}

func viewOf(ctx context.Context, n *node) (*clusterView, error) {
	b := n.client.B()
	replies := n.client.DoMulti(ctx, b.ClusterInfo().Build(), b.ClusterSlots().Build())
	info, err := replies[0].ToString()
	if err != nil {
		return nil, err
	}
	v := &clusterView{}
	v.epoch, _ = strconv.ParseInt(parseInfo(info)["cluster_current_epoch"], 10, 64)
	list, err := replies[1].ToArray()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the node knows of no slots")
	}
	for i := range list {
		r, err := parseRange(&list[i], n.addr)
		if err != nil {
			return nil, err
		}
		v.ranges = append(v.ranges, r)
	}
	return v, nil
}

// parseRange reads [from, to, [host, port, ...], replicas...]. An empty host is the one that was asked.
func parseRange(m *rueidis.RedisMessage, asked string) (slotRange, error) {
	parts, err := m.ToArray()
	if err != nil || len(parts) < 3 {
		return slotRange{}, fmt.Errorf("CLUSTER SLOTS answered %v", m)
	}
	from, err1 := parts[0].AsInt64()
	to, err2 := parts[1].AsInt64()
	master, err3 := parts[2].ToArray()
	if err := errors.Join(err1, err2, err3); err != nil || len(master) < 2 {
		return slotRange{}, fmt.Errorf("CLUSTER SLOTS answered %v: %w", m, err)
	}
	host, _ := master[0].ToString() // Null: it does not know its own.
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(asked)
	}
	port, err := master[1].AsInt64()
	return slotRange{int(from), int(to), net.JoinHostPort(host, strconv.FormatInt(port, 10))}, err
}
