package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// topology says which node serves which slot. It is not changed once it is made.
type topology struct {
	masters []*node
	bySlot  [slotCount]*node
}

func (t *topology) add(n *node, from, to int) {
	if !slices.Contains(t.masters, n) {
		t.masters = append(t.masters, n)
	}
	for slot := max(from, 0); slot <= min(to, slotCount-1); slot++ {
		t.bySlot[slot] = n
	}
}

const (
	surveyEvery  = time.Second            // while all is well: settings and roles change without a connection breaking
	surveySoon   = 150 * time.Millisecond // while something is not
	surveyBreath = 5 * time.Millisecond   // between two, whoever asks
)

// surveyor is the one goroutine that finds out where the masters are and what they can promise. Callers read what it
// published, and ask for another look when something went wrong.
type surveyor struct {
	e       *endpoint
	inspect func(context.Context, *node, *topology) error // what else has to hold; may write
	log     func(n *node, err error)                      // a node is down, or up again

	topology atomicTopology
	back     atomic.Pointer[time.Time] // when a master was last reached that had been away or is a new one; nil: never
	surveyed broadcast
	kicks    chan struct{}

	// Owned by the goroutine; before it runs, by Open.
	nodes     map[string]*node
	sentinels map[string]*node
	clustered bool
	epoch     int64 // of the latest fail-over that a Sentinel has told of
	opened    bool  // what is found from now on may be a change
}

func newSurveyor(e *endpoint) *surveyor {
	s := &surveyor{
		e: e, kicks: make(chan struct{}, 1),
		nodes: map[string]*node{}, sentinels: map[string]*node{},
	}
	s.surveyed.init()
	return s
}

// kick asks for a survey that begins after now.
func (s *surveyor) kick() {
	select {
	case s.kicks <- struct{}{}:
	default: // One is asked for already.
	}
}

// run surveys until ctx ends.
func (s *surveyor) run(ctx context.Context) {
	s.opened = true
	for {
		well := s.survey(ctx) == nil
		s.surveyed.announce()
		if !rest(ctx, surveyBreath, nil) {
			return
		}
		wait := surveySoon
		if well {
			wait = surveyEvery
		}
		if !rest(ctx, wait, s.kicks) {
			return
		}
	}
}

// rest waits for d or a kick; false: ctx ended.
func rest(ctx context.Context, d time.Duration, kicks <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-kicks:
	case <-ctx.Done():
		return false
	}
	return true
}

// survey finds the masters and checks each of them. The error is the first that makes calls fail.
func (s *surveyor) survey(ctx context.Context) error {
	found, err := s.find(ctx)
	if err == nil {
		s.topology.Store(found)
	} else if found = s.topology.Load(); found == nil {
		return err
	}
	// With no better knowledge the old masters are asked how they are.
	failures := make([]error, len(found.masters))
	var wg sync.WaitGroup
	for i, n := range found.masters {
		wg.Go(func() {
			failures[i] = s.check(ctx, n, found)
			s.surveyed.announce()
		})
	}
	wg.Wait()
	return errors.Join(append(failures, err)...)
}

// check looks at one node and publishes what it found. It looks again if a connection was opened meanwhile, or broke: one
// that breaks is no sign that its server is away, unless there is no other.
func (s *surveyor) check(parent context.Context, n *node, t *topology) error {
	ctx, cancel := context.WithTimeout(parent, checkTime)
	defer cancel()
	h := &health{}
	for range 3 {
		h.dials = n.dials.Load()
		var f *facts
		if f, h.err = look(ctx, n); h.err == nil {
			h.err = f.acceptable()
		}
		if h.err == nil {
			h.history = f.info["run_id"] + f.info["master_replid"]
			h.classes = f.judge(s.e.replicas)
			h.err = s.inspect(ctx, n, t)
		}
		if h.err == nil && n.current(h) || ctx.Err() != nil {
			break
		}
	}
	if parent.Err() != nil {
		return parent.Err() // The store is being closed; that says nothing about the server.
	}
	if h.err == nil && s.opened && !h.follows(n.health.Load()) {
		now := time.Now()
		s.back.Store(&now) // before anybody uses the node again
	}
	before := n.health.Swap(h)
	if (before == nil || before.err == nil) != (h.err == nil) {
		s.log(n, h.err)
	}
	if h.err != nil {
		return &downError{n.addr, h.err}
	}
	return nil
}

// follows tells whether the server has served without a break since a check before.
func (h *health) follows(before *health) bool {
	return before != nil && before.err == nil && before.history == h.history
}

func (s *surveyor) node(addr string) *node {
	n := s.nodes[addr]
	if n == nil {
		n = s.e.newNode(addr, false)
		s.nodes[addr] = n
	}
	return n
}

// find asks where the masters are.
func (s *surveyor) find(ctx context.Context) (*topology, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	switch {
	case s.e.master != "":
		return s.findBySentinels(ctx)
	case s.clustered:
		return s.findInCluster(ctx)
	}
	return s.findAmongSeeds(ctx)
}

// findAmongSeeds takes the seed that says it is a master. With one seed there is nothing to ask.
func (s *surveyor) findAmongSeeds(ctx context.Context) (*topology, error) {
	t := &topology{}
	if len(s.e.seeds) == 1 {
		t.add(s.node(s.e.seeds[0]), 0, slotCount-1)
		return t, nil
	}
	var failures []error
	for _, addr := range s.e.seeds {
		f, err := look(ctx, s.node(addr))
		if err == nil {
			if err = f.acceptable(); err == nil {
				t.add(s.node(addr), 0, slotCount-1)
				return t, nil
			}
		}
		failures = append(failures, &downError{addr, err})
	}
	return nil, errors.Join(failures...)
}

// errForgotten: the Sentinels that answer have not heard of a fail-over that one of them told of before.
var errForgotten = errors.New("a Sentinel that has seen the latest fail-over does not answer")

// findBySentinels believes the Sentinel that has seen the latest fail-over. Which one that was is not forgotten, unless all of them
// have: then they were set up anew. [RDS-10]
func (s *surveyor) findBySentinels(ctx context.Context) (*topology, error) {
	best := view{epoch: -1}
	var failures []error
	for _, a := range askAll(s.sentinelNodes(), func(n *node) (view, error) { return s.viewOf(ctx, n) }) {
		switch {
		case a.err != nil:
			failures = append(failures, fmt.Errorf("sentinel at %s: %w", a.from.addr, a.err))
		case a.value.epoch > best.epoch:
			best = a.value
		}
	}
	switch {
	case best.master == "":
		return nil, errors.Join(failures...)
	case best.epoch < s.epoch && len(failures) > 0:
		return nil, errors.Join(append(failures, errForgotten)...)
	}
	s.epoch = best.epoch
	t := &topology{}
	t.add(s.node(best.master), 0, slotCount-1)
	return t, nil
}

// view is what a Sentinel knows of the master.
type view struct {
	epoch  int64 // of the last fail-over it has seen
	master string
}

// viewOf asks for the epoch first, so that the address is at least as new. The address beside the epoch will not do: the Sentinel that
// leads a fail-over gives the old one there until all replicas follow the new master, and the old one may be back by then.
func (s *surveyor) viewOf(ctx context.Context, n *node) (view, error) {
	b := n.client.B()
	replies := n.client.DoMulti(ctx,
		b.Arbitrary("SENTINEL", "MASTER", s.e.master).Build(),
		b.Arbitrary("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.e.master).Build())
	facts, err := replies[0].AsStrMap()
	if err != nil {
		return view{}, err
	}
	epoch, err := strconv.ParseInt(facts["config-epoch"], 10, 64)
	if err != nil {
		return view{}, fmt.Errorf("read config-epoch: %w", err)
	}
	address, err := replies[1].AsStrSlice()
	if err != nil {
		return view{}, err
	}
	if len(address) != 2 {
		return view{}, fmt.Errorf("%d words for a master's address", len(address))
	}
	return view{epoch, net.JoinHostPort(address[0], address[1])}, nil
}

func (s *surveyor) sentinelNodes() (nodes []*node) {
	for _, addr := range s.e.seeds {
		if s.sentinels[addr] == nil {
			s.sentinels[addr] = s.e.newNode(addr, true)
		}
		nodes = append(nodes, s.sentinels[addr])
	}
	return nodes
}

// answer is what one node said.
type answer[T any] struct {
	from  *node
	value T
	err   error
}

// askAll asks the nodes at the same time.
func askAll[T any](nodes []*node, ask func(*node) (T, error)) []answer[T] {
	answers := make([]answer[T], len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			value, err := ask(n)
			answers[i] = answer[T]{n, value, err}
		})
	}
	wg.Wait()
	return answers
}

// close ends all connections. Nobody uses them any more.
func (s *surveyor) close() {
	for _, nodes := range []map[string]*node{s.nodes, s.sentinels} {
		for _, n := range nodes {
			n.client.Close()
		}
	}
}
