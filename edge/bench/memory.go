//go:build unix

package bench

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/sockets"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// idleActors is how many actors the idle connections are spread over: they are there before anything is measured.
const idleActors = 100

// creators is how many calls are under way while actors are created, and over how many sessions.
const (
	creators        = 256
	creatorSessions = 16
)

// idle measures the memory of a session with one connection that does nothing, then that of an actor. The baseline of a
// session is a WebSocket of a bare server that does nothing. Each is measured once: a process that was full is not as it
// was when it is empty again.
func idle(ctx context.Context, o Options) ([]Row, error) {
	sessions, err := idleSessions(ctx, o)
	if err != nil {
		return nil, err
	}
	actors, err := memory(ctx, o)
	return append(sessions, actors...), err
}

func idleSessions(ctx context.Context, o Options) (_ []Row, err error) {
	n, note := reachable(o.Connections, 1)
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	server, address, err := s.play(bare.Broadcaster, "")
	if err != nil {
		return nil, err
	}
	if err := s.create("idle", idleActors, "echo", []byte{}); err != nil {
		return nil, err
	}
	row := Row{Name: "idle", Unit: "sessions", Connections: n, Rounds: 1, Operations: n, Note: note}
	if row.Bytes, row.HeapBytes, err = s.weighSessions(n); err != nil {
		return nil, err
	}
	if row.BareBytes, err = s.weighSockets(n, server, address); err != nil {
		return nil, err
	}
	if row.Bytes > 0 {
		row.Ratio = max(row.BareBytes, 0) / row.Bytes
	}
	return []Row{row}, nil
}

// weighSessions is what a session with one connection takes in the gateway.
func (s *site) weighSessions(n int) (resident, heap float64, err error) {
	s.options.Progress(fmt.Sprintf("idle: opening %d sockets to the gateway", n))
	weigh := func() (weight, error) { return s.weigh(s.gateway) }
	before, err := weigh()
	if err != nil {
		return 0, 0, err
	}
	held, err := s.hold(s.address, n, idlePath, weigh)
	resident, heap = held.over(before, n)
	return resident, heap, err
}

// weighSockets is what a WebSocket takes in a bare server.
func (s *site) weighSockets(n int, server *process, address string) (float64, error) {
	s.options.Progress(fmt.Sprintf("idle: opening %d sockets to a bare server", n))
	weigh := func() (weight, error) {
		bytes, err := resident(s.ctx, server)
		return weight{resident: bytes}, err
	}
	before, err := weigh()
	if err != nil {
		return 0, err
	}
	held, err := s.hold(address, n, func(int) string { return "/" }, weigh)
	bytes, _ := held.over(before, n)
	return bytes, err
}

// hold opens sockets, weighs, and closes them.
func (s *site) hold(address string, n int, path func(int) string, weigh func() (weight, error)) (weight, error) {
	group, err := sockets.Open(s.ctx, n, sockets.Options{Address: address, Path: path})
	if err != nil {
		return weight{}, err
	}
	defer group.Close()
	w, err := weigh()
	select {
	case fault := <-group.Faults():
		return w, fault
	default:
		return w, err
	}
}

// memory measures what an actor that is awake and does nothing takes in the gateway and the runner together. There is no
// baseline. Before it, the store is written to as much as the creation of the actors will: its caches and buffers have a
// fixed size and are nobody's.
func memory(ctx context.Context, o Options) (_ []Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	o.Progress("memory: filling the store's buffers")
	if err := s.fillStore(2 * o.Actors); err != nil {
		return nil, err
	}
	before, err := s.weigh(s.gateway, s.runner)
	if err != nil {
		return nil, err
	}
	o.Progress(fmt.Sprintf("memory: creating %d actors", o.Actors))
	if err := s.create("memory", o.Actors, "echo", []byte{}); err != nil {
		return nil, err
	}
	after, err := s.weigh(s.gateway, s.runner)
	if err != nil {
		return nil, err
	}
	row := Row{Name: "memory", Unit: "actors", Actors: o.Actors, Rounds: 1, Operations: o.Actors}
	row.Bytes, row.HeapBytes = after.over(before, o.Actors)
	return []Row{row}, nil
}

func (s *site) fillStore(n int) error {
	clients, err := s.someClients(creatorSessions)
	if err != nil {
		return err
	}
	return load.Each(s.ctx, n, creators, func(ctx context.Context, i int) error {
		return actor(clients, "fill", i%creators).Call(ctx, "increment", nil)
	})
}

// create creates actors by calling an action of each.
func (s *site) create(kind string, n int, action string, args ...any) error {
	clients, err := s.someClients(creatorSessions)
	if err != nil {
		return err
	}
	return load.Each(s.ctx, n, creators, func(ctx context.Context, i int) error {
		return actor(clients, kind, i).Call(ctx, action, nil, args...)
	})
}

func actor(clients []*client.Client, kind string, i int) *client.Handle {
	return clients[i%len(clients)].GetOrCreate(actorType, []string{kind, fmt.Sprint(i)})
}
