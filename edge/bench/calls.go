//go:build unix

package bench

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/internal/payload"

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
	name := o.named("calls")
	many, err := s.callsOf(name, relay, o.Connections, o.InFlight)
	if err != nil {
		return nil, err
	}
	one, err := s.callsOf(name+"-1x1", relay, 1, 1)
	return []Row{many, one}, err
}

// closing closes the site at the end of a scenario.
func closing(s *site, err *error) {
	if fault := s.close(); *err == nil {
		*err = fault
	}
}

// callsOf measures the action that gives back what it gets; bareServer answers the baseline's calls.
func (s *site) callsOf(name, bareServer string, connections, inFlight int) (Row, error) {
	echo, err := echoing(connections * inFlight)
	if err != nil {
		return Row{}, err
	}
	crowd, err := s.crowd(connections, inFlight, echo)
	if err != nil {
		return Row{}, err
	}
	defer crowd.leave()
	bareCallers, err := bare.Dial(s.ctx, bareServer, connections, messageSize)
	if err != nil {
		return Row{}, err
	}
	defer bareCallers.Close()
	var busy share
	row, err := takeTurns(s.ctx, s.options, name, busy.watching(s.runner, crowd.turn), func(ctx context.Context) (load.Result, error) {
		return bareCallers.Round(ctx, load.Open(s.options.Duration), inFlight), nil
	})
	row.Unit, row.Connections, row.InFlight, row.Via = "calls", connections, inFlight, s.options.Via
	s.hosted(&row, busy)
	return row, err
}

// hosted adds what there is to say about a runner with one thread.
func (s *site) hosted(row *Row, busy share) {
	if s.options.js == nil {
		return
	}
	row.Node = s.options.js.version
	if text := busy.String(); text != "" {
		row.remark("the runner used " + text)
	}
}

// echoing is the action that gives back what it gets.
func echoing(workers int) (deed, error) {
	const action = "echo"
	message, answers := make([]byte, messageSize), make([][]byte, workers)
	args, err := payload.MarshalArgs(message)
	if err != nil {
		return deed{}, err
	}
	output, err := payload.Marshal(message)
	return deed{action, args, output, func(ctx context.Context, on client.Caller, worker int) error {
		answer := &answers[worker]
		if err := on.Call(ctx, action, answer, message); err != nil {
			return err
		}
		if len(*answer) != messageSize {
			return fmt.Errorf("%d bytes came back of %d", len(*answer), messageSize)
		}
		return nil
	}}, err
}
