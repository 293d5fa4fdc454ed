//go:build unix

package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/stagedoor-dev/stagedoor/edge/bench/callers"
	"github.com/stagedoor-dev/stagedoor/edge/bench/load"
	"github.com/stagedoor-dev/stagedoor/edge/bench/session"
	"github.com/stagedoor-dev/stagedoor/edge/bench/tunnel"

	client "github.com/stagedoor-dev/stagedoor/clients/go"
)

// deed is an action as each kind of client calls it.
type deed struct {
	action       string
	args, output []byte // for light callers, as session.Options has them
	// For those of the SDK. worker is one of the calls under way at the same time.
	call func(ctx context.Context, on client.Caller, worker int) error
}

// crowd is so many sessions, each of which calls an actor of its own.
type crowd struct {
	// turn keeps the calls of all of them under way.
	turn turn
	// count is how many calls the i-th actor was sent and has answered. It is asked after leave, which may be repeated.
	count func(i int) (asked, answered int)
	leave func()
}

// ownKey is that of the actor which the i-th session calls.
func ownKey(i int) []string { return []string{"connected", fmt.Sprint(i)} }

// crowd opens sessions as Options.Via and Options.Transport say.
func (s *site) crowd(sessions, inFlight int, d deed) (*crowd, error) {
	switch {
	case s.options.requests():
		return s.requestCrowd(sessions, inFlight, d)
	case s.options.Via == ViaConnection:
		return s.lightCrowd(sessions, inFlight, d)
	}
	return s.sdkCrowd(sessions, inFlight, d)
}

// lightCrowd costs as much for each call as the callers of the baseline, and hardly more.
func (s *site) lightCrowd(n, inFlight int, d deed) (*crowd, error) {
	sessions := make([]*session.Session, n)
	var through *tunnel.Dialer
	if s.options.Transport == WebTransport {
		var err error
		if through, err = s.overQUIC(n); err != nil {
			return nil, err
		}
	}
	sockets, err := callers.Dial(s.ctx, n, callers.Options{
		Address: s.address, Path: session.Path, Subprotocol: session.Subprotocol, Together: session.Together, Through: through,
		Protocol: func(i int) callers.Protocol {
			sessions[i] = session.New(session.Options{
				Type: actorType, Key: ownKey(i), Action: d.action, Args: d.args, Output: d.output,
			})
			return sessions[i]
		},
	})
	if err != nil {
		return nil, err
	}
	c := s.socketCrowd(sockets, inFlight)
	c.count = func(i int) (asked, answered int) { return sessions[i].Asked, sessions[i].Answered }
	return c, nil
}

// socketCrowd has calls under way on sockets. It counts none.
func (s *site) socketCrowd(sockets *callers.Callers, inFlight int) *crowd {
	return &crowd{
		turn: func(ctx context.Context) (load.Result, error) {
			return sockets.Round(ctx, load.Open(s.options.Duration), inFlight), nil
		},
		leave: sockets.Close,
	}
}

// sdkCrowd has a goroutine for each call under way, as users do.
func (s *site) sdkCrowd(n, inFlight int, d deed) (*crowd, error) {
	on, err := s.sdkCallers(n)
	if err != nil {
		return nil, err
	}
	counts := make([]struct{ asked, answered atomic.Int64 }, n)
	return &crowd{
		turn: func(ctx context.Context) (load.Result, error) {
			return load.Run(ctx, load.Open(s.options.Duration), n*inFlight, func(ctx context.Context, worker int) error {
				i := worker / inFlight
				counts[i].asked.Add(1)
				err := d.call(ctx, on[i], worker)
				if err == nil {
					counts[i].answered.Add(1)
				}
				return err
			}), nil
		},
		count: func(i int) (asked, answered int) {
			return int(counts[i].asked.Load()), int(counts[i].answered.Load())
		},
		leave: func() {}, // with the site
	}, nil
}

// sdkCallers are so many clients, and in each what an actor of its own is called on.
func (s *site) sdkCallers(n int) ([]client.Caller, error) {
	clients, err := s.someClients(n)
	if err != nil {
		return nil, err
	}
	on := make([]client.Caller, n)
	err = load.Each(s.ctx, n, n, func(ctx context.Context, i int) error {
		handle := clients[i].GetOrCreate(actorType, ownKey(i))
		if s.options.Via == ViaHandle {
			on[i] = handle
			return nil
		}
		connection := handle.Connect(client.ConnectOptions{})
		on[i] = connection
		return connection.Ready(ctx)
	})
	return on, err
}
