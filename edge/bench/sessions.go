//go:build unix

package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/session"
	"github.com/stagedoor-dev/stagedoor/edge/bench/sockets"
)

// overStreams is the share of sessions that is over WebTransport: one in so many.
const overStreams = 4

// sessions measures the memory of sessions with one connection that do nothing: over WebTransport, over WebSocket, both at once;
// and what is left in the gateway when they have gone. Each is measured in a gateway of its own, and once: a process that was
// full is not as it was when it is empty again.
func sessions(ctx context.Context, o Options) ([]Row, error) {
	streams := max(1, o.Connections/overStreams)
	n, note := reachable(max(1, o.Connections-streams), 1)
	o.quic, o.flags = true, []string{"--resume-wait", "1s"} // they are not to be waited for
	var rows []Row
	for _, m := range []mix{{"sessions-wt", streams, 0}, {"sessions-ws", 0, n}, {"sessions", streams, n}} {
		row, err := m.weigh(ctx, o)
		if err != nil {
			return nil, err
		}
		row.remark(note)
		rows = append(rows, row)
	}
	return rows, nil
}

// mix is so many sessions of each kind at once.
type mix struct {
	name            string
	streams, socket int
}

func (m mix) weigh(ctx context.Context, o Options) (row Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return row, err
	}
	defer closing(s, &err)
	if err := s.create("idle", idleActors, "echo", []byte{}); err != nil {
		return row, err
	}
	before, err := s.burden()
	if err != nil {
		return row, err
	}
	n := m.streams + m.socket
	row = Row{Name: m.name, Unit: "sessions", Connections: n, Rounds: 1, Operations: n}
	held, err := m.hold(s)
	if err != nil {
		return row, err
	}
	row.Bytes, row.HeapBytes = held.over(before.weight, n)
	row.Goroutines = (held.goroutines - before.goroutines) / float64(n)
	s.options.Progress(m.name + ": waiting for the gateway to forget them")
	after, err := s.emptied(before)
	if err != nil {
		return row, err
	}
	row.LeftGoroutines, row.LeftHeapBytes = after.goroutines-before.goroutines, after.heap-before.heap
	row.remark(fmt.Sprintf("%d over WebTransport, %d over WebSocket, %.1f goroutines for each; left behind: %.0f goroutines, %s B of heap",
		m.streams, m.socket, row.Goroutines, row.LeftGoroutines, thousands(row.LeftHeapBytes)))
	if row.LeftGoroutines > fewGoroutines {
		row.Errors, row.Fault = 1, fmt.Sprintf("%.0f goroutines are left of %d sessions", row.LeftGoroutines, n)
	}
	return row, nil
}

// hold opens the sessions, weighs, and closes them.
func (m mix) hold(s *site) (held burden, err error) {
	s.options.Progress(fmt.Sprintf("%s: opening %d WebTransport sessions and %d WebSockets", m.name, m.streams, m.socket))
	through, err := s.overQUIC(m.streams)
	if err != nil {
		return held, err
	}
	streams, err := callers.Dial(s.ctx, m.streams, callers.Options{
		Address: s.address, Path: session.Path, Subprotocol: session.Subprotocol, Through: through,
		Protocol: func(i int) callers.Protocol {
			return session.New(session.Options{Type: actorType, Key: []string{"idle", fmt.Sprint(i % idleActors)}})
		},
	})
	if err != nil {
		return held, err
	}
	defer streams.Close()
	group, err := sockets.Open(s.ctx, m.socket, sockets.Options{Address: s.address, Path: idlePath})
	if err != nil {
		return held, err
	}
	defer group.Close()
	if held, err = s.burden(); err != nil {
		return held, err
	}
	select {
	case fault := <-group.Faults():
		return held, fault
	default:
		return held, streams.Lost()
	}
}

// idlePath is where the i-th idle WebSocket connects.
func idlePath(i int) string {
	return fmt.Sprintf("/v1/actors/%s:idle:%d/connect", actorType, i%idleActors)
}

// burden is what the gateway carries.
type burden struct {
	weight
	goroutines, sessions float64
}

func (s *site) burden() (burden, error) {
	w, err := s.weigh(s.gateway)
	if err != nil {
		return burden{}, err
	}
	m, err := s.metrics()
	return burden{w, m["go_goroutines"], m["stagedoor_sessions"]}, err
}

// A gateway counts as empty when it has hardly more goroutines than before; it need not be until sessions cannot be resumed any
// more, and their actors have heard of it.
const (
	fewGoroutines = 10
	emptyWait     = 90 * time.Second
	collections   = 10 // at most
)

// emptied waits for the gateway to be as it was, or for the time to be up, and says what it carries then.
func (s *site) emptied(before burden) (burden, error) {
	for deadline := time.Now().Add(emptyWait); time.Now().Before(deadline); {
		m, err := s.metrics()
		if err != nil {
			return burden{}, err
		}
		if m["go_goroutines"] <= before.goroutines+fewGoroutines && m["stagedoor_sessions"] <= before.sessions {
			break
		}
		if err := pause(s.ctx, settleEvery); err != nil {
			return burden{}, err
		}
	}
	last := math.Inf(1)
	for range collections { // the first may have begun before they went, and pools and timers hold some of it for longer
		heap, err := s.heap()
		if err != nil {
			return burden{}, err
		}
		if heap > 0.95*last {
			break
		}
		last = heap
	}
	return s.burden()
}
