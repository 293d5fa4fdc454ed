//go:build unix

package bench

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// messageSize is the length of what calls and events carry.
const messageSize = 64

// calls measures actions that change nothing: as many at once as asked for, then one at a time. The baseline is the same
// number of bytes by way of a bare relay.
func calls(ctx context.Context, o Options) (_ []Row, err error) {
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	_, echo, err := s.play(bare.Echo, "")
	if err != nil {
		return nil, err
	}
	_, relay, err := s.play(bare.Relay, echo)
	if err != nil {
		return nil, err
	}
	many, err := s.callsOf("calls", relay, o.Connections, o.InFlight)
	if err != nil {
		return nil, err
	}
	one, err := s.callsOf("calls-1x1", relay, 1, 1)
	return []Row{many, one}, err
}

// closing closes the site at the end of a scenario.
func closing(s *site, err *error) {
	if fault := s.close(); *err == nil {
		*err = fault
	}
}

func (s *site) callsOf(name, relay string, connections, inFlight int) (Row, error) {
	callers, err := s.callers(connections)
	if err != nil {
		return Row{}, err
	}
	bareCallers, err := bare.Dial(s.ctx, relay, connections, messageSize)
	if err != nil {
		return Row{}, err
	}
	defer bareCallers.Close()
	row, err := takeTurns(s.ctx, s.options, name, func(ctx context.Context) (load.Result, error) {
		return echoes(ctx, s.options, callers, inFlight), nil
	}, func(ctx context.Context) (load.Result, error) {
		return bareCallers.Round(ctx, load.Open(s.options.Duration), inFlight), nil
	})
	row.Unit, row.Connections, row.InFlight, row.Via = "calls", connections, inFlight, s.options.Via
	return row, err
}

// callers are so many sessions, and in each what an actor of its own is called on.
func (s *site) callers(n int) ([]client.Caller, error) {
	callers := make([]client.Caller, n)
	if s.options.Via == ViaHandle {
		clients, err := s.someClients(n)
		for i, c := range clients {
			callers[i] = c.GetOrCreate(actorType, []string{"connected", fmt.Sprint(i)})
		}
		return callers, err
	}
	connections, err := s.connections(n)
	for i, c := range connections {
		callers[i] = c
	}
	return callers, err
}

// echoes keeps inFlight calls of each caller under way, each by a goroutine of its own, as users do.
func echoes(ctx context.Context, o Options, callers []client.Caller, inFlight int) load.Result {
	message := make([]byte, messageSize)
	answers := make([][]byte, len(callers)*inFlight)
	return load.Run(ctx, load.Open(o.Duration), len(answers), func(ctx context.Context, worker int) error {
		answer := &answers[worker]
		if err := callers[worker/inFlight].Call(ctx, "echo", answer, message); err != nil {
			return err
		}
		if len(*answer) != messageSize {
			return fmt.Errorf("%d bytes came back of %d", len(*answer), messageSize)
		}
		return nil
	})
}
