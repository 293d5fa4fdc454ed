//go:build unix

package bench

import (
	"context"
	"time"

	runner "github.com/stagedoor-dev/stagedoor/runner-go"
)

// actorType is the name of the type that all scenarios use, tick that of its event.
const (
	actorType = "bench"
	tick      = "tick"
)

// State is the durable state of a bench actor.
type State struct {
	Count int `cbor:"count"`
}

// Actor does as little as an actor can in each of the ways that are measured.
type Actor struct {
	runner.Actor[State, runner.None]
}

func (a *Actor) echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }

func (a *Actor) increment(context.Context) (int, error) {
	a.State().Count++
	return a.State().Count, nil
}

func (a *Actor) broadcast(_ context.Context, b []byte) (runner.None, error) {
	a.Broadcast(tick, b)
	return runner.None{}, nil
}

func (a *Actor) sleep(context.Context) (runner.None, error) {
	a.Sleep()
	return runner.None{}, nil
}

// define makes the type. Its actors do not fall asleep by themselves while they are measured, but have the timer for it,
// as any actor has.
func define(class runner.Durability) *runner.Type[Actor] {
	t := runner.Define[Actor](actorType, runner.WithDurability(class), runner.WithSleepAfter(time.Hour), runner.WithEvents(tick))
	runner.Action1(t, "echo", (*Actor).echo)
	runner.Action0(t, "increment", (*Actor).increment)
	runner.Action1(t, "broadcast", (*Actor).broadcast)
	runner.Action0(t, "sleep", (*Actor).sleep)
	return t
}

// serveActors hosts bench actors of a durability class for the gateway at endpoint until ctx ends.
func serveActors(ctx context.Context, endpoint string, class runner.Durability) error {
	r, err := runner.New(runner.Config{Endpoint: endpoint, DrainTimeout: time.Second}, define(class))
	if err != nil {
		return err
	}
	return r.Serve(ctx)
}
