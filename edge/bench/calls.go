//go:build unix

package bench

import (
	"context"
	"fmt"

	"github.com/stagedoor-dev/stagedoor/edge/bench/bare"
	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"
	"github.com/stagedoor-dev/stagedoor/internal/payload"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// messageSize is the length of what calls and events carry.
const messageSize = 64

// calls measures actions that change nothing: as many at once as asked for, then one at a time. The baseline is the same
// number of bytes by way of a bare relay, or, over HTTP, to a bare echo and back.
func calls(ctx context.Context, o Options) (_ []Row, err error) {
	o.quic = o.Transport == WebTransport || o.Transport == HTTP3
	s, err := openSite(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closing(s, &err)
	bareServer, err := s.playBare()
	if err != nil {
		return nil, err
	}
	name := o.named("calls")
	many, err := s.callsOf(name, bareServer, o.Connections, o.InFlight)
	if err != nil {
		return nil, err
	}
	one, err := s.callsOf(name+"-1x1", bareServer, 1, 1)
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
	bareCrowd, err := s.bareCrowd(bareServer, connections, inFlight)
	if err != nil {
		return Row{}, err
	}
	defer bareCrowd.leave()
	var busy share
	row, err := takeTurns(s.ctx, s.options, name, busy.watching(s.runner, crowd.turn), bareCrowd.turn)
	row.Unit, row.Connections, row.InFlight, row.Via, row.Transport = "calls", connections, inFlight, s.options.Via, s.options.Transport
	if s.options.requests() {
		row.Via = ""
	}
	s.hosted(&row, busy)
	return row, err
}

// playBare starts the baseline of the transport, and returns where clients call it.
func (s *site) playBare() (address string, err error) {
	role, where := bare.Relay, ""
	switch s.options.Transport {
	case WebTransport, HTTP3:
		role = bare.HTTP3
	case HTTP1:
		role = bare.HTTP
	}
	if role != bare.HTTP {
		if _, where, err = s.play(bare.Echo, ""); err != nil {
			return "", err
		}
	}
	_, address, err = s.play(role, where)
	return address, err
}

// bareCrowd calls the baseline of the transport as the product is called.
func (s *site) bareCrowd(address string, connections, inFlight int) (*crowd, error) {
	var sockets *callers.Callers
	var err error
	switch s.options.Transport {
	case HTTP1, HTTP3:
		return s.requesters(address, connections, inFlight, func(int) request {
			body := make([]byte, messageSize)
			return request{path: "/", body: body, answer: body}
		})
	case WebTransport:
		var through *tunnel.Dialer
		if through, err = s.overQUIC(connections); err == nil {
			sockets, err = bare.DialStreams(s.ctx, through, address, connections, messageSize)
		}
	default:
		sockets, err = bare.Dial(s.ctx, address, connections, messageSize)
	}
	if err != nil {
		return nil, err
	}
	return s.socketCrowd(sockets, inFlight), nil
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
